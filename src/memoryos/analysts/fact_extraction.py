"""Extracts the facts that a batch of pages states: slots, other statements, preferences, advice and promises."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from memoryos.analysts.assistant_facts import deed
from memoryos.analysts.attributes import SPEECHES, note_of, slot_of, statements
from memoryos.analysts.chinese import rephrase_chinese
from memoryos.analysts.grouping import is_small_talk
from memoryos.analysts.notes import Note
from memoryos.analysts.own_words import own_sentences
from memoryos.analysts.rephrasing import clauses, rephrase
from memoryos.analysts.retractions import retractions
from memoryos.language.dates import mentions
from memoryos.language.languages import language_of
from memoryos.language.matching import Bounded
from memoryos.language.text import terms
from memoryos.language.word_sequence import word_sequence
from memoryos.model import SIDES
from memoryos.seams import Fact
from memoryos.slots import MULTI_VALUED, slot_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.analysts.attributes import Statement
    from memoryos.analysts.retractions import Retraction
    from memoryos.language.languages import Language
    from memoryos.model import Knowledge, Page, Side
    from memoryos.seams import Batch

__all__ = ["extract_facts"]

_CHANGING = frozenset({"home", "job", "employer", "partner", "relationship_status"})
"""Slots whose value is valid from the day that the sentence names; of the others, the day is not the beginning."""
_AND = Bounded(r"[,，、]\s*(?:(?:and|en|e|và)\s)?|\s(?:and|en|e|và)\s|[和と]", re.IGNORECASE)
"""Matches what separates the values of a multi-valued slot."""
_PREFERENCE = Bounded(
    r"^(?P<no>doesn't |does not |no longer |used to |never |dislikes?|hates?|不喜欢|讨厌|不爱|不吃|不喝|haat|houdt niet (?:meer )?van|não (?:gosta|curte) de|não |detesta|odeia|không |ghét)?\s*"
    r"(?:loves?|likes?|enjoys?|prefers?|eats?|drinks?|最?喜欢|热爱|爱|吃|喝|houdt van|gosta (?:muito )?de|adora|ama|curte|(?:rất )?thích|mê)?\s*(?P<object>.+?)(?:\s(?:any\s?more|any longer))?$",
    re.IGNORECASE,
)
_IS_PREFERENCE = Bounded(
    r"^(?:doesn't (?:like|love|enjoy|eat|drink)|no longer (?:likes|loves|enjoys|eats|drinks)|used to (?:like|love|enjoy|eat|drink)|never (?:eats|drinks)|dislikes?|hates?|loves?|likes?|enjoys?|prefers?|eats?|drinks?|最?喜欢|热爱|爱|不喜欢|讨厌|不爱|不吃|不喝|"
    r"haat|houdt (?:niet (?:meer )?)?van|(?:não )?(?:gosta|curte)|detesta|odeia|adora|(?:không |rất )?thích|ghét)",
    re.IGNORECASE,
)
_JAPANESE_PREFERENCE = Bounded(
    r"^(?P<object>.+?)(?:が|は)(?:大)?(?:(?P<yes>好き(?:です|だ|$))|(?P<no>嫌い|苦手|好きでは?な|好きじゃな|好きではありま|好きじゃありま))"
)


def extract_facts(batch: Batch) -> tuple[Fact, ...]:
    """Returns the facts that the pages of a batch state, in the order of the pages. Equal batches give equal facts."""
    collector = _FactCollector(batch)
    for page in batch.pages:
        for side in SIDES:
            whole = language_of(page.text(side), "en") or "en"
            for sentence in own_sentences(page, side):
                for note in _notes(sentence, page, side, language_of(sentence, whole) or whole):
                    collector.add(note, side, page)
    return tuple(collector.facts)


def _notes(sentence: str, page: Page, side: Side, language: Language) -> Iterator[Note]:
    is_person = side == "user" or page.assistant_name is not None
    if is_person:
        yield from _notes_of_person(sentence, page, language)
    if side == "assistant":
        done = deed(sentence, page.local_at, language, is_person=is_person)
        if done is not None:
            yield done


def _notes_of_person(sentence: str, page: Page, language: Language) -> Iterator[Note]:
    stated = list(statements(sentence, page.local_at, language))
    for each in stated:
        yield from _slot_notes(each, sentence, page)
    retracted = list(retractions(sentence, language))
    yield from (_retraction_note(each, sentence, page) for each in retracted)
    if language == "zh" and stated:
        return
    for clause in _clauses(sentence, language):
        is_slot = any(True for _ in statements(clause, page.local_at, language))
        if is_slot or (retracted and any(not each.is_event for each in retractions(clause, language))):
            continue
        note = _rephrased(clause, page, language)
        if note is not None:
            yield note if _preference(note.text) is None else replace(note, kind="preference")


def _slot_notes(statement: Statement, sentence: str, page: Page) -> Iterator[Note]:
    """Yields one note for each value of the slot."""
    slot = slot_named(statement.name)
    since = _first_day(sentence, page) if slot in _CHANGING else None
    for value in _values(statement.value) if slot in MULTI_VALUED else (statement.value,):
        single = replace(statement, value=value)
        text = note_of(single) or f"{(slot or statement.name).replace('_', ' ')}: {value}"
        yield Note(text, since, slot, value if slot else None)


def _values(text: str) -> list[str]:
    values = [each.strip() for each in _AND.split(text)]
    return values if all(values) else [text]


def _retraction_note(retraction: Retraction, sentence: str, page: Page) -> Note:
    """Returns a note that ends when the page was said, or at the end of an earlier day that the sentence names."""
    until = page.at
    named = next(iter(mentions(sentence, page.local_at)), None)
    if named is not None:
        end = datetime.combine(named.last + timedelta(days=1), time(), timezone.utc)
        until = min(until, end)
    return Note(retraction.text, None, retraction.slot, retraction.value, until=until)


def _first_day(sentence: str, page: Page) -> datetime | None:
    first = next(iter(mentions(sentence, page.local_at)), None)
    return None if first is None else datetime.combine(first.first, time(), timezone.utc)


def _clauses(sentence: str, language: Language) -> list[str]:
    if language in SPEECHES:
        return SPEECHES[language].joint.split(sentence)
    return [sentence] if language == "zh" else clauses(sentence)


def _rephrased(clause: str, page: Page, language: Language) -> Note | None:
    if language in SPEECHES:
        return SPEECHES[language].rephrase(clause, page.local_at)
    if language == "zh":
        return rephrase_chinese(clause, page.local_at)
    return None if is_small_talk(clause) else rephrase(clause, page.local_at)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A known fact, or an earlier fact of the same reading.

    Attributes:
        reference: Id of the known fact, or "#3" for the fourth fact of the reading.
        subject: Whom the fact describes.
        slot: The slot that the fact fills. For a fact that was stored without slot: the slot that its text states.
        words: The words of the text in order.
        preference: Whether the subject likes the object, and the terms of the object; None if it is no preference.
        stated_at: Time of the newest source page.
        has_slot: Whether the fact itself has a slot, so that the current value of the slot is computed.
    """

    reference: str
    subject: str
    slot: str | None
    words: tuple[str, ...]
    preference: tuple[bool, frozenset[str]] | None
    stated_at: datetime
    has_slot: bool


