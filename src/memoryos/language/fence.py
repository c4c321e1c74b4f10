"""Fences: stored text stands in a prompt between two tags that it can't close."""

from __future__ import annotations

import re
import unicodedata

from memoryos.language.matching import Bounded

__all__ = ["fenced", "indented", "one_line", "speaker_label"]

TAGS = ("memory", "conversation", "known", "sources")
"""The tags of our prompts: what was said neither opens nor closes one."""
LONGEST_NAME = 80

_SEEMING = "＜﹤‹〈⟨〈❮˂ᐸ⁄∕⧸│аеосуткмнгпвіѕѵԝαεοκνιɑɡıᴀᴄᴇɪᴋᴍɴᴏʀᴛᴜᴠᴡʏ"
_MEANT = "<<<<<<<<<///|aeocytkmnrnbisvwaeokviagiaceikmnortuvwy"
_PLAINER = {ord(one): other for one, other in zip(_SEEMING, _MEANT, strict=True)} | {
    code: plain
    for code in (*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D800))
    if len(plain := unicodedata.normalize("NFKC", chr(code))) == 1
}
"""Characters that look like those of a tag, one for one."""
_UNSEEN = "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]*"
_OUR_TAG = "|".join(_UNSEEN.join(tag) for tag in TAGS)
_OPENING = re.compile(rf"<(?=(?:[^\w<]|_)*(?:{_OUR_TAG})|\s*\||/?(?:s|start_of_turn|end_of_turn)>)", re.IGNORECASE)
"""Begins one of our tags, or one of those by which chat models tell who speaks."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LEADS_A_LINE = Bounded(r"\d+\s*[.):]|[\[#(<*-]", longest=LONGEST_NAME + 1)


def fenced(tag: str, text: str) -> str:
    """Returns the text between ``<tag>`` and ``</tag>``; tags of our prompts and of chat models in it are broken.

    So are those that only look like one, with other brackets, letters of other alphabets or unseen characters.
    """
    plain = text if text.isascii() else text.translate(_PLAINER)
    kept = []
    done = 0
    for match in _OPENING.finditer(plain):
        kept += [text[done : match.start()], "&lt;"]
        done = match.end()
    return f"<{tag}>\n{''.join(kept)}{text[done:]}\n</{tag}>"


def one_line(text: str) -> str:
    """Returns the text on one line, without what no endpoint takes."""
    return " ".join(_UNSTORABLE.sub(" ", text).split())


def indented(text: str) -> str:
    """Returns the text with each line but the first indented, so that none passes for the line of another utterance."""
    return _LINE_BREAK.sub("\n  ", text)


def speaker_label(name: str) -> str:
    """Returns a speaker's name as a line begins with it: on one line, short, and no number of a page or date."""
    name = one_line(name)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    return f'"{name}"' if _LEADS_A_LINE.match(name) else name
