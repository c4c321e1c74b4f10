"""Replies in another language are detected; short, mixed and name-only replies are not judged."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.language.reply_language import is_in_other_language

TEXTS = {
    "English": [
        "Tom told the assistant that he moved to Berlin in March and that he is looking for a quiet flat near the river.",
        "The user asked for a recipe with lentils because her sister does not eat meat, and a soup was suggested.",
        "Caroline went to a support group yesterday and felt accepted; Melanie said that she was proud of her.",
    ],
    "Chinese": [
        "汤姆告诉助手他三月搬到了柏林，正在河边找一套安静的公寓，最好有个小花园给他的狗。",
        "用户想要一个扁豆食谱，因为她的妹妹不吃肉，助手推荐了胡萝卜孜然汤。",
        "卡罗琳昨天参加了互助小组，觉得自己被接纳了，梅兰妮说为她感到骄傲。",
    ],
    "Japanese": [
        "トムは三月にベルリンへ引っ越したと話し、川の近くで犬のための庭がある静かなアパートを探しています。",
        "妹が肉を食べないので、利用者はレンズ豆のレシピを尋ね、にんじんとクミンのスープを勧められました。",
        "キャロラインは昨日サポートグループに参加して、受け入れられたと感じました。",
    ],
    "Portuguese": [
        "O Tom contou ao assistente que se mudou para Berlim em março e que procura um apartamento tranquilo perto do rio.",
        "A utilizadora pediu uma receita com lentilhas porque a irmã não come carne, e o assistente sugeriu uma sopa.",
        "A Carolina foi ontem a um grupo de apoio e sentiu-se aceite; a Melânia disse que estava orgulhosa dela.",
    ],
    "Dutch": [
        "Tom vertelde de assistent dat hij in maart naar Berlijn is verhuisd en dat hij een rustige flat bij de rivier zoekt.",
        "De gebruiker vroeg om een recept met linzen omdat haar zus geen vlees eet, en er werd een soep voorgesteld.",
        "Caroline ging gisteren naar een praatgroep en voelde zich geaccepteerd; Melanie zei dat ze trots op haar was.",
    ],
    "Vietnamese": [
        "Tom kể với trợ lý rằng anh ấy đã chuyển đến Berlin vào tháng ba và đang tìm một căn hộ yên tĩnh gần sông.",
        "Người dùng hỏi công thức nấu đậu lăng vì em gái không ăn thịt, và trợ lý gợi ý món súp với cà rốt.",
        "Caroline đã đến nhóm hỗ trợ hôm qua và cảm thấy được chấp nhận; Melanie nói rằng cô ấy tự hào về bạn.",
    ],
}

HAN = ("Chinese", "Japanese")


@pytest.mark.parametrize(("source", "reply"), list(itertools.product(TEXTS, TEXTS)))
def test_reply_in_another_language_than_its_source_is_detected(source: str, reply: str) -> None:
    whole = " ".join(TEXTS[source])
    assert [is_in_other_language(each, whole) for each in TEXTS[reply]] == [source != reply] * 3
    assert [is_in_other_language(each, whole.upper()) for each in TEXTS[reply]] == [source != reply] * 3


@pytest.mark.parametrize("source", TEXTS)
@pytest.mark.parametrize(
    "reply",
    [
        "",
        "2023",
        "…!?",
        "🎻🎻🎻",
        "Yes.",
        "Porto",
        "好的",
        "東京",
        "はい。",
        "Sim.",
        "Nora van den Berg",
        "San Francisco, California",
        "Rio de la Plata",
        "Ludwig Mies van der Rohe",
        "Machu Picchu, Parque Nacional del Manu",
        "iPhone 15 Pro Max, 256 GB",
        "machine learning engineer",
        "村上春樹",
        "https://example.org/a/de/la/the-house-of-the-and-in-on?que=para&e=o",
    ],
)
def test_short_replies_and_names_are_not_judged(source: str, reply: str) -> None:
    assert not is_in_other_language(reply, " ".join(TEXTS[source]))


@pytest.mark.parametrize(
    ("reply", "source"),
    [
        ("Tom 住在 San Francisco Bay Area。", "Chinese"),
        ("用户用 Python 和 PyTorch 训练 transformer 模型，也喜欢 Kubernetes。", "Chinese"),
        ("トムは San Francisco Bay Area に住んでいて、Google で働いています。", "Japanese"),
        ("The user reads 《红楼梦》 and 《三体》 and likes them.", "English"),
        ("The user ate pastéis de nata in Belém and a bifana with piri-piri at the market.", "English"),
        ("The user is learning Dutch: 'het', 'een' and 'de' are hard for her, she said.", "English"),
        ("A Nora vive em Den Haag e gosta de ler The Guardian com o café da manhã.", "Portuguese"),
    ],
)
def test_quoted_foreign_words_do_not_change_the_language(reply: str, source: str) -> None:
    assert not is_in_other_language(reply, " ".join(TEXTS[source]))


@pytest.mark.parametrize(("one", "other"), [pair for pair in itertools.combinations(TEXTS, 2) if pair != HAN])
def test_mixed_text_matches_both_languages(one: str, other: str) -> None:
    mixed = " ".join(part for pair in zip(TEXTS[one], TEXTS[other], strict=True) for part in pair)
    for each in (one, other):
        assert not is_in_other_language(mixed, " ".join(TEXTS[each]))
        assert not any(is_in_other_language(text, mixed) for text in TEXTS[each])


@pytest.mark.parametrize(
    "reply",
    [
        "Пользователь переехал в Берлин и ищет квартиру у реки.",
        "انتقل المستخدم إلى برلين ويبحث عن شقة قرب النهر.",
        "사용자는 베를린으로 이사해서 강가의 아파트를 찾고 있습니다.",
        "ผู้ใช้ย้ายไปเบอร์ลินและกำลังหาห้องเช่าใกล้แม่น้ำ",
        "Der Nutzer ist nach Berlin gezogen und sucht eine ruhige Wohnung mit einem Garten für den Hund.",
        "L'utilisateur a déménagé et il cherche un appartement dans la ville avec un jardin pour le chien.",
        "El usuario se mudó a la ciudad y busca un piso con un jardín para el perro en el centro.",
    ],
)
@pytest.mark.parametrize("source", TEXTS)
def test_replies_in_unsupported_languages_are_detected(reply: str, source: str) -> None:
    assert is_in_other_language(reply, " ".join(TEXTS[source]))


def test_source_without_a_certain_language_accepts_any_reply() -> None:
    for source in ("", "42", "👍" * 30, "ok", "hm, tja"):
        assert not is_in_other_language(TEXTS["English"][0], source)


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_two_texts_can_be_compared(reply: str, source: str) -> None:
    assert is_in_other_language(reply, source) in {True, False}
    assert not is_in_other_language(source, source)
