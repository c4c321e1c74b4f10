"""Determines which of the stored facts are current. This is a pure function of the facts and the time.

A stored fact is a statement and never changes. So the result does not depend on the order in which facts were stored:
importing, forgetting, rebuilding and reading pages in another order need no special case.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from memoryos.identifiers import derived_id
from memoryos.language.word_sequence import word_sequence
from memoryos.model import Attribute
from memoryos.slots import SINGLE_VALUED, SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from memoryos.model import Knowledge

__all__ = [
    "FactView",
    "RepetitionKey",
    "fact_id",
    "is_lasting",
    "next_change",
    "repetitions_of",
    "statement_order",
    "view_facts",
]

NEWS = timedelta(days=31)
"""Maximum time between the day from which a value is valid and its statement, for which the statement is news."""
MAX_RETRACTIONS = 50
"""Maximum number of retractions without a value that are applied to each value of a multi-valued slot; the newest."""
MAX_CONFLICTS = 8
"""Maximum number of ids in ``Knowledge.conflicts_with``."""
RepetitionKey = tuple[str, "str | None", "datetime | None", "datetime | None", tuple[str, ...]]
"""Subject, slot, beginning, end and word sequence of a fact. Facts with equal keys are repetitions of one statement."""


@dataclass(frozen=True, slots=True)
class FactView:
    """The facts of a scope at one time.

    Attributes:
        current: The current facts, in the order in which they were stated. A statement that was repeated is contained
            once, with the sources of all its repetitions.
        history: All facts in the same order, including those that are not current.
        now: The time.
    """

    current: tuple[Knowledge, ...]
    history: tuple[Knowledge, ...]
    now: datetime = field(compare=False)

    def attributes(self, subject: str = "user") -> tuple[Attribute, ...]:
        """Returns the current slots of a person as attributes, in the order of ``SLOTS``, then as stated."""
        found: dict[tuple[int, str], Attribute] = {}
        for each in self.current:
            is_future = each.valid_from is not None and each.valid_from > self.now
            if (
                each.slot in SLOTS
                and each.value is not None
                and each.subject.casefold() == subject.casefold()
                and not is_future
            ):
                key = (SLOTS.index(each.slot), each.value.casefold())
                found[key] = Attribute(each.slot, each.value, each.source_page_ids)
        return tuple(found[key] for key in sorted(found, key=lambda key: key[0]))


def fact_id(scope_id: str, page_id: str, subject: str, slot: str | None, text: str) -> str:
    """Returns the id of a fact, so that reading a page again gives the same id.

    Args:
        scope_id: Id of the scope.
        page_id: Id of the newest source page.
        subject: Whom the fact describes.
        slot: The slot that the fact fills.
        text: The fact. Punctuation and case do not count.
    """
    return derived_id(scope_id, page_id, subject, slot or "", *word_sequence(text))


def view_facts(facts: Iterable[Knowledge], now: datetime, *, keys: dict[str, RepetitionKey] | None = None) -> FactView:
    """Determines the current facts.

    * A fact is replaced if another fact contains its id in ``replaces``, or contains the id of a repetition of the
      fact and was stated not earlier. It ends at ``valid_until``. It is not current if it is archived.
    * The single-valued slot of a subject has the value that was valid last: since ``valid_from``, or since it was
      stated if the text names no day or one shortly before. A fact that has ended removes its value,
      or any value if it has none. Values that became valid and were stated at the same time conflict: all are current.
    * In a multi-valued slot, this applies to each value separately.
    * A fact about the future is current, and does not fill its slot before its day.

    Args:
        facts: All facts of a scope, in any order.
        now: The current time.
        keys: Repetition keys of an earlier call, by id of the fact; missing keys are added. The caller removes the keys
            of facts that changed.
    """
    return _View(sorted(facts, key=_stable_order), now, {} if keys is None else keys).result()


def repetitions_of(facts: Iterable[Knowledge], knowledge_ids: Iterable[str]) -> list[Knowledge]:
    """Returns the facts with these ids, and those that say the same.

    These are their repetitions, and the facts that give the same value to the same slot of the same subject.
    """
    facts, wanted = list(facts), set(knowledge_ids)
    named = [each for each in facts if each.knowledge_id in wanted]
    keys = {_repetition_key(each) for each in named}
    values = {_slot_value(each) for each in named if each.slot is not None and each.value is not None}
    return [each for each in facts if _repetition_key(each) in keys or _slot_value(each) in values]


def is_lasting(fact: Knowledge, hot_page_ids: AbstractSet[str]) -> bool:
    """Returns whether a fact belongs to long-term memory in the sense of §3.3 of Kang et al. 2025.

    These are the facts from segments that were hot, and those that do not come from an analyst.

    Args:
        fact: The fact.
        hot_page_ids: Ids of the pages whose segment was hot.
    """
    return fact.reading_id is None or not hot_page_ids.isdisjoint(fact.source_page_ids)


def next_change(facts: Iterable[Knowledge], now: datetime) -> datetime | None:
    """Returns the earliest time after ``now`` at which the current facts change without new facts; None if never."""
    times = (moment for each in facts for moment in (each.valid_from, each.valid_until))
    return min((moment for moment in times if moment is not None and moment > now), default=None)


@dataclass(slots=True)
class _View:
    """The state of one evaluation. ``facts`` are in the order in which they were stated."""

    facts: Sequence[Knowledge]
    now: datetime
    keys: dict[str, RepetitionKey]
    superseded_by: dict[str, str] = field(default_factory=dict)
    conflicts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def result(self) -> FactView:
        for each in self.facts:
            if each.knowledge_id not in self.keys:
                self.keys[each.knowledge_id] = _repetition_key(each)
        self._find_replaced()
        self._merge_repetitions()
        for slot_facts in self._facts_by_slot():
            self._fill(slot_facts)
        history = tuple(map(self._with_computed_fields, self.facts))
        current = tuple(
            replace(each, source_page_ids=self.sources[each.knowledge_id])
            if each.knowledge_id in self.sources
            else each
            for each in history
            if self._is_valid(each)
        )
        return FactView(current, history, self.now)

    def _with_computed_fields(self, fact: Knowledge) -> Knowledge:
        newer = self.superseded_by.get(fact.knowledge_id)
        conflicts = self.conflicts.get(fact.knowledge_id, ())
        if fact.superseded_by == newer and fact.conflicts_with == conflicts:
            return fact
        return replace(fact, superseded_by=newer, conflicts_with=conflicts)

    def _is_valid(self, fact: Knowledge) -> bool:
        return fact.archived_at is None and fact.knowledge_id not in self.superseded_by and not self._has_ended(fact)

    def _has_ended(self, fact: Knowledge) -> bool:
        return fact.valid_until is not None and fact.valid_until <= self.now

    def _is_future(self, fact: Knowledge) -> bool:
        return fact.valid_from is not None and fact.valid_from > self.now

    def _find_replaced(self) -> None:
        """Notes for each replaced fact the fact that was stated last of those that replace it."""
        replaced_by: dict[RepetitionKey, Knowledge] = {}
        for newer in self.facts:
            for older_id in newer.replaces:
                if older_id in self.keys:
                    if newer.archived_at is None:
                        replaced_by[self.keys[older_id]] = newer
                    if older_id != newer.knowledge_id:
                        self.superseded_by[older_id] = newer.knowledge_id
        for older in self.facts:
            last = replaced_by.get(self.keys[older.knowledge_id])
            if last is not None and last is not older and statement_order(older) <= statement_order(last):
                self.superseded_by[older.knowledge_id] = last.knowledge_id

    def _merge_repetitions(self) -> None:
        """Keeps the repetition that was stated last, with the sources of the others."""
        valid: dict[RepetitionKey, list[Knowledge]] = {}
        for each in self.facts:
            if self._is_valid(each):
                valid.setdefault(self.keys[each.knowledge_id], []).append(each)
        for repetitions in valid.values():
            if len(repetitions) > 1:
                newest = repetitions[-1].knowledge_id
                pages = dict.fromkeys(page_id for each in repetitions for page_id in each.source_page_ids)
                self.sources[newest] = tuple(pages)
                for each in repetitions[:-1]:
                    if each.slot is None or self._is_future(each):
                        self.superseded_by[each.knowledge_id] = newest

    def _facts_by_slot(self) -> list[list[Knowledge]]:
        """Returns the facts that are applied to each single-valued slot, and to each value of a multi-valued slot."""
        groups: dict[tuple[str, str, str], list[Knowledge]] = {}
        general: dict[tuple[str, str], list[Knowledge]] = {}
        for each in self.facts:
            if each.slot is None or each.archived_at is not None or each.knowledge_id in self.superseded_by:
                continue
            subject = each.subject.casefold()
            if each.slot in SINGLE_VALUED:
                groups.setdefault((subject, each.slot, ""), []).append(each)
            elif each.value is not None:
                groups.setdefault((subject, each.slot, each.value.casefold()), []).append(each)
            else:
                general.setdefault((subject, each.slot), []).append(each)
        return [
            found + general.get((subject, slot), [])[-MAX_RETRACTIONS:] for (subject, slot, _), found in groups.items()
        ]

    def _fill(self, facts: list[Knowledge]) -> None:
        """Applies the facts of a slot in the order in which they became valid, and notes which ones are superseded."""
        holders: dict[str | None, Knowledge] = {}
        moment: tuple[datetime, datetime, str, datetime] | None = None
        cause: str | None = None
        retractions = [each for each in facts if self._has_ended(each)]
        for each in facts:
            cancelled_by = None if self._has_ended(each) else _cancelled_by(each, retractions)
            if cancelled_by is not None:
                self.superseded_by[each.knowledge_id] = cancelled_by.knowledge_id
        claims = [each for each in facts if self._is_claim(each) and each.knowledge_id not in self.superseded_by]
        for fact in sorted((*claims, *retractions), key=self._validity_order):
            if self._has_ended(fact):
                kept = {value: holder for value, holder in holders.items() if not _ends(fact, holder)}
                cause = fact.knowledge_id if fact.value is None or len(kept) < len(holders) else cause
                holders = kept
            else:
                holders = holders if self._moment(fact) == moment else {}
                moment = self._moment(fact)
                holders.pop(_value(fact), None)
                holders[_value(fact)] = fact
        current_ids = [each.knowledge_id for each in holders.values()]
        self._note_superseded(claims, current_ids, cause)
        self._note_conflicts(current_ids)

    def _is_claim(self, fact: Knowledge) -> bool:
        return fact.value is not None and not (self._has_ended(fact) or self._is_future(fact))

    def _note_superseded(self, claims: Iterable[Knowledge], current_ids: Sequence[str], cause: str | None) -> None:
        newer = current_ids[-1] if current_ids else cause
        if newer is not None:
            for knowledge_id in {each.knowledge_id for each in claims}.difference(current_ids):
                self.superseded_by[knowledge_id] = newer

    def _note_conflicts(self, current_ids: Sequence[str]) -> None:
        shown = current_ids[: MAX_CONFLICTS + 1]
        for each in current_ids if len(current_ids) > 1 else ():
            self.conflicts[each] = tuple(other for other in shown if other != each)[:MAX_CONFLICTS]

    def _moment(self, fact: Knowledge) -> tuple[datetime, datetime, str, datetime]:
        """Returns since when the fact is effective, when and in which page it was stated, and the day that it names.

        A value that became valid shortly before it was stated ("I moved last week") is news, and replaces what was
        stated before it. A day longer ago may be history ("I moved there in 2015"). A retraction takes effect when it
        is stated, whatever day it names.
        """
        effective = fact.stated_at if fact.valid_from is None or self._has_ended(fact) else fact.valid_from
        if timedelta() <= fact.stated_at - effective <= NEWS:
            effective = fact.stated_at
        return effective, *statement_order(fact), fact.valid_from or fact.stated_at

    def _validity_order(self, fact: Knowledge) -> tuple[datetime, datetime, str, datetime, bool, str]:
        return (*self._moment(fact), not self._has_ended(fact), fact.knowledge_id)


def statement_order(fact: Knowledge) -> tuple[datetime, str]:
    """Returns the sort key of facts in the order in which they were stated.

    Of two pages with the same time, the one that was stored later counts as later: page ids are in this order.
    """
    return fact.stated_at, max(fact.source_page_ids, default="")


def _stable_order(fact: Knowledge) -> tuple[datetime, str, str]:
    return (*statement_order(fact), fact.knowledge_id)


def _repetition_key(fact: Knowledge) -> RepetitionKey:
    day = fact.valid_from if fact.slot is None else None
    return fact.subject.casefold(), fact.slot, day, fact.valid_until, word_sequence(fact.text)


def _value(fact: Knowledge) -> str | None:
    return None if fact.value is None else fact.value.casefold()


def _slot_value(fact: Knowledge) -> tuple[str, str | None, str | None]:
    return fact.subject.casefold(), fact.slot, _value(fact)


def _cancelled_by(claim: Knowledge, retractions: Sequence[Knowledge]) -> Knowledge | None:
    """Returns the retraction that names a value announced for a later day; None if there is none."""
    if claim.valid_from is None or claim.valid_from <= claim.stated_at:
        return None
    same = (each for each in retractions if _value(each) == _value(claim))
    return next((each for each in same if statement_order(each) > statement_order(claim)), None)


def _ends(retraction: Knowledge, holder: Knowledge) -> bool:
    """Returns whether a retraction removes a value: the same or any, unless the value is valid from a later day."""
    is_later = holder.valid_from is not None and holder.valid_from > (retraction.valid_until or holder.valid_from)
    return not is_later and (retraction.value is None or _value(retraction) == _value(holder))
