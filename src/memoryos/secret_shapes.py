"""The built-in detectors of secrets: RE2 patterns, and checks in code, such as checksums.

Each pattern is searched in the whole text. A pattern must match only short spans, because many long spans that
overlap would take quadratic time. A private key is long, so the patterns match only its BEGIN and END lines, and code
combines them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["BUILT_IN", "SENSITIVE_NAME", "Detector", "Span", "placeholder", "whole"]

Span = tuple[int, int]
"""Start and end of a secret in a text."""


class Detector(NamedTuple):
    """One kind of secret.

    Attributes:
        placeholder: The text that replaces a secret.
        pattern: RE2 pattern. The secret is the first group, or the whole match if the pattern has no group.
        find: Function that receives a text and the spans that the pattern matched. It returns the spans of secrets.
    """

    placeholder: str
    pattern: str
    find: Callable[[str, Sequence[Span]], Iterable[Span]]


def placeholder(name: str) -> str:
    """Returns the text that replaces a secret, e.g. "[redacted token]" for the name "token"."""
    return f"[redacted {name}]"


def whole(text: str, spans: Sequence[Span]) -> Iterable[Span]:  # noqa: ARG001  (signature of Detector.find)
    """Returns all matched spans unchanged, for patterns whose matches need no check."""
    return spans


_TOKENS = (
    r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b",  # AWS
    r"\b(?:gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{22,})",
    r"\bgl(?:pat|dt|ptt|rt|oas|cbt|ft|agent|imt|soat|ffct)-[\w-]{20,}",  # GitLab
    r"\bxox[a-z]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{20,}",  # Slack
    r"\bhooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,}",
    r"\bdiscord(?:app)?\.com/api/webhooks/\d+/[\w-]{30,}",
    r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/=]{20,}",  # Stripe
    r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}|\b1//0[\w-]{30,}",  # Google
    r"\bhf_[A-Za-z0-9]{30,}|\bnpm_[A-Za-z0-9]{36}|\bpypi-[\w-]{50,}|\br8_[A-Za-z0-9]{30,}",
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}|\b(?:AC|SK)[0-9a-f]{32}\b|\bkey-[0-9a-f]{32}\b|\b[0-9a-f]{32}-us\d{1,2}\b",
    r"\b\d{8,10}:AA[\w-]{33}|\b[MNO][A-Za-z\d_-]{23,25}\.[\w-]{6}\.[\w-]{27,}",  # Telegram, Discord
    r"\bdo[opr]_v1_[0-9a-f]{64}|\bdapi[0-9a-f]{32}|\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|\bsbp_[0-9a-f]{40}",
    r"\bgsk_[A-Za-z0-9]{40,}|\bxai-[A-Za-z0-9]{40,}|\bpplx-[A-Za-z0-9]{40,}|\btgp_v1_[\w-]{30,}",
    r"\blin_api_[A-Za-z0-9]{30,}|\bntn_[A-Za-z0-9]{40,}|\bsecret_[A-Za-z0-9]{40,}|\bATATT3[\w=-]{40,}",
    r"\bsq0(?:atp|csp)-[\w-]{22,}|\bhvs\.[\w-]{24,}|\bdp\.(?:pt|st|ct|sa)\.[A-Za-z0-9]{40,}|\bglsa_[A-Za-z0-9]{32}_\w{8}",
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}|\bmos_[0-9a-f-]{36}_[\w-]{43}|\bnvapi-[\w-]{40,}",
)
"""Patterns of tokens with a prefix that identifies the issuer, such as "ghp_"."""

_LOGIN_WORDS = (
    r"pass[_-]?words?|passwd|passcode|pass[_-]?phrase|passwort|kennwort|mot de passe|contraseña|contrasena|senha|"
    r"wachtwoord|hasło|пароль|密码|密碼|パスワード|비밀번호|mật khẩu|pwd"
)
_KEY = (
    r"api[_ -]?key|access[_ -]?key|secret[_ -]?key|private[_ -]?key|signing[_ -]?key|encryption[_ -]?key|"
    r"account[_ -]?key|secret|token|credentials?|sharedaccesskey"
)
_IS = r"\\*[\"'`\])]*\s{0,3}(?:=>|:=|[:=>])\s{0,3}"
"""Matches the separator between a name and its value, e.g. " = " or ": "."""
_VALUE = r"""(?:\\*"([^"\n]+)|'([^'\n]+)|`([^`\n]+)|(\S+))"""
SENSITIVE_NAME = re2.compile(
    rf"(?i).*(?:{_LOGIN_WORDS}|api[_-]?key|secret[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|token|"
    r"secret|authorization|cookie)"
)
"""Matches names of JSON members whose value is a secret, e.g. "api_key"."""

_NOT_VALUES = frozenset(
    "none null nil true false required optional hidden secret password token string str int text bytes any varchar "
    "example placeholder changeme unknown missing empty unset yes no n/a the a an is it in of to my your our his her "
    "their that this what which and or for with not see ask here there incorrect wrong invalid expired default".split()
)
_CODE = re2.compile(
    r"(?i)(?:\$|\{\{|%\(|<[\w -]*>?$|process\.env|os\.|env\.|config\.|settings\.|self\.|getenv|your[_-]|[\w.]+\()"
)
_MARKS = re2.compile(r"[!@#$%^&*_+=~?|<>{}\[\]\\]")
_EMAIL = re2.compile(r"[^@\s]+@[^@\s]+\.\w+")
_TRAILING = "\"'`,;.)]}>\\"
_LETTERS_AND_DIGITS = 8
_SHORTEST = 4
_LONG = 20


def _values(text: str, spans: Sequence[Span]) -> Iterator[tuple[int, int, bool]]:
    """Yields start and end of each value, without trailing punctuation, and whether the value is quoted.

    Values that can't be secrets are skipped, such as "required", "<your key>" or ``os.environ``.
    """
    for start, matched_end in spans:
        value = text[start:matched_end]
        is_quoted = text[start - 1] in "\"'`"
        if not is_quoted:
            value = value.partition("</")[0]
            value = value.partition("&")[0] if "=" in value.partition("&")[2] else value
        value = value.rstrip(_TRAILING)
        if value and value.casefold() not in _NOT_VALUES and not _CODE.match(value) and value.strip("*•.xX-_ "):
            yield start, start + len(value), is_quoted


def _assigned_passwords(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yields passwords that follow a name, as in `password: swordfish`.

    An unquoted word in lower case counts as a password only at the end of a line.
    """
    for start, end, is_quoted in _values(text, spans):
        value = text[start:end]
        rest = text[end : end + 20].lstrip(_TRAILING)
        if is_quoted or not value.isalpha() or not value.islower() or not rest or rest[0] in "\r\n<&":
            yield start, end


