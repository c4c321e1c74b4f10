"""Words that show whether a clause is about the past or the future, and the words between clauses, by language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from memoryos.language.languages import Language

__all__ = ["BOUNDARIES", "CUES", "Cue"]

Cue = Literal["ahead2", "back2", "ahead1", "back1", "ahead0", "none"]
"""The direction and the weight of a cue. A cue counts only if its clause has no cue with a greater weight.

"none" is a group of words without a direction, whose parts must not be read as cues.
"""

_PRONOUN = r"(?:i|you|he|she|it|we|they|this|that|there)\b"
_ADVERB = (
    "(?:not|never|just|already|also|only|ever|always|still|really|finally|recently|probably|definitely|both|all|even|so|very|too|"
    r"currently|actually|soon|now)\b"
)
_NO_PARTICIPLE = "(?!(?:need|feed|seed|weed|shed|sled|speed|breed|bleed|indeed|hundred|exceed|proceed|succeed|embed|naked|sacred)\\b)"
_PARTICIPLE = (
    rf"{_NO_PARTICIPLE}(?:\w{{2,20}}ed|been|gone|done|seen|had|made|taken|met|flown|come|left|bought|sold|sent|spent|lost|won|found|kept|"
    "eaten|drunk|written|read|driven|ridden|swum|run|begun|become|broken|chosen|given|known|paid|put|said|told|heard|held|slept|built|"
    "cut|hurt|quit|set|taught|thought|brought|caught|fallen|felt|forgotten|grown|hidden|led|lent|sung|spoken|stolen|thrown|worn|woken|born)"
)
_PAST = (
    "(?:went|bought|got|began|met|saw|made|took|lost|won|found|built|wrote|ran|gave|taught|left|became|grew|ate|came|flew|drove|sold|spent|"
    "chose|sang|drew|swam|rode|fell|broke|caught|drank|felt|held|kept|led|paid|sent|sat|slept|spoke|stood|threw|wore|brought|fought|hid|lent|"
    "shot|said|told|thought|knew|heard|meant|forgot|woke|stole|shook|rang|dug|hung|stuck|struck|bent|dealt|fed|fled|froze|laid|lit|sank|"
    rf"shone|sought|swore|swung|tore|wept|withdrew|understood|{_NO_PARTICIPLE}\w{{2,20}}ed)"
)
_NO_ARTICLE = (
    r"(?<!\bthe )(?<!\ba )(?<!\ban )(?<!\bmy )(?<!\bour )(?<!\byour )(?<!\bto )(?<!\bvery )(?<!\bso )(?<!\bmore )"
)
_BE = r"(?:\b(?:am|is|are|isn't|aren't)\b|'m\b|'re\b|\b(?:he|she|it|that|there|here|what|who|when|where|how|which)'s\b|'s(?= (?:on|in|at|due)\b))"
_AUXILIARY = r"(?:\b(?:have|has|haven't|hasn't)\b|'ve\b)"
_PLANS = (
    "will|shall|won't|shan't|can|can't|cannot|must|mustn't|might|should|shouldn't|gonna|wanna|let's|don't|doesn't|upcoming|looking forward|"
    "due|remind|please|(?<!to )(?:have|has|need|needs|want|wants)|hopes?|hoping|intends?|expects?|plan(?:s|ning)? (?:to|on|for)|"
    "(?:would|'d) (?:like|love|prefer|rather)|(?:had|'d) better|would you|could (?:you|we|i)|(?:we|you) could|see (?:you|ya)|"
    r"(?:do|does)(?= (?:i|you|we|they|he|she|it|the|my|your|our|their)\b)"
)
_SCHEDULED = (
    "leaves?|departs?|arrives?|starts?|begins?|ends?|opens?|closes?|comes?|go|goes|fly|flies|lands?|moves?|meets?|expires?|graduates?|returns?|"
    "retires?|visits?|travels?|marry|marries|finish|finishes|plays?|runs?|gets?|takes?|gives?|picks?|drives?|launches|resumes?|hosts?|presents?|"
    "performs?|celebrates?|book|call|schedule|buy|bring|send|submit|pay|check|cancel|reserve|order|email|join|attend|see|do"
)
_ENGLISH: tuple[tuple[Cue, str], ...] = (
    ("ahead2", rf"(?:\b(?:will|shall|won't)\b|'ll\b)(?: {_ADVERB}){{0,2}} have\b(?: {_PARTICIPLE}\b)?"),
    ("back2", rf"\b(?:should|could|would|might|may|must|ought to)(?:n't)?(?: {_PRONOUN}| {_ADVERB}){{0,2}}(?: have|'ve)(?: {_ADVERB}){{0,2}} {_PARTICIPLE}\b"),
    ("back2", r"\b(?:did|didn't)\b(?: [\w']{1,20}){0,4}? (?:have|need|want|hope|expect|intend|plan|do)\b"),
    ("ahead2", rf"(?:{_AUXILIARY}|'s)(?: {_PRONOUN})?(?: {_ADVERB})? got\b"),
    ("back2", rf"{_AUXILIARY}(?: {_PRONOUN})?(?: {_ADVERB}){{0,3}} {_PARTICIPLE}\b"),
    ("back2", rf"'s(?: {_ADVERB}){{0,2}} (?:been|flown|gone|seen|taken|eaten|bought|met)\b"),
    ("ahead2", rf"{_BE}(?: {_PRONOUN}| my \w{{1,20}}| the \w{{1,20}})?(?: {_ADVERB}){{0,3}}(?: \w{{2,20}}ing\b)?(?: {_PARTICIPLE}\b)?"),
    ("ahead0", rf"\bgets?(?: {_ADVERB})? {_PARTICIPLE}\b"),
    ("none", rf"\b(?:be|being)(?: {_ADVERB}){{0,2}} {_PARTICIPLE}\b"),
    ("ahead2", rf"'ll\b|'d better\b|'d (?:like|love|prefer|rather)\b|\b(?:{_PLANS})\b"),
    ("ahead2", r"(?<!\bin )(?<!\blast )(?<!\bnext )(?<!\bthis )(?<!\bof )(?<!\d )\bmay (?!was|is|were|will|has|had|and|or|when|but)(?=[a-z])"),
    ("back2", rf"\b(?:was|were|wasn't|weren't|did|didn't|had|hadn't|couldn't|wouldn't)\b|\b{_NO_ARTICLE}{_PAST}\b"),
    ("ahead0", rf"\b(?:{_SCHEDULED})\b"),
)  # fmt: skip

_NO_DUTCH_PARTICIPLE = (
    "(?!(?:gezond|gebied|geduld|geluid|gedicht|gezicht|gewicht|gerecht|gelegenheid|gezelligheid|engeland|geeft|gebeurt|gelooft|geniet|genieten|"
    "geven|gebruiken|gebeuren|geloven|gelden|gevecht|gelegen|gewend|afgelopen|geliefd|gemeenten?)\\b)"
)
_DUTCH: tuple[tuple[Cue, str], ...] = (
    ("back2", r"\bsinds\b"),
    ("back2", r"\b(?:had|hadden|heb|heeft|hebben)\b(?: (?!en\b|maar\b|dus\b)[\w']{1,20}){0,6}? (?:moeten|willen|kunnen|mogen|laten)\b"),
    ("none", r"\bzou(?:den)?\b(?! (?:ik )?(?:graag|willen|moeten))"),
    ("ahead2", r"\b(?:zal|zullen|zult|ga|gaat|gaan|wordt?|worden|moet|moeten|wil|wilt|willen|kan|kunt|kunnen|mag|mogen|hoop|hopen|hoopt|zou(?:den)?|"
               r"van plan|vergeet niet|kijk uit|laten we|binnenkort)\b"),
    ("back2", r"\b(?:was|waren|had|hadden|werd|werden|ging|gingen|kwam|kwamen|deed|deden|zag|zagen|kreeg|kregen|vond|vonden|at|aten|las|lazen|nam|namen|"
              r"gaf|gaven|bracht|dacht|kocht|kochten|vloog|vlogen|reed|liep|liepen|sliep|sliepen|bleef|bleven|moest|moesten|wilde|wilden|wou|kon|konden|"
              r"mocht|mochten|stond|stonden|zat|zaten|lag|lagen|schreef|schreven|belde|belden|werkte|werkten|woonde|woonden|maakte|maakten|speelde|"
              r"speelden|trouwde|trouwden|verhuisde|verhuisden|ontmoette|ontmoetten|bezocht|bezochten|begon|begonnen|vertrok|vertrokken|hoorde|leerde|"
              r"haalde|stuurde|zei|zeiden|vertelde|reisde|reisden|fietste|kookte|vierde|vierden|betaalde|studeerde|verloor|won|wonnen|zong|zwom|dronk|brak|"
              r"viel|sprak|spraken|miste|startte|opende|wandelde|bakte|plantte|praatte|keek|keken|hielp|droeg|slaagde|zakte)\b"),
    ("back1", rf"\b{_NO_DUTCH_PARTICIPLE}(?:\w{{0,8}}ge\w{{2,15}}(?:d|t|en)|gedaan|gegaan|gestaan|begonnen|verhuisd|vertrokken|bezocht|ontmoet|verloren|betaald|verkocht|"
              r"vergeten|bestel[dt]|ontvangen|verteld)\b"),
    ("ahead0", r"\b(?:heb|heeft|hebben|is|ben|bent|zijn|vlieg|vliegt|vliegen|vertrek|vertrekt|vertrekken|kom|komt|komen|begin|begint|beginnen|start|"
               r"eindigt|opent|sluit|reis|reist|reizen|trouw|trouwt|trouwen|verhuis|verhuist|verhuizen|ontmoeten|zie|ziet|zien|speel|speelt|spelen|"
               r"neem|neemt|krijg|krijgt|krijgen|bel|boek|koop|herinner|spreek|spreekt|spreken|loopt|rijd|rijdt|rijden|vier|viert|vieren|werk|werken|eet|eten)\b"),
)  # fmt: skip

_NO_PORTUGUESE_PAST = "(?!(?:meu|seu|teu|museu|europeu|judeu|sou|vou|estou|lei|rei|sei|hei|lava|brava|oitava|grava|trava|escrava|cava)\\b)"
_PORTUGUESE: tuple[tuple[Cue, str], ...] = (
    ("back2", r"\bdesde\b"),
    ("back2", r"\b(?:deveria|deveríamos|devia|devíamos|poderia|podia|teria|teríamos)(?:m)? ter \w{2,20}"),
    ("ahead2", r"\b(?:vou|vais|vai|vamos|v[ãa]o|irei|ir[áã]o?|iremos|quero|quer|queremos|querem|pretendo|pretende|pretendemos|planejo|planeja|planejamos|"
               r"preciso|precisa|precisamos|devo|deve|devemos|devem|deveria|posso|pode|podemos|podem|tenho que|tenho de|temos que|espero|ser[áã]o?|"
               r"ter[áã]o?|estar[áã]o?|far[áã]o?|dir[áã]o?|serei|terei|farei|direi|n[ãa]o esque[çc]a|lembre|me lembra|vamos)\b"),
    ("ahead2", r"\b(?!(?:sep|comp|prep|rep|esp|ret|adm|resp|amp|disp)[aei]rei\b)\w{2,20}[aei]r(?:ei|á|ão|emos)\b"),
    ("back2", r"\b(?:fui|foi|foram|fomos|era|eram|éramos|estive|esteve|estivemos|tinha|tinham|tínhamos|tive|teve|tivemos|tiveram|havia|houve|fiz|fez|"
              r"fizemos|fizeram|vim|veio|vieram|viemos|vi|viu|vimos|sa[íi]|caí|dei|deu|demos|deram|disse|disseram|trouxe|quis|soube|pude|pôde|ia|iam|"
              r"íamos|nasci|conheci|comi|bebi|vendi|perdi|recebi|escrevi|li|corri|dormi|parti|assisti|mudamos|casamos|decidi|aprendi|saímos)\b"),
    ("back2", rf"\b{_NO_PORTUGUESE_PAST}\w{{2,20}}(?:ei|ou|eu|iu|aram|eram|iram|ava|avam|ávamos)\b"),
    ("ahead0", r"\b(?:é|são|tenho|tem|temos|têm|estou|estás|está|estamos|estão|viajo|viaja|viajamos|parto|parte|partimos|saio|sai|saem|chego|chega|chegam|"
               r"chegamos|começo|começa|começam|comeca|termina|acaba|abre|fecha|caso|me caso|volto|volta|voltamos|encontro|faço|mudo|muda|visito|visita|"
               r"marque|marca|ligue|reserve|compre|vence|jogo|joga|apresento|trabalho|embarco|embarca|vem|venho)\b"),
)  # fmt: skip

_VIETNAMESE: tuple[tuple[Cue, str], ...] = (
    ("back2", r"\b(?:đã|vốn|có) định\b|\b(?:đáng lẽ|lẽ ra|đáng ra|đáng lý)\b(?:(?: \w{1,12}){0,4}? (?:nên|phải)\b)?|\b(?:đã|vừa|từng|hồi|da|vua)\b|\bmới(?= (?:đi|mua|về|gặp|đến|tới|chuyển|cưới|thi|xem|ăn)\b)"
              r"|\brồi(?=\s{0,2}(?:[.,!?]|$))"),
    ("ahead2", r"\b(?:sẽ|sắp|định|dự định|tính|muốn|phải|cần|nên|hẹn|kế hoạch|dự kiến|nhớ nhắc|đừng quên|se|sap|du dinh|du kien|ke hoach)\b"),
    ("ahead0", r"\b(?:có|là|bay|khởi hành|bắt đầu|diễn ra|tổ chức|thi|họp|đám cưới|lễ cưới|cưới|hạn chót|khai giảng|co|la|hop|dam cuoi)\b"),
)  # fmt: skip

_AFTER_VERB = r"(?=[。！!？?、,\s」』]|$|の|ん[でだ]|が|け[どれ]|か|よ|ね|と(?!思)|こと|とき|ので|[一-鿿])"
_JAPANESE: tuple[tuple[Cue, str], ...] = (
    ("back2", r"(?:予定|つもり|はず)(?:だった|でした)|(?:て|で)い(?:た|ました)(?!ら)"),
    ("ahead2", r"た(?:方|ほう)が"),
    ("none", r"[てで]い?(?:ます|る(?=[。！!？?、]|$|ん|よ|ね|け|か))|あした|また|ただ"),
    ("back2", r"ました(?!ら)|ませんでした|でした(?!ら)|だった(?!ら)|かった(?!ら)"),
    ("back2", rf"(?<=[一-鿿いきぎしちにびみりえけげせてねべめれっ])た{_AFTER_VERB}|(?<=[一-鿿])[んい]だ{_AFTER_VERB}"),
    ("ahead2", r"予定|つもり|ましょう|でしょう|だろう|たい(?=です|と|な|ん|。|、|$|けど)|[おこそとのほもろよぼ]う(?:と(?:思|し)|。|$|か)|ます|ません|なければ|なきゃ|ないと|です|忘れないで"),
    ("ahead2", r"[るくぐすつぬぶむう](?=[。！!？?、,]|$|ん[でだ]|よ|ね|けど|から|ので|か[。？?]?$)"),
)  # fmt: skip

_CHINESE: tuple[tuple[Cue, str], ...] = (
    ("back2", r"(?:本来|原本|早就?|本)(?:应该?|该|要|想|打算|准备|计划)|(?:当时|那时)"),
    ("ahead2", r"(?:快要|就要|要)[^，。！？,了]{1,8}了|(?<!要)不[^，。！？,了]{1,6}了|没有?(?=[课空事时会])"),
    ("back2", r"已经|曾经?|刚刚?|(?<![为除])了(?!解|不起)|(?<![不超通经难])过(?!去|来|年|生日|节|期|敏)|没有?(?=[一-鿿])|昨[天晚]"),
    ("ahead2", r"(?<![重主只])要|(?<![机聚约社开晚宴舞大])会(?!议|计|员|场|所)|将(?!军)|打算|准备|计划|想(?!起|到|念)|得(?=去|做|交|给)|必须|需要|应该|提醒|记得|别忘"),
    ("ahead0", r"有|是|在|去|飞|走|回|来|见|搬|结婚|考|交|开|出发|起飞|举行|到期|截止|婚礼|面试"),
)  # fmt: skip

CUES: dict[Language, tuple[tuple[Cue, str], ...]] = {
    "en": _ENGLISH,
    "nl": _DUTCH,
    "ja": _JAPANESE,
    "pt": _PORTUGUESE,
    "vi": _VIETNAMESE,
    "zh": _CHINESE,
}
"""Regular expressions of cues by language, for lower-case text. At one position, the first that matches is used."""
_PUNCTUATION = r"[,;:()—–…\n]|\s-\s"
BOUNDARIES: dict[Language, str] = {
    "en": _PUNCTUATION
    + r"|\b(?:and|but|because|so|since|while|although|though|when|after|before|until|if|then|that|who|which)\b",
    "nl": _PUNCTUATION
    + r"|\b(?:en|maar|want|omdat|dus|terwijl|hoewel|toen|wanneer|nadat|voordat|totdat|als|dat|die)\b",
    "ja": r"[、，,;；:：（）()\n]|(?<=[たすだるい])(?:けど|けれど|ので|から)",
    "pt": _PUNCTUATION + r"|\b(?:e|mas|porque|pois|enquanto|embora|quando|depois que|antes que|se|que)\b",
    "vi": _PUNCTUATION + r"|\b(?:và|nhưng|vì|bởi vì|trong khi|khi|sau khi|trước khi|nếu|rằng|mà)\b",
    "zh": r"[，,；;：:（）()\n]|(?:因为|所以|但是?|不过|然后|如果)",
}
"""Regular expression of the boundaries between the clauses of a sentence, for lower-case text, by language."""
