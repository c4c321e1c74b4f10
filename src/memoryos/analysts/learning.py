"""Learning: statements of the pages become attributes, traits and knowledge, each with its sources, nothing twice."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import TYPE_CHECKING

from memoryos.analysts.assistant_facts import deed
from memoryos.analysts.attributes import SPEECHES, note_of, slot_of, statements
from memoryos.analysts.chinese import rephrase_chinese
from memoryos.analysts.digesting import LONGEST_READ, is_small_talk
from memoryos.analysts.notes import Note
from memoryos.analysts.rephrasing import clauses, rephrase
from memoryos.analysts.traits import TraitReader
from memoryos.language.dates import mentions
from memoryos.language.instructions import reads_as_instruction
from memoryos.language.languages import language_of
from memoryos.language.matching import LONGEST_CLAUSE, Bounded
from memoryos.language.text import sentences, terms
from memoryos.language.word_sequence import word_sequence
from memoryos.model import SIDES, About, Attribute
from memoryos.seams import Fact, Lesson, Material
from memoryos.slots import slot_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.language.languages import Language
    from memoryos.model import Page, Side

__all__ = ["learn_from"]

SENTENCES_A_SIDE = 120
FACTS_A_SIDE = 8
LONGEST_STATEMENT = LONGEST_CLAUSE
"""Characters; a longer sentence was pasted, not said, and is not read."""

_CHANGING = frozenset({"home", "job", "employer", "partner", "relationship_status"})
"""Slots whose value is valid from the day that the sentence names; of the others, the day is not the beginning."""
_RECALLED = re.compile(
    r"^# (?:profile of the user|known about the|recalled from|the conversation so far)|</?memory>|i remember this, (?:quoting|noted)|"
    r"quoting our conversation|从.{0,14}对话中记下|我记得，(?:引用|这是)|会話から引用します|会話から覚えていること|dit herinner ik me|lembro-me disto|tôi nhớ điều này",
    re.IGNORECASE | re.MULTILINE,
)
_RETOLD = Bounded(
    r"\b(?:you (?:said|told|mentioned|asked|wrote|shared)|as you (?:said|mentioned|told)|you've (?:said|told|mentioned)|you(?:'re| are) (?:an?|the)\b|"
    r"i remember (?:that )?you|according to (?:my|our) (?:memory|records|notes))|你(?:说过|提到过?|告诉过?我)|我记得你|\b(?:je|u) (?:zei|vertelde|noemde|schreef)\b|\b(?:zei|vertelde) je\b|"
    r"\bvoc[êe] (?:disse|falou|contou|mencionou|comentou)\b|\b(?:bạn|anh|chị|em) (?:đã )?(?:nói|kể|bảo|nhắc)\b|(?:あなた|君)(?:は|が).{0,20}(?:言|話)(?:い|っ|し)|と(?:おっしゃ|仰)",
    re.IGNORECASE,
)
_INSTRUCTION = Bounded(
    r"\b(?:ignore|disregard|forget) (?:all |any |the |your ){0,4}(?:previous|prior|above|earlier|instructions?|rules?)|system prompt|"
    r"you are now\b|developer mode|jailbreak|do anything now|忽略(?:之前|以上|所有)|系统提示",
    re.IGNORECASE,
)
_PREFERENCE = Bounded(
    r"^(?P<no>doesn't |does not |no longer |never |dislikes?|hates?|不喜欢|讨厌|不爱|不吃|不喝|haat|houdt niet (?:meer )?van|não (?:gosta|curte) de|não |detesta|odeia|không |ghét)?\s*"
    r"(?:loves?|likes?|enjoys?|prefers?|eats?|drinks?|最?喜欢|热爱|爱|吃|喝|houdt van|gosta (?:muito )?de|adora|ama|curte|(?:rất )?thích|mê)?\s*(?P<object>.+)$",
    re.IGNORECASE,
)
_IS_PREFERENCE = Bounded(
    r"^(?:doesn't (?:like|love|enjoy|eat|drink)|no longer|never (?:eats|drinks)|dislikes?|hates?|loves?|likes?|enjoys?|prefers?|eats?|drinks?|最?喜欢|热爱|爱|不喜欢|讨厌|不爱|不吃|不喝|"
    r"haat|houdt (?:niet (?:meer )?)?van|(?:não )?(?:gosta|curte)|detesta|odeia|adora|(?:không |rất )?thích|ghét)",
    re.IGNORECASE,
)
_JAPANESE_PREFERENCE = Bounded(
    r"^(?P<object>.+?)(?:が|は)(?:大)?(?:(?P<yes>好き(?:です|だ|$))|(?P<no>嫌い|苦手|好きでは?な|好きじゃな|好きではありま|好きじゃありま))"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A current entry as the ledger compares it; ``reference`` is its id, or "#3" for the fourth fact of the lesson.

    Entries without a slot of their own are compared by the slot that their text states (``is_compared``).
    """

    reference: str
    about: About
    text: str
    last_page_id: str
    words: tuple[str, ...]
    slot: str | None
    is_compared: bool
    preference: tuple[bool, frozenset[str]] | None


