"""A fake chat model for tests. Its replies are given by the test, or computed by simple rules in an LLM's format."""

from __future__ import annotations

import contextlib
import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any

from memoryos.language.text import content_words, estimate_tokens, keywords, sentences
from memoryos.seams import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from memoryos.seams import ChatRequest, Meter

__all__ = ["Bill", "ScriptedChatModel", "ok_reply"]

CHAIN_PAGES = 5
SUMMARY_CHARACTERS = 160
MAX_FACTS = 4
MEMORY = "<memory>\n"
"""Text that identifies a prompt for an answer. It precedes the recalled pages, which may contain text like a prompt."""
ONE_TOPIC = 0.1
"""The halves of a batch count as one topic if they have at least this share of their words in common."""
_PAGE = re.compile(r"(?a:^(\d{1,9}))\. (.*)")
_RECORD = ("<conversation>\n", "\n</conversation>")
_SHOWN = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)
_HOME = re.compile(r"\bI live in (?P<home>\w+)")
_STATEMENT = re.compile(r"\b(?:I|I'm|I've|my|we)\b|我")


class Bill:
    """A ``Meter`` for tests, without a budget. It stores the cost of each model call in ``usages``."""

    def __init__(self) -> None:
        self.usages: list[Usage] = []

    def allow(self) -> None:
        """Does nothing, because there is no budget."""

    def __call__(self, usage: Usage) -> None:
        """Appends the usage of one model call to ``usages``."""
        self.usages.append(usage)

    @property
    def calls(self) -> int:
        """Number of model calls."""
        return len(self.usages)

    @property
    def tokens(self) -> int:
        """Number of tokens of all prompts and replies together."""
        return sum(each.prompt_tokens + each.completion_tokens for each in self.usages)


