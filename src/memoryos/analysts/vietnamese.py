"""Vietnamese statements: a sentence about oneself becomes a note by dropping "tôi"; days become dates.

Patterns are written without marks and matched so: many write that way. Whether a word is "tôi" (I) or "tối" (evening) is
asked of the text itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.notes import Note, dated_note
from memoryos.analysts.speech import PROPER, Speech, compiled, unmarked
from memoryos.language.date_phrases import format_mention
from memoryos.language.matching import Bounded

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["VIETNAMESE"]

_ME = r"(?:toi|minh|em|tui|to|anh|chi|chung toi|chung minh|tui minh|bon minh|con|chau)"
_MARKED_ME = frozenset("tôi toi mình minh em anh chị chi tui tớ to con cháu chau chúng tụi bọn gia".split())
_I = (
    "".join(
        f"(?<!{word} )"
        for word in "gai trai me ma ba bo cha ong vo chong con cho meo than que cua nha anh chi em ban be di chu co bac nghiep xom sep yeu".split()
    )
    + rf"\b{_ME}"
)
"""Oneself, and not one's sister or home."""
_NOW = r"(?:(?:hien|dang|hien tai|bay gio|gio|van|cung|moi|vua|da|luon|rat|thuong|hay|con|chi|nay)\s){0,6}"
_END = r"(?=\s*(?:[.,;!?]|$|\b(?:va|nhung|voi|tu|duoc|nen|roi|cung|de|vi|hoi|nam|thang|tuan|nay|cho|khi|ma)\b))"
_NAME = r"(?P<value>(?-i:[A-Z]\w*(?:\s[A-Z]\w*){0,3}))"
_PLACE = rf"(?P<value>(?:thanh pho |tp\.? ?|quan |huyen |tinh )?{PROPER}(?:,\s{PROPER})?)"
_ATTRIBUTES = compiled(
    (
        (
            "name",
            rf"(?:^|[,.!;]\s){_ME}\s(?:ten|ten la|la)\s{_NAME}(?=\s*(?:[.,;!]|$|\b(?:nam nay|va|day|nhe|a)\b))|\bten\s(?:cua\s)?{_ME}\sla\s(?P<value2>(?-i:[A-Z]\w*(?:\s[A-Z]\w*){{0,3}}))",
        ),
        (
            "home",
            rf"{_I}\s{_NOW}(?:song|o|sinh song|o tro|tro)\s(?:o|tai)?\s?{_PLACE}{_END}|{_I}\s{_NOW}(?:chuyen|don)\s(?:nha\s)?(?:den|vao|ra|ve|len|toi|sang)\s(?P<value2>{PROPER}){_END}",
        ),
        (
            "hometown",
            rf"\b(?:que\s(?:cua\s)?{_ME}|{_ME}\sque|{_ME}\s(?:den|toi)\stu|{_ME}\ssinh\s(?:ra\s)?(?:va lon len\s)?|{_ME}\slon len)\s?(?:o|tai|la)?\s{_PLACE}{_END}",
        ),
        (
            "job",
            rf"{_I}\s{_NOW}(?:lam nghe|lam)\s(?P<value>(?:giao vien|ky su|bac si|y ta|dieu duong|ke toan|lap trinh vien|luat su|nha bao|phong vien|dau bep|tai xe|nhan vien [\w ]+?|thiet ke[\w ]*?|kien truc su|duoc si|nha si|ban hang|cong nhan|giang vien|nghien cuu vien|huong dan vien(?: du lich)?|phi cong|canh sat|bo doi|nong dan|tho [\w ]+?|quan ly[\w ]*?|phien dich[\w ]*?|bien tap vien|chuyen vien [\w ]+?|truong phong[\w ]*?|ca si|nhac si|hoa si|freelancer|designer|developer|marketing|sale))(?=\s*(?:[.,;!]|$|\b(?:o|tai|cho|va|nhung|duoc|tu|hon|trong|roi)\b))",
        ),
        (
            "job",
            rf"{_I}\s{_NOW}la\s(?:mot\s)?(?P<value>(?:giao vien|ky su|bac si|y ta|dieu duong|ke toan|lap trinh vien|luat su|nha bao|phong vien|dau bep|tai xe|nhan vien \w|kien truc su|duoc si|nha si|cong nhan|giang vien|nghien cuu vien|huong dan vien(?: du lich)?|phi cong|canh sat|bo doi|nong dan|tho \w|quan ly|phien dich vien|bien tap vien|chuyen vien \w|sinh vien|hoc sinh|ca si|nhac si|hoa si|nhiep anh gia|nha van|designer|developer|freelancer)[\w ]*?)(?=\s{{0,2}}(?:[.,;!]|$|\b(?:o|tai|cho|va|nhung|duoc|tu|hon|trong)\b))",
        ),
        ("employer", rf"{_I}\s{_NOW}(?:lam|lam viec)\s(?:o|tai|cho)\s(?:cong ty\s)?(?P<value>{PROPER}){_END}"),
        (
            "age",
            rf"{_I}\s(?:nam nay\s)?{_NOW}(?P<value>\d{{1,3}})\stuoi\b|\bnam nay\s{_ME}\s(?:duoc\s|tron\s|da\s)?(?P<value2>\d{{1,3}})\stuoi\b",
        ),
        ("birth_year", rf"{_I}\ssinh\snam\s(?P<value>(?:19|20)\d\d)\b"),
        (
            "relationship_status",
            rf"{_I}\s{_NOW}(?P<value>doc than|ket hon|lap gia dinh|co gia dinh|ly hon|dinh hon|co chong|co vo)\b",
        ),
        (
            "allergies",
            rf"{_I}\s{_NOW}bi\sdi\sung\s(?:voi\s)?(?P<value>[\w ,]+?)(?=\s*(?:[.;!]|$|\bnen\b|\bnhung\b|\bva khong\b))|{_I}\s{_NOW}di\sung\s(?:voi\s)?(?P<value2>[\w ,]+?)(?=\s*(?:[.;!]|$|\bnen\b|\bnhung\b))",
        ),
        (
            "languages",
            rf"{_I}\s{_NOW}(?:noi duoc|biet noi|noi|biet)\s(?P<value>tieng\s\w+(?:(?:,\s|\sva\s)(?:tieng\s)?\w+)*)",
        ),
        (
            "birthday",
            rf"\bsinh nhat\s(?:cua\s)?{_ME}\s(?:la\s|vao\s)*(?P<value>(?:ngay\s)?\d{{1,2}}(?:\sthang\s\d{{1,2}}|/\d{{1,2}}))",
        ),
    )
)
_NOTES = {
    "name": "Tên là {}", "home": "Sống ở {}", "hometown": "Quê ở {}", "job": "Nghề nghiệp là {}", "employer": "Làm việc ở {}", "birth_year": "Sinh năm {}",
    "relationship_status": "Tình trạng: {}", "allergies": "Bị dị ứng {}", "languages": "Nói được {}", "birthday": "Sinh nhật là {}",
}  # fmt: skip
_JOINT = Bounded(
    r",?\s(?:và|nhưng|va|nhung|còn)\s(?=(?:tôi|mình|em|toi|minh)\s)|,\s(?=(?:tôi|mình|em|toi|minh)\s)", re.IGNORECASE
)
_UNSURE = Bounded(
    r"[?\"“”]|\b(?:neu|gia ma|gia nhu|uoc gi|co le|chac la|hinh nhu|gia su|phai chi|co the|khong biet|nghe noi|nghe bao|nghi la|nghi rang|tuong la|hy vong|mong|"
    r"anh co|chi co|gi the|khong a|phai khong|the nao|ra sao|dau vay|cam on|goi y|du dinh gi)\b|(?<!chao )\bban\b(?!\s(?:than|gai|trai|be|hoc|cu|dai hoc|cung|cua (?:toi|minh|em)|(?:toi|minh|em)\b|nha|xe))|\bkhong$|\b(?:chua|nhi|ha)$",
    re.IGNORECASE,
)
_CUES = (
    r"thich|me|yeu|ghet|so|khong thich|khong an|khong uong|khong an duoc|khong uong duoc|an chay|song|o|chuyen|lam|hoc|day|choi|tap|chay|boi|nuoi|co (?:mot|hai|ba|bon|nam|\d+|con|nha|xe|chi|em|anh)|mua|ban (?:nha|xe)|di|den|ve|"
    r"xem|doc|an|uong|gap|bat dau|dang ky|tham gia|ke hoach|du dinh|dinh|se (?:di|chuyen|cuoi|ket hon|mua|thi|hoc)|sap (?:cuoi|chuyen|ket hon|sinh)|sinh|ket hon|cuoi|ly hon|nghi viec|duoc|bi (?:om|dau|benh|gay|tieu duong|cao huyet ap|viem|di ung|mat|cam)|"
    r"viet|ve tranh|nau|trong|lai|so huu|thuong|hay|tung|khong con|tot nghiep|thi|nhan|trung|hat|danh|suu tam|cham soc|ra truong|mo (?:quan|tiem|cua hang)|phau thuat|uong thuoc|thuc day|day som|ngu"
)
_STATEMENT = Bounded(
    rf"^(?P<when>[^,]{{0,40}}?[,\s]\s?)?(?P<me>{_ME})\s(?!(?:ay|gai|trai|ho|trai|ruot|dau|re|la gi|a|oi|oi)\b)(?P<body>{_NOW}(?:{_CUES})\b.*)$",
    re.IGNORECASE,
)
_FAMILY = (
    r"(?:em gai|em trai|chi gai|anh trai|chi|anh|me|ma|ba|bo|cha|ong|ba ngoai|ba noi|ong ngoai|ong noi|vo|chong|con gai|con trai|con|chau|ban than|ban gai|ban trai|nguoi yeu|gia dinh|nha|"
    r"con cho|con meo|cho|meo|be|sep|dong nghiep|hang xom|co|chu|bac|di|cau|nguoi ban)"
)
_OWNED = Bounded(
    rf"^(?P<who>{_FAMILY}(?:\s(?:lon|nho|ut|ca|cu))?)\s(?:cua\s)?(?P<me>toi|minh|em|tui|to)\s(?P<name>(?:ten\s)?(?-i:(?:[A-Z]\w*\s)*))(?P<rest>(?:vua\s|moi\s|dang\s|da\s|van\s|cung\s|rat\s|hien\s|sap\s){{0,6}}(?:ten|la|song|o|lam|hoc|thich|co|bi|di|chuyen|mat|qua doi|ket hon|cuoi|sinh|mua|ve|nuoi|day|choi|tot nghiep|nghi huu|dau|me)\b.+)$",
    re.IGNORECASE,
)
_ADDRESSED = Bounded(
    r"\b(?:anh|chi)\s(?:oi|a|giup|goi y|nho|co (?:biet|the|nho)|bay|hai|ba|tu|nam|sau|ay|ta)\b|\b(?:anh|chi)\s(?-i:[A-Z])|\b(?:em|toi|minh|tui)\b.*\b(?:anh|chi)\b|\b(?:cua|voi|cho|nho|hoi|gap|thang|con) (?:anh|chi)$",
    re.IGNORECASE,
)
"""Where "anh" and "chị" are somebody else: an elder brother or sister, or whoever is spoken to."""
_LEAD = Bounded(
    r"^(?:(?:a|o|oi|chao|xin chao|chao ban|vang|da|uhm?|u|ma|thi|nhung|va|thuc ra|that ra|tiec la|may qua|hoi|nhan tien|cung)\b[,!.\s]+)+(?=\w)",
    re.IGNORECASE,
)
_OTHERS = Bounded(r"\b(?:bao|ke|noi)\s(?:la|rang)\b", re.IGNORECASE)
_NEGATION = Bounded(r"\b(?:khong|chua|chang|cha)\b", re.IGNORECASE)
_DURABLE_NEGATIONS = Bounded(
    r"\bkhong\s(?:thich|an|uong|hut|choi|biet (?:boi|lai|nau|bay|choi)|con|co (?:con|xe|anh|chi|em))\b", re.IGNORECASE
)
_OF_ME = Bounded(r"\bcủa (?:tôi|em|tui|tớ|toi|chúng tôi)\b|\bcua (?:toi|em|tui)\b", re.IGNORECASE)
_FILLERS = Bounded(r"\s+(?:nhé|nha|ạ|đó|đấy|lắm|luôn|rồi đó|thôi|nè|á)$", re.IGNORECASE)
_FEWEST_WORDS, _MOST_WORDS = 3, 40


