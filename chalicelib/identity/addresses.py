"""IP addresses of clients: which one a request came from, and the network by which limits count it."""

import ipaddress
import re

from chalicelib import errors
from chalicelib.errors import ApiError

MAX_FORWARDED_LENGTH = 1024  # characters of X-Forwarded-For: room for twenty IPv6 addresses
IPV6_NETWORK_BITS = 64  # what one customer of a provider has at least; privacy extensions change the others
# An address as proxies write it: IPv4 or IPv6, either with a port.
_WITH_PORT_PATTERN = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](:[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}")


def determine_client_address(source: str, forwarded_for: str, trusted_proxies: int) -> str:
    """Return the normalised address of a client.

    Each proxy appends the address from which it received the request to X-Forwarded-For, API Gateway included. So the
    last entries are those of the trusted proxies, and the first of these is the client's. Entries in front of it come
    from the client, who may write anything there.

    Args:
        source: the address from which API Gateway received the request.
        trusted_proxies: number of proxies in front of API Gateway. Without any, the header is ignored.

    Raises:
        ApiError: 400 if the header has too few entries, is too long, or its entry is no address.
    """
    if not trusted_proxies:
        return normalize(source) or source[:64]
    if len(forwarded_for) > MAX_FORWARDED_LENGTH:
        raise ApiError(errors.BAD_PARAMETER, f"X-Forwarded-For：过长，至多 {MAX_FORWARDED_LENGTH} 个字符")
    entries = forwarded_for.split(",")
    if len(entries) <= trusted_proxies:
        raise ApiError(errors.BAD_PARAMETER, f"X-Forwarded-For：应经过 {trusted_proxies} 层代理，地址不够")
    address = normalize(entries[-1 - trusted_proxies])
    if not address:
        raise ApiError(errors.BAD_PARAMETER, "X-Forwarded-For：不是有效的 IP 地址")
    return address


def normalize(text: str) -> str:
    """Return the shortest spelling of an address, without its port; "" for a text that is no address.

    An IPv4 address that is written as an IPv6 one (::ffff:192.0.2.1) becomes an IPv4 address.
    """
    text = text.strip()
    if match := _WITH_PORT_PATTERN.fullmatch(text):
        text = match["v6"] or match["v4"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return ""
        address = address.ipv4_mapped or address
    return str(address)


def get_network(address: str) -> str:
    """Return what limits count instead of an address: itself for IPv4, its /64 for IPv6.

    Whoever has an IPv6 address has at least 2^64 of them. A text that is no address is returned unchanged.
    """
    normalized = normalize(address)
    if ":" not in normalized:
        return normalized or address
    return str(ipaddress.ip_network((normalized, IPV6_NETWORK_BITS), strict=False))
