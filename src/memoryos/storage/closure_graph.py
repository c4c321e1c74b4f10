"""Computes the closure of a deletion from an immutable graph, as a pure function in linear time.

The closure contains the pages to forget and everything derived from them.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AttributeNode",
    "Closure",
    "FactNode",
    "MemoryGraph",
    "PageNode",
    "ReadingNode",
    "TraitNode",
    "compute_closure",
    "trace_answers",
]


@dataclass(frozen=True, slots=True)
class Closure:
    """Everything that a deletion removes or changes.

    A reading is affected if the analyst was shown a deleted page, a deleted answer, or the summary of a chain that
    contains one. All its facts are deleted, and its remaining pages are read again.

    Attributes:
        page_ids: Ids of pages to delete, in log order.
        answer_page_ids: Ids of pages whose answer was based on deleted pages. The answer is deleted, and the question
            is kept.
        echo_page_ids: Ids of other pages that repeat a sentence or a code of deleted pages. They are kept.
        segment_ids: Ids of segments that lose pages, their summary and their keywords. Those without remaining pages
            are deleted.
        chain_ids: Ids of chains to delete.
        blank_chain_ids: Ids of chains that lose their summary, because they have remaining pages.
        reading_ids: Ids of the affected readings, which are deleted.
        due_page_ids: Ids of the remaining pages to read again.
        knowledge_ids: Ids of facts to delete, including those that are not current. They are never extracted again.
        rederived_fact_ids: Ids of other facts to delete, because they come from an affected reading. They may be
            extracted again.
        attributes: Names of the slots of the facts ``knowledge_ids``, and of attributes to delete from all profile
            versions.
        traits: Traits to delete from all profile versions, as (category, dimension).
        unprofiled_page_ids: Ids of remaining pages from which traits are inferred again, because deleted traits were
            based on them too.
    """

    page_ids: tuple[str, ...]
    answer_page_ids: tuple[str, ...]
    echo_page_ids: tuple[str, ...]
    segment_ids: frozenset[str]
    chain_ids: frozenset[str]
    blank_chain_ids: frozenset[str]
    reading_ids: frozenset[str]
    due_page_ids: frozenset[str]
    knowledge_ids: frozenset[str]
    rederived_fact_ids: frozenset[str]
    attributes: frozenset[str]
    traits: frozenset[tuple[str, str]]
    unprofiled_page_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class PageNode:
    """A page in the graph, without its texts.

    Attributes:
        page_id: Id of the page.
        seq: Position of the page in the log.
        chain_id: Id of the page's chain; None before the page is read.
        segment_id: Id of the page's segment; None before the page is read.
        answered_from: Ids of the pages that were recorded as sources of the page's answer.
        reading_id: Id of the reading of the page; None before it, and for pages of earlier releases.
    """

    page_id: str
    seq: int
    chain_id: str | None = None
    segment_id: str | None = None
    answered_from: tuple[str, ...] = ()
    reading_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReadingNode:
    """A reading in the graph: log positions of the pages that the analyst was shown.

    Attributes:
        reading_id: Id of the reading.
        shown_from_seq: Position of the first page that the analyst was shown.
        last_seq: Position of the last page that it read.
        first_seq: Position of the first page that it read. The analyst was shown the summary of the chain of the page
            before it. None: no summary was shown.
    """

    reading_id: str
    shown_from_seq: int
    last_seq: int
    first_seq: int | None = None


@dataclass(frozen=True, slots=True)
class FactNode:
    """A fact in the graph, without its text.

    Attributes:
        knowledge_id: Id of the fact.
        source_page_ids: Ids of the pages from which the fact was extracted.
        slot: The slot that the fact fills; None without one.
        reading_id: Id of the reading that extracted the fact; None for other facts.
    """

    knowledge_id: str
    source_page_ids: tuple[str, ...]
    slot: str | None = None
    reading_id: str | None = None


@dataclass(frozen=True, slots=True)
class AttributeNode:
    """A profile attribute in the graph, from any profile version.

    Attributes:
        name: Name of the attribute, such as "home".
        source_page_ids: Ids of the pages from which the attribute was extracted.
    """

    name: str
    source_page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TraitNode:
    """A personality trait in the graph, from any profile version.

    Attributes:
        category: Category of the trait.
        dimension: Personality dimension of the trait.
        source_page_ids: Ids of the pages that are evidence for the trait.
    """

    category: str
    dimension: str
    source_page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemoryGraph:
    """The pages of a scope and everything derived from them, at one moment.

    Attributes:
        forgotten_ids: Ids of the pages to forget.
        pages: All pages in log order, including the pages to forget.
        echo_answer_ids: Ids of the pages whose answer repeats text of pages to forget.
        echo_ids: Ids of all pages that repeat text of pages to forget, in the question or in the answer.
        readings: All readings.
        kept_segment_ids: Ids of archived segments whose remaining pages stay in them and are not read again.
        facts: All facts, including those that are not current.
        attributes: The distinct attributes of all profile versions.
        traits: The distinct traits of all profile versions.
    """

    forgotten_ids: frozenset[str]
    pages: tuple[PageNode, ...]
    echo_answer_ids: frozenset[str] = frozenset()
    echo_ids: frozenset[str] = frozenset()
    readings: tuple[ReadingNode, ...] = ()
    kept_segment_ids: frozenset[str] = frozenset()
    facts: tuple[FactNode, ...] = ()
    attributes: frozenset[AttributeNode] = frozenset()
    traits: frozenset[TraitNode] = frozenset()


def compute_closure(graph: MemoryGraph, knowledge_ids: frozenset[str] = frozenset()) -> Closure:
    """Computes what a deletion must delete or recompute (its closure), in linear time.

    The user deletes the pages ``graph.forgotten_ids`` and the facts ``knowledge_ids``.
    """
    answer_ids, echo_ids = trace_answers(graph)
    changed_ids = graph.forgotten_ids | answer_ids
    derived = _find_derived(graph, changed_ids, knowledge_ids)
    tiers = _find_tiers(graph, changed_ids, derived.source_page_ids)
    rederived_ids = frozenset(
        fact.knowledge_id
        for fact in graph.facts
        if fact.reading_id in tiers.reading_ids and fact.knowledge_id not in derived.knowledge_ids
    )
    existing_ids = {page.page_id for page in graph.pages}
    return Closure(
        page_ids=tuple(sorted(graph.forgotten_ids)),
        answer_page_ids=tuple(sorted(answer_ids)),
        echo_page_ids=tuple(sorted(echo_ids)),
        segment_ids=tiers.segment_ids,
        chain_ids=tiers.chain_ids,
        blank_chain_ids=tiers.blank_chain_ids,
        reading_ids=tiers.reading_ids,
        due_page_ids=tiers.due_page_ids,
        knowledge_ids=derived.knowledge_ids,
        rederived_fact_ids=rederived_ids,
        attributes=derived.attributes,
        traits=derived.traits,
        unprofiled_page_ids=(derived.evidence_page_ids & existing_ids) - graph.forgotten_ids,
    )


@dataclass(frozen=True, slots=True)
class _Tiers:
    """The readings, segments and chains that a deletion affects; attributes as in ``Closure``."""

    segment_ids: frozenset[str]
    chain_ids: frozenset[str]
    blank_chain_ids: frozenset[str]
    reading_ids: frozenset[str]
    due_page_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Derived:
    """The facts and traits that a deletion affects; attributes as in ``Closure``.

    Attributes:
        source_page_ids: All source pages of the facts that have a deleted page as source.
        evidence_page_ids: All source pages of the attributes and traits.
    """

    knowledge_ids: frozenset[str]
    attributes: frozenset[str]
    traits: frozenset[tuple[str, str]]
    source_page_ids: frozenset[str]
    evidence_page_ids: frozenset[str]


def trace_answers(graph: MemoryGraph) -> tuple[frozenset[str], frozenset[str]]:
    """Finds the answers that are based on forgotten pages.

    An answer that is based on such an answer counts too.

    Returns:
        Two sets of page ids: the pages with these answers, and the other pages that repeat forgotten text.
    """
    dependents: dict[str, list[str]] = {}
    for page in graph.pages:
        for source in page.answered_from:
            dependents.setdefault(source, []).append(page.page_id)
    answer_ids = {*graph.echo_answer_ids}
    pending = [*graph.forgotten_ids, *answer_ids]
    while pending:
        for page_id in dependents.pop(pending.pop(), ()):
            if page_id not in answer_ids and page_id not in graph.forgotten_ids:
                answer_ids.add(page_id)
                pending.append(page_id)
    return frozenset(answer_ids), graph.echo_ids - answer_ids


def _find_tiers(graph: MemoryGraph, changed_ids: frozenset[str], source_ids: frozenset[str]) -> _Tiers:
    """Returns the readings, segments and chains that a deletion affects, and the pages to read again.

    Args:
        graph: The pages and the data derived from them.
        changed_ids: Ids of the pages that are deleted or lose their answer.
        source_ids: Ids of the source pages of deleted facts. They are read again if no reading is recorded for them.
    """
    changed_seqs = sorted(page.seq for page in graph.pages if page.page_id in changed_ids)
    # The analyst was shown the page before a batch, also in earlier releases, which recorded no readings.
    following_seqs = {page.seq + 1 for page in graph.pages if page.page_id in graph.forgotten_ids}
    chain_ids = {page.chain_id for page in graph.pages if page.page_id in changed_ids or page.seq in following_seqs}
    chain_ids.discard(None)
    in_chains = [page for page in graph.pages if page.chain_id in chain_ids]
    reading_ids = {page.reading_id for page in in_chains if page.reading_id is not None}
    seqs_in_chains = _followed_by(graph, in_chains)
    reading_ids.update(
        each.reading_id
        for each in graph.readings
        if _contains(each, changed_seqs) or (each.first_seq is not None and each.first_seq in seqs_in_chains)
    )
    affected = [
        page
        for page in graph.pages
        if page.page_id not in graph.forgotten_ids
        and page.segment_id is not None
        and (
            page.reading_id in reading_ids
            or page.chain_id in chain_ids
            or (page.reading_id is None and page.page_id in source_ids)
        )
    ]
    due_ids = frozenset(page.page_id for page in affected if page.segment_id not in graph.kept_segment_ids)
    touched = [*affected, *(page for page in graph.pages if page.page_id in graph.forgotten_ids)]
    removed_ids = due_ids | graph.forgotten_ids
    shortened_chain_ids = frozenset(page.chain_id for page in touched if page.chain_id is not None)
    blank_chain_ids = frozenset(
        page.chain_id
        for page in graph.pages
        if page.chain_id is not None and page.chain_id in shortened_chain_ids and page.page_id not in removed_ids
    )
    return _Tiers(
        segment_ids=frozenset(page.segment_id for page in touched if page.segment_id is not None),
        chain_ids=shortened_chain_ids - blank_chain_ids,
        blank_chain_ids=blank_chain_ids,
        reading_ids=frozenset(reading_ids),
        due_page_ids=due_ids,
    )


def _followed_by(graph: MemoryGraph, chosen: Sequence[PageNode]) -> frozenset[int]:
    """Returns the log positions of the pages that directly follow one of the chosen pages."""
    chosen_seqs = frozenset(page.seq for page in chosen)
    seqs = [page.seq for page in graph.pages]
    return frozenset(after for before, after in itertools.pairwise(seqs) if before in chosen_seqs)


def _contains(reading: ReadingNode, seqs: Sequence[int]) -> bool:
    """Returns whether a reading was shown at least one of these log positions, which are in ascending order."""
    place = bisect_left(seqs, reading.shown_from_seq)
    return place < len(seqs) and seqs[place] <= reading.last_seq


def _find_derived(graph: MemoryGraph, page_ids: frozenset[str], knowledge_ids: frozenset[str]) -> _Derived:
    """Returns the facts, attributes and traits to delete.

    The result also contains their source pages, except those of facts that are only in ``knowledge_ids``.
    """
    supported = [fact for fact in graph.facts if not page_ids.isdisjoint(fact.source_page_ids)]
    named = [fact for fact in graph.facts if fact.knowledge_id in knowledge_ids]
    attributes = [item for item in graph.attributes if not page_ids.isdisjoint(item.source_page_ids)]
    traits = [item for item in graph.traits if not page_ids.isdisjoint(item.source_page_ids)]
    evidence = (*(item.source_page_ids for item in attributes), *(item.source_page_ids for item in traits))
    return _Derived(
        knowledge_ids=frozenset(fact.knowledge_id for fact in (*supported, *named)),
        attributes=frozenset(item.name for item in attributes)
        | frozenset(fact.slot for fact in (*supported, *named) if fact.slot is not None),
        traits=frozenset((item.category, item.dimension) for item in traits),
        source_page_ids=frozenset(page_id for fact in supported for page_id in fact.source_page_ids),
        evidence_page_ids=frozenset(page_id for sources in evidence for page_id in sources),
    )
