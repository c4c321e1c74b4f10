"""Words and patterns of dates in Dutch, Portuguese and Vietnamese, with and without accents."""

from __future__ import annotations

__all__ = [
    "DAY_WORDS",
    "DUTCH_MONTHS",
    "DUTCH_RULES",
    "MONTHS",
    "NUMBERS",
    "PORTUGUESE_MONTHS",
    "PORTUGUESE_RULES",
    "SHIFTS",
    "UNITS",
    "VIETNAMESE_RULES",
    "WEEKDAYS",
]

DUTCH_MONTHS = "januari februari maart april mei juni juli augustus september oktober november december".split()
PORTUGUESE_MONTHS = "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro".split()
_VI_NUMBERS = "một hai ba bốn năm sáu bảy tám chín mười".split()
_VI_PLAIN_NUMBERS = "mot hai ba bon nam sau bay tam chin muoi".split()
_NL_DAYS = "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag".split()
_PT_DAYS = "segunda terça quarta quinta sexta sábado domingo".split()
_VI_DAYS = ("thứ hai", "thứ ba", "thứ tư", "thứ năm", "thứ sáu", "thứ bảy", "chủ nhật")
_VI_PLAIN_DAYS = ("thu hai", "thu ba", "thu tu", "thu nam", "thu sau", "thu bay", "chu nhat")


def _numbered(words: list[str] | tuple[str, ...], first: int = 1) -> dict[str, int]:
    return {word: number for number, word in enumerate(words, first)}


MONTHS: dict[str, int] = (
    _numbered(DUTCH_MONTHS) | _numbered(PORTUGUESE_MONTHS) | {"marco": 3}
    | _numbered(_VI_NUMBERS) | _numbered(_VI_PLAIN_NUMBERS) | {"giêng": 1, "gieng": 1, "tư": 4, "tu": 4}
    | {"mười một": 11, "mười hai": 12, "muoi mot": 11, "muoi hai": 12, "chạp": 12}
)  # fmt: skip
WEEKDAYS: dict[str, int] = (
    _numbered(_NL_DAYS, 0) | _numbered(_PT_DAYS, 0) | {"terca": 1, "sabado": 5}
    | _numbered(_VI_DAYS, 0) | _numbered(_VI_PLAIN_DAYS, 0) | {f"thứ {number}": number - 2 for number in range(2, 8)}
    | {f"thu {number}": number - 2 for number in range(2, 8)} | {f"t{number}": number - 2 for number in range(2, 8)}
    | {"cn": 6}
)  # fmt: skip
NUMBERS: dict[str, int] = (
    _numbered("een twee drie vier vijf zes zeven acht negen tien elf twaalf".split())
    | {"één": 1, "paar": 2}
    | _numbered("um dois três quatro cinco seis sete oito nove dez onze doze".split())
    | {"uma": 1, "duas": 2, "tres": 3}
    | _numbered(_VI_NUMBERS) | _numbered(_VI_PLAIN_NUMBERS)
)  # fmt: skip
UNITS: dict[str, str] = {
    "dag": "days", "dagen": "days", "weken": "weeks", "weekend": "weekends", "weekeinde": "weekends", "maand": "months", "maanden": "months", "jaar": "years",
    "dia": "days", "dias": "days", "semana": "weeks", "semanas": "weeks", "fim de semana": "weekends", "mês": "months", "mes": "months", "meses": "months", "ano": "years", "anos": "years",
    "ngày": "days", "ngay": "days", "hôm": "days", "hom": "days", "tuần": "weeks", "tuan": "weeks", "cuối tuần": "weekends", "cuoi tuan": "weekends",
    "tháng": "months", "thang": "months", "năm": "years", "nam": "years",
}  # fmt: skip
SHIFTS: dict[str, int] = {
    "vorig": -1, "vorige": -1, "afgelopen": -1, "deze": 0, "dit": 0, "van het": 0, "volgend": 1, "volgende": 1, "komend": 1, "komende": 1, "aankomende": 1, "aanstaande": 1,
    "passado": -1, "passada": -1, "retrasado": -2, "retrasada": -2, "último": -1, "ultimo": -1, "última": -1, "ultima": -1,
    "este": 0, "esta": 0, "neste": 0, "nesta": 0, "desse": 0, "desta": 0, "próximo": 1, "proximo": 1, "próxima": 1, "proxima": 1, "que vem": 1,
    "trước": -1, "truoc": -1, "vừa rồi": -1, "vua roi": -1, "vừa qua": -1, "vua qua": -1, "rồi": -1, "roi": -1, "qua": -1, "ngoái": -1, "ngoai": -1,
    "này": 0, "nay": 0, "sau": 1, "tới": 1, "toi": 1, "kế tiếp": 1,
}  # fmt: skip
DAY_WORDS: dict[str, int] = {
    "gisteren": -1, "gisteravond": -1, "gisterochtend": -1, "gistermiddag": -1, "gisternacht": -1, "eergisteren": -2, "vandaag": 0, "vanavond": 0, "vanmiddag": 0,
    "vanochtend": 0, "vanmorgen": 0, "vannacht": 0, "morgen": 1, "morgenavond": 1, "morgenochtend": 1, "morgenmiddag": 1, "overmorgen": 2,
    "ontem": -1, "anteontem": -2, "antes de ontem": -2, "hoje": 0, "esta manhã": 0, "esta noite": 0, "amanhã": 1, "amanha": 1, "depois de amanhã": 2, "depois de amanha": 2,
    "hôm qua": -1, "hom qua": -1, "tối qua": -1, "toi qua": -1, "đêm qua": -1, "dem qua": -1, "sáng qua": -1, "chiều qua": -1, "hôm kia": -2, "hom kia": -2,
    "hôm nay": 0, "hom nay": 0, "sáng nay": 0, "sang nay": 0, "trưa nay": 0, "chiều nay": 0, "chieu nay": 0, "tối nay": 0, "toi nay": 0, "đêm nay": 0,
    "ngày mai": 1, "ngay mai": 1, "sáng mai": 1, "sang mai": 1, "chiều mai": 1, "tối mai": 1, "ngày kia": 2, "ngay kia": 2, "ngày mốt": 2, "ngay mot": 2,
}  # fmt: skip

