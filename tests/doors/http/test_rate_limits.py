"""Tests token buckets, and rate limits per key, user and address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from memoryos.doors.http import token_bucket
from memoryos.doors.http.addresses import rate_limit_name
from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.doors.http.token_bucket import TokenBuckets
from memoryos.engine import MemoryEngine
from tests.conftest import EngineMaker
from tests.doors.http.test_authentication import record_key_lookups

PAGES = "/v1/users/tom/pages"


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_bucket_allows_a_burst_and_then_refills() -> None:
    clock = Seconds()
    buckets = TokenBuckets(6, clock)
    left = [buckets.take("a") for _ in range(6)]
    assert [each and each.remaining for each in left] == [5, 4, 3, 2, 1, 0]
    refused = buckets.take("a")
    assert refused is not None
    assert (refused.retry_seconds, refused.remaining) == (10.0, 0)
    assert refused.headers["Retry-After"] == "10"
    other = buckets.take("b")
    assert other is not None
    assert other.remaining == 5
    clock.now += 10
    again = buckets.take("a")
    assert again is not None
    assert (again.retry_seconds, again.remaining) == (0.0, 0)
    clock.now += 1000
    assert buckets.peek("a") == buckets.peek("never seen")


def test_disabled_limit_returns_none() -> None:
    buckets = TokenBuckets(None)
    assert buckets.take("a") is buckets.peek("a") is None


@given(requests=st.integers(1, 100), pauses=st.lists(st.floats(0, 30), max_size=300))
def test_rate_is_at_most_the_limit_on_average_and_twice_in_a_minute(requests: int, pauses: list[float]) -> None:
    clock = Seconds()
    buckets = TokenBuckets(requests, clock)
    allowed = []
    for pause in pauses:
        clock.now += pause
        allowance = buckets.take("a")
        assert allowance is not None
        assert 0 <= allowance.remaining <= requests
        if not allowance.retry_seconds:
            allowed.append(clock.now)
    assert len(allowed) <= requests + requests * (clock.now - 1000) / 60 + 1
    for at in allowed:
        assert sum(at <= each < at + 60 for each in allowed) <= 2 * requests


@given(requests=st.integers(1, 100), sent=st.integers(0, 200))
def test_request_after_retry_seconds_is_allowed(requests: int, sent: int) -> None:
    clock = Seconds()
    buckets = TokenBuckets(requests, clock)
    for _ in range(sent):
        buckets.take("a")
    allowance = buckets.peek("a")
    assert allowance is not None
    clock.now += allowance.retry_seconds
    again = buckets.take("a")
    assert again is not None
    assert again.retry_seconds == 0


def test_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_bucket, "_MAX_BUCKETS", 10)
    buckets = TokenBuckets(5, Seconds())
    for number in range(100):
        buckets.take(str(number))
    assert len(buckets._full_at) == 10


def served(engine: MemoryEngine, address: str = "10.0.0.1", **settings: object) -> TestClient:
    app = build_app(engine, ServerSettings(**({"keys": True} | settings)))
    return TestClient(app, base_url="http://127.0.0.1", client=(address, 5000))


def test_user_limit_is_shared_by_its_keys(make_engine: EngineMaker) -> None:
    engine = make_engine()
    now = engine.clock()
    texts = [engine.store.keys.create(owner, now).text for owner in ("tom", "tom", "ann", None)]
    with served(engine, user_requests_per_minute=3) as client:
        answers = [client.get(PAGES, headers={"X-API-Key": texts[number % 2]}) for number in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert [each.headers["RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0"]
        assert answers[0].headers["RateLimit-Limit"] == "3"
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 20
        assert answers[3].headers["Content-Type"] == "application/problem+json"
        assert "Retry-After" not in answers[0].headers
        assert client.get("/v1/users/ann/pages", headers={"X-API-Key": texts[2]}).status_code == 200
        for _ in range(5):
            answer = client.get(PAGES, headers={"X-API-Key": texts[3]})
            assert (answer.status_code, "RateLimit-Limit" in answer.headers) == (200, False)


def test_limits_per_key_and_address(make_engine: EngineMaker) -> None:
    engine = make_engine()
    text = engine.store.keys.create(None, engine.clock()).text
    with served(engine, key_requests_per_minute=1) as client:
        assert [client.get(PAGES, headers={"X-API-Key": text}).status_code for _ in range(2)] == [200, 429]
    with served(engine, keys=False, address_requests_per_minute=2) as client:
        assert [client.get(PAGES).status_code for _ in range(3)] == [200, 200, 429]
        assert client.get("/healthz").status_code == 200, "health checks are not limited"


def test_no_rate_limits_while_keys_are_off(make_engine: EngineMaker) -> None:
    with served(make_engine(), keys=None) as client:
        answer = client.get(PAGES)
        assert not [name for name in answer.headers if name.lower().startswith("ratelimit")]


def test_invalid_keys_are_limited_and_never_block_a_valid_key(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    unused = engine.store.keys.create("tom", engine.clock()).text
    with served(engine, failed_keys_per_minute=3) as client:
        lookups = record_key_lookups(engine, monkeypatch)
        for text in (unused[:-1] + "-", "mos_wrong"):
            wrong = [client.get(PAGES, headers={"X-API-Key": text}) for _ in range(5)]
            assert wrong[-1].status_code == 429
            assert int(wrong[-1].headers["Retry-After"]) > 0
        assert len(lookups) == 5, "malformed keys are not looked up"
        assert client.get(PAGES, headers={"X-API-Key": unused}).status_code == 200, "although it is not in the cache"
        assert [client.get(PAGES).status_code for _ in range(5)] == [401] * 5, "a missing key is not counted as invalid"


def test_clients_behind_a_trusted_proxy_have_separate_limits(make_engine: EngineMaker) -> None:
    engine = make_engine()
    with served(engine, "10.0.0.1", failed_keys_per_minute=1, trusted_proxies=["10.0.0.0/8"]) as client:

        def ask(address: str) -> int:
            headers = {"X-API-Key": "mos_wrong", "X-Forwarded-For": f"1.1.1.1, {address}, 10.0.0.7"}
            status: int = client.get(PAGES, headers=headers).status_code
            return status

        assert [ask("203.0.113.9"), ask("203.0.113.9"), ask("203.0.113.10")] == [401, 429, 401]
    with served(engine, "192.0.2.1", failed_keys_per_minute=1, trusted_proxies=["10.0.0.0/8"]) as client:
        assert [ask("203.0.113.9"), ask("203.0.113.10")] == [401, 429], "headers of untrusted peers are ignored"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.0.0.1", "10.0.0.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"), ("testclient", "testclient"), ("", ""),
    ],
)  # fmt: skip
def test_ipv6_network_shares_one_limit(address: str, name: str) -> None:
    assert rate_limit_name(address) == name
