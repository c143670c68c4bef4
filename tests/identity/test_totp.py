"""Codes of authenticator apps, compared with the RFC's examples and with pyotp."""

import base64
import secrets
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from pyotp.totp import TOTP

from chalicelib import clock
from chalicelib.identity import totp

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238, appendix B, SHA-1: eight digits, of which apps show the last six.
RFC_CODES = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(clock, "now", lambda: round(seconds * clock.SECOND))


@pytest.mark.parametrize(("seconds", "code"), RFC_CODES.items())
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert totp.compute_code(RFC_SECRET, seconds // 30) == code[2:]


def test_codes_are_those_of_pyotp() -> None:
    for _ in range(300):
        secret, at = totp.generate_secret(), secrets.randbelow(2**32)
        assert totp.compute_code(secret, at // 30) == TOTP(secret).at(at)


def test_secrets_have_160_random_bits() -> None:
    found = {totp.generate_secret() for _ in range(50)}
    assert len(found) == 50
    assert {len(base64.b32decode(one)) for one in found} == {20}


@pytest.mark.parametrize(("steps", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_codes_of_neighbouring_steps_are_accepted(monkeypatch: pytest.MonkeyPatch, steps: int, accepted: bool) -> None:
    set_clock(monkeypatch, 1_800_000_010)
    step = 1_800_000_010 // 30 + steps
    assert totp.find_step(RFC_SECRET, totp.compute_code(RFC_SECRET, step)) == (step if accepted else None)


@pytest.mark.parametrize("code", ["", "00000", "0000000", "１２３４５６", "abcdef"])
def test_other_texts_are_no_code(code: str) -> None:
    assert totp.find_step(RFC_SECRET, code) is None


def test_url_is_understood_by_pyotp() -> None:
    url = totp.build_url(RFC_SECRET, "仁和医院 A&B", "陈医生:主任")
    parsed = pyotp.parse_uri(url)
    assert isinstance(parsed, TOTP)
    assert (parsed.secret, parsed.issuer, parsed.digits, parsed.interval) == (RFC_SECRET, "仁和医院 A&B", 6, 30)
    assert unquote(urlsplit(url).path) == "/仁和医院 A&B:陈医生:主任"
    assert "+" not in url, "apps show it as it is"
    assert parse_qs(urlsplit(url).query)["algorithm"] == ["SHA1"]
