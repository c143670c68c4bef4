"""Passwords that cost little, for tests in which people sign in often."""

import pytest

from chalicelib.identity import passwords
from tests import people


def cheapen(patch: pytest.MonkeyPatch) -> None:
    """Everybody made after this, and nobody, has a hash of a thousandth of the cost."""
    patch.setattr(passwords, "SCRYPT_N", 2**4)
    patch.setattr(people, "_HASH", passwords.hash_password(people.PASSWORD))
    patch.setattr(passwords, "_PLACEHOLDER_HASH", passwords.hash_password("nobody's"))


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheapen(monkeypatch)
