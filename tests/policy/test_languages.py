"""The language of a text, told by its letters and little words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.language.languages import LANGUAGES, language_of

TEXTS = {
    "en": [
        "Where does my sister live?", "I love hiking.", "What's my dog's name?", "Did I tell you about the man in the van?", "My home is in Porto",
        "I had a bad day", "What time do I run?", "best no-bake cake", "Tell me about Anh Nguyen", "He has a tattoo of a shark", "Yes, I do!",
    ],
    "nl": [
        "Waar woont mijn zus?", "Hoe heet mijn hond?", "Ik woon in Utrecht.", "Gisteren ben ik naar Rotterdam geweest", "Wat is mijn beroep?",
        "Wanneer is de bruiloft?", "Ik hou van wandelen.", "Mijn dochter speelt viool", "Wie is Lotte?", "Welk boek raadde je aan?", "Ik werk als verpleegkundige",
    ],
    "pt": [
        "Onde mora minha irmã?", "Qual é o nome do meu cachorro?", "Moro em Lisboa.", "Ontem fui ao médico", "Trabalho como enfermeira", "Quando é o casamento?",
        "Gosto de caminhar", "Que livro você me recomendou?", "Sou alérgico a amendoim", "Meu aniversário é em 5 de março", "Eu adoro praia", "Nao gosto de cafe",
    ],
    "vi": [
        "Chị tôi sống ở đâu?", "Chó của tôi tên gì?", "Tôi sống ở Hà Nội", "Hôm qua tôi đi bác sĩ", "Mình làm y tá", "Khi nào đám cưới?",
        "Bạn đã giới thiệu sách nào?", "toi song o ha noi", "hom qua toi di kham rang", "Mẹ mình ở Huế", "Em thích cà phê", "con cho cua toi ten gi",
    ],
    "ja": ["妹はどこに住んでいますか？", "犬の名前は？", "東京に住んでいます", "昨日病院に行きました", "ﾊﾟﾝを焼いた", "Googleで働いています"],
    "zh": ["我妹妹住在哪里？", "我的狗叫什么？", "昨天去了医院", "日本の城这家店很好吃，我们一起去吧，真的不错啊", "我在Google工作"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in TEXTS.items() for text in texts]
)
def test_a_sentence_is_enough(language: str, text: str) -> None:
    assert language_of(text) == language
    assert language_of(text.upper()) == language


@pytest.mark.parametrize(
    "text",
    [
        "", "123", "…", "Porto", "Machu Picchu", "¿Dónde vive mi hermana?", "Donde vive mi hermana", "Où habite ma soeur avec son mari?", "그는 서울에 살아요",
        "Ich wohne in Berlin und das ist schön", "La casa de mi madre es muy grande y la quiero", "Где живёт моя сестра?", "saya tinggal di Jakarta dan tidak suka kopi",
    ],
)  # fmt: skip
def test_other_languages_and_names_are_none_of_them(text: str) -> None:
    assert language_of(text) is None
    assert language_of(text, "nl") == "nl"


def test_han_characters_alone_are_chinese_unless_the_conversation_is_japanese() -> None:
    assert language_of("東京大学") == "zh"
    assert language_of("東京大学", "ja") == "ja"
    assert language_of("東京大学です", "zh") == "ja"


@given(st.text(st.characters()))
def test_any_text(text: str) -> None:
    assert language_of(text) in {None, *LANGUAGES}
    assert language_of(text, "vi") in LANGUAGES
