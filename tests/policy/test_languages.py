"""The language detector and its word lists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.language import languages as detector
from memoryos.language import stop_words
from memoryos.language.languages import LANGUAGES, certain_language_of, language_of

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
def test_language_of_one_sentence_is_detected(language: str, text: str) -> None:
    assert language_of(text) == language
    assert language_of(text.upper()) == language


@pytest.mark.parametrize(
    "text",
    [
        "", "123", "…", "Porto", "Machu Picchu", "¿Dónde vive mi hermana?", "Donde vive mi hermana", "Où habite ma soeur avec son mari?", "그는 서울에 살아요",
        "Ich wohne in Berlin und das ist schön", "La casa de mi madre es muy grande y la quiero", "Где живёт моя сестра?", "saya tinggal di Jakarta dan tidak suka kopi",
    ],
)  # fmt: skip
def test_other_languages_and_names_return_the_default(text: str) -> None:
    assert language_of(text) is None
    assert language_of(text, "nl") == "nl"


def test_han_characters_without_kana_are_chinese_unless_the_default_is_japanese() -> None:
    assert language_of("東京大学") == "zh"
    assert language_of("東京大学", "ja") == "ja"
    assert language_of("東京大学です", "zh") == "ja"


@given(st.text(st.characters()))
def test_any_text_has_a_supported_language_or_none(text: str) -> None:
    assert language_of(text) in {None, *LANGUAGES}
    assert language_of(text, "vi") in LANGUAGES


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The user asked for a recipe with lentils because her sister does not eat meat."),
        ("nl", "De gebruiker vroeg om een recept met linzen omdat haar zus geen vlees eet."),
        ("pt", "O Tom contou ao assistente que se mudou para Berlim e que procura um apartamento."),
        ("fr", "L'utilisateur a déménagé et il cherche un appartement dans la ville pour le chien."),
        ("de", "Der Nutzer ist nach Berlin gezogen und sucht eine Wohnung mit einem Garten."),
        ("es", "El usuario se mudó a la ciudad y busca un piso con un jardín para el perro."),
    ],
)
def test_certain_language_needs_enough_words(language: str, text: str) -> None:
    assert certain_language_of(text, min_words=8) == language
    assert certain_language_of(text, min_words=30) is None


def test_names_have_no_certain_language() -> None:
    assert certain_language_of("Rio de la Plata Machu Picchu Parque Nacional", min_words=4) is None


WORD_FILES = sorted((Path(detector.__file__).parent / "data").glob("*.json"))


@pytest.mark.parametrize("file", WORD_FILES, ids=lambda file: file.stem)
def test_each_word_file_states_purpose_and_source(file: Path) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["purpose"].endswith(".")
    assert content["source"].endswith(".")


def test_every_language_has_words_for_each_purpose() -> None:
    assert len(WORD_FILES) == 3
    assert {*stop_words.TOPIC_STOP_WORDS} == {*stop_words.BM25_HALF_WEIGHT_WORDS} == {*LANGUAGES}
    assert {
        "en",
        "nl",
        "pt",
        "vi",
    } <= stop_words.FOLDED_LANGUAGE_WORDS.keys() & stop_words.ACCENTED_LANGUAGE_WORDS.keys()


def test_no_other_module_contains_a_language_word_list() -> None:
    sample = ("een", "que", "und", "les")
    package = Path(detector.__file__).parents[1]
    lists = [
        file.name
        for file in package.rglob("*.py")
        if "analysts" not in file.parts
        and sum(bool(re.search(rf"(?<=\s){word}(?=\s)", file.read_text(encoding="utf-8"))) for word in sample) >= 3
    ]
    assert lists == []
