"""Client addresses: which one a request comes from, also behind reverse proxies, and whether it was forwarded."""

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
"""Headers that only reverse proxies and content delivery networks add; those with an address in the name not listed."""
_FORWARDING_PREFIXES = ("x-envoy-", "x-azure-", "x-auth-request-", "tailscale-", "x-vercel-", "fly-", "ssl-client-")
_ADDRESS_SUFFIXES = ("-ip", "-ips", "-addr", "-address", "-ip-address")
_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,\s]*)', re.IGNORECASE)


def is_forwarded(headers: Headers) -> bool:
    """Returns whether a reverse proxy added a header to the request, so that its client is not the peer."""
    return any(_is_forwarding(name) for name in headers)


def rate_limit_name(address: str) -> str:
    """Returns the name under which requests of an address are counted.

    It is the /64 network of an IPv6 address, since one client usually has 2^64 of them.
    """
    parsed = _parsed(address)
    if parsed is None or isinstance(parsed, ipaddress.IPv4Address):
        return address if parsed is None else str(parsed)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


class ClientAddresses:
    """Finds the address of the client of a request.

    Args:
        trusted_proxies: Addresses and networks (CIDR) of reverse proxies whose forwarding headers are believed.
    """

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted: list[Network] = [ipaddress.ip_network(each, strict=False) for each in trusted_proxies]

    def of(self, scope: Scope) -> str:
        """Returns the peer's address or, if the peer is a trusted proxy, the address that it reports; "" if unknown.

        That is the rightmost address in ``X-Forwarded-For`` or ``Forwarded`` that is not a trusted proxy: everything
        to the left of it was written by the client. If a request has both headers and they differ, one of them comes
        from the client; then the proxy's own address is returned.
        """
        peer = scope["client"][0] if scope.get("client") else ""
        if not self.is_trusted(peer):
            return peer
        headers = Headers(scope=scope)
        reported = {self._rightmost(hops) for hops in (_x_forwarded_for(headers), _forwarded(headers)) if hops}
        return reported.pop() or peer if len(reported) == 1 else peer

    def is_trusted(self, address: str) -> bool:
        """Returns whether the address is one of a trusted proxy."""
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)

    def _rightmost(self, hops: Sequence[str]) -> str:
        """Returns the rightmost address that is not trusted, else the leftmost valid one; "" if none is valid."""
        found = ""
        for hop in reversed(hops):
            parsed = _parsed(_without_port(hop))
            if parsed is None:
                break
            found = str(parsed)
            if not self.is_trusted(found):
                break
        return found


def _is_forwarding(name: str) -> bool:
    plain = name.lower().replace("_", "-")
    return (
        "forwarded" in plain
        or plain in _FORWARDING_HEADERS
        or plain.startswith(_FORWARDING_PREFIXES)
        or plain.endswith(_ADDRESS_SUFFIXES)
    )


def _x_forwarded_for(headers: Headers) -> list[str]:
    return [each.strip() for value in headers.getlist("x-forwarded-for") for each in value.split(",") if each.strip()]


def _forwarded(headers: Headers) -> list[str]:
    """Returns the ``for`` parameters of ``Forwarded`` (RFC 7239), "" for an element without one."""
    hops = []
    for value in headers.getlist("forwarded"):
        for element in value.split(","):
            found = _FORWARDED_FOR.search(element)
            hops.append(found.group(1).strip('"') if found else "")
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
