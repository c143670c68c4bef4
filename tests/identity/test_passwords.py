"""Passwords: hashes that say how they were made, and an answer that takes as long for nobody as for somebody."""

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
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The parameters of every hash that is computed, without its salt."""
    calls: list[dict[str, Any]] = []

    def counted(password: bytes, *, salt: bytes, **parameters: Any) -> bytes:
        calls.append(parameters)
        return _scrypt(password, salt=salt, **parameters)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    return calls


@pytest.mark.parametrize("password", ["Demo-12345", "密码😷", " ", "a" * 72, "a\x00b"])
@pytest.mark.usefixtures("fast_hashes")
def test_a_password_matches_its_hash_and_no_other_does(password: str) -> None:
    stored = passwords.hash_password(password)
    assert passwords.matches(password, stored)
    assert not passwords.matches(password + "x", stored)
    assert password.encode() not in stored


@pytest.mark.usefixtures("fast_hashes")
def test_two_people_with_one_password_have_two_hashes() -> None:
    assert passwords.hash_password("Demo-12345") != passwords.hash_password("Demo-12345")


@pytest.mark.usefixtures("fast_hashes")
def test_a_hash_fits_its_column() -> None:
    assert len(passwords.hash_password("密" * 72)) <= 200


@pytest.mark.usefixtures("fast_hashes")
def test_nobody_has_any_password() -> None:
    assert not passwords.matches("", None)
    assert not passwords.matches("Demo-12345", None)
    assert not passwords.matches("nobody's", None)  # what nobody's hash was made of here


def test_nobody_costs_as_much_as_somebody(asked: list[dict[str, Any]]) -> None:
    for somebody in (factories._PASSWORD_HASH, None):
        passwords.matches("wrong", somebody)
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert (asked[0]["n"], asked[0]["r"], asked[0]["p"]) == (2**14, 8, 5)


def test_a_hash_is_read_by_its_own_parameters(asked: list[dict[str, Any]]) -> None:
    salt = b"0123456789abcdef"
    older = _scrypt(b"Demo-12345", salt=salt, n=2**10, r=4, p=1, dklen=32)
    stored = b"scrypt$1024$4$1$" + base64.b64encode(salt) + b"$" + base64.b64encode(older)
    assert passwords.matches("Demo-12345", stored)
    assert not passwords.matches("wrong", stored)
    assert {(call["n"], call["r"], call["p"]) for call in asked} == {(1024, 4, 1)}


def test_parameters_may_grow(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "SCRYPT_N", 2**4)
    before = passwords.hash_password("Demo-12345")
    monkeypatch.setattr(passwords, "SCRYPT_N", 2**5)
    after = passwords.hash_password("Demo-12345")
    assert passwords.matches("Demo-12345", before)
    assert passwords.matches("Demo-12345", after)
    assert [call["n"] for call in asked] == [2**4, 2**5, 2**4, 2**5]
