"""Computes the closure of a deletion: the pages to forget and everything derived from them.

``search`` reads the rows of a scope in a read transaction, which blocks no writer, and stores them in an immutable
``MemoryGraph``. Pure functions compute the closure from this graph. Meanwhile, new pages may be appended.
``Search.extended`` adds these pages to the closure, in the write transaction that starts the deletion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.current_facts import repetitions_of
from memoryos.language.echoes import EchoFinder
from memoryos.model import ANSWERED_FROM, Scope
from memoryos.storage.fact_rows import read_facts
from memoryos.storage.schema import facts, pages, profiles, scopes, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "AttributeNode",
    "Closure",
    "FactNode",
    "MemoryGraph",
    "PageNode",
    "Search",
    "TraitNode",
    "compute_closure",
    "search",
]

_BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class Closure:
    """Everything that a deletion removes or changes.

    "Consolidated again" means that pages are again grouped into chains and segments.

    Attributes:
        page_ids: Ids of pages to delete, in log order.
        answer_page_ids: Ids of pages whose answer was based on deleted pages. The answer is deleted, and the question
            is kept.
        echo_page_ids: Ids of other pages that repeat a sentence or a code of deleted pages. They are kept.
        segment_ids: Ids of segments to delete. Their remaining pages are consolidated again.
        blank_segment_ids: Ids of archived segments that lose their summary and keywords. Their remaining pages stay
            archived.
        chain_ids: Ids of chains to delete.
        blank_chain_ids: Ids of chains that lose only their summary, because archived segments still refer to them.
        due_page_ids: Ids of pages to consolidate again.
        knowledge_ids: Ids of facts to delete, including those that are not current.
        attributes: Names of the slots of these facts, and of attributes to delete from all profile versions.
        traits: Traits to delete from all profile versions, as (category, dimension).
        reopened_page_ids: Ids of remaining pages from which facts are extracted again, because deleted facts were based
            on them too.
    """

    page_ids: tuple[str, ...]
    answer_page_ids: tuple[str, ...]
    echo_page_ids: tuple[str, ...]
    segment_ids: frozenset[str]
    blank_segment_ids: frozenset[str]
    chain_ids: frozenset[str]
    blank_chain_ids: frozenset[str]
    due_page_ids: frozenset[str]
    knowledge_ids: frozenset[str]
    attributes: frozenset[str]
    traits: frozenset[tuple[str, str]]
    reopened_page_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class PageNode:
    """A page in the graph, without its texts.

    Attributes:
        page_id: Id of the page.
        seq: Position of the page in the log.
        chain_id: Id of the page's chain; None before consolidation.
        segment_id: Id of the page's segment; None before consolidation.
        answered_from: Ids of the pages that were recorded as sources of the page's answer.
    """

    page_id: str
    seq: int
    chain_id: str | None = None
    segment_id: str | None = None
    answered_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FactNode:
    """A fact in the graph, without its text.

    Attributes:
        knowledge_id: Id of the fact.
        source_page_ids: Ids of the pages from which the fact was extracted.
        slot: The slot that the fact fills; None without one.
    """

    knowledge_id: str
    source_page_ids: tuple[str, ...]
    slot: str | None = None


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
        archived_segment_ids: Ids of the archived segments.
        facts: All facts, including those that are not current.
        attributes: The distinct attributes of all profile versions.
        traits: The distinct traits of all profile versions.
    """

    forgotten_ids: frozenset[str]
    pages: tuple[PageNode, ...]
    echo_answer_ids: frozenset[str] = frozenset()
    echo_ids: frozenset[str] = frozenset()
    archived_segment_ids: frozenset[str] = frozenset()
    facts: tuple[FactNode, ...] = ()
    attributes: frozenset[AttributeNode] = frozenset()
    traits: frozenset[TraitNode] = frozenset()