def _rephrase(sentence: str, at: datetime) -> Note | None:
    text = sentence.strip(" .!,")
    lead = _LEAD.match(unmarked(text))
    text = text[lead.end() :] if lead and unmarked(text)[: lead.end()].lower().strip(" ,.!") != "da" else text
    plain = unmarked(text)
    if not _FEWEST_WORDS <= len(plain.split()) <= _MOST_WORDS or _UNSURE.search(plain) or _OTHERS.search(plain):
        return None
    if _NEGATION.search(plain) and not _DURABLE_NEGATIONS.search(plain):
        return None
    body = _owned(text, plain) or _said_of_self(text, plain)
    if body is None:
        return None
    note = dated_note(_OF_ME.sub("của mình", _FILLERS.sub("", body)), at, lambda mention: format_mention(mention, "vi"))
    return Note(f"{note.text[:1].upper()}{note.text[1:]}", note.since)


def _owned(text: str, plain: str) -> str | None:
    match = _OWNED.match(plain)
    if match is None or text[match.start("me") : match.end("me")].lower() not in _MARKED_ME:
        return None
    who = text[: match.end("who")]
    return f"{who[0].upper()}{who[1:]} {text[match.start('name') :]}"


def _said_of_self(text: str, plain: str) -> str | None:
    if _ADDRESSED.search(plain):
        return None
    for start in [0, *(match.start() for match in re.finditer(rf"(?<=\s){_ME}\s", plain))]:
        match = _STATEMENT.match(plain, start)
        if match is None or text[match.start("me") : match.end("me")].lower().split()[0] not in _MARKED_ME:
            continue
        when = text[: match.start("me")].strip(" ,")
        body = text[match.start("body") :]
        said = f"{when} {body}" if when else body
        return f"{said[0].upper()}{said[1:]}"
    return None


VIETNAMESE = Speech(_ATTRIBUTES, _NOTES, (), _JOINT, _UNSURE, _rephrase)
"""How Vietnamese says things about oneself."""
