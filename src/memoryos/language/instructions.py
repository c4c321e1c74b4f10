"""Detects, by simple rules, stored text that looks like an instruction to a model.

A detection is only a warning. The actual defence is the module ``fence``, which marks stored text as data in prompts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.language.matching import linear

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memoryos.model import Side

__all__ = ["INSTRUCTION_SIDES", "instruction_sides", "reads_as_instruction"]

_GAP = r"[^.!?。！？]{0,40}"
_NOT_REPORTED = r"(?<!\bi )(?<!\byou )(?<!\bwe )(?<!\bthey )(?<!always )(?<!never )(?<!not )(?<!n't )(?<!n’t )"
_RULES = r"\b(?:instructions?|prompts?|rules?|guidelines?|directions?|guardrails?)\b"
_ORDERS = (
    rf"{_NOT_REPORTED}\b(?:ignore|disregard|forget|override|bypass)\b{_GAP}"
    rf"(?:\b(?:previous|prior|above|earlier|all|any|your|these|everything)\b{_GAP}{_RULES}"
    rf"|{_RULES} (?:you|above|before|so far)\b)",
    rf"\b(?:reveal|print|show|repeat|output|leak)\b{_GAP}\b(?:the|your) (?:system|hidden) prompt\b",
    rf"\b(?:reveal|print|repeat|output|leak)\b{_GAP}\byour (?:instructions|prompt|rules)\b",
    rf"\byou are (?:now|no longer)\b{_GAP}\b(?:(?:ai|language) (?:assistant|model)|ai|chatbot|dan|(?:un)?restricted"
    r"|jailbroken|(?:developer|debug|admin|god) mode)\b",
    r"\bnew system (?:instructions?|prompt)s?\s{0,10}:",
    r"(?:忽略|无视|忘记|忘掉|不要理会|不用管).{0,6}(?:之前|以上|上面|前面|所有|先前|此前).{0,8}(?:指令|指示|提示|规则|设定)",
    r"(?:输出|显示|泄露|告诉我|打印).{0,8}(?:系统提示|系统指令|提示词)",
    r"(?:以前|上記|これまで|前|すべて|全て)の.{0,8}(?:指示|命令|プロンプト|ルール).{0,8}"
    r"(?:無視(?:し(?:て|ろ)|せよ)|忘れ(?:て(?!し|い|る)|ろ|なさい))",
    r"システムプロンプトを.{0,6}(?:見せ|表示|教え|出力)",
    rf"(?<!não )\b(?:ignore|desconsidere|esqueça|esqueca)\b{_GAP}\b(?:tod[oa]s|anteriores|acima|prévi[oa]s)\b{_GAP}"
    r"\b(?:instruções|instrucoes|regras|comandos|ordens)\b",
    r"(?<!não )\b(?:ignore|desconsidere|esqueça|esqueca)\b [ao]s (?:suas |seus )?"
    r"(?:instruções|instrucoes|regras|comandos|ordens) (?:anteriores|acima|que)\b",
    r"\b(?:mostr[ea]|revel[ea]|imprim[ea])\b[^.!?]{0,30}\bprompt do sistema\b",
    rf"(?<!ik )\b(?:negeer|vergeet)\b(?! niet){_GAP}\b(?:alle|vorige|voorgaande|eerdere|bovenstaande|je|jouw|uw)\b"
    rf"{_GAP}\b(?:instructies|opdrachten|regels|aanwijzingen)\b",
    rf"(?<!đừng )(?<!tôi )\b(?:bỏ qua|phớt lờ|quên)\b{_GAP}(?:hướng dẫn|chỉ dẫn|lệnh|quy tắc){_GAP}"
    r"(?:trước|trên|của bạn)",
)
_TAGS = (
    r"\[system\]\(#|\[/?INST\]|<</?SYS>>",
    r"<\s{0,10}[|｜]\s{0,10}(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id)\b",
    r"<[^\w<]{0,20}/[^\w<]{0,20}(?:memory|conversation|known|sources|system)\b",
    r"<\s{0,10}(?:memory|conversation|known|sources|system)\s{0,10}/\s{0,10}>",
)
"""Rules that begin with a bracket."""
_ORDERS_OF_A_LINE = (
    r"^[^\w\n]{0,40}(?:new|updated) (?:instructions?|prompt)\s{0,10}:\s{0,10}"
    r"(?:you|always|never|ignore|from now on|say|answer|reply|respond|print|reveal)\b",
    r"^[^\w\n]{0,40}system(?:\s{1,10}(?:prompt|message|instruction)s?)?[^\w\n]{0,20}:[^\n]{0,200}"
    r"\b(?:you|your|always|never|ignore|must|reply|respond|answer|obey)\b",
)
_STARTS = (
    *("ignore", "disregard", "forget", "override", "bypass", "reveal", "print", "show", "repeat", "output", "leak"),
    *("you are n", "new system", r"\[", "<", "忽略", "无视", "忘记", "忘掉", "不要理会", "不用管", "输出", "显示"),
    *("泄露", "告诉我", "打印", "以前の", "上記の", "これまでの", "前の", "すべての", "全ての", "システムプロンプト"),
    *("desconsidere", "esqueça", "esqueca", "mostr[ea]", "revel[ea]", "imprim[ea]", "negeer", "vergeet"),
    *("bỏ qua", "phớt lờ", "quên"),
)  # fmt: skip
"""Beginnings of the rules in ``_ORDERS`` and ``_TAGS``. RE2 finds their positions. Rules are matched only there."""
_START = linear("(?i)" + "|".join(_STARTS))
_ORDER = re.compile("|".join(f"(?:{each})" for each in _ORDERS), re.IGNORECASE)
_TAG = re.compile("|".join(f"(?:{each})" for each in _TAGS), re.IGNORECASE)
_ORDER_OF_A_LINE = re.compile("|".join(f"(?:{each})" for each in _ORDERS_OF_A_LINE), re.IGNORECASE | re.MULTILINE)
INSTRUCTION_SIDES: dict[Side, int] = {"user": 1, "assistant": 2}
LONGEST_READ = 20_000
"""Number of characters of a text that are searched. The rest is ignored."""


def reads_as_instruction(text: str) -> bool:
    """Returns whether a text contains an instruction to a model, such as "ignore all previous instructions".

    The rules cover English, Chinese, Japanese, Portuguese, Dutch and Vietnamese. Only the first ``LONGEST_READ``
    characters are searched. The search takes linear time: RE2 finds the positions at which a rule can match, and every
    repetition in a rule is bounded.
    """
    if not text:
        return False
    read = text[:LONGEST_READ].encode("utf-8", "replace").decode()
    if _ORDER_OF_A_LINE.search(read):
        return True
    starts = (start.start() for start in _START.finditer(read))
    return any((_TAG if read[start] in "[<" else _ORDER).match(read, start) for start in starts)


def instruction_sides(user: Iterable[str | None], assistant: Iterable[str | None]) -> int:
    """Returns which texts of a page contain an instruction to a model: 0 none, 1 the user's, 2 the assistant's, 3 both.

    The number is computed and stored when a page is written.

    Args:
        user: The user's text and name.
        assistant: The assistant's text and name.
    """
    sides: tuple[tuple[Side, Iterable[str | None]], ...] = (("user", user), ("assistant", assistant))
    return sum(
        INSTRUCTION_SIDES[side] for side, texts in sides if any(reads_as_instruction(each or "") for each in texts)
    )
