"""Patterns that show whether a question asks for something that the user said or something that the assistant said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memoryos.language.languages import Language

__all__ = ["ASKS_ABOUT_ASSISTANT", "ASKS_ABOUT_USER", "REMEMBER"]

REMEMBER = re.compile(
    r"\b(?:do|did|can|could)\s+you\s+(?:still\s+)?(?:remember|recall|know)\b|你还记得|\b(?:weet|herinner|ken)\s(?:je|jij|u)\b(?:\sje)?"
    r"|\b(?:voc[êe]\s(?:ainda\s)?(?:se\s)?)?lembras?\b|\bvoc[êe]\ssabe\b|\b(?:bạn|anh|chị|em|ban)\s(?:có\s|còn\s|co\s|con\s)*(?:nhớ|biết|nho|biet)\b"
    r"|(?:まだ)?覚えて(?:い)?(?:る|ます)|知って(?:い)?(?:る|ます)",
    re.IGNORECASE,
)
"""Matches introductions such as "do you remember". Their "you" does not show that a question is about the assistant."""
_ENGLISH_USER = re.compile(
    r"\b(?:did|do|have|had|was|were|am|what(?:'s| is| are)|where|when)\s+(?:i|my)\b|\bi\s(?:\w+\s)?(?:said|told|"
    r"mention|share|recommend|ask|like|love|want|went|read|watch|have|had|was)|\bmy\b|我(?!给我|们)",
    re.IGNORECASE,
)
_ENGLISH_ASSISTANT = re.compile(
    r"\b(?:did|do|have|had|would)\s+you\b|\byou(?:'ve| have)?\s(?:\w+\s)?"
    r"(?:recommend|suggest|said|say|told|tell|mention|advi[sc]e|"
    r"teach|taught|share|gave|give|promise|introduc)|\byour\s(?:advice|recommendation|suggestion|tip)s?\b"
    r"|(?:你|您)[^我]{0,6}(?:给我|推荐|建议|告诉|说过|教|分享|介绍|提醒|提到|劝|叫我|让我)",
    re.IGNORECASE,
)
ASKS_ABOUT_USER: dict[Language, re.Pattern[str]] = {
    "en": _ENGLISH_USER,
    "zh": _ENGLISH_USER,
    "nl": re.compile(r"\b(?:ik|mijn|m'n|me|mij|we|wij|ons|onze)\b", re.IGNORECASE),
    "pt": re.compile(
        r"\b(?:eu|meus?|minhas?|me|mim|comigo|noss[oa]s?|moro|trabalho|gosto|tenho|fui|fiz|\w{3,}ei)\b", re.IGNORECASE
    ),
    "vi": re.compile(r"\b(?:tôi|mình|em|tui|tớ|anh|chị|toi|minh)\b", re.IGNORECASE),
    "ja": re.compile("私|わたし|僕|ぼく|俺|うちの|自分"),
}
"""For each language, a pattern of questions about something that the user said or did, e.g. "where did I …"."""
ASKS_ABOUT_ASSISTANT: dict[Language, re.Pattern[str]] = {
    "en": _ENGLISH_ASSISTANT,
    "zh": _ENGLISH_ASSISTANT,
    "nl": re.compile(
        r"\b(?:raadde?n?|beval|noemde|zei|stelde|vertelde|gaf|beloofde|adviseerde|tipte|schreef)\s(?:je|jij|u|ge|gij)\b|\b(?:je|jij|u|ge|gij)\s(?:me|mij|ons)?\s?.{0,40}"
        r"(?:aangeraden|aanraadde|aanbevolen|voorgesteld|voorstelde|gezegd|genoemd|beloofd|geadviseerd|getipt|gegeven)\b"
        r"|\b(?:je|jouw|uw)\s(?:advies|raad|suggestie|tip|voorstel)\b", re.IGNORECASE,
    ),
    "pt": re.compile(
        r"\b(?:voc[êe]|tu)\b.{0,20}\b(?:recomend|suger|indic|diss|fal|promet|cont|aconselh|ensin|mencion|deu|explic|pass)\w*"
        r"|\b(?:recomenda|aconselha|conta|ensina|menciona|indica|explica|promete|fala|passa|sugeri|disse)stes?\b"
        r"|\b(?:sua|tua|seu|teu)\s(?:recomenda[cç][aã]o|sugest[aã]o|dica|conselho)\b", re.IGNORECASE
    ),
    "vi": re.compile(
        r"\b(?:bạn|em|anh|chị|ban)\s(?:đã\s|từng\s|có\s|da\s)*(?:gợi ý|giới thiệu|khuyên|đề xuất|tư vấn|hướng dẫn|nói|bảo|dặn|mách|kể|hứa|dạy|chỉ|nhắc|goi y|gioi thieu|khuyen|noi|bao|hua)", re.IGNORECASE
    ),
    "ja": re.compile("(?:あなた|君|きみ)(?:は|が|の)|(?:おすすめ|お勧め|勧め|薦め|すすめ|提案|紹介|アドバイス|約束)(?:し|を)?(?:て)?(?:くれ|もらっ|いただ)|教えてくれた|言ってくれた"),
}  # fmt: skip
"""For each language, a pattern of questions about something that the assistant said or did, e.g. "what did you …"."""