@dataclass(frozen=True, slots=True)
class Search:
    """The closure computed by ``search``, which ``extended`` can update with newer pages."""

    closure: Closure
    _reader: _PageReader

    def extended(self, connection: sa.Connection) -> Closure:
        """Returns the closure with the answers and echoes in pages that were appended after the search.

        An answer is a page whose assistant text used deleted pages. An echo is a page that repeats their text.
        The caller must hold the lease on the scope: then no worker has derived data from the newer pages yet.
        """
        new_ids = self._reader.read_new(connection)
        if not new_ids:
            return self.closure
        answer_ids, echo_ids = _trace_answers(self._reader.graph())
        return replace(
            self.closure,
            answer_page_ids=tuple(sorted({*self.closure.answer_page_ids} | (answer_ids & new_ids))),
            echo_page_ids=tuple(sorted({*self.closure.echo_page_ids} | (echo_ids & new_ids))),
        )


def search(
    connection: sa.Connection,
    scope_id: str,
    page_ids: Iterable[str],
    knowledge_ids: Iterable[str] = (),
    *,
    by_words: bool = True,
) -> Search:
    """Computes the closure of the given pages and facts. Unknown ids are ignored.

    Args:
        connection: A connection inside a read transaction.
        scope_id: Id of the scope.
        page_ids: Ids of the pages to forget.
        knowledge_ids: Ids of the facts to forget. Their repetitions are forgotten too.
        by_words: Whether an answer that repeats forgotten text counts as based on the forgotten page. Otherwise only
            the recorded sources of answers are used. Has no effect for a scope in which a program stores records
            (values under keys), because versions of one record resemble each other.
    """
    forgotten = _read_forgotten(connection, scope_id, page_ids)
    finder = _echo_finder(connection, scope_id, forgotten) if by_words and forgotten else None
    reader = _PageReader(scope_id, frozenset(forgotten), finder)
    reader.read_new(connection)
    entries = _with_repetitions(connection, scope_id, knowledge_ids)
    graph = replace(reader.graph(), archived_segment_ids=_read_archived(connection, scope_id))
    if forgotten or entries:
        attributes, traits = _read_profile(connection, scope_id)
        graph = replace(graph, facts=_read_facts(connection, scope_id), attributes=attributes, traits=traits)
    return Search(compute_closure(graph, entries), reader)


def compute_closure(graph: MemoryGraph, knowledge_ids: frozenset[str] = frozenset()) -> Closure:
    """Computes what a deletion must delete or recompute (its closure), in linear time.

    The user deletes the pages ``graph.forgotten_ids`` and the facts ``knowledge_ids``.
    """
    answer_ids, echo_ids = _trace_answers(graph)
    tiers = _find_tiers(graph, answer_ids)
    derived = _find_derived(graph, graph.forgotten_ids | answer_ids, knowledge_ids)
    existing_ids = {page.page_id for page in graph.pages}
    return Closure(
        page_ids=tuple(sorted(graph.forgotten_ids)),
        answer_page_ids=tuple(sorted(answer_ids)),
        echo_page_ids=tuple(sorted(echo_ids)),
        segment_ids=tiers.segment_ids,
        blank_segment_ids=tiers.blank_segment_ids,
        chain_ids=tiers.chain_ids,
        blank_chain_ids=tiers.blank_chain_ids,
        due_page_ids=tiers.due_page_ids,
        knowledge_ids=derived.knowledge_ids,
        attributes=derived.attributes,
        traits=derived.traits,
        reopened_page_ids=(derived.source_page_ids & existing_ids) - graph.forgotten_ids,
    )


@dataclass(frozen=True, slots=True)
class _Tiers:
    """The segments and chains that a deletion affects; attributes as in ``Closure``."""

    segment_ids: frozenset[str]
    blank_segment_ids: frozenset[str]
    chain_ids: frozenset[str]
    blank_chain_ids: frozenset[str]
    due_page_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Derived:
    """The facts and traits that a deletion affects, and all their source pages; attributes as in ``Closure``."""

    knowledge_ids: frozenset[str]
    attributes: frozenset[str]
    traits: frozenset[tuple[str, str]]
    source_page_ids: frozenset[str]


def _trace_answers(graph: MemoryGraph) -> tuple[frozenset[str], frozenset[str]]:
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


