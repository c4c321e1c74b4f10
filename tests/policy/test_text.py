"""Terms, sentences, token estimates and excerpts of texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.language.text import (
    content_words,
    estimate_tokens,
    excerpt,
    fold,
    keywords,
    search_terms,
    sentences,
    terms,
)
from tests.waiting import cpu_seconds

any_text = st.text(st.characters(), max_size=300)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caroline's dogs running", ["carolin", "dog", "run"]),
        ("Łódź, smørrebrød, Straße", ["lodz", "smorrebrod", "strass"]),
        ("café 2023", ["cafe", "2023"]),
        ("我喜欢绘画", ["我喜", "喜欢", "欢绘", "绘画"]),
        ("茶", ["茶"]),
        ("I’m Tom", ["i'm", "tom"]),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("喝绿茶", ["喝绿", "绿茶", "喝", "绿", "茶"]),
        ("茶", ["茶"]),
        ("寿司を", ["寿司", "司を", "寿", "司"]),
        ("dogs", ["dog"]),
    ],
)
def test_search_terms_include_single_chinese_characters(text: str, expected: list[str]) -> None:
    assert search_terms(text) == expected


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Waar heb ik gefietst?", "Gisteren een flink eind gaan fietsen."),
        ("Hoe heet mijn hond?", "Ons hondje heet Wolf."),
        ("Quando é a reunião?", "As reuniões são às terças."),
        ("quando e a reuniao?", "A reunião é amanhã."),
        ("Onde mora minha irmã?", "minha irma mora em Recife"),
        ("bệnh viện nào?", "hom qua minh di benh vien"),
        ("犬の名前は？", "うちの犬が逃げた。"),
        ("コンピュータを買った？", "新しいコンピューターを買った"),
        ("どこで食べる？", "寿司を食べた。"),
        ("ﾃﾆｽは好き？", "毎週テニスをする"),
        ("ＡＢＣ１２", "abc12"),
    ],
)
def test_inflected_forms_share_a_term(asked: str, said: str) -> None:
    assert set(terms(asked)) & set(terms(said))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("どこに住んでいますか？", "毎日走っています。"),
        ("それは何でしたか", "そうですね"),
        ("いつ行きましたか？", "昨日見ました"),
    ],
)
def test_japanese_endings_and_particles_are_no_terms(asked: str, said: str) -> None:
    assert not set(terms(asked)) & set(terms(said))


def test_vietnamese_syllable_pairs_are_terms() -> None:
    assert "benh vien" in terms("Tôi làm ở bệnh viện")
    assert "benh vien" in terms("toi lam o benh vien nay")


def test_keywords_exclude_stop_words_of_the_language() -> None:
    found = keywords(["Ik heb gisteren met mijn zus een taart gebakken voor haar verjaardag"], 4)
    assert set(found) == {"verjaardag", "gebakken", "taart", "zus"}
    assert "東京" in keywords(["東京に住んでいます。東京は楽しい"], 2)
    assert content_words("りんごが好きです。これはおいしい") == ["りんご", "好"]


@given(any_text)
def test_text_functions_accept_any_text(text: str) -> None:
    assert isinstance(terms(text), list)
    assert all(part.strip() == part and part for part in sentences(text))
    assert estimate_tokens(text) >= 0
    assert keywords([text]) == keywords([text])


@given(any_text)
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_sentences_keep_abbreviations_whole() -> None:
    assert sentences("Hi! I'm Dr. Smith. I live in the U.S. with 3.5 dogs. Ok?\nYes。对") == [
        "Hi!", "I'm Dr. Smith.", "I live in the U.S. with 3.5 dogs.", "Ok?", "Yes。", "对",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ik werk o.a. met dhr. Jansen. Leuk!", ["Ik werk o.a. met dhr. Jansen.", "Leuk!"]),
        ("O Sr. Silva e a Dra. Ana vieram. Foi bom.", ["O Sr. Silva e a Dra. Ana vieram.", "Foi bom."]),
        ("Tôi ở TP. Huế. Còn bạn?", ["Tôi ở TP. Huế.", "Còn bạn?"]),
        ("東京です。「はい。」と言った！次は？", ["東京です。", "「はい。」", "と言った！", "次は？"]),
        ("ｿｳﾃﾞｽ｡ﾊｲ｡", ["ｿｳﾃﾞｽ｡", "ﾊｲ｡"]),
        ("我住在上海。你呢？", ["我住在上海。", "你呢？"]),
    ],
)
def test_sentences_of_each_language(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_keywords_are_topic_words() -> None:
    texts = ["I baked sourdough bread today", "My sourdough starter is ready", "The bread was great"]
    assert {"sourdough", "bread"} <= set(keywords(texts, 3))


@given(st.text(max_size=400), st.integers(100, 300))
def test_excerpt_respects_its_limit(text: str, limit: int) -> None:
    assert len(excerpt(text, limit)) <= max(limit, 0)
    if len(text) <= limit:
        assert excerpt(text, limit) == text


def test_excerpt_marks_its_omission() -> None:
    shown = excerpt("word " * 50_000, 2_000)
    assert shown.startswith("word word ")
    assert shown.endswith("characters left out …]")


def test_a_megabyte_is_read_in_linear_time() -> None:
    def seconds(text: str) -> float:
        return cpu_seconds(lambda: (terms(text), sentences(text), excerpt(text, 500)))

    small, large = seconds("a. b? ab " * 11_000), seconds("a. b? ab " * 110_000)
    assert large < 40 * small


def test_chinese_characters_cost_more_tokens() -> None:
    assert estimate_tokens("abcd") == 1
    assert estimate_tokens("你好") == 1.5
