"""Text that reads like an instruction to a model: a heuristic warning; fencing is the actual defence."""

from __future__ import annotations

import re

__all__ = ["reads_as_instruction"]

_GAP = r"[^.!?。！？]{0,40}"
_NOT_TOLD = r"(?<!\bi )(?<!\byou )(?<!\bwe )(?<!\bthey )(?<!always )(?<!never )(?<!not )(?<!n't )(?<!n’t )"
_RULES = r"\b(?:instructions?|prompts?|rules?|guidelines?|directions?|guardrails?)\b"
_ORDERS = (
    rf"{_NOT_TOLD}\b(?:ignore|disregard|forget|override|bypass)\b{_GAP}"
    rf"(?:\b(?:previous|prior|above|earlier|all|any|your|these|everything)\b{_GAP}{_RULES}"
    rf"|{_RULES} (?:you|above|before|so far)\b)",
    rf"\b(?:reveal|print|show|repeat|output|leak)\b{_GAP}\b(?:the|your) (?:system|hidden) prompt\b",
    rf"\b(?:reveal|print|repeat|output|leak)\b{_GAP}\byour (?:instructions|prompt|rules)\b",
    rf"\byou are (?:now|no longer)\b{_GAP}\b(?:(?:ai|language) (?:assistant|model)|ai|chatbot|dan|(?:un)?restricted"
    r"|jailbroken|(?:developer|debug|admin|god) mode)\b",
    r"\bnew system (?:instructions?|prompt)s?\s*:",
    r"^[^\w\n]*(?:new|updated) (?:instructions?|prompt)\s*:\s*"
    r"(?:you|always|never|ignore|from now on|say|answer|reply|respond|print|reveal)\b",
    r"^[^\w\n]*system(?:\s+(?:prompt|message|instruction)s?)?[^\w\n]*:[^\n]*"
    r"\b(?:you|your|always|never|ignore|must|reply|respond|answer|obey)\b",
    r"\[system\]\(#|\[/?INST\]|<</?SYS>>",
    r"<\s*[|｜]\s*(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id)\b",
    r"<[^\w<]*/[^\w<]*(?:memory|conversation|known|sources|system)\b",
    r"<\s*(?:memory|conversation|known|sources|system)\s*/\s*>",
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
_ORDER = re.compile("|".join(f"(?:{each})" for each in _ORDERS), re.IGNORECASE | re.MULTILINE)
_LONGEST_READ = 20_000


def reads_as_instruction(text: str) -> bool:
    """Returns whether a text talks to a model rather than to a person, as "ignore all previous instructions" does.

    A notice for people, not a wall: the wall is the fence. English, Chinese, Japanese, Portuguese, Dutch, Vietnamese;
    the first 20,000 characters are read.
    """
    return _ORDER.search(text[:_LONGEST_READ]) is not None
