"""The tables of long-term memory: the facts (``knowledge``) and the profile versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.language.text import fold
from memoryos.model import About, Attribute, Knowledge, Profile, Trait
from memoryos.storage.forgetting_table import mark_unlearned
from memoryos.storage.lease import Lease, advance, revoke_lease
from memoryos.storage.origin_json import read_origin, write_origin
from memoryos.storage.schema import knowledge, pages, profiles, scopes, segments
from memoryos.storage.tombstones import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["Learning", "LongTermTable", "SegmentLearned"]

_BATCH_ROWS = 500
_CURRENT = sa.text("superseded_by IS NULL AND archived_at IS NULL")


@dataclass(frozen=True, slots=True)
class SegmentLearned:
    """The new counters of a segment after facts were extracted from its pages.

    The number of visits (recalls) becomes 0, and the length becomes ``unlearned_pages``.

    Attributes:
        segment_id: Id of the segment.
        unlearned_pages: Number of pages of the segment from which no facts have been extracted yet.
    """

    segment_id: str
    unlearned_pages: int


@dataclass(frozen=True, slots=True)
class Learning:
    """All changes from one learning step: facts and a profile extracted from pages of one segment.

    The changes are applied in one transaction.

    Attributes:
        segment: The new counters of the segment. None if the counters do not change, because the analyst read the
            pages a second time to replace results of the fallback analyst.
        learned_page_ids: Ids of the pages from which facts were extracted.
        profile: The next profile version; None if the profile did not change.
        added: New facts. Their ``superseded_by`` may be the id of another new fact.
        superseded: Ids of the facts that are replaced, mapped to the ids of the newer facts.
        archived: Ids of facts to archive, although no newer fact replaces them.
        provisional: Whether the results come from the fallback analyst and are replaced later.
    """

    segment: SegmentLearned | None
    learned_page_ids: tuple[str, ...]
    profile: Profile | None
    added: tuple[Knowledge, ...]
    superseded: Mapping[str, str]
    archived: tuple[str, ...]
    provisional: bool = False


class LongTermTable:
    """Reads and writes facts and profile versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(self, lease: Lease, change: Learning, now: datetime) -> None:
        """Commits the changes from one learning step.

        Raises:
            StoreConflictError: If another worker took the lease, or the profile version already exists; nothing is
                written.
        """
        with self._database.write(lease.scope_id) as connection:
            revision = advance(connection, lease)
            _mark_learned(connection, lease.scope_id, change)
            if change.profile is not None:
                connection.execute(sa.insert(profiles).values(scope_id=lease.scope_id, **_profile_row(change.profile)))
            if change.added:
                rows = [_knowledge_row(each) | {"scope_id": lease.scope_id} for each in change.added]
                connection.execute(sa.insert(knowledge), rows)
            for older, newer in change.superseded.items():
                _supersede(connection, lease.scope_id, older, newer)
            for start in range(0, len(change.archived), _BATCH_ROWS):
                part = change.archived[start : start + _BATCH_ROWS]
                where = (knowledge.c.scope_id == lease.scope_id, knowledge.c.knowledge_id.in_(part))
                connection.execute(sa.update(knowledge).where(*where).values(archived_at=now))
            where_scope = scopes.c.scope_id == lease.scope_id
            connection.execute(sa.update(scopes).where(where_scope).values(learned_revision=revision))

    def add(self, scope_id: str, entries: Sequence[Knowledge]) -> None:
        """Stores facts that were not extracted from pages, e.g. facts shared from another scope."""
        if not entries:
            return
        with self._database.write(scope_id) as connection:
            revoke_lease(connection, scope_id)
            connection.execute(
                sa.insert(knowledge), [_knowledge_row(each) | {"scope_id": scope_id} for each in entries]
            )

    def correct(self, scope_id: str, wrong: Knowledge, right: Knowledge, now: datetime) -> None:
        """Replaces a wrong fact by a corrected one and prevents learning the wrong text again.

        A profile attribute is deleted too if it meets two conditions: the wrong text contains its value, and the
        attribute and the wrong fact have a source page in common. Facts are extracted again from the source pages of
        the deleted attributes.

        Raises:
            StoreConflictError: If the wrong fact is no longer current; nothing is written.
        """
        with self._database.write(scope_id) as connection:
            revision = revoke_lease(connection, scope_id)
            connection.execute(sa.insert(knowledge).values(scope_id=scope_id, **_knowledge_row(right)))
            _supersede(connection, scope_id, wrong.knowledge_id, right.knowledge_id)
            profile = next(iter(_read_profiles(connection, scope_id, limit=1)), Profile())
            same_source = [each for each in profile.attributes if {*each.source_page_ids} & {*wrong.source_page_ids}]
            same = [each for each in same_source if fold(each.value) in fold(wrong.text)]
            refused_texts = [wrong.text, *(f"{each.name}: {each.value}" for each in same)]
            refuse(connection, scope_id, refused_texts, now)
            if same:
                kept = tuple(each for each in profile.attributes if each not in same)
                newer = replace(
                    profile, version=profile.version + 1, attributes=kept, recorded_at=now, origin=right.origin
                )
                connection.execute(sa.insert(profiles).values(scope_id=scope_id, **_profile_row(newer)))
            mark_unlearned(
                connection, scope_id, {page_id for each in same for page_id in each.source_page_ids}, revision
            )

    def knowledge(self, scope_id: str, about: About | None = None, *, history: bool = False) -> list[Knowledge]:
        """Returns the current facts, oldest first.

        Args:
            scope_id: Id of the scope.
            about: Whom the facts describe: the user or the assistant; None for both.
            history: Whether to include superseded and archived facts.
        """
        where = [knowledge.c.scope_id == scope_id]
        if about is not None:
            where.append(knowledge.c.about == about)
        statement = sa.select(knowledge).where(*where).order_by(knowledge.c.knowledge_id)
        if not history:
            statement = statement.where(_CURRENT)
        with self._database.read(scope_id) as connection:
            return [_knowledge(row) for row in connection.execute(statement)]

    def count(self, scope_id: str) -> dict[About, int]:
        """Returns the number of current facts about the user and about the assistant.

        The dictionary has no entry for a count of zero.
        """
        statement = (
            sa.select(knowledge.c.about, sa.func.count())
            .where(knowledge.c.scope_id == scope_id, _CURRENT)
            .group_by(knowledge.c.about)
        )
        with self._database.read(scope_id) as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def count_past(self, scope_id: str) -> int:
        """Returns the number of superseded or archived facts."""
        is_past = sa.or_(knowledge.c.superseded_by.is_not(None), knowledge.c.archived_at.is_not(None))
        past = (knowledge.c.scope_id == scope_id, is_past)
        with self._database.read(scope_id) as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(knowledge).where(*past)).scalar_one()

    def profile(self, scope_id: str) -> Profile:
        """Returns the newest profile version; an empty profile of version 0 if no version is stored."""
        return next(iter(self._profiles(scope_id, limit=1)), Profile())

    def profile_versions(self, scope_id: str) -> list[Profile]:
        """Returns all profile versions, oldest first."""
        return self._profiles(scope_id)[::-1]

    def _profiles(self, scope_id: str, limit: int | None = None) -> list[Profile]:
        with self._database.read(scope_id) as connection:
            return _read_profiles(connection, scope_id, limit)


