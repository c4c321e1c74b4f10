"""Linear time: tests every pattern and every function that reads users' text with adversarial texts."""

from __future__ import annotations

import gc
import inspect
import itertools
import json
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoryos.analysts import (
    answer_words,
    attributes,
    grouping,
    llm_replies,
    own_words,
    quoting,
    rephrasing,
    retractions,
    speech,
    subjects,
    traits,
)
from memoryos.analysts.assistant_facts import deed
from memoryos.analysts.chinese import rephrase_chinese
from memoryos.analysts.citing import CitationReader
from memoryos.analysts.fact_extraction import extract_facts
from memoryos.analysts.notes import dated_note
from memoryos.analysts.prompts import profile, read, shapes, transcript
from memoryos.doors.http import proxy_body, proxy_memory, proxy_reply_parser
from memoryos.errors import InputError, InvalidReplyError, MemoryOSError
from memoryos.importing import chat_exports, message_lists, salvage
from memoryos.inputs import read_draft, read_idempotency_key, read_messages, read_query, read_scope, read_time
from memoryos.language import (
    ascii_words,
    confusables,
    dates,
    fence,
    instructions,
    languages,
    normalizing,
    passages,
    reply_language,
    tenses,
    text,
    tokens,
    word_sequence,
)
from memoryos.language.echoes import EchoFinder
from memoryos.language.matching import Bounded
from memoryos.model import Page, Profile, Utterance
from memoryos.models import openai, thinking
from memoryos.redaction import Redactor, read_detectors
from memoryos.retrieval import excerpts, prompt_lines, question, recall
from memoryos.seams import Batch, Material
from tests.policy.patterns import Attack, Pattern, attacks, compiled_in_functions, evaluated, modules, patterns

NOW = datetime(2026, 5, 8, tzinfo=timezone.utc)
SMALL, LARGE = 32_000, 64_000
MOST_GROWTH = 3.0
LEAST_SECONDS = 0.004
"""Shorter times are not compared, because they depend on clock resolution and caches."""
SUSPICIOUS = 0.003
"""A pattern that takes longer than this for 4 kB is measured with longer texts; a quadratic one takes at least 8 ms."""
BLATANT = 0.05
"""After a longer time no further text is tried."""
MOST_SECONDS = 0.6
"""Limit of the CPU time of one run on text of 4 kB."""
STOP_SECONDS = 5.0
"""A run is stopped when the whole process has used this CPU time, which includes other threads."""
BOUND_SECONDS = 0.025
"""Limit of the CPU time of a bounded pattern for a text of its maximum length."""
TRIES = 3


class TooSlowError(Exception):
    """A run exceeded its CPU time."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TooSlowError in the block after this CPU time, on platforms with such a timer."""

    def end(*_: object) -> None:
        raise TooSlowError

    if not hasattr(signal, "ITIMER_PROF"):
        yield
        return
    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def cpu_seconds(run: Callable[[str], object], said: str, *, tries: int = 1) -> float:
    """Returns the minimum CPU time of the runs; infinity if a run was stopped."""
    taken = []
    gc.disable()  # a collection takes time for the objects of earlier tests, and swallows TooSlowError
    try:
        for _ in range(tries):
            start = time.thread_time()
            with limited(STOP_SECONDS):
                run(said)
            taken.append(time.thread_time() - start)
    except TooSlowError:
        return float("inf")
    finally:
        gc.enable()
    return min(taken)


def growth(run: Callable[[str], object], attack: Attack) -> float:
    """Returns the ratio of the times for a text of double length and the text; 0 if both are too short to measure.

    Too large a ratio is measured again, because a busy machine can only add time.
    """
    ratio = float("inf")
    for tries in (1, TRIES, TRIES):
        small, large = (cpu_seconds(run, attack.text(size), tries=tries) for size in (SMALL, LARGE))
        if large == float("inf"):
            return large
        if large < LEAST_SECONDS:
            return 0.0
        ratio = min(ratio, large / max(small, LEAST_SECONDS / MOST_GROWTH))
        if ratio < MOST_GROWTH:
            break
    return ratio


# patterns


def searching(pattern: Pattern) -> Callable[[str], object]:
    """Returns a function that finds all matches of a pattern in a text."""
    is_of_bytes = isinstance(pattern.pattern, bytes)
    return lambda said: sum(1 for _ in pattern.finditer(said.encode() if is_of_bytes else said))