def _find_tiers(graph: MemoryGraph, answer_ids: frozenset[str]) -> _Tiers:
    """Returns the segments and chains that contain affected pages, and the pages to consolidate again.

    The page after a forgotten page is affected too, because the analyst may have read the forgotten page as context.
    """
    following_seqs = {page.seq + 1 for page in graph.pages if page.page_id in graph.forgotten_ids}
    affected_ids = graph.forgotten_ids | answer_ids
    affected = [page for page in graph.pages if page.page_id in affected_ids or page.seq in following_seqs]
    affected_chain_ids = {page.chain_id for page in affected if page.chain_id}
    in_chains = [page for page in graph.pages if page.chain_id in affected_chain_ids]
    affected_segment_ids = {page.segment_id for page in (*affected, *in_chains) if page.segment_id}
    archived_ids = affected_segment_ids & graph.archived_segment_ids
    active_ids = affected_segment_ids - archived_ids
    in_segments = [page for page in graph.pages if page.segment_id in active_ids]
    remaining_in_archive = (
        page for page in in_chains if page.segment_id in archived_ids and page.page_id not in graph.forgotten_ids
    )
    blank_chain_ids = frozenset(str(page.chain_id) for page in remaining_in_archive)
    due_ids = {page.page_id for page in (*in_chains, *in_segments) if page.segment_id not in archived_ids}
    all_chain_ids = affected_chain_ids | {page.chain_id for page in in_segments if page.chain_id}
    return _Tiers(
        segment_ids=frozenset(active_ids),
        blank_segment_ids=frozenset(archived_ids),
        chain_ids=frozenset(all_chain_ids - blank_chain_ids),
        blank_chain_ids=blank_chain_ids,
        due_page_ids=frozenset(due_ids - graph.forgotten_ids),
    )


def _find_derived(graph: MemoryGraph, page_ids: frozenset[str], knowledge_ids: frozenset[str]) -> _Derived:
    """Returns the facts, attributes and traits to delete.

    The result also contains the source pages from which facts are extracted again, except those of facts that are only
    in ``knowledge_ids``.
    """
    supported = [fact for fact in graph.facts if not page_ids.isdisjoint(fact.source_page_ids)]
    named = [fact for fact in graph.facts if fact.knowledge_id in knowledge_ids]
    deleted_ids = frozenset(fact.knowledge_id for fact in (*supported, *named))
    attributes = [item for item in graph.attributes if not page_ids.isdisjoint(item.source_page_ids)]
    traits = [item for item in graph.traits if not page_ids.isdisjoint(item.source_page_ids)]
    supporting = (
        *(fact.source_page_ids for fact in supported),
        *(item.source_page_ids for item in attributes),
        *(item.source_page_ids for item in traits),
    )
    return _Derived(
        knowledge_ids=deleted_ids,
        attributes=frozenset(item.name for item in attributes)
        | frozenset(fact.slot for fact in (*supported, *named) if fact.slot is not None),
        traits=frozenset((item.category, item.dimension) for item in traits),
        source_page_ids=frozenset(page_id for sources in supporting for page_id in sources),
    )


