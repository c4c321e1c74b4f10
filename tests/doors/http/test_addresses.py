"""Tests the client address of requests and the detection of forwarded requests."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from memoryos.doors.http.addresses import ClientAddresses, is_forwarded
from memoryos.doors.http.settings import ServerSettings
from memoryos.errors import ConfigError

TRUSTED = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]


def client_of(peer: str, *headers: tuple[str, str], trusted: list[str] | None = None) -> str:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return ClientAddresses(TRUSTED if trusted is None else trusted).of({"client": (peer, 1), "headers": raw})


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("203.0.113.1", [("x-forwarded-for", "6.6.6.6")], "203.0.113.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
        ("::ffff:127.0.0.1", [("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
        ("127.0.0.1", [("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.1.2.3")], "203.0.113.9"),
        ("127.0.0.1", [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9:4711")], "203.0.113.9"),
        ("127.0.0.1", [("x-forwarded-for", "10.0.0.1, 10.0.0.2")], "10.0.0.1"),
        ("127.0.0.1", [("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.2")], "10.0.0.2"),
        ("127.0.0.1", [("x-forwarded-for", "garbage")], "127.0.0.1"),
        ("127.0.0.1", [("forwarded", 'for=6.6.6.6, For="[2001:dead::9]:80";proto=https;by=10.0.0.1')], "2001:dead::9"),
        ("127.0.0.1", [("forwarded", "proto=https;for=203.0.113.9")], "203.0.113.9"),
        ("127.0.0.1", [("forwarded", "for=_hidden")], "127.0.0.1"),
        ("127.0.0.1", [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.9")], "127.0.0.1"),
        ("127.0.0.1", [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
        ("testclient", [("x-forwarded-for", "6.6.6.6")], "testclient"),
    ],
)
def test_client_is_the_rightmost_untrusted_address(peer: str, headers: list[tuple[str, str]], client: str) -> None:
    assert client_of(peer, *headers) == client
    assert client_of(peer, *headers, trusted=[]) == peer


def test_request_without_a_peer_has_no_address() -> None:
    assert ClientAddresses(TRUSTED).of({"client": None, "headers": []}) == ""


@pytest.mark.parametrize(
    "name",
    [
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Anything", "X_Forwarded_For", "Via", "X-Real-IP",
        "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X-Original-Forwarded-For", "X-Envoy-External-Address",
        "Client-IP", "X-Original-URL", "X-Auth-Request-Email", "Cf-Access-Jwt-Assertion", "Remote-User", "CDN-Loop",
    ],
)  # fmt: skip
def test_proxy_headers_are_recognised(name: str) -> None:
    assert is_forwarded(Headers({name: "x"}))


def test_ordinary_client_headers_are_not_proxy_headers() -> None:
    names = "Host Accept User-Agent Authorization Origin Referer Cookie Sec-Fetch-Site X-Assistant-Id Traceparent DNT"
    assert not is_forwarded(Headers(dict.fromkeys([*names.split(), "X-MemoryOS-User", "X-Stainless-Lang"], "x")))


def test_trusted_proxy_must_be_an_address_or_network() -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        ServerSettings(trusted_proxies=["proxy.example.org"])
