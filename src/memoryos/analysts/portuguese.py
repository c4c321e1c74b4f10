"""Portuguese statements: "moro em …" becomes "Mora em …"; days become dates. Read without marks, as many write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.notes import Note, dated_note
from memoryos.analysts.speech import PROPER, Speech, compiled, unmarked
from memoryos.language.date_phrases import format_mention
from memoryos.language.dates import mentions
from memoryos.language.matching import Bounded
from memoryos.language.text import content_words

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["PORTUGUESE"]

_END = r"(?=\s*(?:[.,;!?]|$|\b(?:e|mas|com|desde|ha|onde|porque|pois|que|agora|faz|no|na|como|para|pra|perto)\b))"
_NOW = r"(?:(?:agora|hoje|atualmente|ja|tambem|ainda|sempre|so)\s)*"
_JOBS = (
    r"(?:[a-z-]*(?:professora?|medic[oa]|enfermeir[oa]|engenheir[oa]|advogad[oa]|programadora?|desenvolvedora?|jornalista|escritora?|fotograf[oa]|arquitet[oa]|designer|contadora?|"
    r"cozinheir[oa]|chef|padeir[oa]|confeiteir[oa]|motorista|piloto|dentista|veterinari[oa]|farmaceutic[oa]|psicolog[oa]|fisioterapeuta|nutricionista|vendedora?|gerente|analista|"
    r"estudante|estagiari[oa]|aposentad[oa]|pesquisadora?|cientista|musicista|music[oa]|cantora?|atriz|ator|artista|pintora?|empresari[oa]|empreendedora?|autonom[oa]|"
    r"funcionari[oa] public[oa]|policial|bombeir[oa]|secretari[oa]|consultora?|tradutora?|bibliotecari[oa]|agricultora?|mecanic[oa]|eletricista|pedreir[oa]|marceneir[oa]|"
    r"cabeleireir[oa]|costureira|diarista|administradora?|bancari[oa]|corretora?|garcom|garconete|jardineir[oa]|biolog[oa]|quimic[oa]|fisic[oa]|economista|juiza?))"
)
_ATTRIBUTES = compiled(
    (
        (
            "name",
            rf"\b(?:meu nome e|me chamo|chamo-me|pode me chamar de|podes chamar-me)\s(?:o\s|a\s)?(?P<value>{PROPER})(?=\s*(?:[.,;!]|$|\be\b))",
        ),
        (
            "name",
            rf"^(?:\W*(?:oi|ola|bom dia|boa tarde|boa noite|e ai)\b[^.!?]{{0,15}}?[,!.]?\s*)(?:(?:eu\s)?sou|aqui e)\s(?:o\s|a\s)(?P<value>{PROPER})(?=\s*(?:[.,!]|$|\be\b))",
        ),
        (
            "home",
            rf"\b(?:moro|vivo|resido|estou morando|to morando|me mudei|mudei-me|mudei|acabei de me mudar)\s{_NOW}(?:em|no|na|para o|para a|para|pra|pro)\s(?P<value>{PROPER}(?:,\s{PROPER})?){_END}",
        ),
        (
            "hometown",
            rf"\b(?:sou|venho)\s(?:natural\s)?(?:de|do|da)\s(?P<value>{PROPER}){_END}|\b(?:nasci|cresci|nasci e cresci)\s(?:em|no|na)\s(?P<value2>{PROPER}){_END}",
        ),
        (
            "job",
            r"\b(?:trabalho|comecei a trabalhar|estou trabalhando)\s(?:agora\s|atualmente\s)?(?:como|de)\s(?:uma?\s)?(?P<value>[\w'-]+(?:\s(?:de|em|da|do)\s[\w'-]+)?)(?=\s*(?:[.,;!]|$|\b(?:e|mas|desde|ha|em|no|na|num|numa|ha|faz)\b))",
        ),
        (
            "job",
            rf"\b(?:eu\s)?sou\s{_NOW}(?:uma?\s)?(?P<value>{_JOBS}(?:\s(?:de|da|do|em)\s[\w'-]+)?)(?=\s*(?:[.,;!]|$|\b(?:e|mas|desde|ha|em|no|na|num|numa)\b))",
        ),
        ("employer", rf"\btrabalho\s{_NOW}(?:na|no|para a|para o|para)\s(?P<value>{PROPER}){_END}"),
        (
            "age",
            r"\b(?:tenho|fiz|completei|acabei de fazer)\s(?:hoje\s|agora\s)?(?P<value>\d{1,3})\sanos(?!\sde\s(?!idade))",
        ),
        ("birth_year", r"\bnasci\sem\s(?P<value>(?:19|20)\d\d)\b"),
        (
            "relationship_status",
            r"\b(?:sou|estou|to)\s(?:agora\s|ainda\s|recem-?\s?)?(?P<value>solteir[oa]|casad[oa]|divorciad[oa]|separad[oa]|noiv[oa]|viuv[oa])\b",
        ),
        (
            "allergies",
            r"\b(?:sou|tenho)\s(?:muito\s|muita\s)?(?:alergic[oa]|alergia)\s(?:a|ao|aos|as)\s(?P<value>[\w ,'-]+?)(?=\s*(?:[.;!]|$|\bmas\b|\bentao\b|\bpor isso\b|\be (?:nao|sou|tenho)\b))",
        ),
        (
            "languages",
            r"\b(?:eu\s)?falo\s(?:fluentemente\s|tambem\s|um pouco de\s)?(?P<value>(?:portugues|ingles|espanhol|frances|alemao|italiano|japones|chines|mandarim|russo|coreano|holandes|arabe|libras)(?:(?:,\s|\se\s)(?:um pouco de\s)?\w+)*)",
        ),
        (
            "birthday",
            r"\b(?:meu aniversario e|faco aniversario|faco anos)\s(?:(?:no dia|em|dia|a)\s)?(?P<value>\d{1,2}o?\sde\s\w+)",
        ),
    )
)
_NOTES = {
    "name": "Chama-se {}", "home": "Mora em {}", "hometown": "É de {}", "job": "Trabalha como {}", "employer": "Trabalha para {}", "birth_year": "Nasceu em {}",
    "relationship_status": "Está {}", "allergies": "Tem alergia a {}", "languages": "Fala {}", "birthday": "Faz aniversário em {}",
}  # fmt: skip
_UNSURE = Bounded(
    r"[?\"“”«»]|(?:^|[,;]\s?|\b(?:e|mas|que)\s)se\s(?:eu|a gente|for|fosse|tivesse|pudesse|\w+sse\b|\w+r\b)|\b(?:talvez|gostaria|queria|seria|teria|poderia|deveria|acho que|achava que|"
    r"acredito|quem sabe|sera que|tomara|quem dera|imagina|provavelmente|espero que|voce|voces|teu|tua|contigo|te|tu)\b",
    re.IGNORECASE,
)
_THIRD = dict(
    pair.split(":")
    for pair in (
        "moro:mora vivo:vive trabalho:trabalha gosto:gosta adoro:adora amo:ama odeio:odeia detesto:detesta prefiro:prefere curto:curte tenho:tem sou:é estou:está to:está faco:faz estudo:estuda toco:toca "
        "jogo:joga pratico:pratica corro:corre leio:lê escrevo:escreve falo:fala como:come bebo:bebe tomo:toma uso:usa cozinho:cozinha viajo:viaja nado:nada danco:dança canto:canta pinto:pinta coleciono:coleciona "
        "crio:cria cuido:cuida planejo:planeja pretendo:pretende quero:quer costumo:costuma treino:treina ensino:ensina dou:dá sofro:sofre dirijo:dirige ando:anda pedalo:pedala assisto:assiste ouco:ouve durmo:dorme "
        "acordo:acorda participo:participa frequento:frequenta desenho:desenha medito:medita planto:planta faço:faz suporto:suporta consigo:consegue torco:torce vendo:vende administro:administra "
        "fui:foi fiz:fez tive:teve estive:esteve vim:veio vi:viu dei:deu trouxe:trouxe pus:pôs conheci:conheceu nasci:nasceu aprendi:aprendeu perdi:perdeu vendi:vendeu corri:correu comi:comeu recebi:recebeu li:leu "
        "escrevi:escreveu sai:saiu assisti:assistiu consegui:conseguiu descobri:descobriu decidi:decidiu abri:abriu dormi:dormiu cai:caiu resolvi:resolveu parti:partiu bebi:bebeu cresci:cresceu vivi:viveu "
        "temos:tem fomos:foi compramos:comprou adotamos:adotou moramos:mora fizemos:fez mudamos:mudou viajamos:viajou gostamos:gosta tivemos:teve"
    ).split()
)
_VERB = r"(?P<verb>[a-z]+)"
_JOINT = Bounded(
    rf",?\s(?:e|mas|porque)\s(?=(?:eu|meu|minha)\b|(?:n[aã]o\s)?(?:{'|'.join(each for each in _THIRD if each != 'como')})\b)",
    re.IGNORECASE,
)
_STATEMENT = Bounded(
    rf"(?:(?P<who>eu|nos|a gente)\s)?(?P<adverb>(?:tambem|ja|ainda|sempre|agora|so|realmente|nunca)\s)?(?P<no>nao\s)?(?P<self>me\s)?{_VERB}\s(?P<rest>.+)$",
    re.IGNORECASE,
)
_OWNED = Bounded(
    r"^(?:[oa]s?\s)?(?P<mine>meus?|minhas?|nossos?|nossas?)\s(?P<what>(?:[\w'-]+\s){0,3}?[\w'-]+)\s(?P<verb>e|sao|era|esta|tem|se chama|chama-se|mora|moram|vive|trabalha|gosta|adora|toca|joga|estuda|faz|fez|"
    r"nasceu|morreu|faleceu|casou|comprou|ganhou|foi|ficou|comecou|mudou|se mudou|passou|vai)\s(?P<rest>.+)$",
    re.IGNORECASE,
)
_NOT_OWNED = Bounded(
    r"^(?:deus|dia|semana|vida|cabeca|opiniao|duvida|pergunta|ideia|vez|nossa|coracao|fim de semana|mente|objetivo)\b",
    re.IGNORECASE,
)
_LEAD = Bounded(
    r"^(?:(?:e|mas|entao|ah|oh|ai|oi|ola|bom|bem|sim|olha|alias|na verdade|tambem|infelizmente|felizmente|por sinal|enfim|obrigad[oa]|claro)\b[,!.\s]+)+",
    re.IGNORECASE,
)
_VAGUE = Bounded(
    r"^(?:isso|isto|aquilo|que|muito bem|bem|mal|feliz|triste|cansad[oa]|animad[oa]|anim\w+|ansios[oa]|certeza|razao|saudades?|pensando|pensar|falar|certo|ok|assim|la|aqui|ela|ele|tudo|nada|algo|ideia|"
    r"tentando|me sentindo|sentindo|bom|boa|aberto|curios[oa]|de acordo|so|sozinh[oa]|pront[oa]|ocupad[oa]|com (?:fome|sono|medo|calor|frio|vontade|duvida|sorte)|sorte|medo de que|um pouco|muit[oa])\b(?!\s\w+\s\w+\s\w+)|^(?:isso|isto|que)\b",
    re.IGNORECASE,
)
_STATES = Bounded(r"^(?:uma?\s|o\s|a\s|fa\s|de\s|do\s|da\s|vegetarian|vegan|alergic|casad|solteir|noiv|divorciad|viciad|apaixonad|formad|gravida|aposentad|intolerante|voluntari|membro|dono|dona|mae|pai|"
                     r"fazendo|estudando|aprendendo|trabalhando|morando|lendo|escrevendo|planejando|treinando|namorando|tomando|procurando|cuidando|reformando|construindo|jogando|tocando)", re.IGNORECASE)  # fmt: skip
_POINTING = Bounded(r"\b(?:el[ae]s?|isso|disso|nisso|del[ae]s?|aquilo|ness[ae]|ai)\b|: ", re.IGNORECASE)
"""Words that point at what only the conversation shows."""
_TURNED = {
    "meu": "seu",
    "minha": "sua",
    "meus": "seus",
    "minhas": "suas",
    "me": "se",
    "mim": "si",
    "comigo": "consigo",
    "nosso": "seu",
    "nossa": "sua",
    "nossos": "seus",
    "nossas": "suas",
}
_TURN = Bounded(rf"\b(?:{'|'.join(sorted(_TURNED, key=len, reverse=True))})\b", re.IGNORECASE)
_PREPOSITION = Bounded(r"\s*\b(?:em|no|na|desde|no dia|dia)?\s*$", re.IGNORECASE)
_DURABLE_NEGATIONS = frozenset("como bebo tomo gosto suporto tenho consigo curto uso fumo".split())
_GOAL = Bounded(r"\w+r\b|ao?\b|as\b|para\b|pra\b")
_HABIT = Bounded(r"\b(?:todo|toda|sempre|ano|mes|semana|em\s\w+)\b")
_FIRST_PAST = Bounded(r"(\w{2,})ei")
_FEWEST_WORDS, _MOST_WORDS = 2, 32
_WORDS_BEFORE = 6


def _rephrase(sentence: str, at: datetime) -> Note | None:
    text = sentence.strip(" .!,")
    lead = _LEAD.match(unmarked(text))
    text = text[lead.end() :] if lead else text
    plain = unmarked(text)
    if not _FEWEST_WORDS <= len(plain.split()) <= _MOST_WORDS or _UNSURE.search(plain):
        return None
    body = _owned(text, plain) or _said_of_self(text, plain, at)
    if body is None:
        return None
    note = dated_note(body, at, lambda mention: format_mention(mention, "pt"), dropped=_PREPOSITION)
    return Note(" ".join(note.text.split()), note.since)


def _owned(text: str, plain: str) -> str | None:
    match = _OWNED.match(plain)
    if match is None or _NOT_OWNED.match(match["what"]) or _VAGUE.match(match["rest"]):
        return None
    mine = _TURNED[match["mine"].lower()]
    return f"{mine.capitalize()} {_turn(text[match.start('what') :])}"


def _said_of_self(text: str, plain: str, at: datetime) -> str | None:
    """Finds the first verb of the first person; before it stand at most a few words, as a day, "eu" and an adverb."""
    for start in [0, *(match.start() for match in re.finditer(r"(?<=\s)\w", plain))][:_WORDS_BEFORE]:
        match = _STATEMENT.match(plain, start)
        if match is None or (shown := _third_person(match["verb"].lower(), match["rest"])) is None:
            continue
        if start and not match["who"] and not mentions(text[:start], at):
            return None
        verb, rest = match["verb"].lower(), match["rest"]
        if _POINTING.search(rest) or not content_words(rest):
            return None
        is_mood = verb in {"sou", "estou", "to"} and not _STATES.match(rest)
        if is_mood or _VAGUE.match(rest) or (match["no"] and verb not in _DURABLE_NEGATIONS):
            return None
        adverb = text[match.start("adverb") : match.end("adverb")] if match["adverb"] else ""
        no, reflexive = "não " if match["no"] else "", "se " if match["self"] else ""
        said = f"{adverb}{no}{reflexive}{shown} {_turn(text[match.start('rest') :])}"
        day = text[:start].strip(" ,")
        return f"{said[0].upper()}{said[1:]} {day[:1].lower()}{day[1:]}".strip()
    return None


def _third_person(verb: str, rest: str) -> str | None:
    if verb == "vou":
        return "vai" if _GOAL.match(rest) and _HABIT.search(rest) else None
    if verb in _THIRD:
        return _THIRD[verb]
    if match := _FIRST_PAST.fullmatch(verb):
        stem = re.sub(r"qu$", "c", re.sub(r"gu$", "g", match[1]))
        return (
            None
            if verb
            in {
                "pensei",
                "achei",
                "sei",
                "gostei",
                "fiquei",
                "amei",
                "adorei",
                "tentei",
                "notei",
                "lembrei",
                "falei",
                "perguntei",
            }
            else f"{stem}ou"
        )
    return None


def _turn(text: str) -> str:
    return _TURN.sub(lambda match: _TURNED[unmarked(match.group()).lower()], text).rstrip(" .!,")


PORTUGUESE = Speech(
    _ATTRIBUTES,
    _NOTES,
    tuple(
        f"{each}{end}" for each in ("solteir", "casad", "divorciad", "separad", "noiv", "viuv", "viúv") for end in "oa"
    ),
    _JOINT,
    _UNSURE,
    _rephrase,
)
"""How Portuguese says things about oneself."""
