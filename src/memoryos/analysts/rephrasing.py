"""Rephrasing: a first-person clause becomes a note about the one who said it ("I work …" → "Works …")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.notes import Note, dated_note
from memoryos.language.dates import format_date_range
from memoryos.language.matching import Bounded
from memoryos.language.text import content_words

if TYPE_CHECKING:
    from datetime import datetime

    from memoryos.language.dates import Mention

__all__ = ["clauses", "rephrase"]

_MIN_WORDS, _MAX_WORDS = 3, 32
_MIN_CONTENT = 2

_PRESENT = """
work live love like enjoy prefer hate dislike own study teach play speak run volunteer plan drive collect practice practise eat drink
cook paint write read follow support belong grow make sing dance travel hike swim cycle bike garden bake sew knit draw act code program
manage lead coach train commute attend visit watch listen dream suffer avoid keep use wear breed raise rent sleep meditate surf ski
skate climb fish camp jog exercise perform compose record sell design build
""".split()
_IRREGULAR_PAST = """
went bought got started moved joined met saw had made took lost won found began built wrote ran gave taught quit left became grew ate
came flew drove sold spent chose read sang drew swam rode fell broke caught drank felt held kept led paid put sent sat slept spoke
stood threw wore hurt cut set brought fought hid lent shot did
""".split()
_VAGUE = """
think guess hope know see feel mean bet agree understand wish appreciate remember believe suppose wonder imagine say said told thought
knew meant hoped wondered asked decided tried felt heard noticed realized realised figured mentioned needed wanted forgot loved liked
agreed guessed happened seemed used called turned looked talked
""".split()
_DANGLING = Bounded(
    r"^(?:it|that|this|them|these|those|him|her|so|too|there|one|some|how|what|when|why|if|to hear|to see|hearing|seeing|the way|"
    r"your|you|stuff|things?|something|everything|anything|every (?:minute|bit|second))\b",
    re.IGNORECASE,
)
_HYPOTHETICAL = Bounded(
    r"\b(?:would|could|should|might|may|if|unless|wish|maybe|perhaps|probably|i'd|we'd|you|your|yours|you're|you've|you'll)\b"
    r"|[?？]|\"|“",
    re.IGNORECASE,
)
_LEAD = Bounded(
    r"^(?:(?:and|but|so|well|also|actually|yeah|yes|yep|oh|wow|hey|hi|hello|anyway|plus|honestly|basically|recently|lately|nowadays|"
    r"currently|by the way|as for me|to be honest|in fact|thanks?|hi there|hey there|of course|sure|no|luckily|unfortunately|sadly|"
    r"(?P<day>yesterday|today|last \w+|this \w+|(?:a few|two|three|a couple of) \w+ ago))\b[,!.\s]*)+",
    re.IGNORECASE,
)
_CLAUSE = Bounded(
    r"[;—]|\s[-–]\s|,?\s(?:and|but|so|because|since)\s(?=(?:I|I'm|I've|my|we|we've|we're)\b)|,\s(?=(?:I|I'm|I've|my)\b)"
)
_SUBJECT = Bounded(
    r"^(?:(?P<me>i|we)(?P<short>'m|'ve|'re|'ll)?\s+(?P<adverb>(?:also|just|really|always|often|usually|still|actually|recently|finally|"
    r"even|both|all|currently|now|already|mostly|sometimes|never|only|definitely|absolutely|totally|truly)\s+)*(?P<rest>.+)"
    r"|(?P<mine>my|our)\s+(?P<owned>.+))$",
    re.IGNORECASE,
)
_SPACE_BEFORE_STOP = Bounded(r"\s+([,.])")
_PREPOSITION = Bounded(r"\s+(?:(?:on|in|for|about|around|in the)\s*)?$", re.IGNORECASE)
_VERDICT = Bounded(
    r",?\s(?:and|but)\s(?:it|they|that|this|he|she|the \w+)(?:'s|'re|\s(?:was|is|were|are|has|have|had|made|felt|feels|tasted|looks|looked|really|just|turned|went))\b.*$"
    r"|,\s(?:it|which|they)(?:'s|'re|\s(?:was|is|were|are|has|felt|feels|made|makes|really))\b.*$"
    r"|\sthat was (?:so |really |pretty )?\w+$|,?\sand had (?:a|an|so|such|lots?)\b.*$",
    re.IGNORECASE,
)
"""What a clause adds about how it was: it dates a fact no better and makes it longer."""
_POINTING = Bounded(
    r"\b(?:this|these|that|those)\s(?!year|month|week|weekend|morning|afternoon|evening|summer|winter|spring|fall|past|time|are|is|was)\w+"
    r"|\b(?:here|eachother|such a|thing|stuff|something|someone|somewhere|like (?:him|her|it|that|this)|him|"
    r"another one|a few more|the ones?|all kinds of|speaking of|of them|as usual|more than ever|together)\b"
    r"|^(?:i'm|i am|we're|i've been|we've been)\s(?:\w+ly\s)?(?:working|staying|keeping|putting|pushing|having|carrying|exploring|finding)\b"
    r"|^(?:i|we)\s(?:\w+\s)?(?:had to|got to|faced|kept|tried|ended up|came across|got (?:a|an|the|so|lots?|some))\b",
    re.IGNORECASE,
)
"""Words that point at what only the conversation shows."""
_TURNED = {
    "my": "their", "mine": "theirs", "me": "them", "myself": "themselves", "our": "their", "ours": "theirs", "us": "them",
    "ourselves": "themselves", "i": "they", "i'm": "they're", "i've": "they've", "i'll": "they'll", "we": "they",
    "we're": "they're", "we've": "they've", "we'll": "they'll", "am": "are",
}  # fmt: skip
_TURN = Bounded(rf"\b(?:{'|'.join(sorted(_TURNED, key=len, reverse=True))})\b", re.IGNORECASE)
_DONE = Bounded(r"^(?:\w+ed|" + "|".join(_IRREGULAR_PAST) + r"|been)\b", re.IGNORECASE)
_ING = Bounded(r"^(?!anything|something|nothing|everything|feeling|hoping|wondering|thinking|looking|trying|doing|going|getting|saying|"
                  r"glad|sorry|seeing|being|making|dying|kidding)\w{2,}ing\b", re.IGNORECASE)  # fmt: skip
_BEING = Bounded(
    r"^(?:an?\s+(?!bit|little|lot|huge|big|fan of (?:it|that)\b)|the\s(?:\w+\s)*(?:of|at|in)\b|from\s|in\s(?:my|the|a)\s|on\sa\s|allergic|afraid of\s|scared of\s|engaged|"
    r"married|single|divorced|widowed|retired|pregnant|vegan|vegetarian|originally|based in|passionate about|into\s|good at|bad at|"
    r"interested in|responsible for|diagnosed|studying|\d+\s*(?:years? old)?$|obsessed with|fluent in|part of|named|called|born)",
    re.IGNORECASE,
)


def clauses(sentence: str) -> list[str]:
    """Returns the parts of a sentence that may each have their own subject."""
    return [part.strip(" ,.!") for part in _CLAUSE.split(sentence) if part and part.strip(" ,.!")]


def rephrase(clause: str, at: datetime) -> Note | None:
    """Returns the note of one first-person clause, None where it says nothing durable.

    Args:
        clause: As said.
        at: When; relative days are resolved against it.
    """
    text = clause.strip().replace("’", "'")
    lead = _LEAD.match(text)
    day = ""
    if lead:
        day = lead.group("day") or ""
        text = text[lead.end() :]
    text = _VERDICT.sub("", text)
    words = len(text.split())
    if not _MIN_WORDS <= words <= _MAX_WORDS or _HYPOTHETICAL.search(text) or _POINTING.search(text):
        return None
    subject = _SUBJECT.match(text)
    if subject is None:
        return None
    body = _owned(subject["owned"]) if subject["mine"] else _said_of_self(subject)
    if body is None or len(content_words(body)) < _MIN_CONTENT - (1 if day else 0):
        return None
    return _dated(f"{body} {day}".strip(), at)


def _owned(owned: str) -> str | None:
    match = re.match(r"^(?P<what>(?:[\w'-]+\s){0,4}?[\w'-]+)\s(?P<verb>is|are|was|were|has|have|loves?|likes?|lives?|works?|died|passed|got|"
                     r"gave|started|moved|bought|plays?|just\s\w+ed)\s(?P<rest>.+)$", owned)  # fmt: skip
    if match is None or _DANGLING.match(match["rest"]):
        return None
    if re.match(
        r"^(?:favou?rite)?\s*(?:pleasure|bad|goodness|god|point|thoughts?|heart|mind|day|week|weekend|pick|gosh|life)\b",
        match["what"],
        re.IGNORECASE,
    ):
        return None
    return f"Their {match['what']} {match['verb']} {_turn(match['rest'])}"


def _said_of_self(subject: re.Match[str]) -> str | None:  # noqa: C901, PLR0911  (one rule a line, in order)
    short, rest = (subject["short"] or "").lower(), subject["rest"]
    is_never = (subject["adverb"] or "").strip().lower().endswith("never")
    if not short and (match := re.match(r"(am|was|were|have|will|are)\s+(.+)", rest, re.IGNORECASE)):
        auxiliary, rest = match[1].lower(), match[2]
        short = {"am": "'m", "are": "'re", "have": "'ve", "will": "'ll"}.get(auxiliary, auxiliary)
    rest = re.sub(
        r"^(?:also|just|really|always|often|usually|still|actually|currently|now|so|very|already|recently|super|both)\s+",
        "",
        rest,
    )
    if short in {"'m", "'re"}:
        return _being("Is", rest)
    if short in {"was", "were"}:
        return _being("Was", rest)
    if short == "'ve":
        return _having(rest)
    if short == "'ll":
        return None
    if match := re.match(
        r"(don't|do not|can't|cannot|never|didn't|haven't|no longer)\s+(?:really\s+|ever\s+)?(\w+)(.*)",
        rest,
        re.IGNORECASE,
    ):
        return _denying(match)
    if match := re.match(r"(?:plan|intend|(?:want|need|hope)(?=\sto\s(?:learn|become|start|move|buy|visit|travel|open|build|write|study|adopt)))\s(?:on|to)\s(.+)",
                         rest, re.IGNORECASE):  # fmt: skip
        return f"{'Plans' if rest.lower().startswith(('plan', 'intend')) else 'Wants'} to {_turn(match[1])}"
    if match := re.match(r"used to ((?:like|love|enjoy|eat|drink)\s.+)", rest, re.IGNORECASE):
        return f"Used to {_turn(match[1])}"
    verb, _, object_ = rest.partition(" ")
    lowered = verb.lower()
    if lowered in _VAGUE or _DANGLING.match(object_):
        return None
    if lowered == "have":
        return (
            None
            if re.match(r"(?:to|no idea|fun|a (?:lot|feeling|question|good|great))\b", object_)
            else f"Has {_turn(object_)}"
        )
    if lowered in _PRESENT:
        never = "Never " if is_never else ""
        return f"{never}{_third_person(lowered) if never else _third_person(lowered).capitalize()} {_turn(object_)}"
    if lowered in _IRREGULAR_PAST or (lowered.endswith("ed") and len(lowered) > 4):  # noqa: PLR2004
        return (
            f"{'Never ' if is_never else ''}{lowered if is_never else lowered.capitalize()} {_turn(object_)}"
            if object_
            else None
        )
    return None


def _being(verb: str, rest: str) -> str | None:
    if match := re.match(r"(?:going|planning|gonna)\s(?:to\s)?(?:on\s)?(\w+)(.*)", rest, re.IGNORECASE):
        if rest.lower().startswith("planning") and verb == "Is":
            return (
                f"Plans to {match[1]}{_turn(match[2])}"
                if not match[1].endswith("ing")
                else f"Is planning {match[1]}{_turn(match[2])}"
            )
        return None
    if match := re.match(r"not\s+(.+)", rest):
        return f"{verb} not {_turn(match[1])}" if _BEING.match(match[1]) else None
    if _ING.match(rest) or _BEING.match(rest):
        return None if _DANGLING.match(rest) else f"{verb} {_turn(rest)}"
    return None


def _having(rest: str) -> str | None:
    negated = ""
    if match := re.match(r"(never|not)\s(.+)", rest):
        negated, rest = f"{match[1]} ", match[2]
    if not _DONE.match(rest) or rest.split()[0].lower() in _VAGUE:
        return None
    if re.match(r"been\s(?!\w+ing\b|to\b|in\b|a\b|an\b|into\b|married|vegetarian|vegan)", rest) or re.match(
        r"been (?:thinking|doing|feeling|looking|trying|wanting|meaning|so|there|a (?:while|bit|lot))", rest
    ):
        return None
    if _DANGLING.match(rest.partition(" ")[2]) or rest.startswith(("got to", "had to", "got a lot", "done")):
        return None
    return f"Has {negated}{_turn(rest)}"


def _denying(match: re.Match[str]) -> str | None:
    negation, verb, rest = match[1].lower(), match[2].lower(), match[3]
    if verb in _VAGUE or verb not in {*_PRESENT, "have"} or _DANGLING.match(rest.strip()):
        return None
    shown = {
        "don't": "Doesn't",
        "do not": "Doesn't",
        "can't": "Can't",
        "cannot": "Can't",
        "never": "Never",
        "didn't": "Didn't",
        "haven't": "Hasn't",
        "no longer": "No longer",
    }
    form = _third_person(verb) if negation in {"never", "no longer"} else verb
    return f"{shown[negation]} {form}{_turn(rest)}"


def _third_person(verb: str) -> str:
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "o")) else f"{verb}s"


def _turn(text: str) -> str:
    turned = _TURN.sub(lambda match: _TURNED[match.group().lower()], text)
    return turned.rstrip(" .!,")


def _dated(text: str, at: datetime) -> Note:
    note = dated_note(text, at, _said_day, dropped=_PREPOSITION)
    tidy = re.sub(r"\bsince (?:in|on|around) ", "since ", " ".join(note.text.split()))
    return Note(_SPACE_BEFORE_STOP.sub(r"\1", tidy).strip(" ,"), note.since)


def _said_day(mention: Mention) -> str:
    shown = format_date_range(mention.first, mention.last)
    if mention.text.lower().startswith("since"):
        return f"since {shown}"
    if mention.first == mention.last:
        return f"on {shown}"
    return f"in {shown}" if (mention.last - mention.first).days > 26 else f"around {shown}"  # noqa: PLR2004
