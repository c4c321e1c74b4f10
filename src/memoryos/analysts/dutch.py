"""Dutch statements: "ik woon …" becomes "Woont …"; days become dates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.notes import Note, dated_note
from memoryos.analysts.speech import PROPER, Speech, compiled
from memoryos.language.date_phrases import format_mention
from memoryos.language.matching import Bounded
from memoryos.language.text import content_words

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["DUTCH"]

_END = r"(?=\s*(?:[.,;!?]|$|\b(?:en|maar|met|sinds|waar|want|omdat|bij|als|nu|al|dus|vlak|op|aan)\b))"
_ADVERBS = r"(?:(?:nu|ook|nog|net|pas|al|momenteel|tegenwoordig|sinds kort|onlangs|vorig jaar|vorige maand|vorige week|eindelijk|weer|gisteren)\s)*"
_JOBS = (
    r"(?:[a-z-]*(?:leraar|lerares|leerkracht|docente?|arts|dokter|verpleegkundige|verpleger|verpleegster|ingenieur|ontwikkelaar|programmeur|kok|chef|kapper|kapster|"
    r"bakker|timmerman|loodgieter|elektricien|monteur|chauffeur|piloot|journaliste?|schrijver|schrijfster|fotograaf|architecte?|advocate?|notaris|boekhouder|"
    r"accountant|verkoper|verkoopster|manager|ondernemer|onderzoeker|wetenschapper|student|studente|tandarts|dierenarts|apotheker|boer|tuinman|hovenier|muzikant|"
    r"kunstenaar|ontwerper|ontwerpster|psycholoog|therapeute?|fysiotherapeute?|coach|trainer|politieagente?|brandweerman|postbode|secretaresse|consultante?|analiste?|"
    r"bibliothecaris|vroedvrouw|verloskundige|zzp'er|freelancer|gepensioneerd|juriste?|tolk|vertaler|vertaalster|conducteur|machinist|stagiaire?|buschauffeur))"
)
_ATTRIBUTES = compiled(
    (
        (
            "name",
            rf"\b(?:ik heet|mijn naam is|je mag me|noem me|ze noemen me)\s(?P<value>{PROPER})(?=\s*(?:[.,;!]|$|\ben\b|\bnoemen\b))",
        ),
        (
            "name",
            rf"^(?:\W*(?:hoi|hallo|hé|hey|dag|goedemorgen|goedemiddag|goedenavond)\b[,!.]?\s*)(?:ik ben|met)\s(?P<value>{PROPER})(?=\s*(?:[.,!]|$|\ben\b))",
        ),
        (
            "home",
            rf"\bik\s(?:woon|leef)\s{_ADVERBS}(?:in|te)\s(?P<value>{PROPER}){_END}|\b(?:woon|leef)\sik\s{_ADVERBS}in\s(?P<value2>{PROPER}){_END}",
        ),
        (
            "home",
            rf"\bik\sben\s(?:[\w\s]{{0,30}}\s)?naar\s(?P<value>{PROPER})\sverhuisd\b|\bben\sik\s(?:[\w\s]{{0,30}}\s)?naar\s(?P<value2>{PROPER})\sverhuisd\b",
        ),
        (
            "hometown",
            rf"\bik\skom\s(?:oorspronkelijk\s|eigenlijk\s)?uit\s(?P<value>{PROPER}){_END}|\bik\sben\s(?:geboren\s(?:en getogen\s)?|opgegroeid\s)in\s(?P<value2>{PROPER}){_END}",
        ),
        ("hometown", rf"\bik\sben\sin\s(?P<value>{PROPER})\s(?:geboren|opgegroeid)\b"),
        (
            "job",
            rf"\bik\s(?:werk|ga werken|begin)\s{_ADVERBS}als\s(?:een\s)?(?P<value>[\w'-]+(?:\s(?:bij|in|op)\s(?:de\s|het\s|een\s)?[\w'-]+)?)(?=\s*(?:[.,;!]|$|\b(?:en|maar|sinds|want)\b))",
        ),
        (
            "job",
            rf"\bik\sben\s{_ADVERBS}(?:een\s)?(?P<value>{_JOBS})(?=\s*(?:[.,;!]|$|\b(?:en|maar|sinds|van|bij|in|op|aan)\b))",
        ),
        ("employer", rf"\bik\swerk\s{_ADVERBS}(?:bij|voor)\s(?P<value>{PROPER}){_END}"),
        (
            "age",
            r"\bik\sben\s(?:nu\s|inmiddels\s|net\s|al\s)?(?P<value>\d{1,3})(?:\sjaar(?:\soud)?|\sgeworden)?(?=\s*(?:[.,;!]|$|\ben\b|\bmaar\b|\bgeworden\b))",
        ),
        ("birth_year", r"\bik\sben\s(?:geboren\sin|in)\s(?P<value>(?:19|20)\d\d)(?:\sgeboren)?\b"),
        (
            "relationship_status",
            r"\bik\sben\s(?:nog\s|nu\s|gelukkig\s|pas\s|net\s|al\s)*(?P<value>single|vrijgezel|getrouwd|verloofd|gescheiden|weduwe|weduwnaar)\b",
        ),
        (
            "allergies",
            r"\bik\sben\s(?:erg\s|zwaar\s|ook\s)?allergisch\svoor\s(?P<value>[\w ,'-]+?)(?=\s*(?:[.;!]|$|\bdus\b|\bmaar\b|\ben ik\b))",
        ),
        (
            "languages",
            r"\bik\s(?:spreek|praat)\s(?:vloeiend\s|ook\s|een beetje\s)?(?P<value>(?-i:[A-Z]\w+)(?:(?:,\s|\sen\s)(?-i:[A-Z]\w+))*)",
        ),
        (
            "birthday",
            r"\bmijn\sverjaardag\sis\s(?:op\s)?(?P<value>\d{1,2}\s\w+)|\bik\sben\s(?:op\s)?(?P<value2>\d{1,2}\s(?:jan|feb|maa|apr|mei|jun|jul|aug|sep|okt|nov|dec)\w*)\sjarig\b|\bik\sben\sjarig\sop\s(?P<value3>\d{1,2}\s\w+)",
        ),
    )
)
_NOTES = {
    "name": "Heet {}", "home": "Woont in {}", "hometown": "Komt uit {}", "job": "Werkt als {}", "employer": "Werkt voor {}", "birth_year": "Is geboren in {}",
    "relationship_status": "Is {}", "allergies": "Is allergisch voor {}", "languages": "Spreekt {}", "birthday": "Is jarig op {}",
}  # fmt: skip
_JOINT = Bounded(r",?\s(?:en|maar|want|omdat)\s(?=(?:ik|mijn|we)\b)", re.IGNORECASE)
_UNSURE = Bounded(
    r"[?？\"“”„]|^als\b|\bals (?:ik|je|het|we|hij|ze|er|dat|dit|mijn)\b|\b(?:indien|stel dat|zou|zouden|misschien|wellicht|waarschijnlijk|hopelijk|wou dat|wilde dat|kon ik maar|had ik maar|ooit nog|denk|geloof|hoop|vermoed|"
    r"je|jij|jou|jouw|jullie|u|uw)\b|(?<!\w)'[^']+'(?!\w)",
    re.IGNORECASE,
)
_PRESENT = """
woon werk leef hou houd speel lees schrijf kook bak teken schilder zing dans loop ren fiets wandel zwem sport train studeer leer geef volg drink eet rook
spaar verzamel reis slaap maak doe heb ben ga rijd vlieg bezit spreek haat verafschuw onderhoud verzorg kweek tuinier klim schaats ski surf vis bezoek help
ontwerp bouw verkoop run leid coach oefen mediteer brei naai fotografeer programmeer plan wil gebruik draag lijd zorg
""".split()
_PAST = """
was had ging kocht deed zag kwam at dronk las schreef reed vond kreeg begon liep zwom won verloor nam gaf bracht bezocht vertrok sliep zong stierf brak viel droeg hielp
werd koos verkocht
""".split()
_THIRD = {
    "heb": "heeft", "ben": "is", "ga": "gaat", "doe": "doet", "wil": "wil", "hou": "houdt", "houd": "houdt", "hebben": "heeft", "zijn": "is", "gaan": "gaat",
    "wonen": "woont", "hadden": "had", "waren": "was", "gingen": "ging", "kochten": "kocht", "ski": "skiet",
}  # fmt: skip
_DURABLE_NEGATIONS = Bounded(
    r"^(?:eet|drink|rook|hou|lust|heb|kan|mag)\b.*\b(?:geen|niet)\b|\bniet tegen\b", re.IGNORECASE
)
_WEAK_PAST = Bounded(r"\w{3,}(?:te|de)")
_NEGATION = Bounded(r"\b(?:niet|geen|nooit)\b", re.IGNORECASE)
_LEAD = Bounded(
    r"^(?:(?:en|maar|dus|nou|ja|nee|oh|ach|trouwens|eigenlijk|hoi|hallo|hey|o|helaas|gelukkig|ook)\b[,!.\s]*)+",
    re.IGNORECASE,
)
_STRAIGHT = Bounded(
    r"^(?P<day>)(?P<who>ik|we|wij)\s(?:(?P<adverb>ook|zelf)\s)?(?P<verb>[\w']+)\s(?P<rest>.+)$",
    re.IGNORECASE,
)
_TURNED_ROUND = Bounded(r"^(?P<day>[\w' ]{2,40}?)\s(?P<verb>\w+)\s(?P<who>ik|we|wij)\s(?P<rest>.+)$", re.IGNORECASE)
_OWNED = Bounded(
    r"^(?:mijn|onze|ons|m'n)\s(?P<what>(?:[\w'-]+\s){0,3}?[\w'-]+)\s(?P<verb>is|zijn|was|waren|heeft|hebben|heet|heten|woont|wonen|werkt|houdt|speelt|studeert|gaat|kreeg|kocht|"
    r"begon|verhuisde|overleed|stierf|trouwde|wordt|werd|zit|eet|lust)\s(?P<rest>.+)$",
    re.IGNORECASE,
)
_NOT_OWNED = Bounded(
    r"^(?:dag|week|weekend|god|gevoel|hemel|idee|mening|vraag|beurt|fout|hart|hoofd|leven)\b", re.IGNORECASE
)
_VAGUE = Bounded(
    r"^(?:het|dat|dit|er|zo|daar|hier|iets|niets|niks|wat|alles|zin|gelijk|wel eens|blij|moe|druk|benieuwd|bang dat|oké|ok|goed|prima|klaar|terug|zo blij|heel blij|erg blij|eens|het eens|bezig|"
    r"nodig|geen idee|geen zin|veel zin|even|hem|haar|ze|dan|nu|gaan|doen|kijken|maar|je|jou)\b(?!\s+\w+\s+\w+\s+\w+)|^(?:het|dat|dit|er|zo)\b",
    re.IGNORECASE,
)
_POINTING = Bounded(
    r"\b(?:er(?:op|van|over|mee|in|aan|uit|bij)|daar(?:van|mee|op|over)|deze|hem|ze|hij|ene)\b|\b(?:gezegd|gedacht|gevraagd|verteld|gehoopt|laten maken)\b",
    re.IGNORECASE,
)
"""Words that point at what only the conversation shows, and verbs of saying."""
_TURNED = {
    "mijn": "zijn/haar",
    "m'n": "zijn/haar",
    "mij": "hem/haar",
    "me": "zich",
    "mezelf": "zichzelf",
    "onze": "hun",
    "ons": "hun",
    "ik": "hij/zij",
    "we": "ze",
    "wij": "ze",
}
_TURN = Bounded(rf"\b(?:{'|'.join(sorted(_TURNED, key=len, reverse=True))})\b", re.IGNORECASE)
_PREPOSITION = Bounded(r"\s*\b(?:op|in|rond|sinds)?\s*$", re.IGNORECASE)
_FEWEST_WORDS, _MOST_WORDS = 3, 32


def _rephrase(sentence: str, at: datetime) -> Note | None:
    text = _LEAD.sub("", sentence.strip().replace("’", "'")).strip(" .!,")
    if not _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS or _UNSURE.search(text):
        return None
    body = _owned(text) or _said_of_self(text)
    if body is None:
        return None
    note = dated_note(body, at, lambda mention: format_mention(mention, "nl"), dropped=_PREPOSITION)
    return Note(" ".join(note.text.split()), note.since)


def _owned(text: str) -> str | None:
    match = _OWNED.match(text)
    if (
        match is None
        or _NOT_OWNED.match(match["what"])
        or _VAGUE.match(match["rest"])
        or _NEGATION.search(match["rest"])
    ):
        return None
    what = match["what"]
    return f"{what[0].upper()}{what[1:]} {match['verb']} {_turn(match['rest'])}"


def _said_of_self(text: str) -> str | None:
    match = _STRAIGHT.match(text) or _TURNED_ROUND.match(text)
    if match is None:
        return None
    verb, rest = match["verb"].lower(), match["rest"]
    if verb in {"ben", "was", "zijn"} and not _is_telling(rest):
        return None
    if _POINTING.search(rest) or not content_words(rest):
        return None
    if _VAGUE.match(rest) or (_NEGATION.search(rest) and not _DURABLE_NEGATIONS.match(f"{verb} {rest}")):
        return None
    shown = _third_person(verb, is_many=match["who"].lower() != "ik")
    if shown is None:
        return None
    day = match["day"].strip()
    return f"{shown[0].upper()}{shown[1:]} {day[:1].lower()}{day[1:]} {_turn(rest)}".replace("  ", " ")


def _is_telling(rest: str) -> bool:
    """Returns whether "ben …" names what lasts or what was done, and no mood."""
    return bool(
        re.match(
            r"(?:een|de|het|dol op|gek op|fan van|lid van|bang voor|allergisch|bezig met|van plan|aan het|zwanger|vegetari\w+|veganis\w+|gepensioneerd)\b",
            rest,
            re.IGNORECASE,
        )
        or re.search(
            r"\b(?:ge\w+(?:d|t|en)|ver\w+(?:d|t|en)|be\w+(?:d|t|en)|begonnen|gestopt|naar\s.+)$", rest, re.IGNORECASE
        )
    )


def _third_person(verb: str, *, is_many: bool) -> str | None:
    if verb in _THIRD:
        return _THIRD[verb]
    if is_many:
        return None
    if verb in _PAST or _WEAK_PAST.fullmatch(verb):
        return verb
    if verb not in _PRESENT:
        return None
    return verb if verb.endswith("t") else f"{verb}t"


def _turn(text: str) -> str:
    return _TURN.sub(lambda match: _TURNED[match.group().lower()], text).rstrip(" .!,")


DUTCH = Speech(
    _ATTRIBUTES,
    _NOTES,
    ("single", "vrijgezel", "getrouwd", "verloofd", "gescheiden", "weduwe", "weduwnaar"),
    _JOINT,
    _UNSURE,
    _rephrase,
)
"""How Dutch says things about oneself."""
