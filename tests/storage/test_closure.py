"""The closure of a deletion as a pure function of a graph."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from memoryos.storage.closure_graph import (
    AttributeNode,
    FactNode,
    MemoryGraph,
    PageNode,
    ReadingNode,
    TraitNode,
    compute_closure,
)
from tests.waiting import cpu_seconds


def graph(*forgotten: str, **values: object) -> MemoryGraph:
    """Returns a graph with four pages of earlier releases, which have no reading, and three unread pages."""
    pages = (
        PageNode("p1", 1, "c1", "s1"),
        PageNode("p2", 2, "c1", "s1"),
        PageNode("p3", 3, "c2", "s2"),
        PageNode("p4", 4, "c3", "s3"),
        PageNode("p5", 5, answered_from=("p1",)),
        PageNode("p6", 6, answered_from=("p5",)),
        PageNode("p7", 7),
    )
    return MemoryGraph(frozenset(forgotten), **({"pages": pages} | values))  # type: ignore[arg-type]


def read_graph(*forgotten: str, **values: object) -> MemoryGraph:
    """Returns a graph with readings of pages 1–3, 4–6 and 7–9; page 9 is on the subject of page 5."""
    pages = (
        PageNode("p1", 1, "c1", "s1", reading_id="r1"),
        PageNode("p2", 2, "c1", "s1", reading_id="r1"),
        PageNode("p3", 3, "c2", "s2", reading_id="r1"),
        PageNode("p4", 4, "c2", "s2", reading_id="r2"),
        PageNode("p5", 5, "c3", "s1", reading_id="r2"),
        PageNode("p6", 6, "c4", "s3", reading_id="r2"),
        PageNode("p7", 7, "c5", "s3", reading_id="r3"),
        PageNode("p8", 8, "c6", "s2", reading_id="r3"),
        PageNode("p9", 9, "c3", "s1", reading_id="r3"),
    )
    readings = (ReadingNode("r1", 1, 3), ReadingNode("r2", 3, 6), ReadingNode("r3", 6, 9))
    return MemoryGraph(frozenset(forgotten), **({"pages": pages, "readings": readings} | values))  # type: ignore[arg-type]


def test_empty_deletion_has_an_empty_closure() -> None:
    closure = compute_closure(graph())
    assert not any(getattr(closure, name) for name in closure.__slots__)


def test_answers_are_traced_through_other_answers() -> None:
    assert compute_closure(graph("p1")).answer_page_ids == ("p5", "p6")


def test_answer_cycle_terminates() -> None:
    pages = (PageNode("p1", 1, answered_from=("p2",)), PageNode("p2", 2, answered_from=("p1",)), PageNode("p3", 3))
    assert compute_closure(graph("p3", pages=pages)).answer_page_ids == ()
    assert compute_closure(graph("p1", pages=pages)).answer_page_ids == ("p2",)


def test_following_page_of_an_earlier_release_is_read_again() -> None:
    closure = compute_closure(graph("p3"))
    assert closure.segment_ids == {"s2", "s3"}
    assert closure.chain_ids == {"c2", "c3"}
    assert closure.due_page_ids == {"p4"}
    assert closure.reading_ids == frozenset()


def test_other_pages_of_an_affected_reading_are_read_again() -> None:
    closure = compute_closure(read_graph("p1"))
    assert closure.reading_ids == {"r1"}
    assert closure.due_page_ids == {"p2", "p3"}
    assert closure.blank_chain_ids == {"c2"}, "page 4 remains, and the first reading began the summary"
    assert compute_closure(read_graph("p8")).reading_ids == {"r2", "r3"}, "page 9 belongs to the chain of page 5"
    apart = tuple(replace(page, chain_id=f"c{page.seq}") for page in read_graph().pages)
    closure = compute_closure(read_graph("p1", pages=apart))
    assert closure.reading_ids == {"r1"}
    assert closure.due_page_ids == {"p2", "p3"}
    assert closure.segment_ids == {"s1", "s2"}
    assert closure.chain_ids == {"c1", "c2", "c3"}
    assert closure.blank_chain_ids == frozenset()


def test_reading_that_was_shown_a_forgotten_page_is_deleted() -> None:
    apart = tuple(replace(page, chain_id=f"c{page.seq}") for page in read_graph().pages)
    closure = compute_closure(read_graph("p3", pages=apart))
    assert closure.reading_ids == {"r1", "r2"}
    assert closure.due_page_ids == {"p1", "p2", "p4", "p5", "p6"}
    assert compute_closure(read_graph("p2", pages=apart)).reading_ids == {"r1"}


def test_reading_that_was_shown_the_summary_of_a_forgotten_page_is_deleted() -> None:
    closure = compute_closure(read_graph("p5"))
    assert closure.reading_ids == {"r2", "r3"}
    assert closure.due_page_ids == {"p4", "p6", "p7", "p8", "p9"}
    assert closure.segment_ids == {"s1", "s2", "s3"}
    assert closure.chain_ids == {"c3", "c4", "c5", "c6"}
    assert closure.blank_chain_ids == {"c2"}, "page 3 remains in chain c2, whose summary was written with page 5"


def test_page_that_lost_its_answer_is_read_again() -> None:
    pages = (*read_graph().pages[:6], PageNode("p7", 7, "c5", "s3", ("p1",), "r3"), *read_graph().pages[7:])
    apart = tuple(replace(page, chain_id=f"c{page.seq}") for page in pages)
    closure = compute_closure(read_graph("p1", pages=apart))
    assert closure.answer_page_ids == ("p7",)
    assert closure.reading_ids == {"r1", "r3"}
    assert closure.due_page_ids == {"p2", "p3", "p7", "p8", "p9"}


def test_unread_pages_stay_due_without_being_listed() -> None:
    closure = compute_closure(read_graph("p9", pages=(*read_graph().pages, PageNode("p10", 10))))
    assert "p10" not in closure.due_page_ids


def test_facts_of_affected_readings_are_deleted() -> None:
    facts = (
        FactNode("k1", ("p1",), "home", "r1"),
        FactNode("k2", ("p2",), "job", "r1"),
        FactNode("k3", ("p1", "p3"), None, "r1"),
        FactNode("k4", ("p5",), None, "r2"),
        FactNode("k5", ("p2",)),
    )
    apart = tuple(replace(page, chain_id=f"c{page.seq}") for page in read_graph().pages)
    closure = compute_closure(read_graph("p1", pages=apart, facts=facts))
    assert closure.knowledge_ids == {"k1", "k3"}
    assert closure.rederived_fact_ids == {"k2"}, "a correction by a user has no reading and is kept"
    assert closure.attributes == {"home"}
    assert closure.due_page_ids == {"p2", "p3"}


def test_fact_that_is_forgotten_alone_makes_no_page_due() -> None:
    facts = (FactNode("k1", ("p1",), "home", "r1"), FactNode("k2", ("p2",), None, "r1"))
    closure = compute_closure(read_graph(facts=facts), frozenset({"k1"}))
    assert closure.knowledge_ids == {"k1"}
    assert not closure.rederived_fact_ids | closure.due_page_ids | closure.reading_ids | closure.segment_ids


def test_facts_of_deleted_pages_are_deleted() -> None:
    facts = (FactNode("k1", ("p7",)), FactNode("k2", ("p1", "p3"), "home"), FactNode("k3", ("p4",)))
    closure = compute_closure(graph("p1", facts=facts), frozenset({"k3"}))
    assert closure.knowledge_ids == {"k2", "k3"}
    assert closure.attributes == {"home"}
    assert closure.due_page_ids == {"p2", "p3"}, "p4 is not read again: its fact was deleted by id"


def test_profile_entries_of_deleted_pages_are_deleted() -> None:
    attributes = frozenset({AttributeNode("name", ("p1",)), AttributeNode("city", ("p3",))})
    traits = frozenset({TraitNode("basic", "openness", ("p1", "p4", "unknown"))})
    closure = compute_closure(graph("p1", attributes=attributes, traits=traits))
    assert closure.attributes == {"name"}
    assert closure.traits == {("basic", "openness")}
    assert closure.unprofiled_page_ids == {"p4"}, "no traits are inferred from a page that does not exist"


def test_echoes_exclude_answers() -> None:
    closure = compute_closure(graph("p3", echo_answer_ids=frozenset({"p1"}), echo_ids=frozenset({"p1", "p5", "p7"})))
    assert closure.answer_page_ids == ("p1", "p5", "p6")
    assert closure.echo_page_ids == ("p7",)


@given(st.data())
def test_no_remaining_reading_was_shown_a_changed_page(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    pages: list[PageNode] = []
    readings: list[ReadingNode] = []
    for number, size in enumerate(sizes):
        first, seqs = len(pages) + 1, range(len(pages) + 1, len(pages) + 1 + size)
        readings.append(ReadingNode(f"r{number}", max(1, first - data.draw(st.integers(0, 2))), seqs[-1]))
        for seq in seqs:
            continues = data.draw(st.booleans())
            chain_id = pages[-1].chain_id if pages and continues else f"c{seq}"
            answered_from = tuple(f"p{each}" for each in data.draw(st.sets(st.integers(1, seq), max_size=1)))
            segment_id = f"s{data.draw(st.integers(1, 3))}"
            pages.append(PageNode(f"p{seq}", seq, chain_id, segment_id, answered_from, f"r{number}"))
    facts = tuple(FactNode(f"k{page.seq}", (page.page_id,), None, page.reading_id) for page in pages)
    forgotten = data.draw(st.sets(st.sampled_from([page.page_id for page in pages])))
    closure = compute_closure(MemoryGraph(frozenset(forgotten), tuple(pages), readings=tuple(readings), facts=facts))
    changed = forgotten.union(closure.answer_page_ids)
    changed_chains = {page.chain_id for page in pages if page.page_id in changed}
    deleted_facts = closure.knowledge_ids | closure.rederived_fact_ids
    assert closure.knowledge_ids.isdisjoint(closure.rederived_fact_ids)
    for reading in readings:
        shown = [page for page in pages if reading.shown_from_seq <= page.seq <= reading.last_seq]
        read = [page for page in pages if page.reading_id == reading.reading_id]
        is_deleted = reading.reading_id in closure.reading_ids
        assert is_deleted or changed.isdisjoint(page.page_id for page in shown)
        assert is_deleted or changed_chains.isdisjoint(page.chain_id for page in read)
        assert {page.page_id for page in read if page.page_id in closure.due_page_ids | forgotten} == {
            page.page_id for page in read if is_deleted
        }
        assert {f"k{page.seq}" in deleted_facts for page in read} == {is_deleted}


def test_time_grows_linearly_with_pages() -> None:
    def seconds(count: int) -> float:
        pages = tuple(
            PageNode(f"p{seq:06}", seq, f"c{seq // 5}", f"s{seq // 50}", (f"p{seq - 1:06}",), f"r{seq // 12}")
            for seq in range(count)
        )
        readings = tuple(ReadingNode(f"r{first // 12}", max(0, first - 2), first + 11) for first in range(0, count, 12))
        facts = tuple(FactNode(f"k{seq}", (f"p{seq:06}",), None, f"r{seq // 12}") for seq in range(count))
        given = graph("p000000", pages=pages, readings=readings, facts=facts)
        closure = compute_closure(given)
        assert len(closure.answer_page_ids) == len(closure.due_page_ids) == count - 1
        assert len(closure.reading_ids) == len(readings)
        return cpu_seconds(lambda: compute_closure(given))

    # Quadratic time would be 100 times as long.
    assert seconds(40_000) < 40 * seconds(4_000)