def _assigned_keys(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yields keys and tokens that are assigned to a name such as ``api_key``, if they are long and contain a digit."""
    for start, end, _ in _values(text, spans):
        value = text[start:end]
        if " " not in value and len(value) >= _LETTERS_AND_DIGITS and any(map(str.isdigit, value)):
            yield start, end


def _stated_passwords(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yields passwords in sentences such as `my password is hunter2`.

    A word without digits and special characters counts as a password only if it is quoted.
    """
    for start, end, is_quoted in _values(text, spans):
        value = text[start:end]
        is_unusual = any(map(str.isdigit, value)) or _MARKS.search(value.rstrip("!?")) is not None
        if len(value) >= _SHORTEST and (is_quoted or is_unusual) and not _EMAIL.fullmatch(value):
            yield start, end


def _random(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yields the matches that contain a digit and a letter. Other matches are words with hyphens."""
    for start, end in spans:
        value = text[start:end]
        if any(map(str.isdigit, value)) and any(map(str.isalpha, value)):
            yield start, end


_PEM = r"-{4,5} ?(?:BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}|PuTTY-User-Key-File-\d: \S+"
_PEM_BODY = re2.compile(
    r"(?:(?:\\[nr]|[\s>|#*]){0,40}(?:[A-Za-z][A-Za-z0-9-]{2,30}: ?[^\s]{1,80}|[A-Za-z0-9+/=]{16,}))*"
)
_LONGEST_KEY = 20_000


def _private_keys(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yields each private key, from its BEGIN line to its END line.

    If the END line is missing, the key ends at its last line of base64.
    """
    begin: int | None = None
    starts = [start for start, _ in spans[1:]] + [len(text)]
    for number, (start, end) in enumerate(spans):
        is_end = text[start:end].lstrip("- ").startswith("END")
        if is_end and begin is not None:
            yield begin, end
            begin = None
        elif not is_end and begin is None:
            next_start = min(starts[number], end + _LONGEST_KEY)
            if text[next_start : next_start + 10].lstrip("- ").startswith("END"):
                begin = start
            else:
                body = _PEM_BODY.match(text[end:next_start])
                yield start, end + (body.end() if body else 0)


_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_SEPARATORS = " -"
_DOUBLED = str.maketrans("0123456789", "0246813579")
_GROUP = 4


def _cards(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yields card numbers: groups of digits with the prefix of an issuer, a valid length and a valid Luhn checksum."""
    for start, end in spans:
        before = text[max(0, start - 2) : start]
        if before.endswith("+") or (before.endswith((".", ",")) and before[:1].isdigit()):
            continue
        groups = list(_groups(text, start, end))
        first = 0
        while first < len(groups):
            last = _card(text, groups, first)
            if last is not None:
                yield groups[first][0], groups[last][1]
            first = first + 1 if last is None else last + 1


def _groups(text: str, start: int, end: int) -> Iterator[Span]:
    begin = start
    for at in range(start, end + 1):
        if at == end or text[at] in _SEPARATORS:
            if at > begin:
                yield begin, at
            begin = at + 1


def _card(text: str, groups: Sequence[Span], first: int) -> int | None:
    """Finds a card number that begins with the digit group ``first``.

    Returns:
        The index of the last digit group of the number; None if no card number begins here.
    """
    digits = ""
    for number in range(first, min(first + 5, len(groups))):
        start, end = groups[number]
        digits += text[start:end]
        if len(digits) > _LONGEST_CARD:
            return None
        if len(digits) >= _SHORTEST_CARD and _is_issued(digits) and _luhn(digits):
            return number
        if end - start < _GROUP:
            return None
    return None


def _is_issued(digits: str) -> bool:
    """Returns whether a card issuer uses numbers with these first digits and this length."""
    two, four, length = int(digits[:2]), int(digits[:4]), len(digits)
    if digits[0] == "4":
        return length in {13, 16, 19}
    if two in {34, 37}:
        return length == 15  # noqa: PLR2004  (American Express)
    if two in {36, 38, 39} or 3000 <= four <= 3059:  # noqa: PLR2004  (Diners Club)
        return length in {14, 16}
    is_long = 51 <= two <= 55 or 2200 <= four <= 2720 or 3528 <= four <= 3589  # noqa: PLR2004  (Mastercard, Mir, JCB)
    return length == 16 if is_long else two in {50, 56, 57, 58, 60, 62, 64, 65, 67, 81, 82} and length >= 16  # noqa: PLR2004


def _luhn(digits: str) -> bool:
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


_IBAN_LENGTHS = {
    name: int(length)
    for length, names in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL", "19": "MK SI", "20": "AT BA EE KZ LT LU XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "PT ST", "26": "IS TR", "27": "FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HU LB PL",
        "29": "BR EG PS QA UA", "30": "JO KW MU", "31": "MT SC", "32": "LC",
    }.items()
    for name in names.split()
}  # fmt: skip
"""Length of an IBAN by country code (ISO 13616)."""


def _ibans(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yields the IBANs that have the prescribed length of their country and a valid checksum."""
    for start, _ in spans:
        length = _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
        taken: list[str] = []
        at = start
        while (
            at < len(text)
            and len(taken) < length
            and ((text[at].isascii() and text[at].isalnum()) or text[at] in _SEPARATORS)
        ):
            if text[at] not in _SEPARATORS:
                taken.append(text[at])
            elif text[at - 1] in _SEPARATORS:
                break
            at += 1
        is_whole = at == len(text) or not _is_ascii_word(text[at])
        if length and len(taken) == length and is_whole and _mod_97("".join(taken)) == 1:
            yield start, at


def _is_ascii_word(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _mod_97(iban: str) -> int:
    return int("".join(str(int(each, 36)) for each in iban[4:] + iban[:4])) % 97


BUILT_IN = (
    Detector(placeholder("private key"), _PEM, _private_keys),
    Detector(placeholder("token"), "|".join(_TOKENS), whole),
    Detector(placeholder("api key"), r"\bsk-[\w-]{20,}", _random),
    Detector(
        placeholder("token"),
        r"\beyJ[\w-]{10,}\.(?:[\w-]{10,}\.[\w-]*|[\w-]*\.[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,})",  # JWT, JWE
        whole,
    ),
    Detector(
        placeholder("token"),
        r"(?i)\bauthorization\\*[\"']?\s{0,3}[:=]\s{0,3}\\*[\"']?(?:bearer|basic|token|digest|bot)\s+([^\s\"'\\]{6,})",
        whole,
    ),
    Detector(placeholder("token"), r"(?i)\bbearer\s+([\w.~+/-]{16,}=*)", _random),
    Detector(placeholder("password"), r"(?i)[a-z0-9+.-]://[^\s/?#:@]*:([^\s/]+)@", whole),
    Detector(placeholder("password"), rf"(?i)(?:{_LOGIN_WORDS}){_IS}{_VALUE}", _assigned_passwords),
    Detector(
        placeholder("password"),
        rf"(?i)(?:{_LOGIN_WORDS})\s+(?:is|was|to|are|ist|est|es|é|jest|=|-)\s+{_VALUE}",
        _stated_passwords,
    ),
    Detector(placeholder("password"), rf"(?i)--(?:{_LOGIN_WORDS})\s+{_VALUE}", _assigned_passwords),
    Detector(placeholder("key"), rf"(?i)(?:{_KEY})(?:[_ -]?id)?{_IS}{_VALUE}", _assigned_keys),
    Detector(placeholder("key"), rf"(?i)(?:--|\b)(?:{_KEY})\s+(?:is\s+)?([\w.~+/-]{{16,}})", _random),
    Detector(placeholder("card number"), r"\b\d{4,19}(?:[ -]{1,2}\d{1,19})*\b", _cards),
    Detector(placeholder("IBAN"), r"\b([A-Za-z]{2}\d{2})", _ibans),
)
"""The built-in detectors, one for each kind of secret."""