class _PageReader:
    """Reads the log of a scope in batches. Later calls continue after the last page.

    Texts are compared with the forgotten texts and are not kept in memory.

    Args:
        scope_id: Id of the scope.
        forgotten_ids: Ids of the pages to forget.
        finder: Compares texts with the forgotten texts; None to use only the recorded sources of answers.
    """

    def __init__(self, scope_id: str, forgotten_ids: frozenset[str], finder: EchoFinder | None) -> None:
        self._scope_id = scope_id
        self._forgotten_ids = forgotten_ids
        self._finder = finder
        self._nodes: list[PageNode] = []

    def read_new(self, connection: sa.Connection) -> frozenset[str]:
        """Reads the pages that were appended since the last call, and returns their ids."""
        texts = (pages.c.user_text, pages.c.assistant_text) if self._finder is not None else ()
        columns = (pages.c.page_id, pages.c.seq, pages.c.chain_id, pages.c.segment_id, pages.c.metadata)
        statement = sa.select(*columns, *texts).where(pages.c.scope_id == self._scope_id).order_by(pages.c.seq)
        start = len(self._nodes)
        while rows := connection.execute(statement.where(pages.c.seq > self._last_seq()).limit(_BATCH_ROWS)).all():
            for row in rows:
                self._add(row)
        return frozenset(node.page_id for node in self._nodes[start:])

    def graph(self) -> MemoryGraph:
        """Returns a graph of all pages read so far, without derived data."""
        graph = MemoryGraph(self._forgotten_ids, tuple(self._nodes))
        if self._finder is None:
            return graph
        found = self._finder.result()
        return replace(graph, echo_answer_ids=frozenset(found.answers), echo_ids=frozenset(found.echoes))

    def _last_seq(self) -> int:
        return self._nodes[-1].seq if self._nodes else 0

    def _add(self, row: Any) -> None:
        sources = tuple(row.metadata.get(ANSWERED_FROM) or ())
        self._nodes.append(PageNode(row.page_id, row.seq, row.chain_id, row.segment_id, sources))
        if self._finder is not None and row.page_id not in self._forgotten_ids:
            self._finder.add_remaining(row.page_id, row.seq, row.user_text, row.assistant_text)


def _read_forgotten(connection: sa.Connection, scope_id: str, page_ids: Iterable[str]) -> dict[str, Any]:
    columns = (pages.c.page_id, pages.c.seq, pages.c.user_text, pages.c.assistant_text)
    forgotten: dict[str, Any] = {}
    for batch in _batches(sorted({*page_ids})):
        where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(batch))
        forgotten |= {row.page_id: row for row in connection.execute(sa.select(*columns).where(*where))}
    return forgotten


def _echo_finder(connection: sa.Connection, scope_id: str, forgotten: Mapping[str, Any]) -> EchoFinder | None:
    """Returns an object that finds repetitions of the forgotten texts.

    Returns None for a scope in which a program stores records (values under keys).
    """
    owner = sa.select(scopes.c.user_id, scopes.c.assistant_id).where(scopes.c.scope_id == scope_id)
    row = connection.execute(owner).one_or_none()
    if row is None or Scope(row.user_id, row.assistant_id).holds_records:
        return None
    finder = EchoFinder()
    for page in sorted(forgotten.values(), key=lambda each: each.seq):
        finder.add_forgotten(page.seq, page.user_text, page.assistant_text)
    return finder


def _read_archived(connection: sa.Connection, scope_id: str) -> frozenset[str]:
    where = (segments.c.scope_id == scope_id, segments.c.archived_at.is_not(None))
    return frozenset(connection.execute(sa.select(segments.c.segment_id).where(*where)).scalars())


def _read_facts(connection: sa.Connection, scope_id: str) -> tuple[FactNode, ...]:
    statement = sa.select(facts.c.fact_id, facts.c.source_page_ids, facts.c.slot).where(facts.c.scope_id == scope_id)
    return tuple(FactNode(row.fact_id, tuple(row.source_page_ids), row.slot) for row in connection.execute(statement))


def _with_repetitions(connection: sa.Connection, scope_id: str, knowledge_ids: Iterable[str]) -> frozenset[str]:
    named = frozenset(knowledge_ids)
    return named and frozenset(each.knowledge_id for each in repetitions_of(read_facts(connection, scope_id), named))


def _read_profile(connection: sa.Connection, scope_id: str) -> tuple[frozenset[AttributeNode], frozenset[TraitNode]]:
    """Returns the distinct attributes and the distinct traits of all profile versions."""
    attributes: set[AttributeNode] = set()
    traits: set[TraitNode] = set()
    for body in connection.execute(sa.select(profiles.c.body).where(profiles.c.scope_id == scope_id)).scalars():
        attributes.update(AttributeNode(each["name"], tuple(each["source_page_ids"])) for each in body["attributes"])
        traits.update(
            TraitNode(each["category"], each["dimension"], tuple(each["evidence_page_ids"])) for each in body["traits"]
        )
    return frozenset(attributes), frozenset(traits)


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _BATCH_ROWS):
        yield ids[start : start + _BATCH_ROWS]