def _read_profiles(connection: sa.Connection, scope_id: str, limit: int | None) -> list[Profile]:
    statement = sa.select(profiles).where(profiles.c.scope_id == scope_id).order_by(profiles.c.version.desc())
    return [_profile(row) for row in connection.execute(statement.limit(limit))]


def _mark_learned(connection: sa.Connection, scope_id: str, change: Learning) -> None:
    due = pages.c.learned.is_(False) if change.segment is not None else pages.c.learned_provisionally.is_(True)
    where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(change.learned_page_ids), due)
    learned = {"learned": True, "learned_provisionally": change.provisional}
    if connection.execute(sa.update(pages).where(*where).values(**learned)).rowcount != len(change.learned_page_ids):
        raise StoreConflictError("another worker has processed these pages in the meantime; nothing was written")
    if change.segment is not None:
        connection.execute(
            sa.update(segments)
            .where(segments.c.scope_id == scope_id, segments.c.segment_id == change.segment.segment_id)
            .values(visits=0, length=change.segment.unlearned_pages)
        )


def _supersede(connection: sa.Connection, scope_id: str, older: str, newer: str) -> None:
    where = (
        knowledge.c.scope_id == scope_id,
        knowledge.c.knowledge_id == older,
        knowledge.c.superseded_by.is_(None),
    )
    if connection.execute(sa.update(knowledge).where(*where).values(superseded_by=newer)).rowcount != 1:
        raise StoreConflictError(
            f"fact {older} was already replaced by a newer fact; read the current facts and correct the newer one"
        )


def _knowledge_row(entry: Knowledge) -> dict[str, Any]:
    return {
        "knowledge_id": entry.knowledge_id,
        "about": entry.about,
        "text": entry.text,
        "recorded_at": entry.recorded_at,
        "valid_from": entry.valid_from,
        "superseded_by": entry.superseded_by,
        "archived_at": entry.archived_at,
        "source_page_ids": list(entry.source_page_ids),
        "origin": write_origin(entry.origin),
    }


def _knowledge(row: Any) -> Knowledge:
    return Knowledge(
        knowledge_id=row.knowledge_id,
        about=row.about,
        text=row.text,
        recorded_at=row.recorded_at,
        valid_from=row.valid_from,
        superseded_by=row.superseded_by,
        archived_at=row.archived_at,
        source_page_ids=tuple(row.source_page_ids),
        origin=read_origin(row.origin),
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
