"""Selects the sentences of a page that may state facts about their speaker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.grouping import LONGEST_READ
from memoryos.language.instructions import reads_as_instruction
from memoryos.language.matching import LONGEST_CLAUSE, Bounded
from memoryos.language.text import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.model import Page, Side

__all__ = ["own_sentences"]

SENTENCES_A_SIDE = 120
LONGEST_STATEMENT = LONGEST_CLAUSE
"""Maximum length of a sentence in characters. Longer ones are pasted text."""

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


def own_sentences(page: Page, side: Side) -> Iterator[str]:
    """Yields the sentences in which a speaker may state something.

    Questions, list items, instructions to a model, and texts that repeat earlier memories are left out.

    Args:
        page: The page.
        side: The speaker.
    """
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
