"""The closure of forgetting: pages, and everything that was derived from them, by their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.language.text import sentences
from memoryos.model import ANSWERED_FROM
from memoryos.storage.schema import knowledge, pages, profiles, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Closure", "find_closure"]

SHORTEST_ECHO = 12
"""Characters from which a sentence that another page repeats word for word is an echo."""
_SLICE = 500


@dataclass(frozen=True, slots=True)
class Closure:
    """What goes when pages or facts go.

    Attributes:
        page_ids: Pages that are deleted, in the order of the log.
        answer_page_ids: Pages whose answer was based on deleted ones: the answer is deleted, the question stays.
        echo_page_ids: Pages that repeat a sentence of deleted ones word for word, for whatever reason: they stay.
        segment_ids: Segments that are deleted; what remains of their pages is consolidated again.
        blank_segment_ids: Archived segments that lose their summary and keywords; what remains of their pages stays
            archived.
        chain_ids: Chains that are deleted likewise; so are those that have no page left then.
        due_page_ids: Pages that are to be consolidated again.
        knowledge_ids: Entries that are deleted, those of history too.
        attributes: Attributes of the profile that go, by name; of all its versions.
        traits: Traits that go, as (category, dimension); of all its versions.
        reopened_page_ids: Pages that stay and are to be learned from again, because they supported something that goes.
    """

    page_ids: tuple[str, ...]
    answer_page_ids: tuple[str, ...]
    echo_page_ids: tuple[str, ...]
    segment_ids: frozenset[str]
    blank_segment_ids: frozenset[str]
    chain_ids: frozenset[str]
    due_page_ids: frozenset[str]
    knowledge_ids: frozenset[str]
    attributes: frozenset[str]
    traits: frozenset[tuple[str, str]]
    reopened_page_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Derived:
    """What was learned from pages: entries of knowledge, attributes, traits, and all pages that support them."""

    knowledge_ids: set[str]
    attributes: set[str]
    traits: set[tuple[str, str]]
    sources: set[str]


def find_closure(
    connection: sa.Connection, scope_id: str, page_ids: Iterable[str], knowledge_ids: Iterable[str] = ()
) -> Closure:
    """Returns what goes with these pages and entries; unknown ids are left out.

    The page behind a deleted one may have been read with it in view, so its chain and its segment go too.
    """
    gone = _pages(connection, scope_id, page_ids)
    answers = _answers(connection, scope_id, gone)
    echoes = _echoes(connection, scope_id, gone) - answers
    touched = [*gone.values(), *_following(connection, scope_id, gone), *_pages(connection, scope_id, answers).values()]
    chain_ids = {row.chain_id for row in touched if row.chain_id}
    in_chains = _rows(connection, scope_id, pages.c.chain_id, chain_ids)
    segment_ids = {row.segment_id for row in (*touched, *in_chains) if row.segment_id}
    archived = _archived(connection, scope_id, segment_ids)
    in_segments = _rows(connection, scope_id, pages.c.segment_id, segment_ids - archived)
    due = {row.page_id for row in (*in_chains, *in_segments) if row.segment_id not in archived} - gone.keys()
    derived = _derived(connection, scope_id, {*gone, *answers}, set(knowledge_ids))
    return Closure(
        page_ids=tuple(sorted(gone)),
        answer_page_ids=tuple(sorted(answers)),
        echo_page_ids=tuple(sorted(echoes)),
        segment_ids=frozenset(segment_ids - archived),
        blank_segment_ids=frozenset(archived),
        chain_ids=frozenset(chain_ids),
        due_page_ids=frozenset(due),
        knowledge_ids=frozenset(derived.knowledge_ids),
        attributes=frozenset(derived.attributes),
        traits=frozenset(derived.traits),
        reopened_page_ids=frozenset(_pages(connection, scope_id, derived.sources - gone.keys())),
    )


def _derived(connection: sa.Connection, scope_id: str, gone: set[str], knowledge_ids: set[str]) -> _Derived:
    """Finds what these pages support; of entries that are named, other pages stay unread."""
    found = _Derived(set(), set(), set(), set())
    if not gone and not knowledge_ids:
        return found
    rows = connection.execute(
        sa.select(knowledge.c.knowledge_id, knowledge.c.source_page_ids).where(knowledge.c.scope_id == scope_id)
    )
    for row in rows:
        if row.knowledge_id in knowledge_ids or not gone.isdisjoint(row.source_page_ids):
            found.knowledge_ids.add(row.knowledge_id)
        if not gone.isdisjoint(row.source_page_ids):
            found.sources.update(row.source_page_ids)
    for body in connection.execute(sa.select(profiles.c.body).where(profiles.c.scope_id == scope_id)).scalars():
        for each in body["attributes"]:
            if not gone.isdisjoint(each["source_page_ids"]):
                found.attributes.add(each["name"])
                found.sources.update(each["source_page_ids"])
        for each in body["traits"]:
            if not gone.isdisjoint(each["evidence_page_ids"]):
                found.traits.add((each["category"], each["dimension"]))
                found.sources.update(each["evidence_page_ids"])
    return found


def _answers(connection: sa.Connection, scope_id: str, gone: Mapping[str, Any]) -> set[str]:
    """Returns the pages whose answers were based on these, or on answers that were, and so on."""
    statement = sa.select(pages.c.page_id, pages.c.metadata).where(pages.c.scope_id == scope_id)
    based_on = {
        row.page_id: set(row.metadata[ANSWERED_FROM])
        for row in connection.execute(statement)
        if row.page_id not in gone and row.metadata.get(ANSWERED_FROM)
    }
    found: set[str] = set()
    fresh = set(gone)
    while fresh:
        fresh = {page_id for page_id, sources in based_on.items() if page_id not in found and sources & fresh}
        found |= fresh
    return found


def _echoes(connection: sa.Connection, scope_id: str, gone: Mapping[str, Any]) -> set[str]:
    """Returns the other pages that repeat a sentence of these word for word."""
    said = {
        sentence
        for row in gone.values()
        for text in (row.user_text, row.assistant_text)
        for sentence in sentences(text)
        if len(sentence) >= SHORTEST_ECHO
    }
    if not said:
        return set()
    statement = sa.select(pages.c.page_id, pages.c.user_text, pages.c.assistant_text)
    return {
        row.page_id
        for row in connection.execute(statement.where(pages.c.scope_id == scope_id))
        if row.page_id not in gone
        and any(sentence in row.user_text or sentence in row.assistant_text for sentence in said)
    }


def _archived(connection: sa.Connection, scope_id: str, segment_ids: set[str]) -> set[str]:
    where = (segments.c.scope_id == scope_id, segments.c.archived_at.is_not(None))
    return segment_ids & set(connection.execute(sa.select(segments.c.segment_id).where(*where)).scalars())


def _following(connection: sa.Connection, scope_id: str, gone: Mapping[str, Any]) -> list[Any]:
    return _rows(connection, scope_id, pages.c.seq, {row.seq + 1 for row in gone.values()})


def _pages(connection: sa.Connection, scope_id: str, page_ids: Iterable[str]) -> dict[str, Any]:
    return {row.page_id: row for row in _rows(connection, scope_id, pages.c.page_id, set(page_ids))}


def _rows(connection: sa.Connection, scope_id: str, column: sa.Column[Any], values: set[Any]) -> list[Any]:
    found: list[Any] = []
    for part in _parts(values):
        where = (pages.c.scope_id == scope_id, column.in_(part))
        found += connection.execute(sa.select(pages).where(*where).order_by(pages.c.seq)).all()
    return found


def _parts(values: set[Any]) -> Iterator[list[Any]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _SLICE):
        yield ordered[start : start + _SLICE]
