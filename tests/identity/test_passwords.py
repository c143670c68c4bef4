"""Passwords: hashes with their parameters, and equal cost for unknown users."""

import base64
import hashlib
from typing import Any

import pytest

from chalicelib.identity import passwords
from tests.support import factories
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes"]
_scrypt = hashlib.scrypt


@pytest.fixture
def hash_calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The parameters of each computed hash, without its salt."""
    calls: list[dict[str, Any]] = []

    def scrypt(password: bytes, *, salt: bytes, **parameters: Any) -> bytes:
        calls.append(parameters)
        return _scrypt(password, salt=salt, **parameters)

    monkeypatch.setattr(hashlib, "scrypt", scrypt)
    return calls


@pytest.mark.parametrize("password", ["Demo-12345", "密码😷", " ", "a" * 72, "a\x00b"])
@pytest.mark.usefixtures("fast_hashes")
def test_only_the_password_matches_its_hash(password: str) -> None:
    stored = passwords.hash_password(password)
    assert passwords.matches(password, stored)
    assert not passwords.matches(password + "x", stored)
    assert password.encode() not in stored


@pytest.mark.usefixtures("fast_hashes")
def test_same_password_has_different_hashes() -> None:
    assert passwords.hash_password("Demo-12345") != passwords.hash_password("Demo-12345")


@pytest.mark.usefixtures("fast_hashes")
def test_hash_fits_its_column() -> None:
    assert len(passwords.hash_password("密" * 72)) <= 200


@pytest.mark.usefixtures("fast_hashes")
def test_no_password_matches_an_unknown_user() -> None:
    assert not passwords.matches("", None)
    assert not passwords.matches("Demo-12345", None)
    assert not passwords.matches("placeholder", None)


def test_unknown_user_costs_as_much_as_a_wrong_password(hash_calls: list[dict[str, Any]]) -> None:
    for stored in (factories._PASSWORD_HASH, None):
        passwords.matches("wrong", stored)
    assert len(hash_calls) == 2
    assert hash_calls[0] == hash_calls[1]
    assert (hash_calls[0]["n"], hash_calls[0]["r"], hash_calls[0]["p"]) == (2**14, 8, 5)


def test_hash_is_checked_with_its_own_parameters(hash_calls: list[dict[str, Any]]) -> None:
    salt = b"0123456789abcdef"
    old_hash = _scrypt(b"Demo-12345", salt=salt, n=2**10, r=4, p=1, dklen=32)
    stored = b"scrypt$1024$4$1$" + base64.b64encode(salt) + b"$" + base64.b64encode(old_hash)
    assert passwords.matches("Demo-12345", stored)
    assert not passwords.matches("wrong", stored)
    assert {(call["n"], call["r"], call["p"]) for call in hash_calls} == {(1024, 4, 1)}


def test_parameters_can_be_raised(hash_calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "SCRYPT_N", 2**4)
    before = passwords.hash_password("Demo-12345")
    monkeypatch.setattr(passwords, "SCRYPT_N", 2**5)
    after = passwords.hash_password("Demo-12345")
    assert passwords.matches("Demo-12345", before)
    assert passwords.matches("Demo-12345", after)
    assert [call["n"] for call in hash_calls] == [2**4, 2**5, 2**4, 2**5]
