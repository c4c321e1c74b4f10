"""Japanese statements: a sentence about oneself becomes a note by dropping 私は; days become dates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.notes import Note, dated_note
from memoryos.analysts.speech import Speech, compiled
from memoryos.language.date_phrases import format_mention
from memoryos.language.dates import mentions
from memoryos.language.matching import Bounded

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["JAPANESE"]

_ME = "(?:私|わたし|あたし|僕|ぼく|俺|おれ|うち|自分|わたくし)"
_END = r"(?=[。、，！!.,\s]|$|で|の|んで|に勤|が)"
_POLITE = "(?:です|だよ|だ|なんです|なんだ|と申します|といいます|と言います|っていいます)"
_PLACE = r"(?P<value>[一-鿿々ァ-ヶーA-Za-z]{2,12}?)"
_JOB_WORDS = (
    r"[一-鿿々ァ-ヶーA-Za-z]{0,8}(?:師|員|士|家|者|官|長|医者|医師|学生|大学生|高校生|大学院生|教師|先生|エンジニア|デザイナー|プログラマー|ライター|カメラマン|シェフ|マネージャー|コンサルタント|"
    r"アナウンサー|パティシエ|スタッフ|主婦|主夫|フリーランス|ドライバー|パイロット|モデル|トレーナー|コーチ|インストラクター|バリスタ|アーティスト|ディレクター|営業|事務|職人|農家|漁師|バイト)"
)
_ATTRIBUTES = compiled(
    (
        (
            "name",
            rf"(?:{_ME}の)?名前は(?P<value>[一-鿿々ぁ-んァ-ヶーA-Za-z]{{1,12}}?)(?:です|だ|と申|とい|と言|っていい)|{_ME}は(?P<value2>[一-鿿々ァ-ヶーA-Za-z]{{2,12}})(?:と申します|といいます|と言います|っていいます)",
        ),
        (
            "name",
            r"(?:^|。|はじめまして[、。！]?|こんにちは[、。！]?)(?P<value>[一-鿿々ァ-ヶーA-Za-zぁ-ん]{2,12}?)(?:と申します|といいます|と言います|っていいます)",
        ),
        (
            "home",
            rf"(?:今は|現在は?|{_ME}は|^|、|から)(?:先月|先週|去年|昨年|今年|最近|この[春夏秋冬]|[0-9一二三四五六七八九十]+年前に?|[0-9一二三四五六七八九十]+月に)?{_PLACE}に(?:住んで(?:い|る|ま)|暮らして(?:い|る|ま)|在住|引っ越し(?:た|まし|てき|て来)|引越し(?:た|まし))",
        ),
        (
            "hometown",
            rf"(?:{_ME}は|^|、){_PLACE}(?:出身|生まれ|育ち)(?:です|で|だ|、|。|$)|(?:出身|地元|実家)は(?P<value2>[一-鿿々ァ-ヶーA-Za-z]{{2,12}}?)(?:です|で|だ|。|$)",
        ),
        (
            "job",
            rf"(?:{_ME}は|仕事は|職業は|今は|^|、)(?P<value>{_JOB_WORDS})(?:です|だよ|だ$|をして(?:い|る|ま)|をやって(?:い|る|ま)|として働)|(?P<value2>{_JOB_WORDS})として働いて",
        ),
        ("employer", r"(?:^|、|は)(?P<value>[A-Za-z一-鿿々ァ-ヶー]{2,15}?)(?:に勤めて|に勤務して|で働いて|勤務です)"),
        ("age", rf"(?:{_ME}は|今年で?|先月|昨日|もう|^|、)(?P<value>\d{{1,3}})[歳才](?:です|に?な|だ|の|で|。|、|$)"),
        ("birth_year", r"(?P<value>(?:19|20)\d\d)年(?:に?生まれ)"),
        (
            "relationship_status",
            r"(?:^|、|は|まだ|もう)(?P<value>独身|既婚|結婚してい(?:る|ます)|離婚し(?:た|ました|ています)|婚約中|婚約してい(?:る|ます))",
        ),
        (
            "allergies",
            r"(?:^|、|は)(?P<value>[^は、。\s]{1,14}?)(?:の?アレルギー(?:が|です|持ち|なん|だ|ある))",
        ),
        (
            "languages",
            r"(?:^|、|は)(?P<value>[一-鿿ァ-ヶー]{1,6}語(?:[と、・や][一-鿿ァ-ヶー]{1,6}語)*)(?:が|を|も)(?:話せ|話し(?:ます|てい)|少し話せ)",
        ),
        ("birthday", r"誕生日は(?P<value>\d{1,2}月\d{1,2}日)"),
    )
)
_NOTES = {
    "name": "名前は{}", "home": "{}に住んでいる", "hometown": "{}出身", "job": "職業は{}", "employer": "{}で働いている", "birth_year": "{}年生まれ",
    "relationship_status": "{}", "allergies": "{}アレルギーがある", "languages": "{}を話せる", "birthday": "誕生日は{}",
}  # fmt: skip
_JOINT = Bounded("(?<=[すただ])。")
_UNSURE = Bounded(
    r"[?？「」『』]|(?:か|かな|かしら|の|っけ)[。！]*$(?<!ものの)(?<!たの)|でしょう|だろう|かもしれ|もし|たとしたら|としたら|だったら|ったら|んだら|いたら|なら(?!い|っ|ん)|れば(?!か|い$)|たいな|たいと思|"
    r"と思い?ま|と思う|と思って|らしい|そうです|そうだ(?!な)|って(?:言|い)って|と(?:言|い)って|だって(?:。|$)|みたい(?:です|だ)|あなた|君|きみ|お前|ありがとう|ください|教えて|お願い|ましょう|ではあり|じゃありませ"
)
_CUES = (
    "好き", "嫌い", "苦手", "得意", "趣味", "はまって", "ハマって", "夢中", "住んで", "暮らして", "引っ越", "働いて", "勤め", "転職", "退職", "就職", "通って", "通い", "飼って", "飼い", "習って", "習い", "勉強して", "勉強し",
    "練習して", "練習し", "始めた", "始めまし", "始めて", "買った", "買いまし", "買って", "行った", "行きまし", "行って", "行きます", "行く", "見た", "見まし", "観た", "観まし", "読んだ", "読みまし", "読んで", "読む", "食べた", "食べまし", "食べられな", "食べられませ", "食べな", "食べませ",
    "飲まな", "飲めな", "飲みませ", "飲めませ", "作った", "作りまし", "作って", "会った", "会いまし", "生まれ", "結婚", "離婚", "婚約", "アレルギー", "予定", "つもり", "計画", "持って", "話せ", "入院", "手術", "診断", "卒業", "合格", "参加", "旅行", "出身",
    "出産", "妊娠", "弾いて", "弾き", "弾く", "走って", "走り", "走る", "泳", "登っ", "登り", "描い", "撮っ", "撮り", "育てて", "辞めた", "辞めまし", "やめた", "やめまし", "もらった", "もらいまし", "亡くな", "飲んで", "飲みます", "飲む", "派です", "派だ", "愛して", "大事", "痛め", "痛い", "病気", "糖尿",
    "高血圧", "風邪", "骨折", "怪我", "ケガ", "教えています", "教えて(?:い)?る", "経営", "応援", "集めて", "書いて", "書き",
)  # fmt: skip
_CUE = Bounded("|".join(_CUES))
_DONE = Bounded("(?:した|んだ|った|いた|えた|けた|きた|ました|ています|ている|てます)$")
_OTHER_TOPIC = Bounded("[^、]{1,12}?(?<![でにへ今月年日])(?<!最近)(?<!週末)(?<!普段)(?<!趣味)(?<!来週)は(?!じめ)")
_TASTE = Bounded("好き|嫌い|苦手|得意|アレルギー|食べ|飲")
_SUBJECT = Bounded(
    "(?<![私僕俺])が(?!(?:大?好き|嫌い|苦手|得意|欲し|ほし|話せ|弾け|泳げ|でき|痛|あり|あって|ある|い(?:る|ます)|食べられ|飲め|趣味|必要|夢|、|けど))"
)
"""Someone else who does something."""
_SELF = Bounded(rf"^(?P<when>[^私僕俺]{{0,14}}?[、に]?)(?:{_ME}(?:たち|達)?(?:は|も|が|って)[、]?)(?P<body>.+)$")
_FAMILY = (
    "(?:私|わたし|僕|ぼく|俺|うち)の(?P<what>[一-鿿々ぁ-んァ-ヶー]{1,8}?)(?P<rest>(?:は|が|も)(?!何|誰|どこ).+)"
    "|(?P<what2>妹|弟|兄|姉|父|母|夫|妻|主人|旦那|息子|娘|長男|長女|次男|次女|祖母|祖父|おばあちゃん|おじいちゃん|両親|彼女|彼氏|婚約者|愛犬|愛猫|うちの犬|うちの猫|同僚|上司|親友|いとこ)(?P<rest2>(?:は|が|も|の名前は).+)"
)
_OWNED = Bounded(f"^(?P<when>[^私僕俺はがも]{{0,14}}?[、に]?)(?:{_FAMILY})$")
_OTHERS = Bounded(
    "^(?:(?:彼|彼女|友達|友人|先生|みんな|皆|その人|あの人|これ|それ|あれ|ここ|そこ|この|その|あの|どの|天気|今日は(?:いい|暑|寒|雨))(?:は|が|も|って)?)"
)
_NEGATION = Bounded("(?:な(?:い|かった)|ません(?:でした)?|ず)(?:です|ん|よ|ね|。|$)")
_DURABLE_NEGATIONS = Bounded(
    "(?:食べ|飲ま|飲め|飲み|食べられ|好きじゃ|好きでは|得意じゃ|吸わ|吸い|泳げ|運転でき)(?:な|ませ)"
)
_LEAD = Bounded(
    r"^(?:(?:はい|うん|ええ|いえ|いいえ|あの|えっと|そうそう|そういえば|ちなみに|実は|でも|それで|あと|それと|また|こんにちは|こんばんは|おはよう(?:ございます)?|はじめまして|やっと|ついに|残念ながら)[、。！!\s]+|実は|ちなみに|そういえば)+"
)
_TAIL = Bounded(r"(?:んですけど|んだけど|んです|んだ|のです|ですよ|ますよ|だよ|よ|ね|な|さ|わ|！|!|〜|ー)+$")
"""Each ending can be read in one way only, as "んだ" and "よ": two ways would take exponential time."""
_KEPT_TAILS = {"ですよ": "です", "ますよ": "ます", "だよ": "だ"}
_LEAST, _MOST = 5, 90


def _rephrase(sentence: str, at: datetime) -> Note | None:
    text = _LEAD.sub("", sentence.strip(" 。.　")).strip(" 。.　")
    if not _LEAST <= len(text) <= _MOST or _UNSURE.search(text) or _OTHERS.match(text):
        return None
    if _NEGATION.search(text) and not _DURABLE_NEGATIONS.search(text):
        return None
    body = _owned(text) or _said_of_self(text, at)
    if body is None:
        return None
    return dated_note(_without_tail(body), at, lambda mention: format_mention(mention, "ja"))


def _owned(text: str) -> str | None:
    match = _OWNED.match(text)
    if match is None:
        return None
    return f"{match['when']}{match['what'] or match['what2']}{match['rest'] or match['rest2']}"


def _said_of_self(text: str, at: datetime) -> str | None:
    """Returns the sentence without 私は; one without any subject is about who says it."""
    match = _SELF.match(text)
    body = f"{match['when']}{match['body']}" if match else text
    if match is None and (_OTHER_TOPIC.match(text) or _SUBJECT.search(text)) and not _TASTE.search(text):
        return None
    is_dated = bool(mentions(text, at)) and _DONE.search(text) is not None
    if not (_CUE.search(text) or is_dated or (match is not None and _DONE.search(text))):
        return None
    return re.sub(f"{_ME}の", "自分の", body).lstrip("、")


def _without_tail(text: str) -> str:
    match = _TAIL.search(text)
    if match is None:
        return text
    kept = next((kept for tail, kept in _KEPT_TAILS.items() if match.group().startswith(tail)), "")
    return text[: match.start()] + kept


JAPANESE = Speech(
    _ATTRIBUTES,
    _NOTES,
    (
        "独身",
        "既婚",
        "結婚している",
        "結婚しています",
        "離婚した",
        "離婚しました",
        "離婚しています",
        "婚約中",
        "婚約している",
        "婚約しています",
    ),
    _JOINT,
    _UNSURE,
    _rephrase,
)
"""How Japanese says things about oneself."""
