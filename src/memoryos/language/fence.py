"""Fences: what was said stands in a prompt between two tags that it can't close, and what gives orders is noticed."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fenced", "indented", "one_line", "reads_as_instruction", "speaker_label"]

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
_LEADS_A_LINE = re.compile(r"\d+\s*[.):]|[\[#(<*-]")

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


def reads_as_instruction(text: str) -> bool:
    """Returns whether a text talks to a model rather than to a person, as "ignore all previous instructions" does.

    A notice for people, not a wall: the wall is the fence. English, Chinese, Japanese, Portuguese, Dutch, Vietnamese;
    the first 20,000 characters are read.
    """
    return _ORDER.search(text[:_LONGEST_READ]) is not None
