"""Cheap password hashes, for tests with many sign-ins."""

import pytest

from chalicelib.identity import passwords
from tests.support import factories


def use_fast_hashes(patch: pytest.MonkeyPatch) -> None:
    """Create new hashes, also that of unknown users, with a thousandth of the cost."""
    patch.setattr(passwords, "SCRYPT_N", 2**4)
    patch.setattr(factories, "_PASSWORD_HASH", passwords.hash_password(factories.PASSWORD))
    patch.setattr(passwords, "_PLACEHOLDER_HASH", passwords.hash_password("placeholder"))


@pytest.fixture
def fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fast_hashes(monkeypatch)