def slow_attack(pattern: Pattern) -> str | None:
    """Returns a description of a text that makes the pattern slow; None if there is no such text."""
    run = searching(pattern)
    if isinstance(pattern, Bounded):
        return slow_within_bound(pattern)
    suspects: list[tuple[float, Attack]] = []
    for attack in attacks(pattern):
        for size in (300, 4_000):  # exponential time is visible with the first length and would not end with the second
            taken = cpu_seconds(run, attack.text(size))
            if taken == float("inf"):
                return f"{attack} at {size} characters"
            if taken > SUSPICIOUS:
                suspects.append((taken, attack))
                break
        if taken > BLATANT:
            break
    suspects.sort(key=lambda each: -each[0])
    return next((str(each) for _, each in suspects[:3] if growth(run, each) >= MOST_GROWTH), None)


def slow_within_bound(pattern: Bounded) -> str | None:
    """Returns a text within the length limit of a pattern that makes it slow; None if there is no such text."""
    run = searching(pattern)
    for attack in attacks(pattern):
        said = attack.text(pattern.longest)[: pattern.longest]
        if cpu_seconds(run, said) > BOUND_SECONDS and cpu_seconds(run, said, tries=2 * TRIES) > BOUND_SECONDS:
            return f"{attack} at {pattern.longest} characters"
    return None


def test_every_pattern_takes_linear_time() -> None:
    found = patterns()
    assert len(found) > 500
    slow = {place: attack for place, pattern in found.items() if (attack := slow_attack(pattern)) is not None}
    assert not slow


@pytest.mark.parametrize(
    "pattern",
    [
        re.compile(r"[.!?]+[\"')\]]*(?=\s)"),
        re.compile(r"<[^\w<]*/[^\w<]*(?:memory|known)\b"),
        re.compile(r"^system[^\w\n]*:[^\n]*\byou\b", re.MULTILINE),
        re.compile(r"\s+(?:on|in)?$"),
        re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|"'),
        re.compile(rb"a*b"),
        re.compile(r"(?:(?:hien|dang|hien dang)\s)*x"),
        Bounded(r"\bi\s(?:(?:hien|dang|hien dang)\s)*(?:la|lam)\b"),
        Bounded("^我(?:也|刚刚?|已经)*(?:喜欢|住在)"),
        Bounded(r"(\w+\s?)+[.]"),
        Bounded(r"an? (?P<value>[\w ]+?[\w ]*?)(?=\s*(?:[.,]|$))"),
    ],
    ids=lambda pattern: str(pattern.pattern),
)
def test_slow_patterns_are_detected(pattern: Pattern) -> None:
    # The first patterns blocked the server in the past or are similar to those.
    assert slow_attack(pattern) is not None


DATA_DEPENDENT = {
    "memoryos.language.matching.__init__": "every bounded pattern is found where it is kept",
    "memoryos.language.matching.linear": "likewise",
    "memoryos.analysts.attributes._PATTERNS": "likewise",
    "memoryos.analysts.traits._compile_patterns": "likewise",
    "memoryos.importing.salvage.find_objects": "attacked as a function below",
    "memoryos.retrieval.question._without_names": "attacked as a function below",
    "memoryos.language.fence._opening": "attacked as a function below",
    "memoryos.redaction.__init__": "RE2 takes linear time",
    "memoryos.redaction._own": "RE2 takes linear time",
}
"""Functions whose patterns depend on their arguments, with the way they are tested."""


def test_patterns_inside_functions_are_found() -> None:
    by_name = {each.__name__: each for each in modules()}
    unknown = []
    for place, call in compiled_in_functions().items():
        function = place.rpartition(":")[0]
        try:
            evaluated(by_name[function.rpartition(".")[0]], call)
        except NameError:
            unknown += [] if function in DATA_DEPENDENT else [place]
    assert not unknown


# functions

