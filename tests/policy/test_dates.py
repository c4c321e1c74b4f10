"""Relative and absolute dates in each language."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.language.dates import date_terms, format_date_range, mentions

AT = datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)  # a Monday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I went yesterday.", "7 May 2023"),
        ("the day before yesterday", "6 May 2023"),
        ("last night was fun", "7 May 2023"),
        ("see you tomorrow", "9 May 2023"),
        ("last Friday", "5 May 2023"),
        ("on Saturday", "6 May 2023"),
        ("next Friday", "12 May 2023"),
        ("last week", "1–7 May 2023"),
        ("this weekend", "13–14 May 2023"),
        ("last weekend", "6–7 May 2023"),
        ("next month", "June 2023"),
        ("last year", "2022"),
        ("three days ago", "5 May 2023"),
        ("two months ago", "March 2023"),
        ("7 May 2023", "7 May 2023"),
        ("on May 2nd", "2 May 2023"),
        ("the 5th of June", "5 June 2023"),
        ("December 30", "30 December 2022"),
        ("June 2021", "June 2021"),
        ("in 2019", "2019"),
        ("2023-04-30", "30 April 2023"),
        ("13/4/2023", "13 April 2023"),
        ("in June", "June 2023"),
        ("昨天我去了公园", "7 May 2023"),
        ("5月2日", "2 May 2023"),
        ("2022年3月", "March 2022"),
        ("上周五", "5 May 2023"),
        ("三天前", "5 May 2023"),
        ("去年", "2022"),
    ],
)
def test_date_expression_is_resolved(text: str, expected: str) -> None:
    found = mentions(text, AT)
    assert [format_date_range(each.first, each.last) for each in found] == [expected]


@pytest.mark.parametrize(
    "text",
    ["I may go", "march on", "a second one", "the sun is out", "Sunday mornings", "on Sunday mornings", "at 5", ""],
)
def test_text_without_dates_has_no_mentions(text: str) -> None:
    assert mentions(text, AT) == []


OTHER_LANGUAGES = {
    "Dutch": [
        ("Gisteren ben ik naar Rotterdam geweest.", "7 May 2023"),
        ("gisteravond", "7 May 2023"),
        ("eergisteren", "6 May 2023"),
        ("Vandaag is het warm", "8 May 2023"),
        ("morgen ga ik zwemmen", "9 May 2023"),
        ("overmorgen", "10 May 2023"),
        ("vorige vrijdag", "5 May 2023"),
        ("afgelopen zaterdagavond", "6 May 2023"),
        ("komende donderdag", "11 May 2023"),
        ("op zondag was ik ziek", "7 May 2023"),
        ("vorige week dinsdag", "2 May 2023"),
        ("dinsdag volgende week", "16 May 2023"),
        ("vorige week", "1–7 May 2023"),
        ("afgelopen weekend", "6–7 May 2023"),
        ("volgende maand", "June 2023"),
        ("vorig jaar", "2022"),
        ("drie dagen geleden", "5 May 2023"),
        ("twee maanden geleden", "March 2023"),
        ("over een jaar", "2024"),
        ("5 maart", "5 March 2023"),
        ("op 31 december 2022", "31 December 2022"),
        ("in juni", "June 2023"),
        ("mei 2021", "May 2021"),
        ("sinds 2019", "2019"),
        ("het was op 5/3/2023", "5 March 2023"),
    ],
    "Portuguese": [
        ("Ontem fui ao médico.", "7 May 2023"),
        ("anteontem", "6 May 2023"),
        ("hoje", "8 May 2023"),
        ("amanhã eu viajo", "9 May 2023"),
        ("depois de amanha", "10 May 2023"),
        ("sexta passada", "5 May 2023"),
        ("na sexta-feira passada", "5 May 2023"),
        ("na sexta fui ao cinema", "5 May 2023"),
        ("na quinta-feira passada", "4 May 2023"),
        ("no sábado teve festa", "6 May 2023"),
        ("quinta que vem", "11 May 2023"),
        ("próxima terça", "9 May 2023"),
        ("terça da semana passada", "2 May 2023"),
        ("semana passada", "1–7 May 2023"),
        ("no fim de semana passado", "6–7 May 2023"),
        ("mês que vem", "June 2023"),
        ("ano passado", "2022"),
        ("três dias atrás", "5 May 2023"),
        ("há três dias comprei um carro", "5 May 2023"),
        ("viajei faz dois meses", "March 2023"),
        ("daqui a dois dias", "10 May 2023"),
        ("5 de março", "5 March 2023"),
        ("1º de maio de 2021", "1 May 2021"),
        ("em junho", "June 2023"),
        ("junho de 2021", "June 2021"),
        ("em 2019", "2019"),
        ("não foi em 5/3/2023", "5 March 2023"),
    ],
    "Vietnamese": [
        ("Hôm qua tôi đi khám răng.", "7 May 2023"),
        ("hom qua toi di kham rang", "7 May 2023"),
        ("tối qua", "7 May 2023"),
        ("hôm kia", "6 May 2023"),
        ("hôm nay trời đẹp", "8 May 2023"),
        ("ngày mai", "9 May 2023"),
        ("thứ sáu tuần trước", "5 May 2023"),
        ("thu sau tuan truoc", "5 May 2023"),
        ("thứ 3 tuần sau", "16 May 2023"),
        ("chủ nhật vừa rồi", "7 May 2023"),
        ("hôm thứ bảy", "6 May 2023"),
        ("tuần trước", "1–7 May 2023"),
        ("cuối tuần này", "13–14 May 2023"),
        ("tháng sau", "June 2023"),
        ("năm ngoái", "2022"),
        ("ba ngày trước", "5 May 2023"),
        ("cách đây hai tháng", "March 2023"),
        ("hai năm nữa", "2025"),
        ("ngày 5 tháng 3", "5 March 2023"),
        ("ngày 5 tháng 3 năm 2022", "5 March 2022"),
        ("ngày 20/11", "20 November 2022"),
        ("tháng 3 năm 2021", "March 2021"),
        ("vào tháng sáu", "June 2023"),
        ("năm 2019", "2019"),
    ],
    "Japanese": [
        ("昨日、病院に行きました。", "7 May 2023"),
        ("きのう映画を見た", "7 May 2023"),
        ("一昨日", "6 May 2023"),
        ("おとといの夜", "6 May 2023"),
        ("今朝は寒かった", "8 May 2023"),
        ("明日は休みです", "9 May 2023"),
        ("明後日", "10 May 2023"),
        ("先週の金曜日", "5 May 2023"),
        ("来週の火曜", "16 May 2023"),
        ("この前の土曜日", "6 May 2023"),
        ("次の木曜日", "11 May 2023"),
        ("日曜日に会った", "7 May 2023"),
        ("先週は忙しかった", "1–7 May 2023"),
        ("先週末", "6–7 May 2023"),
        ("来月引っ越します", "June 2023"),
        ("去年の夏", "2022"),
        ("一昨年", "2021"),
        ("三日前", "5 May 2023"),
        ("2ヶ月前", "March 2023"),
        ("三年後", "2026"),
        ("3月5日", "5 March 2023"),
        ("三月二十五日", "25 March 2023"),
        ("２０２２年３月５日", "5 March 2022"),
        ("2022年3月", "March 2022"),
        ("6月に", "June 2023"),
        ("去年の6月", "June 2022"),
    ],
    "Chinese": [
        ("大前天", "5 May 2023"),
        ("三月二十五号", "25 March 2023"),
        ("上上周", "24–30 April 2023"),
        ("下周二", "16 May 2023"),
        ("这个周末", "13–14 May 2023"),
        ("两个星期前", "23–25 April 2023"),
        ("十二天前", "26 April 2023"),
        ("三天后", "11 May 2023"),
        ("明年三月", "March 2024"),
        ("前年", "2021"),
        ("六月份", "June 2023"),
    ],
}


@pytest.mark.parametrize(("text", "expected"), [case for cases in OTHER_LANGUAGES.values() for case in cases])
def test_date_expression_in_other_languages_is_resolved(text: str, expected: str) -> None:
    found = mentions(text, AT)
    assert [format_date_range(each.first, each.last) for each in found] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "Goedemorgen!", "goede morgen", "'s morgens loop ik", "elke morgen", "een tweede keer", "ik mei gaan", "over vijf kilometer", "elke vrijdag",
        "a segunda vez", "na segunda vez", "quarta tentativa", "o mar calmo", "uma feira de livros", "moro aqui há três anos", "trabalho lá há dois meses",
        "toda sexta-feira", "de manhã", "hai con mèo", "tôi ba mươi tuổi", "thứ hai, tôi nghĩ", "tháng nào", "năm con gà", "mỗi tuần", "mai là bạn tôi",
        "日本が好き", "月がきれい", "毎週金曜日に", "今日本にいる", "一日中", "三日間", "きょうだいがいる", "3か月間", "来年度", "毎日走る", "日子过得好", "一天到晚", "年前",
    ],
)  # fmt: skip
def test_words_similar_to_dates_are_not_mentions(text: str) -> None:
    assert mentions(text, AT) == []


@given(st.text(st.characters(), max_size=200), st.datetimes(timezones=st.just(timezone.utc)))
def test_mentions_of_any_text_are_ordered_and_disjoint(text: str, at: datetime) -> None:
    last = 0
    for each in mentions(text, at):
        assert last <= each.start < each.end <= len(text)
        assert each.first <= each.last
        assert text[each.start : each.end] == each.text
        assert format_date_range(each.first, each.last)
        last = each.end


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 2000))
def test_terms_of_a_range_include_those_of_its_days(first: date, days: int) -> None:
    last = date.fromordinal(first.toordinal() + days)
    assert date_terms(first, last)
    if days == 0:
        assert date_terms(first, last) == (f"@{first}", f"@{first:%Y-%m}")
