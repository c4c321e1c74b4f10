"""Finds the address of the client that sent a request, also if a reverse proxy forwarded the request."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Scope

__all__ = ["ClientAddresses", "is_forwarded", "rate_limit_name"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORWARDING_HEADERS = frozenset(
    "via cdn-loop cf-ray cf-visitor cf-ipcountry x-original-host x-original-url x-original-uri x-original-proto "
    "x-rewrite-url x-request-start x-amzn-trace-id x-cloud-trace-context x-arr-log-id x-arr-ssl x-iisnode-remote-addr "
    "x-appengine-user-ip x-scheme front-end-https remote-user x-remote-user x-webauth-user x-amzn-oidc-data "
    "x-goog-iap-jwt-assertion cf-access-jwt-assertion".split()
)
"""Headers that only reverse proxies and content delivery networks add. ``_ADDRESS_SUFFIXES`` matches further ones."""
_FORWARDING_PREFIXES = ("x-envoy-", "x-azure-", "x-auth-request-", "tailscale-", "x-vercel-", "fly-", "ssl-client-")
_ADDRESS_SUFFIXES = ("-ip", "-ips", "-addr", "-address", "-ip-address")
_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,\s]*)', re.IGNORECASE)


def is_forwarded(headers: Headers) -> bool:
    """Returns whether a request contains a header that only a reverse proxy adds.

    The server is then connected to the proxy, not to the client that sent the request.
    """
    return any(_is_forwarding(name) for name in headers)


def rate_limit_name(address: str) -> str:
    """Returns the name under which the rate limits count the requests of an address.

    For an IPv6 address, the name is its /64 network, because one client can usually use all addresses of the network.
    """
    parsed = _parsed(address)
    if parsed is None or isinstance(parsed, ipaddress.IPv4Address):
        return address if parsed is None else str(parsed)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


class ClientAddresses:
    """Finds the client address of a request.

    Args:
        trusted_proxies: Addresses and networks (CIDR) of reverse proxies. Only their forwarding headers are used.
    """

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted: list[Network] = [ipaddress.ip_network(each, strict=False) for each in trusted_proxies]

    def of(self, scope: Scope) -> str:
        """Returns the address of the client that sent a request; "" if it is unknown.

        If a trusted proxy sent the request, the client is the rightmost address in ``X-Forwarded-For`` or
        ``Forwarded`` that is not a trusted proxy. Addresses further left are ignored, because the client can invent
        them. If the two headers name different clients, the result is the proxy's address, because a client may have
        invented one of the headers.
        """
        peer = scope["client"][0] if scope.get("client") else ""
        if not self.is_trusted(peer):
            return peer
        headers = Headers(scope=scope)
        reported = {self._rightmost(hops) for hops in (_x_forwarded_for(headers), _forwarded(headers)) if hops}
        return reported.pop() or peer if len(reported) == 1 else peer

    def is_trusted(self, address: str) -> bool:
        """Returns whether an address belongs to a trusted proxy."""
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)

    def _rightmost(self, hops: Sequence[str]) -> str:
        """Returns the rightmost address that is not a trusted proxy.

        The addresses are read from right to left, up to the first invalid one. If all valid addresses that were read
        are trusted proxies, returns the leftmost of them. If the rightmost address is invalid, returns "".
        """
        address = ""
        for hop in reversed(hops):
            parsed = _parsed(_without_port(hop))
            if parsed is None:
                break
            address = str(parsed)
            if not self.is_trusted(address):
                break
        return address


def _is_forwarding(name: str) -> bool:
    normalised = name.lower().replace("_", "-")
    return (
        "forwarded" in normalised
        or normalised in _FORWARDING_HEADERS
        or normalised.startswith(_FORWARDING_PREFIXES)
        or normalised.endswith(_ADDRESS_SUFFIXES)
    )


def _x_forwarded_for(headers: Headers) -> list[str]:
    return [each.strip() for value in headers.getlist("x-forwarded-for") for each in value.split(",") if each.strip()]


def _forwarded(headers: Headers) -> list[str]:
    """Returns the ``for`` parameter of each element in the header ``Forwarded`` (RFC 7239).

    The result is "" for an element without this parameter.
    """
    hops = []
    for value in headers.getlist("forwarded"):
        for element in value.split(","):
            match = _FORWARDED_FOR.search(element)
            hops.append(match.group(1).strip('"') if match else "")
    return hops


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parsed(address: str) -> Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
