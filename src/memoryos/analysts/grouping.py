"""Groups the pages of a batch into chains and topics, and summarises each of them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from memoryos.language.text import content_words, keywords, sentences
from memoryos.seams import Reading, Topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.model import Page
    from memoryos.seams import Batch

__all__ = ["group_pages", "is_small_talk", "summarize"]

LONGEST_READ = 20_000
"""Characters of each side of a page, its first ones, that the local analyst reads."""
LONGEST_PAUSE_SECONDS = 4 * 3600.0
"""After a longer pause a page starts another chain, whatever it says."""
LINK_SCORE = 0.25
"""Meaning (cosine) plus shared words (Jaccard) from which a page continues the one before it."""
SPLIT_GAIN = 0.12
"""How much closer the pages of two parts must be to their own mean than to the common one to be two topics."""
SUMMARY_SENTENCES = 2
SUMMARY_CHARACTERS = 300
KEYWORDS = 12

_SMALL_TALK = re.compile(
    r"^\W*(?:(?:hi|hey|hello|thanks?|thank you|thx|good (?:morning|evening|night|afternoon|to (?:see|hear))|nice to|great to|bye|"
    r"see you|take care|you'?re welcome|no problem|welcome|sure|ok(?:ay)?|yes|yeah|wow|haha|lol|glad|talk (?:to you )?(?:soon|later)|"
    r"congrat\w*|awesome|cool|how are you|what'?s up|sounds good|of course|certainly|have a)\b|你好|您好|嗨|谢谢|不客气|再见|晚安|早上好|好的|"
    r"不用谢|没问题|当然|(?:hoi|hallo|dank je|dankjewel|bedankt|graag gedaan|goede(?:morgen|middag|navond)|tot ziens|doei|oké|prima|leuk|oi|olá|obrigad[oa]|bom dia|boa (?:tarde|noite)|"
    r"tudo bem|tchau|de nada|claro|legal|beleza|xin chào|chào|cảm ơn|cám ơn|tạm biệt|vâng|dạ|không có gì|ok bạn)\b|こんにちは|こんばんは|おはよう|ありがとう|どういたしまして|はい[、。]|うん|さようなら|お休み|おやすみ|了解|なるほど)",
    re.IGNORECASE,
)
_MIN_CONTENT_WORDS = 3


def group_pages(batch: Batch) -> Reading:
    """Returns the chains and topics of a batch as a reading without facts. Equal batches give equal results."""
    words = [_page_words(page) for page in batch.pages]
    continues = tuple(_continues(batch, words, index) for index in range(len(batch.pages)))
    chains = _chain_summaries(batch, continues)
    parts = _parts(batch, words)
    return Reading(continues, chains, tuple(_topic(part) for part in parts))


def summarize(pages: Sequence[Page], before: str = "") -> str:
    """Returns the one or two sentences that share most words with the others, in order; not "" if a page has text.

    Args:
        pages: The pages to summarise.
        before: Summary of the pages before them; its sentences are candidates too.
    """
    candidates = [_Candidate("", sentence) for sentence in sentences(before[:LONGEST_READ])]
    for page in pages:
        for utterance in page.utterances():
            read = sentences(utterance.text[:LONGEST_READ])[:12]
            candidates += [_Candidate(utterance.speaker, sentence) for sentence in read]
    telling = [
        each
        for each in candidates
        if not _is_small_talk(each.sentence, each.words) and not _is_question(each.sentence) and each.sentence[0] != "["
    ]
    summary = ""
    for chosen in _central(telling or candidates):
        is_named = chosen.speaker not in {"", "user", "assistant"}
        said = f"{chosen.speaker}: {chosen.sentence}" if is_named else chosen.sentence
        if summary and len(summary) + len(said) >= SUMMARY_CHARACTERS:
            break
        summary = f"{summary} {said}".strip()
    return summary[:SUMMARY_CHARACTERS]


class _Candidate:
    """A sentence that a summary may contain, with its content words."""

    __slots__ = ("sentence", "speaker", "words")

    def __init__(self, speaker: str, sentence: str) -> None:
        self.speaker = speaker
        self.sentence = sentence
        self.words = content_words(sentence)


def is_small_talk(sentence: str) -> bool:
    """Returns whether a sentence greets, thanks or agrees and says little else."""
    return _is_small_talk(sentence, content_words(sentence))


def _is_small_talk(sentence: str, words: Sequence[str]) -> bool:
    return len(words) < 2 or (bool(_SMALL_TALK.match(sentence)) and len(words) < _MIN_CONTENT_WORDS + 1)  # noqa: PLR2004


def _is_question(sentence: str) -> bool:
    return sentence.rstrip("\"'”’) ").endswith(("?", "？"))


def _central(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Returns the sentences that share most words with the others, in their order."""
    bags = [frozenset(each.words) for each in candidates]
    counts = Counter(word for bag in bags for word in bag)
    scores = [sum(counts[word] - 1 for word in bag) / (len(bag) + 4) + min(len(bag), 8) / 16 for bag in bags]
    best = sorted(range(len(candidates)), key=lambda index: (-scores[index], index))[:SUMMARY_SENTENCES]
    return [candidates[index] for index in sorted(best)]


