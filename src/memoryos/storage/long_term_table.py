"""The tables of long-term memory: the facts and the profile versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.current_facts import FactView, repetitions_of, view_facts
from memoryos.errors import StoreConflictError
from memoryos.language.text import fold
from memoryos.model import About, Attribute, Knowledge, Profile, Trait
from memoryos.storage.fact_rows import read_facts, write_facts
from memoryos.storage.lease import Lease, advance, revoke_lease
from memoryos.storage.origin_json import read_origin, write_origin
from memoryos.storage.schema import pages, profiles, scopes, segments
from memoryos.storage.tombstones import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["LongTermTable", "NewProfile", "SegmentProfiled"]


@dataclass(frozen=True, slots=True)
class SegmentProfiled:
    """The new counters of a segment after traits were inferred from its pages.

    The number of visits (recalls) becomes 0, and the length becomes ``unprofiled_pages``.

    Attributes:
        segment_id: Id of the segment.
        unprofiled_pages: Number of pages of the segment from which no traits have been inferred yet.
    """

    segment_id: str
    unprofiled_pages: int


@dataclass(frozen=True, slots=True)
class NewProfile:
    """All changes from one profiling step, which infers traits from pages of one segment.

    The changes are applied in one transaction.

    Attributes:
        segment: The new counters of the segment. None if the counters do not change, because the pages were profiled
            again to replace results of the fallback analyst.
        page_ids: Ids of the pages from which traits were inferred.
        profile: The next profile version; None if the traits did not change.
        provisional: Whether the results come from the fallback analyst and are replaced later.
    """

    segment: SegmentProfiled | None
    page_ids: tuple[str, ...]
    profile: Profile | None
    provisional: bool = False


class LongTermTable:
    """Reads and writes facts and profile versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_profile(self, lease: Lease, new: NewProfile) -> None:
        """Commits the changes from one profiling step.

        Raises:
            StoreConflictError: If another worker took the lease, or the profile version already exists; nothing is
                written.
        """
        with self._database.write(lease.scope_id) as connection:
            revision = advance(connection, lease)
            _mark_profiled(connection, lease.scope_id, new)
            if new.profile is not None:
                connection.execute(sa.insert(profiles).values(scope_id=lease.scope_id, **_profile_row(new.profile)))
            where_scope = scopes.c.scope_id == lease.scope_id
            connection.execute(sa.update(scopes).where(where_scope).values(learned_revision=revision))

    def add(self, scope_id: str, entries: Sequence[Knowledge]) -> None:
        """Stores facts that were not extracted from pages, e.g. facts shared from another scope."""
        if not entries:
            return
        with self._database.write(scope_id) as connection:
            revision = revoke_lease(connection, scope_id)
            write_facts(connection, scope_id, entries, revision)

    def correct(self, scope_id: str, knowledge_id: str, right: Knowledge, now: datetime) -> Knowledge:
        """Replaces a wrong fact by a corrected one and prevents learning the wrong text again.

        Current facts with a slot are replaced too if they meet two conditions: the wrong text contains their value, and
        they have a source page in common with the wrong fact.

        Args:
            scope_id: Id of the scope.
            knowledge_id: Id of the wrong fact.
            right: The corrected fact, without ``replaces``.
            now: The current time.

        Returns:
            The corrected fact as stored.

        Raises:
            StoreConflictError: If the wrong fact is no longer current; nothing is written.
        """
        with self._database.write(scope_id) as connection:
            revision = revoke_lease(connection, scope_id)
            stored = read_facts(connection, scope_id)
            current = {each.knowledge_id: each for each in view_facts(stored, now).current}
            wrong = current.get(knowledge_id)
            if wrong is None:
                raise StoreConflictError(
                    f"fact {knowledge_id} was already replaced by a newer fact; read the current facts and correct the "
                    "newer one"
                )
            same = [each for each in current.values() if each.slot is not None and _repeats_value(wrong, each)]
            refused = [*repetitions_of(stored, [wrong.knowledge_id]), *same]
            ids = dict.fromkeys((wrong.knowledge_id, *(each.knowledge_id for each in refused)))
            right = replace(right, replaces=tuple(ids))
            write_facts(connection, scope_id, [right], revision)
            texts = dict.fromkeys(text for each in refused for text in _refused_texts(each))
            refuse(connection, scope_id, list(texts), now)
        return right

    def facts(self, scope_id: str, *, after_revision: int | None = None) -> list[Knowledge]:
        """Returns the facts as stored, in the order of their ids. Their computed fields are empty.

        Args:
            scope_id: Id of the scope.
            after_revision: Returns only facts that were written after this revision of the scope; None for all.
        """
        with self._database.read(scope_id) as connection:
            return read_facts(connection, scope_id, after_revision=after_revision)

    def view(self, scope_id: str, now: datetime) -> FactView:
        """Returns the current facts and all facts."""
        return view_facts(self.facts(scope_id), now)

    def knowledge(
        self, scope_id: str, now: datetime, about: About | None = None, *, history: bool = False
    ) -> list[Knowledge]:
        """Returns the current facts in the order in which they were stated.

        Args:
            scope_id: Id of the scope.
            now: The current time.
            about: The side of the facts: the user or the assistant; None for both.
            history: Whether to include facts that are not current.
        """
        view = self.view(scope_id, now)
        found = view.history if history else view.current
        return [each for each in found if about in {None, each.about}]

    def traits(self, scope_id: str) -> Profile:
        """Returns the newest traits of all people, without attributes; an empty profile of version 0 without one."""
        return replace(next(iter(self._profiles(scope_id, limit=1)), Profile()), attributes=())

    def profile(self, scope_id: str, now: datetime, subject: str = "user") -> Profile:
        """Returns the newest traits of a person, and the current facts with a slot as attributes."""
        attributes = self.view(scope_id, now).attributes(subject)
        return replace(self.traits(scope_id).of(subject), attributes=attributes)

    def profile_versions(self, scope_id: str) -> list[Profile]:
        """Returns all profile versions as stored, oldest first."""
        return self._profiles(scope_id)[::-1]

    def _profiles(self, scope_id: str, limit: int | None = None) -> list[Profile]:
        statement = sa.select(profiles).where(profiles.c.scope_id == scope_id).order_by(profiles.c.version.desc())
        with self._database.read(scope_id) as connection:
            return [_profile(row) for row in connection.execute(statement.limit(limit))]


