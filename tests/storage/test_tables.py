"""The tables of the store: scopes and leases, vectors, segments, long-term memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import NotFoundError, StoreConflictError
from memoryos.model import SIDES, Chain, Knowledge, Origin, PageDraft, Profile, Scope, Segment
from memoryos.seams import Usage
from memoryos.storage.lease import Lease
from memoryos.storage.long_term_table import NewProfile, SegmentProfiled
from memoryos.storage.mid_term_table import Consolidation
from memoryos.storage.reading_table import NewReading, ReadingRow
from memoryos.storage.store import Store
from memoryos.storage.vector_table import UtteranceVectors
from memoryos.testing import FixedClock

NOW = FixedClock()()
LATER = NOW + timedelta(minutes=5)
ORIGIN = Origin("scripted", "1")


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with Store(place) as opened:
        yield opened


@pytest.fixture
def lease(store: Store) -> Lease:
    scope_id = store.scopes.open(Scope("u", "a"), NOW)
    taken = Lease(scope_id, "me", LATER)
    assert store.scopes.claim(taken, NOW)
    return taken


def append(store: Store, lease: Lease, count: int) -> list[str]:
    drafts = [PageDraft(NOW, f"text {number}", "reply") for number in range(count)]
    return [page.page_id for page in store.log.append(lease.scope_id, drafts, NOW)]


def segment(segment_id: str, **values: object) -> Segment:
    fields: dict[str, object] = {
        "segment_id": segment_id, "summary": "s", "keywords": frozenset({"k"}), "visits": 0, "length": 1,
        "page_count": 1, "last_visited_at": NOW, "created_at": NOW,
    }  # fmt: skip
    return Segment(**(fields | values))  # type: ignore[arg-type]


def reading(reading_id: str, page_ids: Sequence[str], segment_id: str = "s1", **values: object) -> NewReading:
    """Returns a reading of pages, which assigns them to chain "c1" and to one segment."""
    row = ReadingRow(reading_id, 1, 1, max(1, len(page_ids)), ORIGIN, provisional=False, dropped=(), recorded_at=NOW)
    places = Consolidation(
        chains=(Chain("c1", "chain"),),
        segments=(segment(segment_id, length=len(page_ids), page_count=len(page_ids)),),
        chain_of=dict.fromkeys(page_ids, "c1"),
        segment_of=dict.fromkeys(page_ids, segment_id),
    )
    return NewReading(row, places, **values)  # type: ignore[arg-type]


@given(user=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_a_scope_is_found_by_exactly_its_ids(store: Store, user: str) -> None:
    scope_id = store.scopes.open(Scope(user, "assistant"), NOW)
    assert store.scopes.open(Scope(user, "assistant"), NOW) == scope_id
    assert store.scopes.find(Scope(user, "another")) is None
    assert store.scopes.all()[scope_id].user_id == user


def test_unknown_scope_raises_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.scopes.state("nowhere")
    with pytest.raises(NotFoundError):
        store.log.append("nowhere", [PageDraft(NOW, "x", "")], NOW)


def test_lease_excludes_others_until_it_expires(store: Store, lease: Lease) -> None:
    other = Lease(lease.scope_id, "other", LATER)
    assert not store.scopes.claim(other, NOW)
    assert not store.scopes.claim(other, LATER)
    assert store.scopes.claim(other, LATER + timedelta(seconds=1))
    with pytest.raises(StoreConflictError):
        store.readings.add(lease, reading("r1", []))
    store.scopes.release(lease)
    assert store.scopes.holder(lease.scope_id) == "other"
    store.scopes.release(other)
    assert store.scopes.holder(lease.scope_id) is None


def test_lease_of_a_terminated_owner_is_free(store: Store, lease: Lease) -> None:
    assert store.scopes.claim(Lease(lease.scope_id, "other", LATER), NOW, dead_owner="me")


def test_page_is_read_once(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 3)
    store.readings.add(lease, reading("r1", ids[:2]))
    before = store.scopes.state(lease.scope_id).revision
    with pytest.raises(StoreConflictError):
        store.readings.add(lease, reading("r2", ids[1:], "s2", facts=(entry("k1", reading_id="r2"),)))
    assert [(page.segment_id, page.reading_id) for page in store.log.after(lease.scope_id)] == [
        ("s1", "r1"), ("s1", "r1"), (None, None),
    ]  # fmt: skip
    assert store.mid_term.get(lease.scope_id, ["s2"]) == {}
    assert [each.reading_id for each in store.readings.that_saw(lease.scope_id, [1, 2, 3])] == ["r1"]
    assert store.long_term.facts(lease.scope_id) == []
    assert store.scopes.state(lease.scope_id).revision == before


def test_only_neighbouring_pages_without_a_segment_are_due(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 7)
    store.readings.add(lease, reading("r1", ids[2:4]))
    assert [page.page_id for page in store.log.due(lease.scope_id, 5)] == ids[:2]
    assert [page.page_id for page in store.log.due(lease.scope_id, 1)] == ids[:1]
    assert [store.log.count_due(lease.scope_id, limit) for limit in (None, 4, 9)] == [5, 4, 5]
    store.readings.add(lease, reading("r2", ids[:2]))
    assert [page.page_id for page in store.log.due(lease.scope_id, 5)] == ids[4:]
    store.readings.add(lease, reading("r3", ids[4:]))
    assert store.log.due(lease.scope_id, 5) == []
    assert store.log.count_due(lease.scope_id) == 0


def test_pages_of_a_provisional_reading_are_returned_together(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 8)
    for reading_id, batch, provisional in (("r1", ids[:1], False), ("r2", ids[1:4], True), ("r3", ids[4:6], True)):
        new = reading(reading_id, batch)
        store.readings.add(lease, replace(new, row=replace(new.row, provisional=provisional)))
    assert [page.page_id for page in store.log.read_provisionally(lease.scope_id, 9)] == ids[1:6]
    assert [page.page_id for page in store.log.read_provisionally(lease.scope_id, 4)] == ids[1:4]
    assert [page.page_id for page in store.log.read_provisionally(lease.scope_id, 3)] == ids[1:4]
    assert store.log.count_provisional(lease.scope_id) == 5


def test_reading_again_replaces_the_facts_of_a_provisional_reading(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 3)
    known = (entry("k1", reading_id="r1", source_page_ids=(ids[0],)), entry("k2", reading_id="r1"))
    new = reading("r1", ids[:2], facts=known)
    store.readings.add(lease, replace(new, row=replace(new.row, provisional=True)))
    store.readings.add(lease, reading("r2", ids[2:], "s2", facts=(entry("k3", reading_id="r2"),)))
    with pytest.raises(StoreConflictError):
        store.readings.add(lease, reading("r3", ids[1:], "s3", redone=True))
    store.readings.add(lease, reading("r3", ids[:2], "s3", facts=(entry("k4", reading_id="r3"),), redone=True))
    assert [each.knowledge_id for each in store.long_term.facts(lease.scope_id)] == ["k3", "k4"]
    assert [page.reading_id for page in store.log.after(lease.scope_id)] == ["r3", "r3", "r2"]
    assert {each.segment_id for each in store.mid_term.all(lease.scope_id)} == {"s2", "s3"}
    assert [each.reading_id for each in store.readings.that_saw(lease.scope_id, [1, 2])] == ["r2", "r3"]
    assert store.log.count_provisional(lease.scope_id) == 0


def test_vectors_are_in_log_order(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 3)
    random = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
    utterances = [
        UtteranceVectors(page_id, seq, side, random[index : index + 1])  # type: ignore[arg-type]
        for index, (page_id, seq, side) in enumerate(
            (page_id, seq, side) for seq, page_id in enumerate(ids, 1) for side in ("user", "assistant")
        )
    ]
    long = UtteranceVectors(ids[0], 1, "user", random[6:9])
    store.vectors.save_pages(lease, "m", ids, [long, *utterances[1:]][::-1])
    (rows,) = store.vectors.of_pages(lease.scope_id, "m")
    assert rows.seqs == (1, 1, 2, 2, 3, 3)
    assert rows.sides == ("user", "assistant") * 3
    assert rows.counts.tolist() == [3, 1, 1, 1, 1, 1]
    assert np.array_equal(rows.matrix, np.vstack([random[6:9], random[1:6]]))
    assert list(store.vectors.of_pages(lease.scope_id, "another model")) == []
    assert store.log.unembedded(lease.scope_id, "m", 9) == []
    assert len(store.log.unembedded(lease.scope_id, "another model", 9)) == 3


def test_vectors_are_in_log_order_with_unordered_ids(
    store: Store, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = iter(["c", "a", "d", "b"])
    monkeypatch.setattr("memoryos.storage.page_log.new_id", lambda: next(made))
    ids = append(store, lease, 4)
    random = np.random.default_rng(1).standard_normal((8, 4)).astype(np.float32)
    utterances = [
        UtteranceVectors(page_id, seq, side, random[2 * seq - 2 + place :][:1])
        for seq, page_id in enumerate(ids, 1)
        for place, side in enumerate(SIDES)
    ]
    store.vectors.save_pages(lease, "m", ids[1:], utterances)
    (rows,) = store.vectors.of_pages(lease.scope_id, "m")
    assert rows.seqs == (2, 2, 3, 3, 4, 4)
    assert np.array_equal(rows.matrix, random[2:])
    (rows,) = store.vectors.of_pages_at(lease.scope_id, "m", [1, 2, 4])
    assert rows.seqs == (2, 2, 4, 4)
    assert np.array_equal(rows.matrix, random[[2, 3, 6, 7]])


def test_reads_in_a_snapshot_are_consistent(store: Store, lease: Lease) -> None:
    append(store, lease, 1)
    with store.snapshot(lease.scope_id):
        assert store.log.count(lease.scope_id) == 1
        other = threading.Thread(target=append, args=(store, lease, 1))
        other.start()
        other.join()
        assert store.log.count(lease.scope_id) == 1
        assert store.scopes.state(lease.scope_id).last_seq == 1
    assert store.log.count(lease.scope_id) == 2


def test_failed_snapshot_ends(store: Store, lease: Lease) -> None:
    with pytest.raises(ValueError, match="fails"), store.snapshot(lease.scope_id):
        store.log.count(lease.scope_id)
        raise ValueError("fails")
    append(store, lease, 1)
    assert store.log.count(lease.scope_id) == 1


def test_visits_are_counted_with_exact_times(store: Store, lease: Lease) -> None:
    store.readings.add(lease, reading("r1", append(store, lease, 1)))
    store.mid_term.visit(lease.scope_id, {"s1": 3, "unknown": 1}, LATER)
    visited = store.mid_term.get(lease.scope_id, ["s1"])["s1"]
    assert (visited.visits, visited.last_visited_at) == (3, LATER)
    store.mid_term.visit(lease.scope_id, {"s1": 1}, NOW)
    assert store.mid_term.get(lease.scope_id, ["s1"])["s1"].last_visited_at == LATER


def test_archived_segments_are_kept_outside_mid_term_memory(store: Store, lease: Lease) -> None:
    store.readings.add(lease, reading("r1", append(store, lease, 1)))
    store.mid_term.archive(lease, ["s1"], LATER)
    assert store.mid_term.count(lease.scope_id) == 0
    assert store.mid_term.count(lease.scope_id, archived=True) == 1
    assert store.mid_term.all(lease.scope_id) == []
    assert [each.archived_at for each in store.mid_term.all(lease.scope_id, archived=True)] == [LATER]
    assert len(store.log.of_segment(lease.scope_id, "s1")) == 1


def entry(knowledge_id: str, **values: object) -> Knowledge:
    fields: dict[str, object] = {
        "knowledge_id": knowledge_id, "about": "user", "text": knowledge_id, "recorded_at": NOW, "valid_from": NOW,
        "superseded_by": None, "archived_at": None, "source_page_ids": ("p",), "origin": ORIGIN,
    }  # fmt: skip
    return Knowledge(**(fields | values))  # type: ignore[arg-type]


def test_profiling_is_saved_once_and_atomically(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 2)
    store.readings.add(lease, reading("r1", ids))
    profile = Profile(1, (), (), NOW, ORIGIN)
    first = NewProfile(SegmentProfiled("s1", 1), tuple(ids[:1]), profile)
    store.long_term.save_profile(lease, first)
    with pytest.raises(StoreConflictError):
        store.long_term.save_profile(lease, replace(first, page_ids=tuple(ids)))
    assert store.long_term.profile(lease.scope_id, NOW) == profile
    assert [page.profiled for page in store.log.after(lease.scope_id)] == [True, False]
    assert store.log.profiled_ids(lease.scope_id) == {ids[0]}
    assert [page.page_id for page in store.log.unprofiled(lease.scope_id, "s1", 9)] == ids[1:]
    assert store.mid_term.get(lease.scope_id, ["s1"])["s1"].length == 1


def test_facts_are_stored_with_their_reading(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 2)
    stored = [entry(each, reading_id="r1", source_page_ids=tuple(ids)) for each in ("k1", "k2")]
    store.readings.add(lease, reading("r1", ids, facts=tuple(stored)))
    assert store.long_term.knowledge(lease.scope_id, NOW) == stored
    assert store.scopes.state(lease.scope_id).learned_revision == store.scopes.state(lease.scope_id).revision


def test_superseded_and_archived_entries_are_kept(store: Store, lease: Lease) -> None:
    ids = append(store, lease, 2)
    store.readings.add(lease, reading("r1", ids[:1], facts=(entry("k1"), entry("k2"))))
    new = reading("r2", ids[1:], facts=(entry("k3"),), replaced={"k3": ("k1",)}, archived=("k2",))
    store.readings.add(lease, replace(new, row=replace(new.row, recorded_at=LATER)))
    assert [each.knowledge_id for each in store.long_term.knowledge(lease.scope_id, NOW, "user")] == ["k3"]
    history = {each.knowledge_id: each for each in store.long_term.knowledge(lease.scope_id, NOW, history=True)}
    assert history["k1"].superseded_by == "k3"
    assert history["k2"].archived_at == LATER
    store.long_term.add(lease.scope_id, [entry("k4", about="assistant"), entry("k5"), entry("k6", archived_at=NOW)])
    view = store.long_term.view(lease.scope_id, NOW)
    assert [each.knowledge_id for each in view.current] == ["k3", "k4", "k5"]
    assert len(view.history) == 6


def test_fact_takes_the_place_of_a_stored_one_with_its_id(store: Store, lease: Lease) -> None:
    store.long_term.add(lease.scope_id, [entry("k1"), entry("k2", replaces=("k1",), archived_at=NOW)])
    every = entry(
        "k2", text="new", subject="Ann", kind="plan", status="open", slot="home", value="Oslo", stated_at=LATER,
        valid_until=LATER, replaces=("k3",),
    )  # fmt: skip
    store.long_term.add(lease.scope_id, [every])
    assert store.long_term.facts(lease.scope_id) == [entry("k1"), replace(every, replaces=("k1", "k3"))]


def test_readings_that_saw_a_page_are_found(store: Store, lease: Lease) -> None:
    seen = {"r1": (1, 1, 3), "r2": (3, 4, 6), "r3": (6, 7, 9)}
    for reading_id, (shown, first, last) in seen.items():
        row = ReadingRow(reading_id, shown, first, last, ORIGIN, reading_id == "r2", ("page 9: unknown",), NOW)
        store.readings.add(lease, replace(reading(reading_id, []), row=row))
    found = store.readings.that_saw(lease.scope_id, [3])
    assert [each.reading_id for each in found] == ["r1", "r2"]
    assert found[1] == ReadingRow(
        "r2", 3, 4, 6, ORIGIN, provisional=True, dropped=("page 9: unknown",), recorded_at=NOW
    )
    assert [each.reading_id for each in store.readings.that_saw(lease.scope_id, [1, 9])] == ["r1", "r3"]
    assert store.readings.that_saw(lease.scope_id, []) == []
    with pytest.raises(StoreConflictError):
        store.readings.add(Lease(lease.scope_id, "other", LATER), reading("r4", []))


def test_costs_are_summed_up(store: Store, lease: Lease) -> None:
    assert store.costs.totals(lease.scope_id) == (0, 0)
    for number, purpose in enumerate(("read", "read", "answer")):
        store.costs.add(lease.scope_id, NOW.date(), purpose, Usage("m", 10 + number, 5, 0.1))
    assert store.costs.totals(lease.scope_id) == (3, 48)
    assert store.costs.totals("another") == (0, 0)


def test_lease_is_read_as_claimed(store: Store, lease: Lease) -> None:
    assert store.scopes.lease(lease.scope_id) == lease
    store.scopes.release(lease)
    assert store.scopes.lease(lease.scope_id) is None
    assert store.scopes.lease("another") is None


@pytest.mark.kinds("sqlite")
def test_frequent_statements_use_an_index(store: Store, lease: Lease) -> None:
    append(store, lease, 1)
    queries = [
        "SELECT * FROM pages WHERE scope_id='x' AND segment_id IS NULL AND seq <= 5 ORDER BY seq LIMIT 1",
        "SELECT * FROM pages WHERE scope_id='x' AND (embedded_with IS NULL OR embedded_with < 'm' OR embedded_with > 'm')",
        "SELECT * FROM pages WHERE scope_id='x' AND seq > 5 ORDER BY seq LIMIT 5",
        "SELECT * FROM segments WHERE scope_id='x' AND revision > 3",
        "SELECT * FROM facts WHERE scope_id='x' AND archived_at IS NULL",
        "SELECT * FROM readings WHERE scope_id='x' AND shown_from_seq <= 3 AND last_seq >= 3",
    ]
    with store.log._database.read() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all() for query in queries]
    for plan in plans:
        assert all("SCAN" not in row[3] for row in plan), plan


def test_window_contains_the_newest_pages(store: Store, lease: Lease) -> None:
    assert store.log.newest(lease.scope_id, 3) == []
    append(store, lease, 5)
    for window in range(7):
        inside = [page.seq for page in store.log.newest(lease.scope_id, window)]
        assert inside == list(range(1, 6))[max(0, 5 - window) :]
