"""Which address a request came from, and which network limits count."""

import pytest

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.identity.addresses import MAX_FORWARDED_LENGTH, determine_client_address, get_network, normalize

GATEWAYS_PEER = "203.0.113.7"


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("198.51.100.9", "198.51.100.9"),
        (" 198.51.100.9\t", "198.51.100.9"),
        ("198.51.100.9:54321", "198.51.100.9"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("::FFFF:c633:6409", "198.51.100.9"),
        ("2001:db8::1:443", "2001:db8::1:443"),  # without brackets, there is no port
        ("", ""),
        ("unknown", ""),
        ("198.51.100", ""),
        ("198.51.100.009", ""),
        ("198.51.100.9, 192.0.2.1", ""),
        ("198.51.100.9:", ""),
        ("fe80::1%eth0", ""),
        ("[198.51.100.9", ""),
        ("１９８.51.100.9", ""),
        ("1" * 9_000, ""),
    ],
)
def test_address_has_one_spelling(text: str, normalized: str) -> None:
    assert normalize(text) == normalized


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_network_of_an_ipv6_address_is_its_64(address: str, network: str) -> None:
    assert get_network(address) == network


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "6.6.6.6", GATEWAYS_PEER),
        (0, "6" * 9_000, GATEWAYS_PEER),
        (1, f"198.51.100.9, {GATEWAYS_PEER}", "198.51.100.9"),
        (1, f"6.6.6.6, unknown,,198.51.100.9,{GATEWAYS_PEER}", "198.51.100.9"),
        (1, f"2001:DB8::0:1, {GATEWAYS_PEER}", "2001:db8::1"),
        (2, f"6.6.6.6, 198.51.100.9, 192.0.2.1, {GATEWAYS_PEER}", "198.51.100.9"),
    ],
)
def test_client_address_is_the_one_that_the_outermost_trusted_proxy_appended(
    proxies: int, forwarded: str, address: str
) -> None:
    assert determine_client_address(GATEWAYS_PEER, forwarded, proxies) == address


@pytest.mark.parametrize("spoofed", ["6.6.6.6", "6.6.6.6, 7.7.7.7", "unknown", "", " , ", "'; --"])
def test_what_a_client_writes_does_not_change_its_address(spoofed: str) -> None:
    received = f"{spoofed}, 198.51.100.9, {GATEWAYS_PEER}"
    assert determine_client_address(GATEWAYS_PEER, received, 1) == "198.51.100.9"


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [
        (1, ""),
        (1, GATEWAYS_PEER),
        (2, f"198.51.100.9, {GATEWAYS_PEER}"),
        (1, f"unknown, {GATEWAYS_PEER}"),
        (1, f", {GATEWAYS_PEER}"),
        (1, f"{'1' * 200}, {GATEWAYS_PEER}"),
        (1, "6.6.6.6, " * (MAX_FORWARDED_LENGTH // 9) + f"198.51.100.9, {GATEWAYS_PEER}"),
    ],
)
def test_short_malformed_and_long_headers_are_rejected(proxies: int, forwarded: str) -> None:
    with pytest.raises(ApiError) as raised:
        determine_client_address(GATEWAYS_PEER, forwarded, proxies)
    assert raised.value.kind is errors.BAD_PARAMETER
    assert raised.value.text.startswith("X-Forwarded-For：")


def test_longest_accepted_header() -> None:
    end = f"198.51.100.9, {GATEWAYS_PEER}"
    assert determine_client_address(GATEWAYS_PEER, end.rjust(MAX_FORWARDED_LENGTH, ","), 1) == "198.51.100.9"


def test_address_of_the_gateway_is_normalized() -> None:
    assert determine_client_address("2001:DB8:0:0::1", "", 0) == "2001:db8::1"
    assert determine_client_address("", "", 0) == ""
