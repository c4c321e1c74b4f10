"""The working set: snapshots never change, and a failed refresh affects no later one."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from memoryos.engine import MemoryEngine
from memoryos.errors import StoreConflictError, StoreUnavailableError
from memoryos.language.passages import vector_model
from memoryos.memory import Memory
from memoryos.model import Page
from memoryos.retrieval import working_set
from memoryos.retrieval.arrays import GrowingArray
from memoryos.retrieval.question import index_terms
from memoryos.retrieval.retriever import Retriever
from memoryos.retrieval.segments import SegmentIndex
from memoryos.retrieval.snapshot import ScopeSnapshot
from memoryos.retrieval.words import WordIndex
from memoryos.retrieval.working_sets import WorkingSets
from tests.conftest import EngineMaker

SETTINGS: dict[str, Any] = {"short_term_capacity": 1, "consolidation_batch": 2, "mid_term_heat_threshold": 0.5}
STEPS: tuple[tuple[type, str], ...] = (
    (GrowingArray, "extend"), (GrowingArray, "replace"), (WordIndex, "add"), (SegmentIndex, "update"),
    (SegmentIndex, "add_pages"),
)  # fmt: skip
LATER = ["My brother Piet bakes bread in Utrecht.", "The red bicycle stands in the shed.", "I sail on Sundays."]


class InjectedError(Exception):
    """An error that a test raises in the middle of a refresh."""


def begin(make_engine: EngineMaker) -> Memory:
    memory = make_engine(**SETTINGS).memory("tom")
    for text in ("My sister Nora lives in Porto.", "I bake rye bread.", "I work as a data scientist.", "I sail."):
        memory.add_memory(text, f"You say: {text}")
    memory.flush()
    memory.recall("bread")
    return memory


def add_more(memory: Memory) -> None:
    for text in LATER:
        memory.add_memory(text, "Noted.")
    memory.flush()
    memory.add_memory("The blue boat lies in the harbour.")


def new_retriever(engine: MemoryEngine, max_bytes: int = 1 << 30) -> tuple[WorkingSets, Retriever]:
    sets = WorkingSets(
        engine.store, vector_model(engine.embedder.name), engine.embedder.dimensions, max_bytes, clock=engine.clock
    )
    return sets, Retriever(engine.store, engine.embedder, sets, engine.config)


def recalled(memory: Memory, retriever: Retriever) -> str:
    scope_id, now = memory._handle.find(), memory.engine.clock()
    return repr(retriever.recall(scope_id, "Where is Nora's bread?", now=now, max_pages=50))


def contents(snapshot: ScopeSnapshot) -> str:
    """Returns all values of a snapshot as text, after checking that its parts agree with each other."""
    passages, query = snapshot.passages, np.full(snapshot.long_term.vectors.shape[1], 0.1, np.float32)
    count, pages = len(passages.sides), len(passages.page_seqs)
    cosines, corpus = snapshot.vectors.cosines(query), snapshot.corpus()
    for column in (
        passages.pages, passages.speakers, passages.seconds, passages.tokens, snapshot.words, corpus.allowed,
        corpus.segments, cosines.values,
    ):  # fmt: skip
        assert len(column) == count
    assert np.unique(passages.pages).tolist() == list(range(pages))
    assert (np.diff(passages.page_seqs) > 0).all()
    assert len(snapshot.page_segments) == pages
    assert {*snapshot.page_segments.tolist()} <= {-1, *range(len(snapshot.segments.ids))}
    assert len(snapshot.segments.ids) == len(snapshot.segments.sums) == len(snapshot.segments.keywords)
    assert {*passages.speakers.tolist()} <= {*range(len(snapshot.speaker_names))}
    values = (
        passages.page_seqs, passages.pages, passages.sides, passages.speakers, passages.seconds,
        passages.tokens, cosines.values, cosines.known, corpus.allowed, corpus.segments, snapshot.segments.sums,
        snapshot.words.score(["bread", "sail", "note", "page"]), snapshot.long_term.vectors,
    )  # fmt: skip
    return repr([each.tolist() for each in values] + [snapshot.segments.keywords, snapshot.long_term.knowledge])


def fail_call(patch: pytest.MonkeyPatch, number: int, error: type[BaseException]) -> list[int]:
    """Makes one call among the steps of a refresh fail; returns a list with the count of calls so far."""
    calls = [0]

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                raise error
            return original(*args, **kwargs)

        return wrapped

    for owner, name in STEPS:
        patch.setattr(owner, name, wrap(getattr(owner, name)))
    return calls


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("error", [InjectedError, KeyboardInterrupt, MemoryError])
def test_a_refresh_that_fails_at_any_step_changes_neither_old_snapshots_nor_the_next_one(
    make_engine: EngineMaker, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    scope_id = memory._handle.find()
    readers = [new_retriever(memory.engine) for _ in range(100)]
    before = {recalled(memory, retriever) for _, retriever in readers}
    assert len(before) == 1
    old_snapshots = [sets.get(scope_id) for sets, _ in readers]
    old_contents = contents(old_snapshots[0])
    add_more(memory)
    expected = recalled(memory, new_retriever(memory.engine)[1])
    assert expected not in before
    failed = 0
    for number, ((_, retriever), old) in enumerate(zip(readers, old_snapshots, strict=True), 1):
        with monkeypatch.context() as patch:
            calls = fail_call(patch, number, error)
            with contextlib.suppress(error):
                recalled(memory, retriever)
        failed += calls[0] == number
        assert contents(old) == old_contents, f"the old snapshot changed after call {number} failed"
        assert recalled(memory, retriever) == expected, f"the next recall is wrong after call {number} failed"
    assert 20 < failed < len(readers), "every call failed once"


def test_after_a_failed_refresh_nothing_is_returned_until_the_store_can_be_read(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    sets, _ = new_retriever(memory.engine)
    scope_id = memory._handle.find()
    sets.get(scope_id)
    add_more(memory)
    with monkeypatch.context() as patch:
        fail_call(patch, 4, InjectedError)
        with pytest.raises(InjectedError):
            sets.get(scope_id)
    with monkeypatch.context() as patch:
        patch.setattr(memory.engine.store.log, "after", unavailable)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                sets.get(scope_id)
    snapshot = sets.get(scope_id)
    assert snapshot.passages.page_seqs.tolist() == [page.seq for page in memory.pages()]
    assert len(snapshot.passages.sides) == 2 * len(LATER) + 4 * 2 + 1
    assert contents(snapshot) == contents(new_retriever(memory.engine)[0].get(scope_id))


def unavailable(*_: object) -> None:
    raise StoreUnavailableError("not now")


@pytest.mark.parametrize("max_bytes", [1, 1 << 30])
def test_snapshots_stay_as_they_are_while_pages_are_added_and_forgotten(
    make_engine: EngineMaker, max_bytes: int
) -> None:
    memory = begin(make_engine)
    scope_id = memory._handle.find()
    sets, retriever = new_retriever(memory.engine, max_bytes)
    is_done = threading.Event()

    def write() -> None:
        try:
            for number in range(6):
                memory.add_memory(f"On page {number} I sail with bread.", "Noted.")
                memory.flush()
                if number % 3 == 2:
                    memory.forget(page_ids=[next(iter(memory.pages())).page_id])
        finally:
            is_done.set()

    def read() -> list[tuple[ScopeSnapshot, str]]:
        seen = [(snapshot := sets.get(scope_id), contents(snapshot))]
        while not is_done.is_set():
            snapshot = sets.get(scope_id)
            if snapshot is not seen[-1][0]:
                seen.append((snapshot, contents(snapshot)))
            found = retriever.recall(scope_id, "page sail bread", now=memory.engine.clock(), max_pages=50)
            seqs = [each.page.seq for each in found.pages]
            assert len(seqs) == len({*seqs})
        return seen

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        threads.submit(write).result()
        seen = [each for reader in readers for each in reader.result()]
    assert len({id(snapshot) for snapshot, _ in seen}) > 2
    for snapshot, contents_then in seen:
        assert contents(snapshot) == contents_then
    assert recalled(memory, retriever) == recalled(memory, new_retriever(memory.engine, max_bytes)[1])
    assert sets.get(scope_id) is sets.get(scope_id)


@pytest.mark.parametrize("embedded_first", [0, 1, 2])
def test_vectors_of_pages_that_are_embedded_out_of_order_are_all_used(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, embedded_first: int
) -> None:
    memory = begin(make_engine)
    sets, retriever = new_retriever(memory.engine)
    recalled(memory, retriever)
    for text in LATER:
        memory.add_memory(text, "Noted.")
    log = memory.engine.store.log
    unembedded = log.unembedded
    seq = [page.seq for page in memory.pages()][-3 + embedded_first]
    with monkeypatch.context() as patch:
        patch.setattr(
            log,
            "unembedded",
            lambda scope, model, _, **__: [each for each in unembedded(scope, model, 9) if each.seq == seq],
        )
        memory.embed()
    recalled(memory, retriever)
    assert len(unembedded(memory._handle.find(), vector_model(memory.engine.embedder.name), 9)) == len(LATER) - 1
    memory.embed()
    assert recalled(memory, retriever) == recalled(memory, new_retriever(memory.engine)[1])
    snapshot = sets.get(memory._handle.find())
    assert snapshot.page_vectors([page.seq for page in memory.pages()]).any(axis=1).all()


def test_a_forgotten_page_has_no_vector(make_engine: EngineMaker) -> None:
    memory = begin(make_engine)
    scope_id = memory._handle.find()
    pages = list(memory.pages())
    for forgotten in (pages[1], pages[-1]):
        memory.forget(page_ids=[forgotten.page_id])
        memory.flush()
        snapshot = memory.engine.working_sets.get(scope_id)
        assert snapshot.page_vectors([pages[0].seq]).any()
        for seqs in ([forgotten.seq], [pages[0].seq, forgotten.seq], [pages[-1].seq + 100]):
            with pytest.raises(StoreConflictError, match="was forgotten"):
                snapshot.page_vectors(seqs)


@pytest.mark.parametrize("chosen_pages", ["the batch", "the page before it", "its newest page", "everything"])
def test_consolidation_stops_if_its_pages_were_forgotten(
    make_engine: EngineMaker, chosen_pages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    for text in LATER:
        memory.add_memory(text, "Noted.")
    store, scope_id = memory.modules.store, memory._handle.find()
    due = store.log.due
    forgotten: list[str] = []
    reads = itertools.count(1)

    def forget_first(*args: Any) -> list[Page]:
        pages = due(*args)
        if pages and next(reads) == 2:  # the first read decides that the step is due, the second one is consolidated
            before = max((page for page in memory.pages() if page.seq < pages[0].seq), key=lambda page: page.seq)
            chosen = {
                "the batch": pages, "the page before it": [before], "its newest page": pages[-1:],
                "everything": list(memory.pages()),
            }[chosen_pages]  # fmt: skip
            forgotten.extend(page.page_id for page in chosen)
            memory.forget(page_ids=forgotten)
        return pages

    monkeypatch.setattr(store.log, "due", forget_first)
    with pytest.raises(StoreConflictError):
        memory.engine.updater.drain(scope_id, everything=True)
    memory.flush()
    assert forgotten
    assert memory.get_memory_stats()["pages_due"] == 0
    assert store.verify() == []


def test_a_working_set_above_its_limit_keeps_codes_and_finds_the_same(make_engine: EngineMaker) -> None:
    memory = begin(make_engine)
    scope_id = memory._handle.find()
    exact_sets, exact = new_retriever(memory.engine)
    coded_sets, coded = new_retriever(memory.engine, max_bytes=1)
    for _ in range(2):
        assert recalled(memory, coded) == recalled(memory, exact)
        assert exact_sets.get(scope_id).vectors.is_exact
        assert not coded_sets.get(scope_id).vectors.is_exact
        seqs = [page.seq for page in memory.pages()]
        for asked in (seqs, seqs[::-1], seqs[2:4]):
            vectors = exact_sets.get(scope_id).page_vectors(asked)
            assert vectors.any(axis=1).all()
            assert coded_sets.get(scope_id).page_vectors(asked) == pytest.approx(vectors, abs=1e-6)
        assert coded_sets.get(scope_id).segments.sums == pytest.approx(exact_sets.get(scope_id).segments.sums, abs=1e-5)
        add_more(memory)
        memory.forget(page_ids=[next(iter(memory.pages())).page_id])
        memory.embed()


def test_consolidation_gives_the_same_segments_with_vectors_and_with_codes(make_engine: EngineMaker) -> None:
    def grouped(max_bytes: int) -> list[list[str]]:
        engine = make_engine(**SETTINGS)
        engine.working_sets._max_bytes = max_bytes
        memory = engine.memory(f"tom-{max_bytes}")
        for text in ("I bake rye bread.", "My bread is sour.", "I sail a boat.", "The boat is blue.", *LATER):
            memory.add_memory(text, f"You say: {text}")
            memory.flush()
        pages = {page.page_id: page.user_text for page in memory.pages()}
        assert engine.working_sets.get(memory._handle.find()).vectors.is_exact == (max_bytes > 1)
        return [[pages[each.page_id] for each in memory.segment(one.segment_id).pages] for one in memory.segments()]

    assert grouped(1) == grouped(1 << 30)


def test_a_page_that_is_forgotten_during_a_recall_is_not_recalled(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    _, retriever = new_retriever(memory.engine, max_bytes=1)
    recalled(memory, retriever)
    bread = next(page for page in memory.pages() if "rye" in page.user_text)
    vectors = memory.engine.store.vectors
    read_vectors = vectors.of_pages_at

    def forget_first(*args: Any) -> Any:
        memory.forget(page_ids=[bread.page_id])
        return read_vectors(*args)

    monkeypatch.setattr(vectors, "of_pages_at", forget_first)
    assert "I bake rye bread" not in recalled(memory, retriever)


@pytest.mark.parametrize("pages", [1, 2, 3, 1_000])
def test_a_long_scope_is_read_in_slices_and_words_are_indexed_without_a_connection(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    memory = begin(make_engine)
    add_more(memory)
    whole = recalled(memory, new_retriever(memory.engine)[1])
    database = memory.engine.store._database
    is_held: list[bool] = []

    def index_without_connection(text: str, at: datetime) -> list[str]:
        is_held.append(getattr(database._thread_state, "snapshot", None) is not None)
        return index_terms(text, at)

    monkeypatch.setattr(working_set, "_SLICE_PAGES", pages)
    monkeypatch.setattr(working_set, "index_terms", index_without_connection)
    assert recalled(memory, new_retriever(memory.engine)[1]) == whole
    assert is_held
    assert not any(is_held)
