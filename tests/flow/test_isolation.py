"""Isolation of scopes: every statement is limited to one scope, and no operation shows data of another scope."""

from __future__ import annotations

import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from sqlalchemy import event

from memoryos.analysts.llm import LLMAnalyst
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import InputError, NotFoundError
from memoryos.memory import Memory
from memoryos.seams import Usage
from memoryos.storage.schema import metadata
from memoryos.testing import FixedClock, HashEmbedder, ScriptedChatModel

TIERS = sorted(set(metadata.tables) - {"scopes", "owners", "api_keys", "erasures", "store_settings"})
READS_ALL_SCOPES = {
    "SELECT coalesce(sum(costs.prompt_tokens + costs.completion_tokens), ?) AS coalesce_1 FROM costs WHERE costs.day = ?":
    "llm_daily_tokens is a budget of the whole store; it returns one number",
    "SELECT DISTINCT scope_id FROM tombstones":
    "a migration gives every scope a key; it returns ids",
    "SELECT DISTINCT forgettings.scope_id FROM forgettings":
    "opening the store completes what dead processes began to delete; it returns ids",
    "SELECT erasures.erasure_id FROM erasures WHERE NOT (EXISTS (SELECT * FROM forgettings "
    "WHERE forgettings.forgetting_id = erasures.erasure_id))":
    "the file is erased for all scopes together; it returns ids",
}  # fmt: skip
"""Allowed statements on tables of tiers without a condition on the scope, with the reason."""
MARKERS = ("Zuvalka", "Brontiq")
SETTINGS: dict[str, Any] = {
    "background": False, "short_term_capacity": 1, "consolidation_batch": 2, "mid_term_capacity": 1,
    "mid_term_heat_threshold": 1.0, "mid_term_similarity_threshold": 1.4, "llm_daily_tokens": 10**9,
    "llm_daily_tokens_per_scope": 10**9,
}  # fmt: skip


