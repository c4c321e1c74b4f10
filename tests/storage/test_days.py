"""Pages by day."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.model import PageDraft
from tests.conftest import EngineMaker

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 12, tzinfo=timezone.utc)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)
TIMES = st.integers(-700_000, 1_500_000).map(lambda hours: datetime(1970, 1, 1, tzinfo=timezone.utc) + hours * HOUR)


@given(times=st.lists(TIMES, max_size=12))
@settings(max_examples=30)
def test_days_contain_each_page_once(make_engine: EngineMaker, times: list[datetime]) -> None:
    engine = make_engine()
    memory, other = (engine.memory(f"{user}-{len(engine.scopes())}") for user in ("tom", "eve"))
    other.add_memory("not mine", "", datetime(2000, 1, 1, tzinfo=timezone.utc))
    for at in times:
        memory.add_memory("said", "", at)
    assert memory.days() == sorted(Counter(at.date() for at in times).items())
    for day, count in memory.days():
        pages = memory.pages_of_day(day, 100)
        assert len(pages) == count
        assert {page.at.date() for page in pages} == {day}
        assert memory.pages_of_day(day, 100, after_seq=pages[0].seq) == pages[1:]
        assert memory.pages_of_day(day, 1) == pages[:1]


def test_day_begins_at_midnight_before_and_after_1970(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    for at in (
        "1969-12-31T23:59:59.999999",
        "1969-12-31T00:00:00",
        "1970-01-01T00:00:00",
        "1969-12-30T23:59:59.999999",
    ):
        memory.add_memory("said", "", at)
    assert memory.days() == [(date(1969, 12, 30), 1), (date(1969, 12, 31), 2), (date(1970, 1, 1), 1)]


def test_unknown_scope_has_no_days_and_is_not_created(make_engine: EngineMaker) -> None:
    engine = make_engine()
    assert engine.memory("nobody").days() == []
    assert engine.memory("nobody").pages_of_day(date(2026, 1, 1), 10) == []
    assert engine.scopes() == ()


@given(locals_=st.lists(st.tuples(TIMES, OFFSETS), max_size=8))
@settings(max_examples=30)
def test_pages_are_counted_on_the_senders_days(make_engine: EngineMaker, locals_: list[tuple[datetime, int]]) -> None:
    engine = make_engine()
    memory = engine.memory(f"tom-{len(engine.scopes())}")
    pages = [
        memory.add_memory("said", "", local.replace(tzinfo=timezone(timedelta(minutes=offset))))
        for local, offset in locals_
    ]
    found = dict(memory.days())
    assert sum(found.values()) == len(pages)
    for day, count in found.items():
        expected = [page for page in pages if page.day == day]
        assert memory.pages_of_day(day, 100) == expected
        assert count == len(expected)


def test_the_offset_of_a_draft_is_stored(make_engine: EngineMaker) -> None:
    engine = make_engine()
    scope_id = engine.memory("tom")._handle.open()
    drafts = [PageDraft(NOW, "one", "", utc_offset_minutes=offset) for offset in (None, 0, -1439, 1439)]
    stored = engine.store.log.append(scope_id, drafts, NOW)
    assert [page.utc_offset_minutes for page in stored] == [None, 0, -1439, 1439]
    assert list(engine.store.log.after(scope_id)) == stored
