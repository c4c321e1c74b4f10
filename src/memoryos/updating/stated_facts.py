"""Converts the facts of a reading to facts that can be stored (§3.3 of Kang et al. 2025)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, get_args

from memoryos.current_facts import fact_id, repetitions_of, statement_order
from memoryos.errors import InvalidReplyError
from memoryos.language.text import is_storable
from memoryos.model import ABOUT, CORRECTION, FactKind, FactStatus, Knowledge
from memoryos.slots import SLOTS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from memoryos.model import Origin
    from memoryos.seams import Batch, Fact

__all__ = ["FactReader", "check_facts", "over_capacity"]

MAX_FACT_CHARACTERS = 8_000
"""Maximum length of the text, the subject and the value of a fact."""
_REFERENCE = re.compile(r"#(\d{1,6})\Z")


def check_facts(batch: Batch, facts: Sequence[Fact]) -> None:
    """Checks facts against the rules of ``seams.Fact``.

    Args:
        batch: The pages and facts that the analyst received.
        facts: The facts that it returned.

    Raises:
        InvalidReplyError: If a fact has no text or no source page, or refers to a page, a fact or a slot that does not
            exist or that the analyst did not receive.
    """
    received_ids = {page.page_id for page in batch.pages}
    known_ids = {each.knowledge_id for each in (*batch.slots, *batch.related)}
    for index, fact in enumerate(facts):
        _check_values(index, fact)
        if not fact.source_page_ids or not received_ids.issuperset(fact.source_page_ids):
            raise InvalidReplyError(f"fact {index} of the analyst has no source page, or one that was not read")
        if fact.slot is not None and fact.slot not in SLOTS:
            raise InvalidReplyError(f"fact {index} of the analyst has an unknown slot; allowed are {', '.join(SLOTS)}")
        for other in fact.replaces:
            number = _index(other) if isinstance(other, str) else None
            if other not in known_ids and (number is None or number >= index):
                raise InvalidReplyError(
                    f"fact {index} of the analyst replaces something that is neither a fact that the analyst received "
                    "nor an earlier fact of the same reading"
                )


def _check_values(index: int, fact: Fact) -> None:
    """Checks the values of a fact that do not depend on the batch."""
    texts = (fact.text, fact.subject, "" if fact.value is None else fact.value)
    if not all(isinstance(each, str) and is_storable(each) for each in texts) or not fact.text.strip():
        raise InvalidReplyError(f"fact {index} of the analyst has no text, or characters that can't be stored")
    if max(map(len, texts)) > MAX_FACT_CHARACTERS:
        raise InvalidReplyError(f"fact {index} of the analyst is longer than {MAX_FACT_CHARACTERS} characters")
    is_known = fact.about in ABOUT and fact.kind in get_args(FactKind) and fact.status in {None, *get_args(FactStatus)}
    if not is_known:
        raise InvalidReplyError(f"fact {index} of the analyst has an unknown side, kind or status")
    days = (fact.valid_from, fact.valid_until)
    if not all(each is None or (isinstance(each, datetime) and each.tzinfo is not None) for each in days):
        raise InvalidReplyError(f"fact {index} of the analyst has a time without a time zone")
    if fact.slot is not None and fact.value is None and fact.valid_until is None:
        raise InvalidReplyError(f"fact {index} of the analyst has a slot without a value")


@dataclass(slots=True)
class FactReader:
    """Converts the facts of one reading.

    Attributes:
        scope_id: Id of the scope.
        reading_id: Id of the reading.
        batch: The pages and facts that the analyst received.
        origin: The analyst.
        now: Recording time of the facts.
    """

    scope_id: str
    reading_id: str
    batch: Batch
    origin: Origin
    now: datetime
    added: dict[str, Knowledge] = field(default_factory=dict)
    """The facts to store, by id. A statement that the reading contains twice is contained once."""
    replaced: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of facts that facts of other readings replace, by id of the newer fact."""

    def read(self, facts: Sequence[Fact], refused: Container[str]) -> None:
        """Adds the facts of the reading.

        Of two facts of which one replaces the other, the one stated later replaces the other, whichever the analyst
        named: imports may append pages that are older than those before them.

        Args:
            facts: The facts in the order of the reading.
            refused: Texts of forgotten and corrected facts, and of slots in the form "home: Oslo". They are left out.
        """
        ids = [None if _is_refused(fact, refused) else self._add(fact) for fact in facts]
        for fact, knowledge_id in zip(facts, ids, strict=True):
            for other in fact.replaces if knowledge_id is not None else ():
                number = _index(other)
                other_id = other if number is None else ids[number]
                if other_id is not None and other_id != knowledge_id:
                    self._replace(other_id, str(knowledge_id))

    def _add(self, fact: Fact) -> str:
        sources = [page for page in self.batch.pages if page.page_id in fact.source_page_ids]
        newest = max(sources, key=lambda page: (page.at, page.seq))
        subject = fact.subject or fact.about
        knowledge_id = fact_id(self.scope_id, newest.page_id, subject, fact.slot, fact.text)
        known = self.added.get(knowledge_id)
        page_ids = {*(known.source_page_ids if known else ()), *(page.page_id for page in sources)}
        self.added[knowledge_id] = Knowledge(
            knowledge_id=knowledge_id,
            about=fact.about,
            text=fact.text,
            recorded_at=self.now,
            valid_from=fact.valid_from,
            superseded_by=None,
            archived_at=None,
            source_page_ids=tuple(page.page_id for page in self.batch.pages if page.page_id in page_ids),
            origin=self.origin,
            subject=subject,
            kind=fact.kind,
            status=fact.status,
            slot=fact.slot,
            value=fact.value,
            stated_at=newest.at,
            valid_until=fact.valid_until,
            replaces=known.replaces if known else (),
            reading_id=self.reading_id,
        )
        return knowledge_id

    def _replace(self, older_id: str, newer_id: str) -> None:
        known = {each.knowledge_id: each for each in (*self.batch.slots, *self.batch.related)}
        older, newer = (self.added.get(each) or known[each] for each in (older_id, newer_id))
        if statement_order(older) > statement_order(newer):
            older_id, newer_id = newer_id, older_id
        if newer_id in self.added:
            fact = self.added[newer_id]
            self.added[newer_id] = replace(fact, replaces=tuple(dict.fromkeys((*fact.replaces, older_id))))
        else:
            self.replaced[newer_id] = (*self.replaced.get(newer_id, ()), older_id)


def over_capacity(facts: Sequence[Knowledge], current: Iterable[Knowledge], capacity: int) -> list[str]:
    """Returns the ids of the facts to archive, because the user or the assistant has more current facts than allowed.

    These are the facts that were stated first, with their repetitions. Facts with a slot, and corrections by a user,
    are never archived.

    Args:
        facts: All facts of the scope.
        current: The current facts, in the order in which they were stated.
        capacity: Maximum number of current facts of each side.
    """
    current = list(current)
    surplus: list[str] = []
    for about in ABOUT:
        side = [each for each in current if each.about == about]
        others = [each.knowledge_id for each in side if each.slot is None and each.origin != CORRECTION]
        surplus += others[: max(0, len(side) - capacity)]
    return [each.knowledge_id for each in repetitions_of(facts, surplus)] if surplus else []


def _is_refused(fact: Fact, refused: Container[str]) -> bool:
    return fact.text in refused or (fact.slot is not None and f"{fact.slot}: {fact.value}" in refused)


def _index(reference: str) -> int | None:
    """Returns the index of a fact of the same reading, e.g. 0 for "#0"; None if the reference is the id of a fact."""
    match = _REFERENCE.match(reference)
    return int(match.group(1)) if match else None
