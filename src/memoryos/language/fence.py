"""Fences stored text in prompts: it can't close its tag, begin a line of ours, or hold a model's control tokens."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from memoryos.language.confusables import skeleton, skeleton_positions

__all__ = ["fenced", "indented", "one_line", "reads_as_instruction", "speaker_label"]

TAGS = ("memory", "conversation", "known", "sources")
"""The tags of our prompts: stored text neither opens nor closes one."""
LONGEST_NAME = 80

_TOKENS = (
    r"(?:\|"
    r"|/?(?:s|bos|eos|pad|unk|sop|eop|eod|sys|system|think|im_start|im_end|endoftext|bos_token|eos_token"
    r"|(?:start|end)_of_(?:turn|image|text)|(?:start|end)ofturn|(?:tool|function)_(?:calls?|results?|responses?)"
    r"|unused_?\d{1,5}|extra_id_\d{1,5}|reserved_special_token_\d{1,5})>)"
)
"""What stands behind the bracket in tokens by which chat models tell roles and turns apart, in a skeleton."""
_BRACKET_TOKENS = (
    r"/?(?:inst|sys|system_prompt|available_tools|tool_calls|tool_results|tool_content)(?!\w)"
    r"|\|(?:system|user|human|assistant|tool|endofturn)(?!\w)"
)
_ESCAPED = {"<": "&lt;", "«": "&lt;", "[": "&#91;"}

_CONTROL = re.compile("[\0-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]+")
"""Control characters but tab and line breaks: they move a terminal's cursor or can't be sent."""
_UNSENDABLE = re.compile("[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LEADS_A_LINE = re.compile(r"\d+\s*[.):]|[^\w\"']|_")

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


def fenced(tag: str, text: str) -> str:
    """Returns the text between ``<tag>`` and ``</tag>``; tags of our prompts and of chat models in it are escaped.

    Tags are looked for in the text's skeleton, so that neither lookalikes nor invisible characters hide one. Only the
    bracket that opens a tag is replaced; every other character stays as it is. The time grows linearly with the length.
    """
    return f"<{tag}>\n{_escaped(text, _opening(tag))}\n</{tag}>"


def one_line(text: str) -> str:
    """Returns the text on one line, without control characters and what no endpoint takes."""
    return " ".join(_UNSENDABLE.sub(" ", text).split())


def indented(text: str) -> str:
    """Returns the text with each line but the first indented, so that none passes for a line of ours.

    Whatever a model or a terminal may take for a line break counts as one; control characters are left out.
    """
    return _CONTROL.sub("", _LINE_BREAK.sub("\n  ", text))


def speaker_label(name: str) -> str:
    """Returns a speaker's name for the beginning of a line: on one line, short, quoted if it may pass for our text."""
    name = one_line(name)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    plain = one_line(unicodedata.normalize("NFKC", name))
    return f'"{name}"' if _LEADS_A_LINE.match(plain) else name


@lru_cache(maxsize=32)
def _opening(tag: str) -> re.Pattern[str]:
    """Returns the pattern of a bracket that opens one of our tags or a model's token, for skeletons.

    Between bracket and name no other bracket may stand, so every character is read a bounded number of times.
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


def reads_as_instruction(text: str) -> bool:
    """Returns whether a text talks to a model rather than to a person, as "ignore all previous instructions" does.

    A notice for people, not a wall: the wall is the fence. English, Chinese, Japanese, Portuguese, Dutch, Vietnamese;
    the first 20,000 characters are read.
    """
    return _ORDER.search(text[:_LONGEST_READ]) is not None