def _refused_texts(fact: Knowledge) -> list[str]:
    """Returns the texts under which an analyst could learn a wrong fact again."""
    return [fact.text] if fact.slot is None else [fact.text, f"{fact.slot}: {fact.value}"]


def _repeats_value(wrong: Knowledge, other: Knowledge) -> bool:
    """Returns whether a fact with a slot states a value that a wrong fact from the same pages contains."""
    has_same_source = not {*other.source_page_ids}.isdisjoint(wrong.source_page_ids)
    is_other = other.knowledge_id != wrong.knowledge_id
    return is_other and has_same_source and other.value is not None and fold(other.value) in fold(wrong.text)


def _mark_profiled(connection: sa.Connection, scope_id: str, new: NewProfile) -> None:
    due = pages.c.profiled.is_(False) if new.segment is not None else pages.c.profiled_provisionally.is_(True)
    where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(new.page_ids), due)
    marks = {"profiled": True, "profiled_provisionally": new.provisional}
    if connection.execute(sa.update(pages).where(*where).values(**marks)).rowcount != len(new.page_ids):
        raise StoreConflictError("another worker has processed these pages in the meantime; nothing was written")
    if new.segment is not None:
        connection.execute(
            sa.update(segments)
            .where(segments.c.scope_id == scope_id, segments.c.segment_id == new.segment.segment_id)
            .values(visits=0, length=new.segment.unprofiled_pages)
        )


def _profile_row(profile: Profile) -> dict[str, Any]:
    if profile.origin is None or profile.recorded_at is None:
        raise ValueError("can't store a profile without origin and recorded_at; set both")
    body = {"attributes": _listed(profile.attributes), "traits": _listed(profile.traits)}
    return {
        "version": profile.version,
        "body": body,
        "recorded_at": profile.recorded_at,
        "origin": write_origin(profile.origin),
    }


def _listed(values: Iterable[Attribute | Trait]) -> list[dict[str, Any]]:
    return [asdict(each) for each in values]


def _profile(row: Any) -> Profile:
    attributes = [
        Attribute(each["name"], each["value"], tuple(each["source_page_ids"])) for each in row.body["attributes"]
    ]
    traits = [Trait(**(each | {"evidence_page_ids": tuple(each["evidence_page_ids"])})) for each in row.body["traits"]]
    return Profile(row.version, tuple(attributes), tuple(traits), row.recorded_at, read_origin(row.origin))