class ScriptedChatModel:
    """A ``ChatModel`` for tests that returns given replies, and stores its requests in ``requests``.

    After the last given reply, it returns the results of ``ok_reply``.

    Args:
        replies: The replies in order. An exception among them is raised instead of returned.
        reply: Function that returns the reply for each request. It is used instead of ``replies``.
        name: Name of the model.
    """

    def __init__(
        self,
        replies: Sequence[str | Exception] = (),
        *,
        reply: Callable[[ChatRequest], str | Exception] | None = None,
        name: str = "scripted",
    ) -> None:
        self._replies = deque(replies)
        self._reply = reply
        self._name = name
        self.requests: list[ChatRequest] = []

    @property
    def name(self) -> str:
        """Returns the name of the model."""
        return self._name

    def complete(self, request: ChatRequest, meter: Meter) -> str:
        """Returns the next reply as a whole."""
        self.requests.append(request)
        reply = self._next(request)
        prompt_tokens = round(sum(estimate_tokens(each.content) for each in request.messages))
        if isinstance(reply, Exception):
            meter(Usage(self._name, 0, 0, 0.0, failed=True))
            raise reply
        meter(Usage(self._name, prompt_tokens, round(estimate_tokens(reply)), 0.0, estimated=True))
        return reply

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the next reply in pieces of one word."""
        for place, word in enumerate(self.complete(request, meter).split(" ")):
            yield word if place == 0 else f" {word}"

    def _next(self, request: ChatRequest) -> str | Exception:
        if self._reply is not None:
            return self._reply(request)
        with contextlib.suppress(IndexError):
            return self._replies.popleft()
        return ok_reply([(each.role, each.content) for each in request.messages])


def ok_reply(messages: Sequence[tuple[str, str]]) -> str:
    """Returns a valid reply to any prompt of MemoryOS. Equal prompts get equal replies.

    Args:
        messages: The messages of the chat, as pairs (role, content).
    """
    system = next((content for role, content in messages if role == "system"), "")
    prompt = next((content for role, content in messages if role == "user"), "")
    task = "" if MEMORY in system else system
    if '"chains"' in task:
        return json.dumps(_reading(_pages(prompt), is_linked=">\nalready read:\n" in prompt), ensure_ascii=False)
    if '"traits"' in task:
        return json.dumps(_profiling(_pages(prompt)), ensure_ascii=False)
    return _answer(system, messages[-1][1])


def _pages(prompt: str) -> dict[int, list[str]]:
    """Parses the pages in a prompt. Returns the lines of each page by page number."""
    opening, closing = _RECORD
    _, is_fenced, record = prompt.partition(opening)
    record, is_closed, _ = record.rpartition(closing)
    pages: dict[int, list[str]] = {}
    number = 0
    for line in (record if is_fenced and is_closed else prompt).split("\n"):
        start = _PAGE.fullmatch(line)
        if start and ": " in start.group(2) and int(start.group(1)) == number + 1:
            number += 1
            pages[number] = [start.group(2)]
        elif number and not line.startswith("["):
            pages[number].append(line)
    return pages


def _reading(pages: dict[int, list[str]], *, is_linked: bool) -> dict[str, Any]:
    numbers = list(pages)
    half = len(numbers) // 2
    parts = [numbers[:half], numbers[half:]]
    words = [
        {word for number in part for line in pages[number] for word in content_words(_words(line))} for part in parts
    ]
    common = len(words[0] & words[1]) / max(1, len(words[0] | words[1]))
    topics = [numbers] if common >= ONE_TOPIC or not half else parts
    return {
        "continues": is_linked,
        "chains": [
            {"first_page": number, "summary": _summary(pages[number])}
            for number in numbers
            if (number - 1) % CHAIN_PAGES == 0
        ],
        "topics": [
            {
                "summary": _summary(pages[topic[0]]),
                "keywords": keywords([_words(line) for number in topic for line in pages[number]], 6),
                "pages": topic,
            }
            for topic in topics
        ],
        "facts": [_fact(number, line) for number, line in _statements(pages)[:MAX_FACTS]],
    }


def _fact(number: int, line: str) -> dict[str, Any]:
    home = _HOME.search(_words(line))
    return {
        "about": "user",
        "subject": "user",
        "kind": "fact",
        "status": "",
        "text": _short(line),
        "slot": "home" if home else "",
        "value": home["home"] if home else "",
        "since": "",
        "until": "",
        "pages": [number],
        "replaces": [],
    }


def _profiling(pages: dict[int, list[str]]) -> dict[str, Any]:
    return {
        "traits": [
            {"subject": "user", "trait": "openness", "level": "medium", "reason": _short(line), "pages": [number]}
            for number, line in _statements(pages)[:1]
        ]
    }


def _statements(pages: dict[int, list[str]]) -> list[tuple[int, str]]:
    """Returns the lines with first-person words and their page numbers, those with the longest sentence first."""
    found = [(number, line) for number, lines in pages.items() for line in lines if _STATEMENT.search(_words(line))]
    return sorted(found, key=lambda each: -len(_short(each[1])))


def _answer(system: str, query: str) -> str:
    query_words = set(content_words(query))
    shown = {int(number): line for number, line in _SHOWN.findall(system.rpartition(MEMORY)[2])}
    if not shown:
        return "I don't remember that. <sources></sources>"
    best = max(shown, key=lambda number: (len(query_words & set(content_words(shown[number]))), -number))
    return f"{_short(shown[best])} <sources>{best}</sources>"


def _summary(lines: Sequence[str]) -> str:
    return _short(max(lines, key=lambda line: estimate_tokens(_words(line)), default=""))


def _short(line: str) -> str:
    """Returns the longest sentence of a line. The speaker's name at the start of the line is kept."""
    speaker, _, text = line.rpartition(": ") if line.count(": ") == 1 else ("", "", line)
    longest = max(sentences(text) or [text], key=len)[:SUMMARY_CHARACTERS].strip()
    return f"{speaker}: {longest}" if speaker and longest else longest or "…"


def _words(line: str) -> str:
    return line.partition(": ")[2] or line
