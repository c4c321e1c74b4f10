"""Fences: what was said stands in a prompt between two tags that it can't close, and what gives orders is noticed."""

from __future__ import annotations

import re

__all__ = ["fenced", "reads_as_instruction"]

_ORDERS = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|all|any|your|the|these)\b.{0,40}"
    r"\b(?:instructions?|prompts?|rules?|guidelines?|directions?|context|messages?)\b",
    r"\b(?:reveal|print|show|repeat|output|leak)\b.{0,40}\b"
    r""
    r"(?:system prompt|hidden prompt|your (?:instructions|prompt|rules))\b",
    r"\byou are (?:now|no longer)\b.{0,80}\b(?:assistant|ai|model|bot|mode|dan|unrestricted|jailbroken)\b",
    r"\b(?:new|updated) (?:system )?(?:instructions?|prompt)\s*:",
    r"^\s*(?:\[|<\|?|#+\s*)?(?:system|developer|assistant|im_start)(?:\]|\|?>|\s*(?:prompt|message|instruction)s?)?\s*:",
    r"<\|?(?:im_start|im_end|system|endoftext)\|?>|\[/?INST\]|<</?SYS>>",
    r"</\s*(?:memory|conversation|known|system)\s*>",
    r"(?:忽略|无视|忘记|不要理会).{0,12}(?:之前|以上|上面|前面|所有|先前).{0,12}(?:指令|指示|提示|规则|要求|内容)",
    r"(?:以前|上記|これまで|前)の.{0,8}(?:指示|命令|プロンプト|ルール).{0,8}(?:無視|忘れ)",
    r"\b(?:ignore|desconsidere|esqueça|esqueca)\b.{0,30}\b(?:instruções|instrucoes|regras|comandos)\b",
    r"\b(?:negeer|vergeet)\b.{0,30}\b(?:instructies|opdrachten|regels|aanwijzingen)\b",
    r"\b(?:bỏ qua|phớt lờ|quên)\b.{0,30}(?:hướng dẫn|chỉ dẫn|lệnh|quy tắc)",
)
_ORDER = re.compile("|".join(f"(?:{each})" for each in _ORDERS), re.IGNORECASE | re.MULTILINE)
_LONGEST_READ = 20_000


def fenced(tag: str, text: str) -> str:
    """Returns the text between ``<tag>`` and ``</tag>``; a tag of that name inside it is made harmless."""
    inner = re.sub(rf"<(?=\s*/?\s*{re.escape(tag)}\b)", "&lt;", text, flags=re.IGNORECASE)
    return f"<{tag}>\n{inner}\n</{tag}>"


def reads_as_instruction(text: str) -> bool:
    """Returns whether a text talks to a model rather than to a person, as "ignore all previous instructions" does.

    A notice for people, not a wall: the wall is the fence. English, Chinese, Japanese, Portuguese, Dutch, Vietnamese;
    the first 20,000 characters are read.
    """
    return _ORDER.search(text[:_LONGEST_READ]) is not None
