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
    r"^(?P<no>doesn't |does not |no longer |used to |is not |never |dislikes?|hates?|不喜欢|讨厌|不爱|不吃|不喝|haat|houdt niet (?:meer )?van|não (?:gosta|curte) de|não |detesta|odeia|không |ghét)?\s*"
    r"(?:loves?|likes?|enjoys?|prefers?|eats?|drinks?|(?:is )?into|(?:is )?a (?:big |huge )?fan of|最?喜欢|热爱|爱|吃|喝|houdt van|gosta (?:muito )?de|adora|ama|curte|(?:rất )?thích|mê)?\s*(?P<object>.+?)(?:\s(?:any\s?more|any longer|now))?$",
    re.IGNORECASE,
)
_IS_PREFERENCE = Bounded(
    r"^(?:doesn't (?:like|love|enjoy|eat|drink)|no longer (?:likes|loves|enjoys|eats|drinks)|used to (?:like|love|enjoy|eat|drink)|is (?:not )?(?:into|a (?:big |huge )?fan of)|never (?:eats|drinks)|dislikes?|hates?|loves?|likes?|enjoys?|prefers?|eats?|drinks?|最?喜欢|热爱|爱|不喜欢|讨厌|不爱|不吃|不喝|"
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
    since = _since(sentence, page) if slot in _CHANGING else None
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


def _since(sentence: str, page: Page) -> datetime | None:
    """Returns the day from which the value of a slot is true, if the sentence names one.

    It is the last day of a longer period, such as "last month": an older value may have been stated within the period.
    None means since the statement, also if the period has not ended then.
    """
    named = next(iter(mentions(sentence, page.local_at)), None)
    if named is None or named.first <= page.day <= named.last:
        return None
    is_start = named.first > page.day or named.text.casefold().startswith("since")
    return datetime.combine(named.first if is_start else named.last, time(), timezone.utc)


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
class _Statement:
    """A statement that a later one may contradict: a preference, or a fact that was stored without its slot.

    Attributes:
        reference: Id of a known fact, or "#3" for the fourth fact of the reading.
        stated_at: Time of the newest source page.
        is_liked: Whether a preference is for its object; None for a fact that states a slot.
    """

    reference: str
    stated_at: datetime
    is_liked: bool | None


class _FactCollector:
    """Collects the facts of a reading. A repeated statement becomes one fact, and contradictions become ``replaces``."""

    def __init__(self, batch: Batch) -> None:
        self.facts: list[Fact] = []
        self._batch = batch
        self._places: dict[tuple[object, ...], int] = {}
        """Places of the facts to which a repetition is added, by what must be equal."""
        self._statements: dict[tuple[str, str | frozenset[str]], list[_Statement]] = {}
        """Statements by subject, and slot or object of the preference."""
        for fact in (*batch.slots, *batch.related):
            if fact.slot is None:
                self._note_statement(fact.subject, fact.text, fact.knowledge_id, fact.stated_at)

    def add(self, note: Note, side: Side, page: Page) -> None:
        """Adds a note as a fact, or adds the page to the fact that says the same."""
        subject = self._batch.subject(page, side)
        if note.until is not None and note.value is not None:
            note = replace(note, value=self._known_value(subject, note))
        key = (subject, note.slot, word_sequence(note.text), note.since, note.until)
        if key in self._places:
            self._add_source(self._places[key], page)
            return
        replaced = self._contradicted(subject, note, page.at)
        if replaced:
            self._places = {key: place for key, place in self._places.items() if f"#{place}" not in replaced}
        self._places[key] = len(self.facts)
        if note.slot is None:
            self._note_statement(subject, note.text, f"#{len(self.facts)}", page.at)
        self.facts.append(
            Fact(
                about=side,
                text=note.text,
                source_page_ids=(page.page_id,),
                valid_from=note.since,
                replaces=replaced,
                subject=subject,
                slot=note.slot,
                value=note.value,
                kind=note.kind,
                status=note.status,
                valid_until=note.until,
            )
        )

    def _note_statement(self, subject: str, text: str, reference: str, stated_at: datetime) -> None:
        preference, slot = _preference(text), slot_of(text)
        if preference is not None:
            is_liked, liked = preference
            self._statements.setdefault((subject, liked), []).append(_Statement(reference, stated_at, is_liked))
        elif slot is not None:
            self._statements.setdefault((subject, slot), []).append(_Statement(reference, stated_at, None))

    def _contradicted(self, subject: str, note: Note, at: datetime) -> tuple[str, ...]:
        """Returns the references of the statements that a note contradicts, and removes these statements."""
        preference = _preference(note.text) if note.slot is None else None
        is_liked, what = preference or (None, note.slot)
        if what is None:
            return ()
        found = self._statements.get((subject, what), [])
        replaced = [each for each in found if each.stated_at <= at and (is_liked is None or each.is_liked != is_liked)]
        self._statements[subject, what] = [each for each in found if each not in replaced]
        return tuple(each.reference for each in replaced)

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


def _preference(text: str) -> tuple[bool, frozenset[str]] | None:
    if match := _JAPANESE_PREFERENCE.match(text):
        return match["no"] is None, frozenset(terms(match["object"]))
    if not _IS_PREFERENCE.match(text):
        return None
    match = _PREFERENCE.match(text)
    if match is None:
        return None
    return match["no"] is None, frozenset(terms(match["object"]))