_YEAR = r"(?P<year>(?:19|20)\d\d)"
_NL_SHIFT = r"(?P<shift>vorige?|afgelopen|deze|dit|van het(?= weekend)|volgende?|komende?|aankomende|aanstaande)"
_NL_COUNT = r"(?:(?P<count>\d{1,3}|een|één|twee|drie|vier|vijf|zes|zeven|acht|negen|tien|elf|twaalf)|(?P<few>een paar|enkele|wat))"
_NL_DAY_PARTS = tuple(
    f"{day}{part}" for day in _NL_DAYS for part in ("", "avond", "middag", "ochtend", "morgen", "nacht")
)
_NL_WEEKDAY = rf"(?P<weekday>{'|'.join(_NL_DAYS)})(?:avond|middag|ochtend|morgen|nacht)?\b"
_PT_COUNT = r"(?:(?P<count>\d{1,3}|uma?|dois|duas|tr[êe]s|quatro|cinco|seis|sete|oito|nove|dez|onze|doze)|(?P<few>alguns|algumas|uns|umas|poucos|poucas))"
_PT_MONTH = rf"(?P<month>{'|'.join(PORTUGUESE_MONTHS)}|marco)"
_PT_WEEKDAY = r"(?P<weekday>segunda|ter[çc]a|quarta|quinta|sexta|s[áa]bado|domingo)"
_PT_LAST = r"(?P<shift>passad[oa]|retrasad[oa]|que vem)"
_PT_SHIFT = r"(?P<shift>[úu]ltim[oa]|pr[óo]xim[oa]|n?est[ea])"
_PT_PERIOD = r"(?P<unit>fim de semana|semana|m[êe]s|ano)"
_VI_COUNT = rf"(?:(?P<count>\d{{1,3}}|{'|'.join(_VI_NUMBERS)}|{'|'.join(_VI_PLAIN_NUMBERS)})|(?P<few>vài|vai|mấy|may))"
_VI_SHIFT = r"(?P<shift>trước|truoc|vừa rồi|vua roi|vừa qua|vua qua|rồi|này|nay|sau|tới|toi|kế tiếp|qua)\b"
_VI_DAY_WORDS = "|".join(word for word in DAY_WORDS if word.endswith((" qua", " kia", " nay", " mai", " mốt", " mot")))
_VI_WEEKDAY = rf"(?P<weekday>{'|'.join(_VI_DAYS)}|{'|'.join(_VI_PLAIN_DAYS)}|th[ứu] [2-7])"
_VI_MONTH = r"(?P<month>1[0-2]|0?[1-9]|mười một|mười hai|muoi mot|muoi hai|giêng|gieng|tư|một|hai|ba|bốn|năm|sáu|bảy|tám|chín|mười|chạp|bon|bay|chin|muoi)"
_VI_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9])"
_VI_YEAR = rf"(?:(?:\s(?:năm|nam)\s|/|-){_YEAR}\b)?"
_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9])"