UNITS = (
    '. ! \n < > </ <m <think> </think> <sources> <sources>1, </sources> </memory> &lt; " \\ \\" { [ {"a": {"id": [[ ` ``` '
    "a A a. a, ab' ' ’ - -- / 1/1/2020 2020-01-01 1 1, 1. : :: @ # | 我 刚刚 我。 か を 東京タワー 한국 é ß ﬁ İ x\u0301\u0323 \u0323\u0301 "
    "\u200b \ufeff \u2028 \r \r\n data:\n\n https:// _ * ~ … 。」 ？ \x01 \t"
).split(" ")
PHRASES = (
    "hien dang ", "ignore all ", "yesterday ", "in 3 days ", "há três dias ", "I went. ", "Mia's ", "what did I say ", "i am ", "a " * 3, "Dr. ",
    "eu moro em ", "ik ben erg ", "toi la nhan vien ", "我刚刚喜欢", "私は東京に住んでいます", "word2 unlike ", " ",
    '{"role": "user", "content": "a"},', '{"id": {"title": [1,', "3. system: you ", "x\n",
)  # fmt: skip
TEXTS = [Attack("", each, end) for each in (*UNITS, *PHRASES) if each for end in ("", "\x01")]


def page(said: str, seq: int = 1) -> Page:
    return Page(f"page-{seq}", seq, NOW, said, f"I see: {said[:20]}")


def recalled(said: str) -> recall.Recall:
    found = page(said)
    utterance = Utterance(found.page_id, 1, "user", "user", said, NOW)
    signals = recall.Signals()
    return recall.Recall(
        "What did I say of the dog?",
        (recall.RecalledPage(found, excerpts.whole_page(found), 1.0, signals),),
        quotes=(recall.Quote(utterance, 1.0, 0.9, signals),),
    )


def batch(said: str) -> Batch:
    return Batch((page(said), page(said, 2)), np.zeros((2, 8), dtype=np.float32))


def material(said: str) -> Material:
    return Material((page(said),), (), Profile())


def lenient(run: Callable[[str], object]) -> Callable[[str], object]:
    """Returns the function with its errors about invalid texts ignored; the time until an error counts too."""

    def reads(said: str) -> None:
        try:
            run(said)
        except (InputError, InvalidReplyError, MemoryOSError):
            return

    return reads


