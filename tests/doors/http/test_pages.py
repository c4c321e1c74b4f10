"""Tests pages over REST: adding, listing during writes, searching and idempotency."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.memory import Memory
from memoryos.storage.page_text_search import search_text
from tests.conftest import EngineMaker
from tests.doors.http.conftest import USER, ClientMaker
from tests.doors.http.proxy_fakes import serving


def add(client: TestClient, text: str, **headers: str) -> Any:
    response = client.post(f"{USER}/pages", json={"user_input": text}, headers=headers)
    assert response.status_code == 201, response.text
    return response.json()


def walk(client: TestClient, kind: str, cursor: str, **query: Any) -> list[Any]:
    """Returns every entry of a paginated list."""
    found, place = [], None
    while True:
        more: dict[str, Any] = {} if place is None else {cursor: place}
        part = client.get(f"{USER}/{kind}", params=query | more).json()
        found += part[kind]
        place = part[f"next_{cursor}"]
        if place is None:
            return found


def test_page_is_returned_unchanged(client: TestClient) -> None:
    given_page = {
        "user_input": "I moved to Utrecht 🚲\n\n<b>today</b>",
        "agent_response": "Nice!",
        "timestamp": "2023-05-08T13:56:00+02:00",
        "meta_data": {"user_name": "Tom", "tags": ["a", {"b": None}]},
    }
    page = client.post(f"{USER}/pages", json=given_page).json()
    assert (page["user_text"], page["assistant_text"]) == (given_page["user_input"], "Nice!")
    assert page["at"] == given_page["timestamp"], "the time keeps its offset"
    assert page["meta_data"] == given_page["meta_data"]
    assert page["user_name"] == "Tom"
    assert client.get(f"{USER}/pages/{page['page_id']}").json() == page


def test_message_list_becomes_pages(client: TestClient) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi!"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image_url"}]},
    ]
    response = client.post(f"{USER}/messages", json={"messages": messages})
    assert response.status_code == 201
    said = [(page["user_text"], page["assistant_text"]) for page in response.json()["pages"]]
    assert said == [("Hi!", "Hello!"), ("Look:", "")]
    assert client.post(f"{USER}/messages", json={"messages": []}).json() == {"pages": []}


def test_users_and_assistants_are_isolated(client: TestClient, engine: MemoryEngine) -> None:
    for assistant in ("one", "two"):
        client.post(f"{USER}/pages?assistant_id={assistant}", json={"user_input": f"Hello {assistant}."})
    client.post(f"{USER}/pages", json={"user_input": "Hello."}, headers={"X-Assistant-Id": "three"})
    assert {scope.assistant_id for scope in engine.scopes()} == {"one", "two", "three"}
    assert [page["user_text"] for page in client.get(f"{USER}/pages?assistant_id=two").json()["pages"]] == [
        "Hello two."
    ]


@pytest.mark.parametrize(
    "user_id", ["a/b", "../x", "ä ö", "a%2Fb", "x" * 1000, "google-oauth2|1", "?#&", "汉字", "a+b"]
)
@pytest.mark.enable_socket
def test_ids_may_contain_any_text(engine: MemoryEngine, user_id: str) -> None:
    with serving(build_app(engine, ServerSettings())) as server:
        address = f"{server}/v1/users/{quote(user_id, safe='')}/pages"
        assert httpx2.post(address, json={"user_input": "Hello."}).status_code == 201
        assert [scope.user_id for scope in engine.scopes()] == [user_id]
        assert len(httpx2.get(address).json()["pages"]) == 1


@pytest.mark.parametrize("limit", [1, 3, 500])
def test_page_list_is_complete_and_ordered_during_writes(client: TestClient, limit: int) -> None:
    first = [add(client, f"page {number}")["page_id"] for number in range(7)]
    part = client.get(f"{USER}/pages", params={"limit": limit}).json()
    listed = [page["page_id"] for page in part["pages"]]
    while part["next_before_seq"] is not None:
        add(client, "one that came while the list was read")
        query = {"limit": limit, "before_seq": part["next_before_seq"]}
        part = client.get(f"{USER}/pages", params=query).json()
        assert len(part["pages"]) <= limit
        listed += [page["page_id"] for page in part["pages"]]
    assert listed == first[::-1]


def test_knowledge_and_segment_lists_are_complete(make_client: ClientMaker, make_engine: EngineMaker) -> None:
    engine = make_engine(mid_term_similarity_threshold=2.0, consolidation_batch=4)
    client, memory = make_client(engine), engine.memory("tom")
    for topic in ("chess", "tea", "rowing", "Utrecht", "violins", "my dog Rex"):
        for number in range(4):
            memory.add_memory(f"I like {topic}. We spoke of {topic} {number} times.", f"Tell me about {topic}.")
    memory.force_mid_term_analysis()
    for kind, name in (("knowledge", "knowledge_id"), ("segments", "segment_id")):
        whole = [each[name] for each in walk(client, kind, "after", limit=500)]
        assert len(whole) > 1
        for limit in (1, 2, len(whole)):
            assert [each[name] for each in walk(client, kind, "after", limit=limit)] == whole
    segment_ids = [each["segment_id"] for each in walk(client, "segments", "after")]
    assert segment_ids == sorted(segment_ids)
    facts = [each["knowledge_id"] for each in walk(client, "knowledge", "after")]
    assert facts == [each.knowledge_id for each in memory.knowledge(None)]
    about = {each["about"] for each in walk(client, "knowledge", "after", about="user")}
    assert about == {"user"}


def test_user_list_is_complete(client: TestClient, engine: MemoryEngine) -> None:
    for name in "abcdefg":
        engine.memory(name).add_memory("Hello.")
    listed, offset = [], 0
    while offset is not None:
        part = client.get("/v1/users", params={"limit": 3, "offset": offset}).json()
        listed += [each["user_id"] for each in part["users"]]
        offset = part["next_offset"]
    assert listed == list("abcdefg")


def test_page_search_ignores_case(client: TestClient) -> None:
    for text in ("STRASSE und Weg", "nothing", "die Straße", "İstanbul", "100% _sure_"):
        add(client, text)
    found = {
        q: [page["user_text"] for page in walk(client, "pages", "before_seq", q=q)] for q in ("straße", "%", "_", "zz")
    }
    assert found == {"straße": ["die Straße", "STRASSE und Weg"], "%": ["100% _sure_"], "_": ["100% _sure_"], "zz": []}


def test_page_search_continues_at_the_cursor(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoryos.storage.page_text_search.MAX_PAGES_READ", 4)
    monkeypatch.setattr("memoryos.storage.page_text_search.PAGES_PER_READ", 2)
    wanted = [add(client, f"{'needle' if number % 5 == 0 else 'hay'} {number}")["page_id"] for number in range(16)][::5]
    parts = client.get(f"{USER}/pages", params={"q": "needle"}).json()
    assert parts["next_before_seq"] is not None
    assert [page["page_id"] for page in walk(client, "pages", "before_seq", q="needle", limit=1)] == wanted[::-1]
    assert [page["page_id"] for page in walk(client, "pages", "before_seq", q="needle", limit=9)] == wanted[::-1]


@settings(max_examples=30)
@given(texts=st.lists(st.sampled_from(["aa", "ab", "b"]), max_size=12), count=st.integers(1, 4), data=st.data())
def test_page_search_returns_exactly_the_matching_pages(texts: list[str], count: int, data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(["a", "b", "c"]))
    seen: list[str] = []

    class Listed:
        def newest_before(self, scope_id: str, before_seq: int | None, limit: int) -> list[Any]:  # noqa: ARG002
            seqs = range(1, len(texts) + 1)
            pages = [PageOf(seq, texts[seq - 1]) for seq in seqs if before_seq is None or seq < before_seq]
            return pages[::-1][:limit]

    before_seq: int | None = None
    while True:
        found, before_seq = search_text(Listed(), "", wanted, count, before_seq=before_seq)  # type: ignore[arg-type]
        assert len(found) <= count
        seen += [page.text("user") for page in found]
        if before_seq is None:
            break
    assert seen == [text for text in reversed(texts) if wanted in text]


class PageOf:
    def __init__(self, seq: int, said: str) -> None:
        self.seq, self.said = seq, said

    def text(self, side: str) -> str:
        return self.said if side == "user" else ""


def test_repeated_request_is_executed_once(client: TestClient) -> None:
    first = add(client, "Remember this once.", **{"Idempotency-Key": "k1"})
    assert add(client, "Remember this once.", **{"Idempotency-Key": "k1"}) == first
    other = client.post(f"{USER}/pages", json={"user_input": "Another."}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "idempotency_key"
    assert add(client, "Another.", **{"Idempotency-Key": "k2"})["seq"] == 2
    messages = {"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Ho"}]}
    twice = [client.post(f"{USER}/messages", json=messages, headers={"Idempotency-Key": "k3"}).json() for _ in range(2)]
    assert twice[0] == twice[1]
    assert len(client.get(f"{USER}/pages").json()["pages"]) == 4
    client.delete(f"{USER}/pages/{first['page_id']}")
    repeated = client.post(
        f"{USER}/pages", json={"user_input": "Remember this once."}, headers={"Idempotency-Key": "k1"}
    )
    assert repeated.status_code == 404


@pytest.mark.parametrize("kind", ["pages", "messages", "answers"])
def test_concurrent_identical_requests_are_executed_once(client: TestClient, kind: str) -> None:
    body = {
        "pages": {"user_input": "Once."},
        "messages": {"messages": [{"role": "user", "content": "Once."}, {"role": "user", "content": "More."}]},
        "answers": {"query": "What do I like?"},
    }[kind]
    add(client, "I like tea.")
    together = threading.Barrier(8)

    def ask(_: int) -> Any:
        together.wait(20)
        return client.post(f"{USER}/{kind}", json=body, headers={"Idempotency-Key": "twin"})

    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(ask, range(8)))
    assert {response.status_code for response in responses} <= {200, 201}
    if kind != "answers":
        assert len({response.text for response in responses}) == 1
    assert len({response.json()["answer"] for response in responses} if kind == "answers" else {""}) == 1
    expected = {"pages": 2, "messages": 3, "answers": 2}[kind]
    assert len(client.get(f"{USER}/pages").json()["pages"]) == expected


READS = ["pages", "pages?q=x", "profile", "profile/history", "knowledge", "segments", "stats", "costs", "export"]


def test_reading_creates_no_scope(client: TestClient, engine: MemoryEngine) -> None:
    client.app.state.memoryos.ending.set()  # type: ignore[attr-defined]
    for read in [*READS, "events"]:
        assert client.get(f"{USER}/{read}").status_code == 200, read
    for read in ("pages/x", "segments/x", "knowledge/x/history"):
        assert client.get(f"{USER}/{read}").status_code == 404, read
    assert client.post(f"{USER}/recall", json={"query": "Where?"}).json()["pages"] == []
    assert client.post(f"{USER}/answers", json={"query": "Where?", "remember": False}).status_code == 200
    assert client.post(f"{USER}/flush").status_code == 200
    assert client.post(f"{USER}/forget", json={"everything": True}).status_code == 404
    assert client.put(f"{USER}/knowledge/x", json={"text": "No."}).status_code == 404
    assert client.delete(USER).json() == {"memories": []}
    assert client.post(f"{USER}/pages", json={}).status_code == 422
    assert client.get("/readyz").status_code == 200
    assert engine.scopes() == ()


def test_recall_with_trial_weights_changes_no_heat(client: TestClient, make_engine: EngineMaker) -> None:
    memory: Memory = make_engine().memory("tom")
    for number in range(12):
        memory.add_memory(f"I like tea number {number}.", "Good.")
    memory.flush()
    body = {"query": "tea", "ranking": {"words": 5.0}}
    before = client.get(f"{USER}/segments").json()
    trial = client.post(f"{USER}/recall", json=body).json()
    assert trial["pages"]
    memory.engine.updater.record_all_visits()
    assert client.get(f"{USER}/segments").json() == before
