"""Fences stored text in prompts, so that a model does not mistake it for instructions.

Fenced text can't close the tag around it, imitate a line of the prompt, or contain control tokens of a model.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from memoryos.language.confusables import skeleton, skeleton_positions
from memoryos.language.matching import Bounded

__all__ = ["fenced", "indented", "one_line", "speaker_label"]

TAGS = ("memory", "conversation", "known", "sources")
"""The names of the tags in MemoryOS's prompts. Tags with these names are escaped in stored text."""
LONGEST_NAME = 80

_TOKENS = (
    r"(?:\|"
    r"|/?(?:s|bos|eos|pad|unk|sop|eop|eod|sys|system|think|im_start|im_end|endoftext|bos_token|eos_token"
    r"|(?:start|end)_of_(?:turn|image|text)|(?:start|end)ofturn|(?:tool|function)_(?:calls?|results?|responses?)"
    r"|unused_?\d{1,5}|extra_id_\d{1,5}|reserved_special_token_\d{1,5})>)"
)
"""Matches control tokens of chat models after their opening bracket, e.g. "|im_start|>". It is matched on skeletons."""
_BRACKET_TOKENS = (
    r"/?(?:inst|sys|system_prompt|available_tools|tool_calls|tool_results|tool_content)(?!\w)"
    r"|\|(?:system|user|human|assistant|tool|endofturn)(?!\w)"
)
_ESCAPED = {"<": "&lt;", "«": "&lt;", "[": "&#91;"}

_CONTROL = re.compile("[\0-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]+")
"""Control characters except tab and line breaks. They would move a terminal's cursor, and LLM endpoints reject them."""
_UNSENDABLE = re.compile("[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LEADS_A_LINE = Bounded(r"\d+\s*[.):]|[^\w\"']|_", longest=LONGEST_NAME + 1)


def fenced(tag: str, text: str) -> str:
    """Encloses a text in ``<tag>`` and ``</tag>``, and escapes tags and control tokens inside the text.

    Tags are searched in the skeleton of the text (see ``confusables``), so that lookalikes and invisible characters
    can't hide a tag. Only the opening bracket of a tag is replaced. The function takes linear time.
    """
    return f"<{tag}>\n{_escaped(text, _opening(tag))}\n</{tag}>"


def one_line(text: str) -> str:
    """Returns the text as one line, without control characters and lone surrogates."""
    return " ".join(_UNSENDABLE.sub(" ", text).split())


def indented(text: str) -> str:
    """Indents all lines of a text except the first, so that no line can imitate a line of the prompt.

    Every character that a model or a terminal treats as a line break starts a new line. Control characters are removed.
    """
    if text.isprintable():  # printable text has no line breaks and no control characters
        return text
    return _CONTROL.sub("", _LINE_BREAK.sub("\n  ", text))


@lru_cache(maxsize=256)
def speaker_label(name: str) -> str:
    """Returns a speaker's name in the form for the start of a prompt line: one line of at most 80 characters.

    A name that looks like a list number or like markup is put in quotation marks.
    """
    name = one_line(name)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    plain = one_line(unicodedata.normalize("NFKC", name))
    return f'"{name}"' if _LEADS_A_LINE.match(plain[: LONGEST_NAME + 1]) else name


@lru_cache(maxsize=32)
def _opening(tag: str) -> re.Pattern[str]:
    """Returns a pattern that matches the opening bracket of a prompt's tag or of a model's control token.

    The pattern must be matched on a skeleton. It takes linear time, because it allows no other bracket between the
    opening bracket and the name.
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