class _FactCollector:
    """Collects the facts of a reading. A repeated statement becomes one fact, and contradictions become ``replaces``."""

    def __init__(self, batch: Batch) -> None:
        self.facts: list[Fact] = []
        self._batch = batch
        self._known = [_known_entry(each) for each in (*batch.slots, *batch.related)]

    def add(self, note: Note, side: Side, page: Page) -> None:
        """Adds a note as a fact, or adds the page to the fact that says the same."""
        subject = self._batch.subject(page, side)
        if note.until is not None and note.value is not None:
            note = replace(note, value=self._known_value(subject, note))
        new = _entry(f"#{len(self.facts)}", subject, note, page.at)
        for known in self._known:
            is_same = (known.subject, known.slot, known.words) == (subject, new.slot, new.words)
            if is_same and known.reference.startswith("#"):
                self._add_source(int(known.reference[1:]), page)
                return
        contradicted = [each for each in self._known if each.stated_at <= page.at and _contradicts(new, each)]
        self._known = [*(each for each in self._known if each not in contradicted), new]
        self.facts.append(
            Fact(
                side,
                note.text,
                (page.page_id,),
                note.since,
                tuple(each.reference for each in contradicted),
                subject,
                note.slot,
                note.value,
                note.kind,
                note.status,
                note.until,
            )
        )

    def _known_value(self, subject: str, retraction: Note) -> str | None:
        """Returns the only known value that a retraction means: "dog named Rex" for "dog"; else its own value."""
        words = {*terms(retraction.value or "")}
        facts: tuple[Knowledge | Fact, ...] = (*self._batch.slots, *self.facts)
        known = {
            each.value
            for each in facts
            if (each.subject, each.slot) == (subject, retraction.slot) and each.value and words <= {*terms(each.value)}
        }
        return known.pop() if len(known) == 1 else retraction.value

    def _add_source(self, place: int, page: Page) -> None:
        fact = self.facts[place]
        if page.page_id not in fact.source_page_ids:
            self.facts[place] = replace(fact, source_page_ids=(*fact.source_page_ids, page.page_id))


def _entry(reference: str, subject: str, note: Note, stated_at: datetime) -> _Entry:
    slot = note.slot or slot_of(note.text)
    words = word_sequence(note.text)
    return _Entry(reference, subject, slot, words, _preference(note.text), stated_at, note.slot is not None)


def _known_entry(fact: Knowledge) -> _Entry:
    return _entry(fact.knowledge_id, fact.subject, Note(fact.text, None, fact.slot), fact.stated_at)


def _preference(text: str) -> tuple[bool, frozenset[str]] | None:
    if match := _JAPANESE_PREFERENCE.match(text):
        return match["no"] is None, frozenset(terms(match["object"]))
    if not _IS_PREFERENCE.match(text):
        return None
    match = _PREFERENCE.match(text)
    if match is None:
        return None
    return match["no"] is None, frozenset(terms(match["object"]))


def _contradicts(new: _Entry, known: _Entry) -> bool:
    if new.subject != known.subject:
        return False
    if new.has_slot:
        return new.slot == known.slot and not known.has_slot
    if new.preference and known.preference:
        return new.preference[0] != known.preference[0] and new.preference[1] == known.preference[1]
    return False
