"""The working set: whatever strikes while it reads, nobody sees half of it, and the next one reads it whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from memoryos.engine import MemoryEngine
from memoryos.errors import StoreConflictError, StoreUnavailableError
from memoryos.memory import Memoryos
from memoryos.model import Page
from memoryos.retrieval import working_set
from memoryos.retrieval.arrays import GrowingArray
from memoryos.retrieval.question import index_terms
from memoryos.retrieval.retriever import Retriever
from memoryos.retrieval.segments import SegmentShelf
from memoryos.retrieval.words import WordIndex
from memoryos.retrieval.working_sets import WorkingSets
from tests.conftest import EngineMaker

SETTINGS: dict[str, Any] = {"short_term_capacity": 1, "consolidation_batch": 2, "mid_term_heat_threshold": 0.5}
STEPS: tuple[tuple[type, str], ...] = (
    (GrowingArray, "extend"), (WordIndex, "add"), (SegmentShelf, "describe"), (SegmentShelf, "add_pages"),
)  # fmt: skip
LATER = ["My brother Piet bakes bread in Utrecht.", "The red bicycle stands in the shed.", "I sail on Sundays."]


class StruckError(Exception):
    """Whatever may strike at any moment: no memory, an interrupt."""


def begin(make_engine: EngineMaker) -> Memoryos:
    memory = make_engine(**SETTINGS).memory("tom")
    for text in ("My sister Nora lives in Porto.", "I bake rye bread.", "I work as a data scientist.", "I sail."):
        memory.add_memory(text, f"You say: {text}")
    memory.flush()
    memory.recall("bread")
    return memory


def go_on(memory: Memoryos) -> None:
    for text in LATER:
        memory.add_memory(text, "Noted.")
    memory.flush()
    memory.add_memory("The blue boat lies in the harbour.")


def another(engine: MemoryEngine, max_bytes: int = 1 << 30) -> tuple[WorkingSets, Retriever]:
    sets = WorkingSets(engine.store, engine.embedder.name, engine.embedder.dimensions, max_bytes)
    return sets, Retriever(engine.store, engine.embedder, sets, engine.config)


def shown(memory: Memoryos, retriever: Retriever) -> str:
    scope_id, now = str(memory._find_scope_id()), memory.engine.clock()
    return repr(retriever.recall(scope_id, "Where is Nora's bread?", now=now, max_pages=50))


def strike(patch: pytest.MonkeyPatch, number: int, error: type[BaseException]) -> list[int]:
    """Makes one call of the steps of a refresh fail; returns the count of calls so far."""
    calls = [0]

    def wrap(plain: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                raise error
            return plain(*given, **named)

        return wrapped

    for owner, name in STEPS:
        patch.setattr(owner, name, wrap(getattr(owner, name)))
    return calls


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("error", [StruckError, KeyboardInterrupt, MemoryError])
def test_whatever_strikes_amid_a_refresh_the_next_one_is_right(
    make_engine: EngineMaker, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    readers = [another(memory.engine) for _ in range(100)]
    before = {shown(memory, retriever) for _, retriever in readers}
    assert len(before) == 1
    go_on(memory)
    wanted = shown(memory, another(memory.engine)[1])
    assert wanted not in before
    struck = 0
    for number, (_, retriever) in enumerate(readers, 1):
        with monkeypatch.context() as patch:
            calls = strike(patch, number, error)
            with contextlib.suppress(error):
                shown(memory, retriever)
        struck += calls[0] == number
        assert shown(memory, retriever) == wanted, f"after call {number} failed"
    assert 20 < struck < len(readers), "every call was struck once"


def test_who_has_a_set_in_hand_when_it_breaks_holds_it_whole_or_not_at_all(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    sets, _ = another(memory.engine)
    scope_id = str(memory._find_scope_id())
    in_hand = sets.get(scope_id)
    go_on(memory)
    for stays_broken in (False, True):
        sets.get(scope_id)
        memory.add_memory("One more.", "")
        with monkeypatch.context() as patch:
            strike(patch, 4, StruckError)
            with pytest.raises(StruckError):
                sets.get(scope_id)
        with monkeypatch.context() as patch:
            if stays_broken:
                patch.setattr(memory.engine.store.log, "after", unavailable)
                with pytest.raises(StoreUnavailableError), in_hand.lock:
                    pytest.fail("it was handed out broken")
                with pytest.raises(StoreUnavailableError):
                    in_hand.speaker_names  # noqa: B018  (it is not to be had)
                continue
            with in_hand.lock:
                assert in_hand.page_seqs.tolist() == [page.seq for page in memory.pages()]
                assert len(in_hand.corpus().sides) == len(in_hand.tokens) == 2 * len(LATER) + 4 * 2 + 2


def unavailable(*_: object) -> None:
    raise StoreUnavailableError("not now")


def test_the_vector_of_a_page_that_is_gone_is_not_that_of_its_neighbour(make_engine: EngineMaker) -> None:
    memory = begin(make_engine)
    scope_id = str(memory._find_scope_id())
    pages = list(memory.pages())
    for gone in (pages[1], pages[-1]):
        memory.forget(page_ids=[gone.page_id])
        memory.flush()
        working_set = memory.engine.working_sets.get(scope_id)
        with working_set.lock:
            assert working_set.vectors_of([pages[0].seq]).any()
            for seqs in ([gone.seq], [pages[0].seq, gone.seq], [pages[-1].seq + 100]):
                with pytest.raises(StoreConflictError, match="forgotten meanwhile"):
                    working_set.vectors_of(seqs)


@pytest.mark.parametrize("gone", ["the batch", "the page before it", "its newest page", "everything"])
def test_pages_that_are_forgotten_when_they_are_about_to_be_read(
    make_engine: EngineMaker, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    for text in LATER:
        memory.add_memory(text, "Noted.")
    store, scope_id = memory.engine.store, str(memory._find_scope_id())
    due = store.log.due
    forgotten: list[str] = []

    def forgetting(*given: Any) -> list[Page]:
        pages = due(*given)
        if pages and not forgotten:
            before = max((page for page in memory.pages() if page.seq < pages[0].seq), key=lambda page: page.seq)
            chosen = {
                "the batch": pages, "the page before it": [before], "its newest page": pages[-1:],
                "everything": list(memory.pages()),
            }[gone]  # fmt: skip
            forgotten.extend(page.page_id for page in chosen)
            memory.forget(page_ids=forgotten)
        return pages

    monkeypatch.setattr(store.log, "due", forgetting)
    with pytest.raises(StoreConflictError):
        memory.engine.updater.drain(scope_id, everything=True)
    memory.flush()
    assert forgotten
    assert memory.get_memory_stats()["pages_due"] == 0
    assert store.verify() == []


def test_a_set_that_outgrows_its_bound_keeps_codes_and_finds_the_same(make_engine: EngineMaker) -> None:
    memory = begin(make_engine)
    scope_id = str(memory._find_scope_id())
    whole, seen_whole = another(memory.engine)
    small, seen_small = another(memory.engine, max_bytes=1)
    for _ in range(2):
        assert shown(memory, seen_small) == shown(memory, seen_whole)
        assert whole.get(scope_id).is_exact
        assert not small.get(scope_id).is_exact
        seqs = [page.seq for page in memory.pages()]
        for asked in (seqs, seqs[::-1], seqs[2:4]):
            vectors = whole.get(scope_id).vectors_of(asked)
            assert vectors.any(axis=1).all()
            assert small.get(scope_id).vectors_of(asked) == pytest.approx(vectors, abs=1e-6)
        assert small.get(scope_id).segments.sums == pytest.approx(whole.get(scope_id).segments.sums, abs=1e-5)
        go_on(memory)
        memory.forget(page_ids=[next(iter(memory.pages())).page_id])
        memory.embed()


def test_a_scope_consolidates_the_same_whether_or_not_it_fits(make_engine: EngineMaker) -> None:
    def grouped(max_bytes: int) -> list[list[str]]:
        engine = make_engine(**SETTINGS)
        engine.working_sets._max_bytes = max_bytes
        memory = engine.memory(f"tom-{max_bytes}")
        for text in ("I bake rye bread.", "My bread is sour.", "I sail a boat.", "The boat is blue.", *LATER):
            memory.add_memory(text, f"You say: {text}")
            memory.flush()
        pages = {page.page_id: page.user_text for page in memory.pages()}
        assert engine.working_sets.get(str(memory._find_scope_id())).is_exact == (max_bytes > 1)
        return [[pages[each.page_id] for each in memory.segment(one.segment_id).pages] for one in memory.segments()]

    assert grouped(1) == grouped(1 << 30)


def test_what_is_forgotten_while_it_is_looked_up_is_not_found(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = begin(make_engine)
    _, retriever = another(memory.engine, max_bytes=1)
    shown(memory, retriever)
    bread = next(page for page in memory.pages() if "rye" in page.user_text)
    vectors = memory.engine.store.vectors
    look_up = vectors.of_pages_at

    def forgetting(*given: Any) -> Any:
        memory.forget(page_ids=[bread.page_id])
        return look_up(*given)

    monkeypatch.setattr(vectors, "of_pages_at", forgetting)
    assert "I bake rye bread" not in shown(memory, retriever)


@pytest.mark.parametrize("pages", [1, 2, 3, 1_000])
def test_a_long_memory_is_read_in_slices_and_no_connection_waits_for_its_words(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    memory = begin(make_engine)
    go_on(memory)
    whole = shown(memory, another(memory.engine)[1])
    database = memory.engine.store._database
    is_held: list[bool] = []

    def read_words(text: str, at: datetime) -> list[str]:
        is_held.append(getattr(database._moment, "held", None) is not None)
        return index_terms(text, at)

    monkeypatch.setattr(working_set, "_SLICE_PAGES", pages)
    monkeypatch.setattr(working_set, "index_terms", read_words)
    assert shown(memory, another(memory.engine)[1]) == whole
    assert is_held
    assert not any(is_held)
