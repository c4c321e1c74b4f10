"""Reading of queries: side, speakers, days and terms in each language."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from memoryos.model import Side
from memoryos.retrieval.question import read_question

AT = datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)

ABOUT: list[tuple[str, Side | None]] = [
    ("Where do I live?", "user"),
    ("Which book did you recommend to me?", "assistant"),
    ("What was your advice on the roof?", "assistant"),
    ("Do you remember my birthday?", "user"),
    ("Where does Nora live?", None),
    ("我住在哪里？", "user"),
    ("你上次提醒我带什么？", "assistant"),
    ("你给我推荐了哪本书？", "assistant"),
    ("Waar woon ik?", "user"),
    ("Welk boek raadde je me aan?", "assistant"),
    ("Wat heb je me aangeraden?", "assistant"),
    ("Weet je nog wanneer mijn verjaardag is?", "user"),
    ("Welke soep raadde ge mij aan?", "assistant"),
    ("Wat was je tip tegen slakken?", "assistant"),
    ("Waar ligt Porto?", None),
    ("Onde eu moro?", "user"),
    ("Qual é o nome do meu cachorro?", "user"),
    ("Que livro você me recomendou?", "assistant"),
    ("Que livro me recomendaste?", "assistant"),
    ("O que me disseste sobre o telhado?", "assistant"),
    ("Qual foi a sua dica?", "assistant"),
    ("Você lembra quando é meu aniversário?", "user"),
    ("Quando é a festa?", None),
    ("Como foi o inverno deste ano?", None),
    ("Em đã tư vấn cho anh loại sơn nào?", "assistant"),
    ("Tôi sống ở đâu?", "user"),
    ("Bạn đã gợi ý cho mình cuốn sách nào?", "assistant"),
    ("Bạn có nhớ sinh nhật của mình không?", "user"),
    ("Lễ hội ở đâu?", None),
    ("私の犬の名前は？", "user"),
    ("どの本をおすすめしてくれましたか？", "assistant"),
    ("僕の誕生日を覚えていますか？", "user"),
    ("お祭りはどこですか？", None),
]


@pytest.mark.parametrize(("text", "side"), ABOUT)
def test_first_and_second_person_select_a_side(text: str, side: Side | None) -> None:
    assert read_question(text, speakers=["user"], now=AT).side == side


@pytest.mark.parametrize(("text", "side"), ABOUT)
def test_question_to_an_assistant_is_about_the_user_by_default(text: str, side: Side | None) -> None:
    assert read_question(text, speakers=["user", "assistant"], now=AT).side == (side or "user")


def test_question_between_two_people_has_no_default_side() -> None:
    assert read_question("When is the party?", speakers=["Ann", "Bob"], now=AT).side is None


@pytest.mark.parametrize(
    ("text", "little", "topic"),
    [
        ("When is the party?", "when", "parti"),
        ("Quanto custou a festa?", "quant", "festa"),
        ("Wanneer is het feest?", "wanneer", "feest"),
        ("什么时候聚会？", "什么", "聚会"),
    ],
)
def test_function_terms_exclude_topic_words(text: str, little: str, topic: str) -> None:
    question = read_question(text, speakers=[], now=AT)
    assert {little, topic} <= {*question.terms}
    assert little in question.function_terms
    assert topic not in question.function_terms


@pytest.mark.parametrize(
    ("text", "speaker", "dense"),
    [
        ("Where does Caroline's sister live?", "Caroline", "Where does sister live?"),
        ("Waar woont de zus van João?", "João Silva", "Waar woont de zus van ?"),
        ("Onde mora a irmã do Joao?", "João Silva", "Onde mora a irmã do ?"),
        ("王峰的妹妹住在哪里？", "王峰", "的妹妹住在哪里？"),
        ("田中さんの妹はどこに住んでいますか？", "田中", "の妹はどこに住んでいますか？"),
        ("Em gái của Lan sống ở đâu?", "Lan", "Em gái của sống ở đâu?"),
    ],
)
def test_speaker_names_are_removed_from_the_embedded_query(text: str, speaker: str, dense: str) -> None:
    question = read_question(text, speakers=[speaker, "assistant"], now=AT)
    assert question.speakers == {speaker}
    assert question.dense_text == dense


def test_lower_case_pronoun_is_no_speaker_name() -> None:
    assert read_question("anh sống ở đâu?", speakers=["Lan Anh"], now=AT).speakers == frozenset()
    assert read_question("Lan Anh sống ở đâu?", speakers=["Lan Anh"], now=AT).speakers == {"Lan Anh"}
    assert read_question("王峰", speakers=["王峰"], now=AT).dense_text == "王峰"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Wat deed ik op 5 maart?", "2023-03-05"),
        ("O que eu fiz ontem?", "2023-05-07"),
        ("Hôm kia tôi làm gì?", "2023-05-06"),
        ("先週の金曜日は何をした？", "2023-05-05"),
        ("上周五我做了什么？", "2023-05-05"),
    ],
)
def test_terms_include_the_resolved_day(text: str, day: str) -> None:
    assert f"@{day}" in read_question(text, speakers=[], now=AT).terms