def learn_from(material: Material) -> Lesson:
    """Reads the pages once, in the order of the log; deterministic."""
    ledger = _FactMerger(material)
    traits = TraitReader(material.profile.traits)
    attributes: dict[str, Attribute] = {}
    for page in material.pages:
        for side in SIDES:
            found = 0
            whole = language_of(page.text(side), "en") or "en"
            for sentence in _statements_of(page, side):
                language = language_of(sentence, whole) or whole
                if side == "user":
                    traits.read(sentence, page)
                    _note_attributes(sentence, page, language, attributes)
                for note in _notes(sentence, page, side, language):
                    found += ledger.add(note, side, page) and found < FACTS_A_SIDE
    return Lesson(attributes=tuple(attributes.values()), traits=traits.changed(), facts=tuple(ledger.facts))


def _statements_of(page: Page, side: Side) -> Iterator[str]:
    text = page.text(side)[:LONGEST_READ]
    if not text.strip() or _RECALLED.search(text):
        return
    for sentence in sentences(text)[:SENTENCES_A_SIDE]:
        if len(sentence) > LONGEST_STATEMENT:
            continue
        if sentence.rstrip("\"'”’) ").endswith(("?", "？")) or sentence.startswith(("- ", "#", ">", "[")):
            continue
        if not (_RETOLD.search(sentence) or _INSTRUCTION.search(sentence) or reads_as_instruction(sentence)):
            yield sentence


def _note_attributes(sentence: str, page: Page, language: Language, attributes: dict[str, Attribute]) -> None:
    for statement in statements(sentence, page.local_at, language):
        attributes[statement.name] = Attribute(statement.name, statement.value, (page.page_id,))


def _notes(sentence: str, page: Page, side: Side, language: Language) -> Iterator[Note]:
    is_person = side == "user" or page.assistant_name is not None
    if is_person:
        yield from _notes_of_person(sentence, page, language)
    if side == "assistant":
        done = deed(sentence, page.local_at, language, is_person=is_person)
        if done is not None:
            yield done


def _notes_of_person(sentence: str, page: Page, language: Language) -> Iterator[Note]:
    stated = [(each, note_of(each)) for each in statements(sentence, page.local_at, language)]
    for each, text in stated:
        if text:
            slot = slot_named(each.name)
            since = _first_day(sentence, page) if slot in _CHANGING else None
            yield Note(text, since, slot, each.value if slot else None)
    if language == "zh" and stated:
        return
    for clause in _clauses(sentence, language):
        if any(True for _ in statements(clause, page.local_at, language)):
            continue
        note = _rephrased(clause, page, language)
        if note is not None:
            yield note


def _first_day(sentence: str, page: Page) -> datetime | None:
    first = next(iter(mentions(sentence, page.at)), None)
    return None if first is None else datetime.combine(first.first, time(), page.at.tzinfo)


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


class _FactMerger:
    """What is known already and what this lesson adds: nothing twice, and what contradicts supersedes."""

    def __init__(self, material: Material) -> None:
        self.facts: list[Fact] = []
        self._current = [
            _entry(each.knowledge_id, each.about, each.text, max(each.source_page_ids, default=""), each.slot)
            for each in material.knowledge
        ]

    def add(self, note: Note, about: About, page: Page) -> bool:
        """Adds a note as a fact unless this lesson contains it already; returns whether it was added."""
        new = _entry(f"#{len(self.facts)}", about, note.text, page.page_id, note.slot)
        for known in self._current:
            if known.about == about and known.words == new.words and known.reference.startswith("#"):
                self._cite(known, page)
                return False
        contradicted = [known for known in self._current if known.about == about and _contradicts(new, known)]
        newer = max(contradicted, key=lambda known: known.last_page_id, default=None)
        if newer is not None and newer.last_page_id > page.page_id:
            self.facts.append(_fact(about, note, page, superseded_by=newer.reference))
            return True
        self._current = [known for known in self._current if known not in contradicted]
        self._current.append(new)
        supersedes = tuple(known.reference for known in contradicted)
        self.facts.append(_fact(about, note, page, supersedes=supersedes))
        return True

    def _cite(self, known: _Entry, page: Page) -> None:
        place = int(known.reference[1:])
        fact = self.facts[place]
        if page.page_id not in fact.source_page_ids:
            self.facts[place] = replace(fact, source_page_ids=(*fact.source_page_ids, page.page_id))


def _fact(
    about: About, note: Note, page: Page, *, supersedes: tuple[str, ...] = (), superseded_by: str | None = None
) -> Fact:
    sources = (page.page_id,)
    return Fact(about, note.text, sources, note.since, supersedes, superseded_by, slot=note.slot, value=note.value)


def _entry(reference: str, about: About, text: str, last_page_id: str, slot: str | None) -> _Entry:
    words = word_sequence(text)
    return _Entry(reference, about, text, last_page_id, words, slot_of(text), slot is None, _preference(text))


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
    if new.slot is not None:
        return new.slot == known.slot and known.is_compared
    if new.preference and known.preference:
        return new.preference[0] != known.preference[0] and new.preference[1] == known.preference[1]
    return False
