"""Dates by the tense of their sentence: plans look forward, reports look back."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import pytest

from memoryos.language.dates import mentions

AT = datetime(2026, 3, 11, 12, tzinfo=timezone.utc)  # a Wednesday
DAYS = {"last Mon": date(2026, 3, 9), "next Mon": date(2026, 3, 16), "last Fri": date(2026, 3, 6), "next Fri": date(2026, 3, 13),
        "today": date(2026, 3, 11), "last 5th": date(2026, 3, 5), "next 5th": date(2026, 4, 5),
        "last August": date(2025, 8, 1), "next August": date(2026, 8, 1), "nearest August": date(2026, 8, 1), "last May": date(2025, 5, 1), "next May": date(2026, 5, 1),
        "last March": date(2026, 3, 1), "last 2 May": date(2025, 5, 2), "next 2 May": date(2026, 5, 2), "this Sun": date(2026, 3, 15)}  # fmt: skip

ENGLISH = [
    ("I'm flying to Rome on Monday.", "next Mon"),
    ("We fly on Monday.", "next Mon"),
    ("My exam is on Friday.", "next Fri"),
    ("On Friday I have an exam.", "next Fri"),
    ("On Friday, I have an exam.", "next Fri"),
    ("My flight leaves on Monday.", "next Mon"),
    ("My sister's coming on Monday, she's bringing the dog.", "next Mon"),
    ("The meeting was moved, it will be on Monday.", "next Mon"),
    ("We'll meet on the 5th.", "next 5th"),
    ("We met on the 5th.", "last 5th"),
    ("My wedding is in August.", "next August"),
    ("We married in August.", "last August"),
    ("We're getting married in August.", "next August"),
    ("We got married in August.", "last August"),
    ("I bought a house back in August.", "last August"),
    ("I flew on Monday.", "last Mon"),
    ("I have been to the dentist on Monday.", "last Mon"),
    ("I've got a dentist appointment on Monday.", "next Mon"),
    ("I should have called her on Monday.", "last Mon"),
    ("I should call her on Monday.", "next Mon"),
    ("I was going to call her on Monday.", "last Mon"),
    ("I'm going to call her on Monday.", "next Mon"),
    ("I didn't sleep on Monday.", "last Mon"),
    ("I won't be there on Monday.", "next Mon"),
    ("I'm not working on Friday.", "next Fri"),
    ("I wasn't working on Friday.", "last Fri"),
    ("We don't have class on Friday.", "next Fri"),
    ("What am I doing on Monday?", "next Mon"),
    ("What did I do on Monday?", "last Mon"),
    ("Did I have an exam on Monday?", "last Mon"),
    ("Do I have anything on Monday?", "next Mon"),
    ("When will I see Ann in May?", "next May"),
    ("Where was I in May?", "last May"),
    ("The shop is closed on Monday.", "next Mon"),
    ("The shop was closed on Monday.", "last Mon"),
    ("Remind me on Monday to pay the rent.", "next Mon"),
    ("Let's have lunch on Friday.", "next Fri"),
    ("Is my flight on May 2?", "next 2 May"),
    ("The party took place on May 2nd.", "last 2 May"),
    ("I went to Oslo on Monday and I'm flying back on Friday.", "last Mon", "next Fri"),
    ("I booked the hotel. We leave on Monday!", "next Mon"),
    ("I forgot that my exam is on Monday.", "next Mon"),
    ("I'll tell you what happened on Monday.", "last Mon"),
    ("I work on Wednesday.", "today"),
    ("I worked on Wednesday.", "today"),
    ("I'm off this Monday.", "next Mon"),
    ("I was off this Sunday.", date(2026, 3, 8)),
    ("this Sunday", "this Sun"),
    ("on Monday", "last Mon"),
    ("Lunch with Ann on Friday", "last Fri"),
    ("in August", "nearest August"),
    ("in May", "next May"),
    ("Next Monday I visited nobody.", "next Mon"),
    ("I'm flying last Monday.", "last Mon"),
]
DUTCH = [
    ("Ik vlieg op maandag naar Rome.", "next Mon"),
    ("Ik vloog op maandag naar Rome.", "last Mon"),
    ("Ik ben op maandag naar Rome gevlogen.", "last Mon"),
    ("Op vrijdag heb ik een examen.", "next Fri"),
    ("Op vrijdag had ik een examen.", "last Fri"),
    ("Mijn bruiloft is in augustus.", "next August"),
    ("We zijn in augustus getrouwd.", "last August"),
    ("We trouwen in augustus.", "next August"),
    ("Ik had haar op maandag moeten bellen.", "last Mon"),
    ("Ik moet haar op maandag bellen.", "next Mon"),
    ("Ik was op maandag niet thuis.", "last Mon"),
    ("Ik ben op maandag niet thuis.", "next Mon"),
    ("De auto wordt op maandag gekeurd.", "next Mon"),
    ("Wat ga ik op maandag doen?", "next Mon"),
    ("Wat heb ik op maandag gedaan?", "last Mon"),
    ("We spreken af op de 5e.", "next 5th"),
    ("Ik verhuisde in mei, maar volgende week kom ik terug.", "last May", date(2026, 3, 16)),
    ("op maandag", "last Mon"),
    ("Sinds maandag ben ik ziek.", "last Mon"),
    ("Lunch op vrijdag", "last Fri"),
    ("in augustus", "nearest August"),
]
PORTUGUESE = [
    ("Vou viajar na segunda.", "next Mon"),
    ("Viajo na segunda para Roma.", "next Mon"),
    ("Viajei na segunda para Roma.", "last Mon"),
    ("Na sexta tenho uma prova.", "next Fri"),
    ("Na sexta tive uma prova.", "last Fri"),
    ("Meu casamento é em agosto.", "next August"),
    ("Nós nos casamos em agosto.", "last August"),
    ("Casaremos em agosto.", "next August"),
    ("Eu deveria ter ligado na segunda.", "last Mon"),
    ("Eu ia viajar na segunda.", "last Mon"),
    ("Não vou trabalhar na segunda.", "next Mon"),
    ("Não trabalhei na segunda.", "last Mon"),
    ("O que eu fiz na segunda?", "last Mon"),
    ("O que vou fazer na segunda?", "next Mon"),
    ("A reunião será na sexta.", "next Fri"),
    ("Precisamos entregar no dia 5.", "next 5th"),
    ("Entregamos tudo no dia 5, foi difícil.", "last 5th"),
    ("na segunda", "last Mon"),
    ("Meu museu na segunda", "last Mon"),
    ("em agosto", "nearest August"),
]
VIETNAMESE = [
    ("Tôi sẽ bay đi Huế vào thứ hai.", "next Mon"),
    ("Tôi đã bay đi Huế vào thứ hai.", "last Mon"),
    ("Tôi có bài kiểm tra vào thứ sáu.", "next Fri"),
    ("Tôi vừa thi xong hôm thứ sáu.", "last Fri"),
    ("Tôi định gặp Lan vào thứ hai.", "next Mon"),
    ("Đáng lẽ tôi nên gọi cho mẹ vào thứ hai.", "last Mon"),
    ("Vào thứ sáu tôi phải nộp bài.", "next Fri"),
    ("Tôi không đi làm vào thứ hai, tôi đã bị ốm.", "last Mon"),
    ("Tôi sẽ không đi làm vào thứ hai.", "next Mon"),
    ("Đám cưới của tôi vào tháng tám.", "next August"),
    ("Chúng tôi đã cưới vào tháng tám.", "last August"),
    ("Tôi sắp chuyển nhà vào tháng tám.", "next August"),
    ("Thứ hai tới tôi đi.", "next Mon"),
    ("Tôi muốn gặp bạn ngày 5.", "next 5th"),
    ("Tôi đã làm gì vào thứ hai?", "last Mon"),
    ("Tôi phải làm gì vào thứ hai?", "next Mon"),
    ("vào thứ hai", "last Mon"),
    ("tháng tám", "nearest August"),
]
JAPANESE = [
    ("月曜日にローマへ飛びます。", "next Mon"),
    ("月曜日にローマへ飛びました。", "last Mon"),
    ("金曜日に試験があります。", "next Fri"),
    ("金曜日に試験がありました。", "last Fri"),
    ("試験は金曜日です。", "next Fri"),
    ("試験は金曜日でした。", "last Fri"),
    ("月曜日に行くつもりだ。", "next Mon"),
    ("月曜日に行くつもりだった。", "last Mon"),
    ("月曜日に母に電話するべきだった。", "last Mon"),
    ("月曜日に本を買った。", "last Mon"),
    ("月曜日に買った本を読みます。", "last Mon"),
    ("月曜日に行かない予定です。", "next Mon"),
    ("月曜日に行きませんでした。", "last Mon"),
    ("8月に結婚します。", "next August"),
    ("8月に結婚しました。", "last August"),
    ("月曜日に何をしましたか？", "last Mon"),
    ("月曜日に何をしますか？", "next Mon"),
    ("月曜日に、", "last Mon"),
    ("8月に", "nearest August"),
]
CHINESE = [
    ("我周一要飞罗马。", "next Mon"),
    ("我周一去了罗马。", "last Mon"),
    ("我星期五有考试。", "next Fri"),
    ("我星期五考完试了。", "last Fri"),
    ("我的婚礼在八月。", "next August"),
    ("我们八月结婚了。", "last August"),
    ("我们打算八月结婚。", "next August"),
    ("我本来打算周一去。", "last Mon"),
    ("我本来应该周一打电话的。", "last Mon"),
    ("我应该周一打电话。", "next Mon"),
    ("我周一没去上班。", "last Mon"),
    ("我周一不会去上班。", "next Mon"),
    ("我周一做了什么？", "last Mon"),
    ("我周一要做什么？", "next Mon"),
    ("我5号出发。", "next 5th"),
    ("上周一我要去罗马。", date(2026, 3, 2)),
    ("下周一我去了罗马。", "next Mon"),
    ("5月2日的会议会很长。", "next 2 May"),
]

ALL: list[tuple[Any, ...]] = [*ENGLISH, *DUTCH, *PORTUGUESE, *VIETNAMESE, *JAPANESE, *CHINESE]


@pytest.mark.parametrize("case", ALL, ids=lambda case: str(case[0]))
def test_the_tense_of_the_sentence_gives_the_direction(case: tuple[Any, ...]) -> None:
    text, *expected = case
    wanted = [DAYS[each] if isinstance(each, str) else each for each in expected]
    assert [each.first for each in mentions(text, AT)] == wanted


def test_the_direction_of_a_month_does_not_depend_on_its_distance() -> None:
    january = AT.replace(month=1)
    cases = [each for each in ALL if str(each[1]).endswith("August")]
    assert len(cases) > 20
    for text, expected in cases:
        year = {"next August": 2026, "last August": 2025, "nearest August": 2025}[str(expected)]
        assert mentions(text, january)[0].first == date(year, 8, 1), text


@pytest.mark.parametrize(
    "text",
    [
        "I may go", "May I come in?", "you may 2 times", "This may take a while.", "this may be wrong", "the 5 may go first", "We march on.",
        "They marched for hours.", "We march 5 miles a day.", "soldiers march 20 km", "march in step", "He sat down.", "I sat on the 5th floor.",
        "the sun rose", "I got some sun", "mon ami", "a second chance", "on the 2nd try", "on the second floor", "I met April and Jan.",
        "ik zat thuis", "een meid", "Ik zag Marco.", "Confio em Marco.", "desde Marco", "o mar estava calmo",
        "pela segunda vez", "hai người bạn", "lần thứ hai", "người thứ hai này rất vui", "Việt Nam sau chiến tranh", "mỗi ngày 5 lần",
        "我读了二月河的书", "五月天的演唱会", "十二个月", "每周一", "周一到周五", "3号线很挤", "日曜大工", "3日に1回",
    ],
)  # fmt: skip
def test_a_word_that_is_no_date_is_not_resolved(text: str) -> None:
    assert mentions(text, AT) == []


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("in May", date(2026, 5, 1)), ("May 5", date(2026, 5, 5)), ("5 May", date(2026, 5, 5)), ("last March", date(2025, 3, 1)),
        ("this may", date(2026, 5, 1)), ("In May I may go.", date(2026, 5, 1)), ("from February 3 2025 to March 5, 2025", date(2025, 2, 3)),
        ("The march was on March 7.", date(2026, 3, 7)), ("em março", date(2026, 3, 1)), ("em marco", date(2026, 3, 1)), ("5 mei", date(2026, 5, 5)),
        ("二月份", date(2026, 2, 1)), ("tháng hai", date(2026, 2, 1)), ("năm nay", date(2026, 1, 1)),
    ],
)  # fmt: skip
def test_a_month_is_still_a_date(text: str, first: date) -> None:
    assert mentions(text, AT)[0].first == first


def test_only_the_sentence_around_a_date_is_read() -> None:
    told = "I went home. " * 200
    assert [each.first for each in mentions(f"{told}I'm flying on Monday. {told}", AT)] == [DAYS["next Mon"]]
    assert [each.first for each in mentions(f"{told}\nMonday's plan: on Monday\n{told}", AT)] == [DAYS["last Mon"]]