def _page_words(page: Page) -> frozenset[str]:
    return frozenset(content_words(f"{page.user_text[:4000]}\n{page.assistant_text[:4000]}"))


def _continues(batch: Batch, words: Sequence[frozenset[str]], index: int) -> bool:
    page = batch.pages[index]
    if index == 0:
        if not batch.before or batch.before_vector is None:
            return False
        before, before_vector, before_words = batch.before[-1], batch.before_vector, _page_words(batch.before[-1])
    else:
        before, before_vector, before_words = batch.pages[index - 1], batch.vectors[index - 1], words[index - 1]
    if abs((page.at - before.at).total_seconds()) > LONGEST_PAUSE_SECONDS:
        return False
    shared = len(words[index] & before_words) / max(1, min(len(words[index]), len(before_words)))
    return float(batch.vectors[index] @ before_vector) + shared >= LINK_SCORE


def _chain_summaries(batch: Batch, continues: Sequence[bool]) -> tuple[str, ...]:
    chains: list[list[Page]] = []
    for index, page in enumerate(batch.pages):
        if index == 0 or not continues[index]:
            chains.append([])
        chains[-1].append(page)
    before = batch.before_summary if continues[0] else ""
    return tuple(summarize(chain, before if number == 0 else "") for number, chain in enumerate(chains))


def _parts(batch: Batch, words: Sequence[frozenset[str]]) -> list[list[Page]]:
    """Cuts the batch in two where that brings the pages clearly closer to their own part's mean."""
    pages = list(batch.pages)
    best, cut = SPLIT_GAIN, 0
    whole = _coherence(batch.vectors, words)
    for place in range(1, len(pages)):
        first = _coherence(batch.vectors[:place], words[:place])
        second = _coherence(batch.vectors[place:], words[place:])
        gain = (first * place + second * (len(pages) - place)) / len(pages) - whole
        is_pause = abs((pages[place].at - pages[place - 1].at).total_seconds()) > LONGEST_PAUSE_SECONDS
        gain += SPLIT_GAIN if is_pause else 0.0
        if gain > best and (is_pause or min(place, len(pages) - place) > 1):
            best, cut = gain, place
    return [pages[:cut], pages[cut:]] if cut else [pages]


def _coherence(vectors: NDArray[np.float32], words: Sequence[frozenset[str]]) -> float:
    if vectors.any():
        return float(np.linalg.norm(vectors.mean(axis=0)))
    common = frozenset.union(*words) or frozenset([""])
    return float(np.mean([len(each) / len(common) for each in words]))


def _topic(pages: Sequence[Page]) -> Topic:
    texts = [utterance.text[:4000] for page in pages for utterance in page.utterances()]
    names = {
        part for page in pages for name in (page.user_name, page.assistant_name) if name for part in content_words(name)
    }
    found = [word for word in keywords(texts, KEYWORDS + len(names)) if word not in names][:KEYWORDS]
    return Topic(summarize(pages), frozenset(found), tuple(page.page_id for page in pages))