class Statements:
    """Records every statement on a table of a tier, with the scope ids in its parameters."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.foreign_statements: list[str] = []
        self.without_server_scope: list[str] = []
        self.scope_ids: set[str] = set()
        self.opened: dict[int, list[str]] = {}
        self.current: str | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        event.listen(sa.Engine, "before_cursor_execute", self._note)
        try:
            yield
        finally:
            event.remove(sa.Engine, "before_cursor_execute", self._note)

    def _note(
        self, connection: sa.Connection, __: object, statement: str, parameters: Any, ___: object, many: bool
    ) -> None:
        text = re.sub(r"%\(\w+\)s(::\w+)?", "?", " ".join(statement.split()))
        if text.startswith("BEGIN"):
            self.opened[id(connection.connection.dbapi_connection)] = re.findall(r"memoryos.scope_id = '([^']*)'", text)
        if not re.match(r"SELECT|UPDATE|DELETE|INSERT|WITH|REPLACE", text):
            return
        if any(re.search(rf"\b{table}\b", text) for table in TIERS):
            self.seen.setdefault(text, unscoped(text))
            allowed = self.opened[id(connection.connection.dbapi_connection)]
            if self.scope_ids and allowed not in ([], [self.current]) and text not in READS_ALL_SCOPES:
                self.without_server_scope.append(f"{allowed} for {self.current}: {text}")
        rows = [row.values() if isinstance(row, dict) else row for row in (parameters if many else [parameters])]
        given = {value for row in rows for value in row if isinstance(value, str)}
        if (given & self.scope_ids) - {self.current}:
            self.foreign_statements.append(text)


def unscoped(statement: str) -> str:
    """Returns the tables that a statement uses without a condition on the scope."""
    if statement.startswith("INSERT") and " SELECT " not in statement:
        return "" if "(scope_id" in statement else "an INSERT without a scope"
    loose = []
    for table in TIERS:
        named = rf"{table}\.scope_id = |= {table}\.scope_id\b"
        mentions = len(re.findall(rf"(?:FROM|JOIN|UPDATE|INTO|,) {table}\b(?!\.)", statement))
        if mentions > len(re.findall(named, statement)):
            loose.append(table)
    is_bound = re.search(r"\.scope_id = \?", statement)
    return ", ".join(loose) if is_bound else f"{loose} and no scope is given"


@pytest.mark.parametrize(
    ("statement", "is_fine"),
    [
        ("SELECT pages.seq FROM pages WHERE pages.scope_id = ? AND pages.seq > ?", True),
        ("SELECT pages.seq FROM pages WHERE pages.page_id = ?", False),
        ("SELECT pages.seq FROM pages WHERE pages.scope_id = ? AND pages.segment_id IN (SELECT pages.segment_id FROM pages)", False),
        ("UPDATE segments SET visits=? WHERE segments.segment_id = ?", False),
        ("UPDATE segments SET scope_id=? WHERE segments.segment_id = ?", False),
        ("DELETE FROM vectors WHERE vectors.scope_id = ? AND vectors.owner_id IN (?)", True),
        ("DELETE FROM vectors", False),
        ("SELECT 1 FROM vectors JOIN facts ON facts.scope_id = vectors.scope_id WHERE facts.scope_id = ?", True),
        ("SELECT 1 FROM vectors JOIN facts ON facts.fact_id = vectors.owner_id WHERE facts.scope_id = ?", False),
        ("SELECT 1 FROM vectors JOIN facts ON facts.scope_id = vectors.scope_id", False),
        ("INSERT INTO pages (scope_id, seq) VALUES (?, ?)", True),
        ("INSERT INTO pages (seq) SELECT pages.seq FROM pages", False),
    ],
)  # fmt: skip
def test_statement_check_detects_violations(statement: str, is_fine: bool) -> None:
    assert (unscoped(statement) == "") is is_fine


def live(memory: Memory, marker: str, clock: FixedClock) -> None:
    """Calls all methods that change a memory."""
    for number in range(3):
        memory.add_memory(f"My sister {marker} lives in Porto.", f"I promise to call {marker}.", clock())
        memory.add_messages(
            [{"role": "user", "content": f"I bake bread number {number} for {marker}."}],
            idempotency_key=f"{number} at {clock()}",
        )
        clock.advance(minutes=5)
    memory.flush()
    memory.recall("bread")
    memory.get_response("Where does my sister live?")
    memory.force_mid_term_analysis()
    memory.rebuild("local")
    memory.forget(page_ids=[next(memory.pages()).page_id])
    memory.forget(query_preview="bread")
    memory.flush()
    known = memory.knowledge(None)
    memory.correct(known[0].knowledge_id, f"{marker} moved to Lisbon.")
    memory.forget(knowledge_ids=[known[-1].knowledge_id], dry_run=True)
    memory.flush()
    memory.rebuild()
    memory.add_memory(f"My sister {marker} lives in Porto.", f"I promise to call {marker}.", clock())
    memory.flush()


def shown(memory: Memory, folder: Path) -> str:
    """Returns all data that a memory shows, without its own ids."""
    file = folder / f"{len(list(folder.glob('*.jsonl')))}.jsonl"
    memory.export(file)
    recall = memory.recall("Where does my sister live, and what do I bake?", max_pages=100, max_tokens=10_000)
    parts: list[object] = [recall, recall.to_prompt(), file.read_text("utf-8"), list(memory.pages()), memory.profile]
    parts += [memory.newest_pages(100), memory.recall("What did I say about the secret word?", max_pages=100)]
    parts += [memory.profile_history(), memory.knowledge(None, history=True), memory.heat(), memory.costs()]
    parts += [memory.history(each.knowledge_id) for each in memory.knowledge(None, history=True)]
    parts += [memory.segments(), memory.segments(archived=True), memory.heat(archived=True), memory.get_memory_stats()]
    parts += [memory.get_user_profile_summary(), memory.get_assistant_knowledge_summary()]
    parts += [memory.get_response("Where does my sister live?", remember=False)]
    parts += [memory.forget(everything=True, dry_run=True), memory.forget(query_preview="my sister")]
    return "\n".join(str(each) if isinstance(each, str) else repr(each) for each in parts)


def test_every_statement_on_a_tier_is_limited_to_its_own_scope(tmp_path: Path, clock: FixedClock, place: str) -> None:
    statements = Statements()
    model = ScriptedChatModel()
    config = Config(database_url=place, keep_archived_days=1, **SETTINGS)
    with (
        statements.noted(),
        MemoryEngine(config, embedder=HashEmbedder(), analyst=LLMAnalyst(model), clock=clock) as engine,
    ):
        memories = [engine.memory("tom", assistant_id) for assistant_id in ("one", "two")]
        for memory in memories:
            memory._handle.open()
        statements.scope_ids = {*engine.store.scopes.all()}
        for turn in range(2):
            for memory, marker in zip(memories, MARKERS, strict=True):
                statements.current = memory._handle.open()
                live(memory, marker, clock)
                shown(memory, tmp_path)
                clock.advance(days=turn * 10)
        statements.current = memories[0]._handle.open()
        memories[0].forget(before=clock())
        memories[0].forget(everything=True)
        statements.scope_ids = set()
        assert "sister" in memories[1].recall("sister").to_prompt()
    loose = {text: tables for text, tables in statements.seen.items() if tables and text not in READS_ALL_SCOPES}
    assert loose == {}
    assert statements.foreign_statements == []
    assert statements.without_server_scope == [], "a transaction without the scope setting of the server"
    assert {*READS_ALL_SCOPES} <= {*statements.seen}, "an exception that is not needed any more"
    touched = {
        (text.split()[0], table) for text in statements.seen for table in TIERS if re.search(rf"\b{table}\b", text)
    }
    assert {table for kind, table in touched if kind == "SELECT"} == {*TIERS}
    assert {table for kind, table in touched if kind == "DELETE"} >= {*TIERS} - {
        "costs",
        "readings",
        "tombstone_keys",
        "tombstones",
    }
    assert {table for kind, table in touched if kind == "UPDATE"} >= {"pages", "segments", "facts", "profiles"}
    assert len(statements.seen) > 60


HOSTILE = [
    ("a", "b:c"), ("a:b", "c"), ("../../x", "x"), ("x", "../../x"), ("' OR 1=1 --", "%"), ("%", "_"), ("a", "A"), ("A", "a"),
    ("é", "e\u0301"), ("e\u0301", "é"), ("用户", "助手"), ("a b", "a  b"), ("null", "None"), ('"', "\\"), ("x" * 200, "y" * 200),
]  # fmt: skip
NEARLY: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "a separator moved": lambda user, assistant: (f"{user}:{assistant}"[: len(user) + 2], f"{user}:{assistant}"[len(user) + 2 :]),
    "joined": lambda user, assistant: (f"{user}:{assistant}", assistant),
    "turned round": lambda user, assistant: (assistant, user),
    "another case": lambda user, assistant: (user.swapcase(), assistant),
    "folded": lambda user, assistant: (user.casefold(), assistant),
    "composed": lambda user, assistant: (unicodedata.normalize("NFKC", user), assistant),
    "decomposed": lambda user, assistant: (unicodedata.normalize("NFKD", user), assistant),
    "a space more": lambda user, assistant: (f"{user} ", assistant),
    "no width more": lambda user, assistant: (f"{user}\u200b", assistant),
    "a line more": lambda user, assistant: (user, f"{assistant}\n"),
    "stripped": lambda user, assistant: (user.strip(), assistant),
    "escaped": lambda user, assistant: (urllib.parse.quote(user, safe=""), assistant),
    "unescaped": lambda user, assistant: (urllib.parse.unquote(user), assistant),
    "any characters": lambda user, assistant: ("_" * len(user), assistant),
    "anything": lambda _, assistant: ("%", assistant),
    "a path": lambda user, assistant: (f"../{user}/../{user}", assistant),
    "quoted": lambda user, assistant: (f"{user}' OR '1'='1", assistant),
    "a comment": lambda user, assistant: (f"{user}'; DROP TABLE pages; --", assistant),
    "longer": lambda user, assistant: (user + "x" * (1000 - len(user)), assistant),
}  # fmt: skip
IDS = st.one_of(
    st.sampled_from(["../../x", "/etc/passwd", "a'; DROP TABLE pages; --", '"', "%", "a%20b", "Ä", "e\u0301", "ﬁ", "İ", "ß", " a", "a:b", "b:c", "0", "null"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30),
).filter(str.strip)  # fmt: skip


class Memories:
    """Several memories of one engine, each with a marker that no other may show."""

    def __init__(self, folder: Path, clock: FixedClock) -> None:
        self.clock = clock
        self._folder = folder
        self._model = ScriptedChatModel()
        config = Config(data_storage_path=folder / "store", **SETTINGS)
        self.engine = MemoryEngine(config, embedder=HashEmbedder(), analyst=LLMAnalyst(self._model), clock=clock)
        self.memories: list[tuple[Memory, str]] = []

    def check(self) -> None:
        """Reads everything with every method, passes every id to every other scope, and inspects the LLM requests."""
        for memory, word in self.memories:
            self.engine.store.scopes.record_error(memory._handle.open(), f"{word} failed")
            self.engine.modules.ledger.record(memory._handle.open(), f"{word} bought", Usage("m", 1, 1, 0.1))
            others = [(stranger, other) for stranger, other in self.memories if stranger is not memory]
            before = len(self._model.requests)
            seen = shown(memory, self._folder)
            asked = [repr(request) for request in self._model.requests[before:]]
            assert word in seen
            for stranger, other in others:
                assert other not in seen
                assert all(other not in request for request in asked)
                check_foreign_ids(stranger, memory)
        words = [word for _, word in self.memories]
        for request in self._model.requests:
            assert sum(word in repr(request) for word in words) <= 1, "a request contains texts of two scopes"
        assert sorted(self.engine.scopes()) == sorted(memory.scope for memory, _ in self.memories)
        assert {each.name for each in self._folder.iterdir() if each.suffix != ".jsonl"} == {"store"}


def check_foreign_ids(memory: Memory, stranger: Memory) -> None:
    """Passes the ids of one scope to another scope, which must reject them."""
    pages, entries, current = list(stranger.pages()), stranger.knowledge(None, history=True), stranger.knowledge(None)
    before = (pages, entries, stranger.segments(), stranger.profile)
    for page in pages:
        with pytest.raises(NotFoundError, match="in this memory, so nothing was forgotten"):
            memory.forget(page_ids=[page.page_id])
        with pytest.raises(NotFoundError, match="in this memory, so nothing was forgotten"):
            memory.forget(page_ids=[next(memory.pages()).page_id, page.page_id])
    for entry in entries:
        with pytest.raises(NotFoundError, match="in this memory, so nothing was forgotten"):
            memory.forget(knowledge_ids=[entry.knowledge_id])
        with pytest.raises(NotFoundError):
            memory.history(entry.knowledge_id)
    for entry in current:
        with pytest.raises(NotFoundError):
            memory.correct(entry.knowledge_id, "It was otherwise.")
    assert (list(stranger.pages()), stranger.knowledge(None, history=True), stranger.segments(), stranger.profile) == before  # fmt: skip


def do(memory: Memory, word: str, deed: str, clock: FixedClock) -> None:
    if deed == "add":
        memory.add_memory(f"I said {word} to my sister.", f"I heard {word}.", clock())
    elif deed == "flush":
        memory.flush()
    elif deed == "profile":
        memory.force_mid_term_analysis()
    elif deed == "rebuild":
        memory.rebuild()
    else:
        memory.forget(page_ids=[next(memory.pages()).page_id])
        memory.add_memory(f"I said {word} again.", "", clock())


@settings(max_examples=15)
@given(
    owners=st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=4, unique=True),
    deeds=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["add", "add", "flush", "profile", "forget", "rebuild"])),
        max_size=16,
    ),
)
def test_no_sequence_of_operations_shows_data_of_another_scope(
    owners: list[tuple[str, str]], deeds: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = Memories(tmp_path_factory.mktemp("apart"), FixedClock())
    with world.engine as engine:
        world.memories = [(engine.memory(*owner), f"sesame{place}marker") for place, owner in enumerate(owners)]
        for memory, word in world.memories:
            said = f"My secret word is {word} and I live with my sister.", f"I promise to keep {word}."
            memory.add_memory(*said, world.clock())
        for place, deed in deeds:
            world.clock.advance(minutes=1)
            do(*world.memories[place % len(owners)], deed, world.clock)
        for memory, _ in world.memories:
            memory.flush()
        world.check()


@settings(max_examples=10)
@given(user=IDS, assistant=IDS, nearly=st.sampled_from(sorted(NEARLY)), is_first=st.booleans())
def test_similar_ids_do_not_share_data(
    user: str, assistant: str, nearly: str, is_first: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = Memories(tmp_path_factory.mktemp("isolation"), FixedClock())
    with world.engine as engine:
        one = engine.memory(user, assistant)
        try:
            other = engine.memory(*NEARLY[nearly](user, assistant))
        except InputError:
            reject()
        assume(one.scope != other.scope)
        world.memories = [(one, MARKERS[0]), (other, MARKERS[1])]
        for memory, marker in world.memories[:: 1 if is_first else -1]:
            live(memory, marker, world.clock)
        one.add_memory(f"{MARKERS[0]} came late.", "", world.clock())
        assert all(each.knowledge(None) for each in (one, other))
        world.check()
