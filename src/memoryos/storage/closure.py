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
from memoryos.model import ANSWERED_FROM, CORRECTION, Scope
from memoryos.storage.closure_graph import (
    AttributeNode,
    Closure,
    FactNode,
    MemoryGraph,
    PageNode,
    ReadingNode,
    TraitNode,
    compute_closure,
    trace_answers,
)
from memoryos.storage.fact_rows import read_facts
from memoryos.storage.schema import facts, pages, profiles, readings, scopes, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Search", "search"]

_BATCH_ROWS = 500


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
        answer_ids, echo_ids = trace_answers(self._reader.graph())
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
    keeps_archived: bool = False,
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
        keeps_archived: Whether the remaining pages of archived segments are not read again. Their facts from affected
            readings are deleted all the same.
    """
    forgotten = _read_forgotten(connection, scope_id, page_ids)
    finder = _echo_finder(connection, scope_id, forgotten) if by_words and forgotten else None
    reader = _PageReader(scope_id, frozenset(forgotten), finder)
    reader.read_new(connection)
    entries = _with_repetitions(connection, scope_id, knowledge_ids)
    kept_ids = _read_archived(connection, scope_id) if keeps_archived else frozenset[str]()
    graph = replace(reader.graph(), readings=_read_readings(connection, scope_id), kept_segment_ids=kept_ids)
    if forgotten or entries:
        attributes, traits = _read_profile(connection, scope_id)
        graph = replace(graph, facts=_read_facts(connection, scope_id), attributes=attributes, traits=traits)
    return Search(compute_closure(graph, entries), reader)


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
        columns = (
            pages.c.page_id, pages.c.seq, pages.c.chain_id, pages.c.segment_id, pages.c.metadata, pages.c.reading_id,
        )  # fmt: skip
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
        self._nodes.append(PageNode(row.page_id, row.seq, row.chain_id, row.segment_id, sources, row.reading_id))
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


def _read_readings(connection: sa.Connection, scope_id: str) -> tuple[ReadingNode, ...]:
    columns = (readings.c.reading_id, readings.c.shown_from_seq, readings.c.last_seq, readings.c.first_seq)
    rows = connection.execute(sa.select(*columns).where(readings.c.scope_id == scope_id))
    return tuple(ReadingNode(*row) for row in rows)


def _read_facts(connection: sa.Connection, scope_id: str) -> tuple[FactNode, ...]:
    columns = (facts.c.fact_id, facts.c.source_page_ids, facts.c.slot, facts.c.reading_id)
    rows = connection.execute(sa.select(*columns).where(facts.c.scope_id == scope_id))
    return tuple(FactNode(row.fact_id, tuple(row.source_page_ids), row.slot, row.reading_id) for row in rows)


def _with_repetitions(connection: sa.Connection, scope_id: str, knowledge_ids: Iterable[str]) -> frozenset[str]:
    """Returns the ids, those of repetitions, and those of facts that a named correction replaced."""
    named = frozenset(knowledge_ids)
    if not named:
        return named
    stored = read_facts(connection, scope_id)
    by_id = {each.knowledge_id: each for each in stored}
    pending = [each.knowledge_id for each in repetitions_of(stored, named)]
    found: set[str] = set()
    while pending:
        fact = by_id.get(pending.pop())
        if fact is not None and fact.knowledge_id not in found:
            found.add(fact.knowledge_id)
            pending += fact.replaces if fact.origin == CORRECTION else ()
    return frozenset(found)


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