DUTCH_RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("day_month", tuple(DUTCH_MONTHS), rf"\b{_DAY}(?:e|ste|de)?\s(?P<month>{'|'.join(DUTCH_MONTHS)})\b(?:\s{_YEAR}\b)?"),
    ("month_year", tuple(DUTCH_MONTHS), rf"\b(?P<month>{'|'.join(DUTCH_MONTHS)})\s{_YEAR}\b"),
    ("month_alone", tuple(DUTCH_MONTHS), rf"\b(?:in|sinds|vanaf|eind|begin|half|medio)\s(?P<shift>)(?P<month>{'|'.join(DUTCH_MONTHS)})\b(?!\s\d)"),
    ("month_alone", tuple(DUTCH_MONTHS), rf"\b{_NL_SHIFT}\s(?P<month>{'|'.join(DUTCH_MONTHS)})\b"),
    ("year", ("sinds", "vanaf", "jaar"), rf"\b(?:sinds|vanaf|het jaar)\s{_YEAR}\b"),
    ("day_word", ("gisteren", "gisteravond", "gisterochtend", "gistermiddag", "gisternacht", "eergisteren", "vandaag", "vanavond", "vanmiddag", "vanochtend", "vanmorgen", "vannacht",
                  "morgen", "morgenavond", "morgenochtend", "morgenmiddag", "overmorgen"),
     r"(?<!goede )(?<!goeie )(?<!'s )(?<!de )(?<!elke )(?<!iedere )\b(?P<word>eergisteren|gister(?:en|avond|ochtend|middag|nacht)|vandaag|van(?:avond|middag|ochtend|morgen|nacht)|overmorgen|morgen(?:avond|ochtend|middag)?)\b"),
    ("ago", ("geleden", "terug", "eerder"), rf"\b{_NL_COUNT}\s(?P<unit>dag(?:en)?|week|weken|maand(?:en)?|jaar)\s(?:geleden|terug|eerder)\b"),
    ("ago", ("over",), rf"\b(?P<ahead>over)\s{_NL_COUNT}\s(?P<unit>dag(?:en)?|week|weken|maand(?:en)?|jaar)\b"),
    ("week_weekday", ("week",), rf"\b{_NL_SHIFT}\sweek\s{_NL_WEEKDAY}"),
    ("week_weekday", ("week",), rf"\b{_NL_WEEKDAY}\s{_NL_SHIFT}\sweek\b"),
    ("shift", ("week", "weekend", "weekeinde", "maand", "jaar"), rf"\b{_NL_SHIFT}\s(?P<unit>weekend|weekeinde|week|maand|jaar)\b"),
    ("day_alone", ("op",), rf"\bop\sde\s{_DAY}(?:e|ste|de)(?=\s?(?:[.,;:!?)]|$)|\s(?:om|en|met|maar|want|omdat|als|ga|gaan|heb|hebben|is|was|had|moet|vlieg|ik|we)\b)"),
    ("weekday", _NL_DAY_PARTS, rf"\b(?:{_NL_SHIFT}|op|sinds)\s{_NL_WEEKDAY}"),
)  # fmt: skip
PORTUGUESE_RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("day_alone", ("dia",), rf"\b(?:no\s)?dia\s{_DAY}\b(?!/|\s?de\s(?:[a-zç]{{4,9}}|\d)|\s(?:vezes|horas))"),
    ("day_month", (*PORTUGUESE_MONTHS, "marco"), rf"\b(?P<day>[12]\d|3[01]|0?[1-9])(?:º|o)?\sde\s{_PT_MONTH}\b(?:\s(?:de|do ano de)\s{_YEAR}\b)?"),
    ("day_month", ("dia",), rf"\bdia\s{_DAY}/(?P<month>1[0-2]|0?[1-9])(?:/{_YEAR})?\b"),
    ("month_year", (*PORTUGUESE_MONTHS, "marco"), rf"\b{_PT_MONTH}\s(?:de|do ano de)?\s?{_YEAR}\b"),
    ("month_alone", (*PORTUGUESE_MONTHS, "marco"), rf"\b(?:em|desde|no início de|no final de|até)\s(?P<shift>){_PT_MONTH}\b(?!\sde\s\d)"),
    ("month_alone", (*PORTUGUESE_MONTHS, "marco"), rf"\b{_PT_MONTH}\s{_PT_LAST}\b"),
    ("year", ("em", "desde", "de"), rf"\b(?:em|desde|ano de)\s{_YEAR}\b"),
    ("day_word", ("ontem", "anteontem", "hoje", "amanha", "esta", "amanhã", "manhã"), r"\b(?P<word>antes de ontem|anteontem|ontem|hoje|depois de amanh[ãa]|amanh[ãa]|esta manhã|esta noite)\b"),
    ("ago", ("atrás", "atras"), rf"\b(?:h[áa]\s|faz\s)?{_PT_COUNT}\s(?P<unit>dias?|semanas?|m[êe]s|meses|anos?)\satr[áa]s\b"),
    ("ago_if_past", ("há", "ha", "faz"), rf"\b(?:há|ha|faz)\s{_PT_COUNT}\s(?P<unit>dias?|semanas?|m[êe]s|meses|anos?)\b(?!\satr)"),
    ("ago", ("daqui", "dentro"), rf"\b(?P<ahead>daqui a|dentro de)\s{_PT_COUNT}\s(?P<unit>dias?|semanas?|m[êe]s|meses|anos?)\b"),
    ("week_weekday", ("semana",), rf"\b{_PT_WEEKDAY}(?:-feira)?\s(?:da|na)\ssemana\s{_PT_LAST}\b"),
    ("shift", ("passado", "passada", "retrasado", "retrasada", "vem"), rf"\b{_PT_PERIOD}\s{_PT_LAST}\b"),
    ("shift", ("semana", "ano", "mes", "mês"), rf"\b{_PT_SHIFT}\s{_PT_PERIOD}\b"),
    ("weekday", ("segunda", "terca", "quarta", "quinta", "sexta", "sabado", "domingo", "terça", "sábado"), rf"\b{_PT_WEEKDAY}(?:-feira)?\s{_PT_LAST}\b"),
    ("weekday", ("segunda", "terca", "quarta", "quinta", "sexta", "sabado", "domingo", "terça", "sábado"), rf"\b{_PT_SHIFT}\s{_PT_WEEKDAY}(?:-feira)?\b(?!\s(?:vez|parte))"),
    ("weekday", ("segunda", "terca", "quarta", "quinta", "sexta", "terça"), r"\b(?P<shift>)(?:na\s)(?P<weekday>segunda|ter[çc]a|quarta|quinta|sexta)(?:-feira)?\b(?!-feira)(?!\s(?:vez|parte|passada|retrasada|que vem|da semana|s[ée]rie|tentativa|posi|etapa|fase|edi|dose|feira))"),
    ("weekday", ("domingo", "sabado", "sábado"), r"\b(?P<shift>)no\s(?P<weekday>s[áa]bado|domingo)\b(?!\s(?:passado|retrasado|que vem|da semana))"),
)  # fmt: skip
VIETNAMESE_RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("day_alone", ("ngày", "mùng", "mồng"), rf"(?<!mỗi )(?<!một )(?<!hàng )\b(?:ngày|mùng|mồng)\s{_VI_DAY}\b(?![/-]|\s(?:tháng|thang|lần|giờ|ly|viên|tiếng|phút|cái|km|bữa|tết))"),
    ("day_month", ("tháng", "thang"), rf"\b(?:ngày\s|ngay\s|mùng\s|mồng\s|hôm\s)?{_VI_DAY}\s(?:tháng|thang)\s{_VI_MONTH}\b(?!\s(?:trước|truoc|nữa)){_VI_YEAR}"),
    ("day_month", ("ngày", "ngay", "hôm", "hom"), rf"\b(?:ngày|ngay|hôm|hom|mùng)\s{_VI_DAY}[/-](?P<month>1[0-2]|0?[1-9])(?:[/-]{_YEAR})?\b"),
    ("month_year", ("tháng", "thang"), rf"\b(?:tháng|thang)\s{_VI_MONTH}(?:\s(?:năm|nam)\s|/|-){_YEAR}\b"),
    ("month_alone", ("tháng", "thang"), rf"(?<!\d\s)(?<!mấy\s)\b(?:tháng|thang)\s(?P<shift>){_VI_MONTH}\b(?!\s(?:năm|nam)\s\d|/\d|\s(?:tháng|ngày))"),
    ("year", ("năm", "nam"), rf"\b(?:năm|nam)\s{_YEAR}\b"),
    ("day_word", ("qua", "nay", "mai", "kia", "mốt", "mot"), rf"\b(?P<word>{_VI_DAY_WORDS})\b"),
    ("ago", ("trước", "truoc"), rf"\b(?:cách đây\s|cach day\s)?{_VI_COUNT}\s(?P<unit>ngày|ngay|hôm|hom|tuần|tuan|tháng|thang|năm|nam)\s(?:trước|truoc)\b"),
    ("ago", ("cách", "cach"), rf"\b(?:cách đây|cach day)\s{_VI_COUNT}\s(?P<unit>ngày|ngay|hôm|hom|tuần|tuan|tháng|thang|năm|nam)\b"),
    ("ago", ("nữa", "nua"), rf"\b{_VI_COUNT}\s(?P<unit>ngày|ngay|hôm|tuần|tuan|tháng|thang|năm|nam)\s(?P<ahead>nữa|nua)\b"),
    ("week_weekday", ("tuần", "tuan"), rf"\b{_VI_WEEKDAY}\s(?:tuần|tuan)\s{_VI_SHIFT}"),
    ("weekday", ("thứ", "thu", "chủ", "chu"), rf"(?<!người )(?<!lần )(?<!điều )(?<!cái )(?<!con )(?<!đứa )(?<!nguoi )(?<!lan )\b{_VI_WEEKDAY}\s(?P<shift>trước|truoc|vừa rồi|vua roi|vừa qua|vua qua|này|nay|tới|toi)\b"),
    ("weekday", ("thứ", "thu", "chủ", "chu"), rf"\b(?P<shift>)(?:hôm|hom|vào|vao)\s{_VI_WEEKDAY}(?!\s(?:tuần|tuan|trước|truoc|vừa|vua|này|nay|tới|toi|hàng|hang|mỗi))"),
    ("shift", ("tuần", "tuan", "tháng", "thang"), rf"(?<!\d\s)\b(?P<unit>cuối tuần|cuoi tuan|tuần|tuan|tháng|thang)\s{_VI_SHIFT}"),
    ("shift", ("năm", "nam"), r"(?<!việt )(?<!viet )(?<!miền )(?<!mien )(?<!phía )(?<!phia )(?<!đông )(?<!tây )\b(?P<unit>năm|nam)\s(?P<shift>ngoái|ngoai|trước|truoc|này|nay|sau|tới)\b"),
)  # fmt: skip
"""The kind, the trigger words and the regular expression of each form of date in a language. See ``date_words.PATTERNS``."""
