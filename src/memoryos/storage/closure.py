"""The closure of forgetting: pages, and everything that was derived from them, by their ids.

It is computed in a read transaction, so that nobody waits for it. ``Search.extended`` adds the pages that were appended
since, inside the write transaction that begins the deletion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.language.echoes import EchoFinder
from memoryos.model import ANSWERED_FROM, Scope
from memoryos.storage.schema import knowledge, pages, profiles, scopes, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Closure", "Search", "search"]

_SLICE = 500


@dataclass(frozen=True, slots=True)
class Closure:
    """What goes when pages or facts go.

    Attributes:
        page_ids: Pages that are deleted, in the order of the log.
        answer_page_ids: Pages whose answer was based on deleted ones: the answer is deleted, the question stays.
        echo_page_ids: Pages that repeat a sentence or a code of deleted ones, for whatever reason: they stay.
        segment_ids: Segments that are deleted; what remains of their pages is consolidated again.
        blank_segment_ids: Archived segments that lose their summary and keywords; what remains of their pages stays
            archived.
        chain_ids: Chains that are deleted.
        blank_chain_ids: Chains that lose their summary, as pages of archived segments remain in them.
        due_page_ids: Pages that are to be consolidated again.
        knowledge_ids: Entries that are deleted, those of history too.
        restored_ids: Entries that stay and were superseded by a deleted one.
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
    blank_chain_ids: frozenset[str]
    due_page_ids: frozenset[str]
    knowledge_ids: frozenset[str]
    restored_ids: frozenset[str]
    attributes: frozenset[str]
    traits: frozenset[tuple[str, str]]
    reopened_page_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Derived:
    """What was learned from pages: entries of knowledge, attributes, traits, and all pages that support them."""

    knowledge_ids: set[str]
    restored_ids: set[str]
    attributes: set[str]
    traits: set[tuple[str, str]]
    sources: set[str]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page stands."""

    page_id: str
    seq: int
    chain_id: str | None
    segment_id: str | None


class _Tracer:
    """Reads the log of a scope once, in its order, and finds the answers that were based on forgotten pages.

    Args:
        gone: The forgotten pages by id.
        echoes: Knows the forgotten texts; None traces by recorded sources alone.

    Attributes:
        places: Where each page stands, by its id, in the order of the log.
    """

    def __init__(self, gone: Mapping[str, Any], echoes: EchoFinder | None) -> None:
        self.places: dict[str, _Place] = {}
        self._gone = gone
        self._echoes = echoes
        self._based_on: dict[str, list[str]] = {}
        self._last_seq = 0

    def read(self, connection: sa.Connection, scope_id: str) -> set[str]:
        """Reads the pages that were appended since the last call; returns their ids."""
        texts = (pages.c.user_text, pages.c.assistant_text) if self._echoes is not None else ()
        columns = (pages.c.page_id, pages.c.seq, pages.c.chain_id, pages.c.segment_id, pages.c.metadata)
        statement = sa.select(*columns, *texts).where(pages.c.scope_id == scope_id).order_by(pages.c.seq).limit(_SLICE)
        fresh: set[str] = set()
        while rows := connection.execute(statement.where(pages.c.seq > self._last_seq)).all():
            for row in rows:
                self._take(row)
            fresh.update(row.page_id for row in rows)
            self._last_seq = rows[-1].seq
        return fresh

    def found(self) -> tuple[set[str], set[str]]:
        """Returns the pages whose answers were based on forgotten ones, at any remove, and those that only repeat."""
        answers: set[str] = set()
        echoes: set[str] = set()
        if self._echoes is not None:
            by_words = self._echoes.result()
            answers, echoes = {*by_words.answers}, {*by_words.echoes}
        waiting = [*self._gone, *answers]
        while waiting:
            users = self._based_on.get(waiting.pop(), ())
            fresh = {each for each in users if each not in answers and each not in self._gone}
            answers |= fresh
            waiting += fresh
        return answers, echoes - answers

    def _take(self, row: Any) -> None:
        self.places[row.page_id] = _Place(row.page_id, row.seq, row.chain_id, row.segment_id)
        for source in row.metadata.get(ANSWERED_FROM) or ():
            self._based_on.setdefault(source, []).append(row.page_id)
        if self._echoes is not None and row.page_id not in self._gone:
            self._echoes.add_remaining(row.page_id, row.seq, row.user_text, row.assistant_text)


@dataclass(frozen=True, slots=True)
class Search:
    """A closure as of one moment, and what is needed to bring it up to a later one."""

    closure: Closure
    _scope_id: str
    _tracer: _Tracer

    def extended(self, connection: sa.Connection) -> Closure:
        """Returns the closure with the answers among pages that were appended since.

        Nothing was derived from such a page yet, if the caller holds the lease of the scope.
        """
        fresh = self._tracer.read(connection, self._scope_id)
        if not fresh:
            return self.closure
        answers, echoes = self._tracer.found()
        return replace(
            self.closure,
            answer_page_ids=tuple(sorted({*self.closure.answer_page_ids} | (answers & fresh))),
            echo_page_ids=tuple(sorted({*self.closure.echo_page_ids} | (echoes & fresh))),
        )


def search(
    connection: sa.Connection,
    scope_id: str,
    page_ids: Iterable[str],
    knowledge_ids: Iterable[str] = (),
    *,
    by_words: bool = True,
) -> Search:
    """Finds what goes with these pages and entries; unknown ids are left out.

    The page behind a deleted one may have been read with it in view, so its chain and its segment go too.

    Args:
        connection: A read transaction.
        scope_id: The scope.
        page_ids: Pages to forget.
        knowledge_ids: Entries to forget.
        by_words: Whether answers are traced by what they say, and not only by the sources that are recorded of them.
            Records of programs never are: versions of one record resemble each other.
    """
    gone = _pages(connection, scope_id, page_ids)
    tracer = _tracer(connection, scope_id, gone, by_words=by_words)
    tracer.read(connection, scope_id)
    answers, echoes = tracer.found()
    places = tracer.places
    touched = [*_with_following(places.values(), gone), *(places[each] for each in answers)]
    chain_ids = {each.chain_id for each in touched if each.chain_id}
    in_chains = [each for each in places.values() if each.chain_id in chain_ids]
    segment_ids = {each.segment_id for each in (*touched, *in_chains) if each.segment_id}
    archived = _archived(connection, scope_id, segment_ids)
    in_segments = [each for each in places.values() if each.segment_id in segment_ids - archived]
    due = {each.page_id for each in (*in_chains, *in_segments) if each.segment_id not in archived} - gone.keys()
    in_archived = (each for each in in_chains if each.segment_id in archived and each.page_id not in gone)
    blank_chain_ids = {str(each.chain_id) for each in in_archived}
    chain_ids |= {each.chain_id for each in in_segments if each.chain_id}
    derived = _derived(connection, scope_id, {*gone, *answers}, set(knowledge_ids))
    closure = Closure(
        page_ids=tuple(sorted(gone)),
        answer_page_ids=tuple(sorted(answers)),
        echo_page_ids=tuple(sorted(echoes)),
        segment_ids=frozenset(segment_ids - archived),
        blank_segment_ids=frozenset(archived),
        chain_ids=frozenset(chain_ids - blank_chain_ids),
        blank_chain_ids=frozenset(blank_chain_ids),
        due_page_ids=frozenset(due),
        knowledge_ids=frozenset(derived.knowledge_ids),
        restored_ids=frozenset(derived.restored_ids),
        attributes=frozenset(derived.attributes),
        traits=frozenset(derived.traits),
        reopened_page_ids=frozenset((derived.sources & places.keys()) - gone.keys()),
    )
    return Search(closure, scope_id, tracer)


def _tracer(connection: sa.Connection, scope_id: str, gone: Mapping[str, Any], *, by_words: bool) -> _Tracer:
    owner = sa.select(scopes.c.user_id, scopes.c.assistant_id).where(scopes.c.scope_id == scope_id)
    row = connection.execute(owner).one_or_none()
    if not by_words or not gone or row is None or Scope(row.user_id, row.assistant_id).holds_records:
        return _Tracer(gone, None)
    echoes = EchoFinder()
    for page in sorted(gone.values(), key=lambda each: each.seq):
        echoes.add_forgotten(page.seq, page.user_text, page.assistant_text)
    return _Tracer(gone, echoes)


def _derived(connection: sa.Connection, scope_id: str, gone: set[str], knowledge_ids: set[str]) -> _Derived:
    """Finds what these pages support; of entries that are named, other pages stay unread."""
    found = _Derived(set(), set(), set(), set(), set())
    if not gone and not knowledge_ids:
        return found
    columns = (knowledge.c.knowledge_id, knowledge.c.source_page_ids, knowledge.c.superseded_by)
    rows = connection.execute(sa.select(*columns).where(knowledge.c.scope_id == scope_id)).all()
    for row in rows:
        if row.knowledge_id in knowledge_ids or not gone.isdisjoint(row.source_page_ids):
            found.knowledge_ids.add(row.knowledge_id)
        if not gone.isdisjoint(row.source_page_ids):
            found.sources.update(row.source_page_ids)
    found.restored_ids.update(
        row.knowledge_id
        for row in rows
        if row.superseded_by in found.knowledge_ids and row.knowledge_id not in found.knowledge_ids
    )
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


def _archived(connection: sa.Connection, scope_id: str, segment_ids: set[str]) -> set[str]:
    where = (segments.c.scope_id == scope_id, segments.c.archived_at.is_not(None))
    return segment_ids & set(connection.execute(sa.select(segments.c.segment_id).where(*where)).scalars())


def _with_following(places: Iterable[_Place], gone: Mapping[str, Any]) -> Iterator[_Place]:
    """Yields where the deleted pages stand, and the page behind each."""
    behind = {row.seq + 1 for row in gone.values()}
    return (each for each in places if each.page_id in gone or each.seq in behind)


def _pages(connection: sa.Connection, scope_id: str, page_ids: Iterable[str]) -> dict[str, Any]:
    columns = (pages.c.page_id, pages.c.seq, pages.c.user_text, pages.c.assistant_text)
    found: dict[str, Any] = {}
    for part in _parts({*page_ids}):
        where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(part))
        found |= {row.page_id: row for row in connection.execute(sa.select(*columns).where(*where))}
    return found


def _parts(values: set[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _SLICE):
        yield ordered[start : start + _SLICE]
