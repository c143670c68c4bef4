"""Passwords that cost little, for tests in which people sign in often."""

import pytest

from chalicelib.identity import passwords
from tests import people


def cheapen(patch: pytest.MonkeyPatch) -> None:
    """Everybody made after this, and nobody, has a hash of a thousandth of the cost."""
    patch.setattr(passwords, "N", 2**4)
    patch.setattr(people, "_HASH", passwords.hashed(people.PASSWORD))
    patch.setattr(passwords, "_NOBODY", passwords.hashed("nobody's"))


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheapen(monkeypatch)