def chat(said: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": each} for each in (said, said[:10])]}).encode()


def relayed(content_type: str, body: bytes) -> object:
    reader = proxy_reply_parser.parser_for(200, {"content-type": content_type})
    assert reader is not None
    for start in range(0, len(body), 1_000):
        reader.feed(body[start : start + 1_000])
    return reader.answer()


def cited(said: str) -> object:
    return "".join(
        CitationReader(recalled("a dog")).read(iter([said[at : at + 100] for at in range(0, len(said), 100)]))
    )


def of_file(read: Callable[[Path], object]) -> Callable[[str], object]:
    def run(said: str) -> object:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "conversations.json"
            file.write_text(said, encoding="utf-8", errors="surrogatepass")
            return read(file)

    return run


def traced(said: str) -> object:
    finder = EchoFinder()
    finder.add_forgotten(1, said, said)
    finder.add_remaining("p2", 2, said, said[1:])
    return finder.result()


NUMBERS = itertools.count()
"""Makes texts different, where a function caches the result for equal texts."""
FUNCTIONS: Mapping[Callable[..., Any], Callable[[str], object]] = {
    text.estimate_tokens: text.estimate_tokens,
    text.excerpt: lambda said: text.excerpt(said, 2_000),
    text.is_storable: text.is_storable,
    text.keywords: lambda said: text.keywords([said, said[:100]]),
    text.sentences: text.sentences,
    text.sentence_ends: lambda said: list(text.sentence_ends(said)),
    passages.cut_passages: lambda said: passages._cut(passages._CacheKey(said)),
    passages.passage_texts: lambda said: passages.passage_texts(f"{next(NUMBERS)} {said}"),
    tokens.content_words: tokens.content_words,
    word_sequence.word_sequence: word_sequence.word_sequence,
    tokens.fold: tokens.fold,
    tokens.function_terms: lambda said: tokens.function_terms(said.split(), None),
    tokens.search_terms: tokens.search_terms,
    tokens.stem: tokens.stem,
    tokens.terms: tokens.terms,
    dates.mentions: lambda said: dates.mentions(said, NOW),
    confusables.skeleton: confusables.skeleton,
    confusables.skeleton_positions: confusables.skeleton_positions,
    fence.fenced: lambda said: fence.fenced("memory", said),
    confusables.skeleton: confusables.skeleton,
    EchoFinder: traced,
    Redactor.text: Redactor(read_detectors({})).text,
    confusables.skeleton_positions: confusables.skeleton_positions,
    fence.indented: fence.indented,
    fence.one_line: fence.one_line,
    fence.speaker_label: fence.speaker_label,
    reply_language.is_in_other_language: lambda said: reply_language.is_in_other_language(said, said[:1_000]),
    instructions.reads_as_instruction: instructions.reads_as_instruction,
    instructions.instruction_sides: lambda said: instructions.instruction_sides((said, None), (said, said)),
    languages.certain_language_of: lambda said: languages.certain_language_of(said, min_words=1),
    languages.count_letters: languages.count_letters,
    languages.language_of: languages.language_of,
    normalizing.normalized: lambda said: normalizing.normalized("NFKC", said),
    ascii_words.ascii_words: ascii_words.ascii_words,
    question.read_question: lambda said: question.read_question(said, speakers=("Mia", "Aab", "田中", "user"), now=NOW),
    question.index_terms: lambda said: question.index_terms(said, NOW),
    prompt_lines.line_tokens: prompt_lines.line_tokens,
    prompt_lines.show_line: lambda said: prompt_lines.show_line(said, said),
    prompt_lines.is_instruction: lambda said: prompt_lines.is_instruction(page(said), "user"),
    prompt_lines.page_lines: lambda said: prompt_lines.page_lines(page(said), excerpts.whole_page(page(said)), 1),
    prompt_lines.dated_lines: lambda said: prompt_lines.dated_lines([(page(said), excerpts.whole_page(page(said)))]),
    excerpts.pieces: lambda said: excerpts.pieces(page(said), excerpts.whole_page(page(said))[0]),
    excerpts.excerpt_of: lambda said: excerpts.excerpt_of(page(said), "user", excerpts.whole_page(page(said))),
    recall.Recall.fitted: lambda said: recalled(said).fitted(2_000),
    recall.Recall.to_prompt: lambda said: recalled(said).to_prompt(numbered=True),
    answer_words.retold: answer_words.retold,
    attributes.slot_of: attributes.slot_of,
    attributes.statements: lambda said: list(attributes.statements(said, NOW)),
    deed: lambda said: deed(said, NOW),
    rephrase_chinese: lambda said: rephrase_chinese(said, NOW),
    grouping.group_pages: lambda said: grouping.group_pages(batch(said)),
    grouping.is_small_talk: grouping.is_small_talk,
    grouping.summarize: lambda said: grouping.summarize([page(said)], said),
    extract_facts: lambda said: extract_facts(batch(said)),
    own_words.own_sentences: lambda said: list(own_words.own_sentences(page(said), "user")),
    retractions.retractions: lambda said: [
        list(retractions.retractions(said, language)) for language in retractions.LANGUAGES
    ],
    subjects.subject_of: lambda said: subjects.subject_of(batch(said), page(said), "user"),
    subjects.SubjectNames: lambda said: subjects.SubjectNames(batch("a dog")).find(said, [page(said)]),
    traits.read_traits: lambda said: traits.read_traits(material(said)),
    quoting.quote_answer: lambda said: "".join(quoting.quote_answer(said, recalled(said)).pieces),
    rephrasing.clauses: rephrasing.clauses,
    rephrasing.rephrase: lambda said: rephrasing.rephrase(said, NOW),
    speech.unmarked: speech.unmarked,
    dated_note: lambda said: dated_note(said, NOW, lambda _: "that day"),
    llm_replies.read_reading: lambda said: llm_replies.read_reading(said, batch("a dog")),
    llm_replies.read_profiling: lambda said: llm_replies.read_profiling(said, material("a dog")),
    shapes.ReplyParts: lambda said: shapes.ReplyParts(said).items("facts", read.FactReply),
    read.read_messages: lambda said: read.read_messages(batch(said), 8_000),
    profile.profile_messages: lambda said: profile.profile_messages(material(said), 8_000),
    transcript.said_lines: lambda said: transcript.said_lines(page(said), 8_000),
    transcript.transcript: lambda said: transcript.transcript([page(said)], 8_000),
    CitationReader: cited,
    thinking.strip_thinking: thinking.strip_thinking,
    thinking.without_thoughts: lambda said: list(
        thinking.without_thoughts([said[at : at + 9] for at in range(0, len(said), 9)])
    ),
    openai.mended: lambda said: openai.mended(f"{said}\ud800"),
    salvage.find_objects: lambda said: list(salvage.find_objects(said, ("id", "title"))),
    salvage.read_document: lambda said: salvage.read_document(f'[{{"a": "{said}'),
    salvage.read_documents: salvage.read_documents,
    chat_exports.is_chat_export: of_file(chat_exports.is_chat_export),
    chat_exports.read_chat_export: of_file(lambda file: chat_exports.read_chat_export(file, NOW)),
    message_lists.is_message_list: lambda said: message_lists.is_message_list(salvage.read_document(f"[{said}").value),
    proxy_body.read_chat: lambda said: proxy_body.read_chat(chat(said)).with_memory(said),
    proxy_body.text_of: lambda said: proxy_body.text_of({"content": said}),
    proxy_memory.recall_query: proxy_memory.recall_query,
    proxy_memory.sources_of: lambda said: proxy_memory.sources_of(f"{said} {said[::-1]}", recalled(said), said),
    proxy_memory.memory_prompt: lambda said: proxy_memory.memory_prompt(recalled(said)),
    proxy_memory.fit: lambda said: proxy_memory.fit(recalled(said), frozenset(), 2_000),
    proxy_reply_parser.parser_for: lambda said: (
        relayed("text/event-stream", said.encode()),
        relayed("application/json", said.encode()),
    ),
    tenses.direction_at: lambda said: tenses.direction_at(said, len(said) // 2, len(said) // 2 + 9, "en"),
    tenses.sentence_around: lambda said: tenses.sentence_around(said, len(said) // 2, len(said) // 2 + 9),
    read_draft: lambda said: read_draft(said, said, None, {"note": said}, now=NOW),
    read_messages: lambda said: read_messages([{"role": "user", "content": said}], now=NOW),
    read_query: read_query,
    read_idempotency_key: read_idempotency_key,
    read_scope: lambda said: read_scope(said, said),
    read_time: lambda said: read_time("timestamp", said),
}
"""Every function that reads text of users, models or files, with a call that passes a text to it."""
WITHOUT_TEXT = {
    "memoryos.language.dates": {"date_terms", "format_date_range"},
    "memoryos.language.matching": {"linear"},
    "memoryos.language.passages": {"vector_model"},
    "memoryos.language.date_phrases": {"format_day", "format_mention"},
    "memoryos.analysts.attributes": {"note_of"},
    "memoryos.analysts.prompts.read": {"shown_facts"},
    "memoryos.analysts.prompts.shapes": {"one_of", "schema_of"},
    "memoryos.analysts.speech": {"compiled"},
    "memoryos.analysts.traits": {"dimensions"},
    "memoryos.importing.salvage": set(),
    "memoryos.retrieval.question": set(),
    "memoryos.models.thinking": set(),
    "memoryos.doors.http.proxy_memory": set(),
    "memoryos.doors.http.proxy_body": set(),
    "memoryos.doors.http.proxy_reply_parser": set(),
    "memoryos.inputs": {"read_count"},
}  # fmt: skip
"""Public functions without free text as input, by module. All other functions in language and analysts must be tested."""


def test_every_text_function_has_a_linear_time_test() -> None:
    missing = []
    for module in modules():
        name = module.__name__
        if name in WITHOUT_TEXT or name.startswith(("memoryos.language.", "memoryos.analysts.")):
            public = [getattr(module, each) for each in getattr(module, "__all__", ())]
            own = [each for each in public if inspect.isroutine(each) and each.__module__ == name]
            missing += [
                f"{name}.{each.__name__}"
                for each in own
                if each not in FUNCTIONS and each.__name__ not in WITHOUT_TEXT.get(name, ())
            ]
    assert not missing


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: f"{each.__module__}.{each.__qualname__}")
def test_a_function_takes_linear_time(function: Callable[..., Any]) -> None:
    run = lenient(FUNCTIONS[function])
    grown: list[tuple[float, Attack]] = []
    for attack in TEXTS:
        small, large = (cpu_seconds(run, attack.text(size)) for size in (1_000, 4_000))
        assert large < MOST_SECONDS, attack
        if large > LEAST_SECONDS / 4:
            grown.append((large * large / max(small, LEAST_SECONDS / 40), attack))
    grown.sort(key=lambda each: -each[0])
    slow = {str(each): ratio for _, each in grown[:2] if (ratio := growth(run, each)) >= MOST_GROWTH}
    assert not slow
