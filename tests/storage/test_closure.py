"""The closure of a deletion as a pure function of a graph."""

from __future__ import annotations

from memoryos.storage.closure_graph import AttributeNode, FactNode, MemoryGraph, PageNode, TraitNode, compute_closure
from tests.waiting import cpu_seconds


def graph(*forgotten: str, **values: object) -> MemoryGraph:
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


def test_empty_deletion_has_an_empty_closure() -> None:
    closure = compute_closure(graph())
    assert not any(getattr(closure, name) for name in closure.__slots__)


def test_answers_are_traced_through_other_answers() -> None:
    assert compute_closure(graph("p1")).answer_page_ids == ("p5", "p6")


def test_answer_cycle_terminates() -> None:
    pages = (PageNode("p1", 1, answered_from=("p2",)), PageNode("p2", 2, answered_from=("p1",)), PageNode("p3", 3))
    assert compute_closure(graph("p3", pages=pages)).answer_page_ids == ()
    assert compute_closure(graph("p1", pages=pages)).answer_page_ids == ("p2",)


def test_following_page_loses_its_segment_and_chain() -> None:
    closure = compute_closure(graph("p3"))
    assert closure.segment_ids == {"s2", "s3"}
    assert closure.chain_ids == {"c2", "c3"}
    assert closure.due_page_ids == {"p4"}


def test_archived_segment_is_kept_without_its_summary() -> None:
    closure = compute_closure(graph("p1", archived_segment_ids=frozenset({"s1"})))
    assert closure.blank_segment_ids == {"s1"}
    assert closure.blank_chain_ids == {"c1"}
    assert not closure.segment_ids | closure.chain_ids | closure.due_page_ids


def test_facts_of_deleted_pages_are_deleted() -> None:
    facts = (FactNode("k1", ("p7",)), FactNode("k2", ("p1", "p3"), "home"), FactNode("k3", ("p4",)))
    closure = compute_closure(graph("p1", facts=facts), frozenset({"k3"}))
    assert closure.knowledge_ids == {"k2", "k3"}
    assert closure.attributes == {"home"}
    assert closure.reopened_page_ids == {"p3"}, "p4 stays learned: its fact was deleted by id"


def test_profile_entries_of_deleted_pages_are_deleted() -> None:
    attributes = frozenset({AttributeNode("name", ("p1",)), AttributeNode("city", ("p3",))})
    traits = frozenset({TraitNode("basic", "openness", ("p1", "p4", "unknown"))})
    closure = compute_closure(graph("p1", attributes=attributes, traits=traits))
    assert closure.attributes == {"name"}
    assert closure.traits == {("basic", "openness")}
    assert closure.reopened_page_ids == {"p4"}, "a page that does not exist is not learned again"


def test_echoes_exclude_answers() -> None:
    closure = compute_closure(graph("p3", echo_answer_ids=frozenset({"p1"}), echo_ids=frozenset({"p1", "p5", "p7"})))
    assert closure.answer_page_ids == ("p1", "p5", "p6")
    assert closure.echo_page_ids == ("p7",)


def test_time_grows_linearly_with_pages() -> None:
    def seconds(count: int) -> float:
        pages = tuple(
            PageNode(f"p{seq:06}", seq, f"c{seq // 5}", f"s{seq // 50}", (f"p{seq - 1:06}",)) for seq in range(count)
        )
        facts = tuple(FactNode(f"k{seq}", (f"p{seq:06}",)) for seq in range(count))
        given = graph("p000000", pages=pages, facts=facts)
        assert len(compute_closure(given).answer_page_ids) == count - 1
        return cpu_seconds(lambda: compute_closure(given))

    # Quadratic time would be 100 times as long.
    assert seconds(40_000) < 40 * seconds(4_000)
