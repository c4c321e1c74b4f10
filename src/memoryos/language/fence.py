"""Fences stored text in prompts: it can't close its tag, imitate a line of the prompt, or contain control tokens."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from memoryos.language.confusables import skeleton, skeleton_positions
from memoryos.language.matching import Bounded

__all__ = ["fenced", "indented", "one_line", "speaker_label"]

TAGS = ("memory", "conversation", "known", "sources")
"""The tags of MemoryOS's prompts; they are escaped in stored text."""
LONGEST_NAME = 80

_TOKENS = (
    r"(?:\|"
    r"|/?(?:s|bos|eos|pad|unk|sop|eop|eod|sys|system|think|im_start|im_end|endoftext|bos_token|eos_token"
    r"|(?:start|end)_of_(?:turn|image|text)|(?:start|end)ofturn|(?:tool|function)_(?:calls?|results?|responses?)"
    r"|unused_?\d{1,5}|extra_id_\d{1,5}|reserved_special_token_\d{1,5})>)"
)
"""Control tokens of chat models, which separate roles and turns, without their opening bracket, as skeletons."""
_BRACKET_TOKENS = (
    r"/?(?:inst|sys|system_prompt|available_tools|tool_calls|tool_results|tool_content)(?!\w)"
    r"|\|(?:system|user|human|assistant|tool|endofturn)(?!\w)"
)
_ESCAPED = {"<": "&lt;", "«": "&lt;", "[": "&#91;"}

_CONTROL = re.compile("[\0-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]+")
"""Control characters without tab and line breaks: they move a terminal's cursor or are rejected by endpoints."""
_UNSENDABLE = re.compile("[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LEADS_A_LINE = Bounded(r"\d+\s*[.):]|[^\w\"']|_", longest=LONGEST_NAME + 1)


def fenced(tag: str, text: str) -> str:
    """Returns the text between ``<tag>`` and ``</tag>``, with tags of prompts and control tokens of models escaped.

    Tags are searched in the text's skeleton, so that lookalikes and invisible characters can't hide a tag. Only the
    opening bracket of a tag is replaced. Takes linear time.
    """
    return f"<{tag}>\n{_escaped(text, _opening(tag))}\n</{tag}>"


def one_line(text: str) -> str:
    """Returns the text on one line, without control characters and lone surrogates."""
    return " ".join(_UNSENDABLE.sub(" ", text).split())


def indented(text: str) -> str:
    """Returns the text with all lines after the first one indented, so that none imitates a line of the prompt.

    All characters that models or terminals treat as line breaks are line breaks here. Control characters are removed.
    """
    return _CONTROL.sub("", _LINE_BREAK.sub("\n  ", text))


@lru_cache(maxsize=256)
def speaker_label(name: str) -> str:
    """Returns a speaker's name for the start of a line: on one line, at most 80 characters.

    The name is quoted if it could be mistaken for a list number or for markup.
    """
    name = one_line(name)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    plain = one_line(unicodedata.normalize("NFKC", name))
    return f'"{name}"' if _LEADS_A_LINE.match(plain[: LONGEST_NAME + 1]) else name


@lru_cache(maxsize=32)
def _opening(tag: str) -> re.Pattern[str]:
    """Returns the pattern, for skeletons, of a bracket that opens a tag of a prompt or a control token of a model.

    No other bracket is allowed between bracket and name, so each character is read a bounded number of times.
    """
    names = "|".join(re.escape(skeleton(each)) for each in sorted({*TAGS, tag}))
    ours = rf"(?=(?:[^\w<«]|_)*(?:{names}))"
    return re.compile(rf"<(?:{ours}|(?={_TOKENS}))|«(?=(?:[^\w<«/]|_)*/){ours}|\[(?={_BRACKET_TOKENS})")


def _escaped(text: str, opening: re.Pattern[str]) -> str:
    plain = skeleton(text)
    matches = list(opening.finditer(plain))
    if not matches:
        return text
    positions = skeleton_positions(text)
    kept = []
    done = 0
    for match in matches:
        position = positions[match.start()]
        kept += [text[done:position], _ESCAPED[match.group()]]
        done = position + 1
    return f"{''.join(kept)}{text[done:]}"
