"""The sender's day: pages keep their UTC offset, and every date is a date in the zone of the sender."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.config import Config
from memoryos.errors import ConfigError, InputError
from memoryos.inputs import read_draft
from memoryos.model import Page
from memoryos.testing import FixedClock
from memoryos.time_zones import NO_ZONE
from tests.conftest import EngineMaker

EVENING = "2026-03-10T23:30:00-08:00"
NOW = datetime(2026, 3, 12, 7, 30, tzinfo=timezone.utc)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


def days_and_offsets(pages: list[Page]) -> list[tuple[str, int | None]]:
    return [(page.day.isoformat(), page.utc_offset_minutes) for page in pages]


def test_yesterday_in_the_evening_is_the_senders_yesterday(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0).memory("tom")
    page = memory.add_memory("Yesterday I repaired the bicycle.", "Well done.", EVENING)
    memory.add_memory("I painted the fence.", "Well done.", "2026-03-01T12:00:00-08:00")
    assert (page.at, page.day) == (datetime(2026, 3, 11, 7, 30, tzinfo=timezone.utc), date(2026, 3, 10))
    assert page.local_at.isoformat() == EVENING
    memory.flush()
    recall = memory.recall("Who repaired the bicycle on 9 March 2026?", max_pages=1)
    assert "[10 March 2026]" in recall.to_prompt()
    assert "11 March" not in recall.to_prompt()
    assert recall.pages[0].page.page_id == page.page_id
    assert {each.utterance.day for each in recall.quotes} == {date(2026, 3, 10), date(2026, 3, 1)}
    words = make_index(memory.modules.working_sets.get(memory._handle.find()).passages.days.tolist())
    assert date(2026, 3, 10) in words
    assert date(2026, 3, 11) not in words


def make_index(ordinals: list[int]) -> set[date]:
    return set(map(date.fromordinal, ordinals))


def test_facts_and_answers_use_the_senders_day(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0, mid_term_heat_threshold=0).memory("tom")
    memory.add_memory("I repaired the bicycle yesterday.", "Well done.", EVENING)
    memory.flush()
    assert "9 March 2026" in memory.get_user_profile_summary()
    assert "10 March 2026" in str(memory.get_response("Who repaired the bicycle?", remember=False))


def test_a_questions_yesterday_is_in_the_configured_zone(make_engine: EngineMaker, tmp_path: Path) -> None:
    pages = {
        "bread": "2026-03-10T12:00:00-07:00",
        "soup": "2026-03-11T12:00:00-07:00",
    }
    clock = FixedClock(NOW - timedelta(hours=1))  # 11 March, 23:30 in Los Angeles
    for zone, dish in (("America/Los_Angeles", "bread"), (None, "soup")):
        engine = make_engine(short_term_capacity=0, data_storage_path=tmp_path / dish, time_zone=zone, clock=clock)
        memory = engine.memory("tom")
        for name, at in pages.items():
            memory.add_memory(f"I cooked {name}.", "", at)
        memory.flush()
        best = memory.recall("What did I cook yesterday?", max_pages=1).pages[0]
        assert dish in best.page.user_text
        assert best.signals.time > 0


def test_the_configured_zone_applies_to_times_without_a_zone(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(time_zone="Europe/Amsterdam").memory("tom")
    naive = memory.add_memory("one", "", "2026-07-01T00:30:00")
    given = memory.add_memory("two", "", EVENING)
    unsaid = memory.add_memory("three", "")
    (message,) = memory.add_messages([{"role": "user", "content": "four", "timestamp": "2026-01-01T00:30"}])
    assert naive.at == datetime(2026, 6, 30, 22, 30, tzinfo=timezone.utc)
    assert days_and_offsets([naive, given, message]) == [("2026-07-01", 120), ("2026-03-10", -480), ("2026-01-01", 60)]
    assert unsaid.at == clock()
    assert unsaid.utc_offset_minutes == 120
    answered = memory.get_response("one?")
    newest = memory.newest_pages(1)[0]
    assert newest.assistant_text == answered
    assert newest.utc_offset_minutes == 120
    assert memory.forget(before="2026-01-01T00:31", dry_run=True).page_ids == (message.page_id,)
    assert memory.forget(before="2026-01-01T00:29", dry_run=True).page_ids == ()


def test_without_a_zone_the_offset_is_not_known_and_the_day_is_in_utc(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    pages = [memory.add_memory("one", "", at) for at in ("2026-07-01T23:30:00", None, "2026-07-01T23:30:00Z")]
    assert [page.utc_offset_minutes for page in pages] == [None, None, 0]
    assert pages[0].day == pages[2].day == date(2026, 7, 1)


@pytest.mark.parametrize("name", ["Mars/Phobos", "", "../etc/passwd", "America", "Europe/\0"])
def test_an_unknown_zone_is_a_config_error(name: str) -> None:
    with pytest.raises(ConfigError, match="time zone database; use an IANA name"):
        Config(time_zone=name)


def test_the_zone_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Config().zone is NO_ZONE
    monkeypatch.setenv("MEMORYOS_TIME_ZONE", "Asia/Tokyo")
    assert Config().zone == ZoneInfo("Asia/Tokyo")


class Strange(tzinfo):
    """A time zone with any result."""

    def __init__(self, offset: object) -> None:
        self._offset = offset

    def utcoffset(self, at: datetime | None) -> timedelta | None:  # noqa: ARG002
        return self._offset  # type: ignore[return-value]

    def dst(self, at: datetime | None) -> timedelta | None:  # noqa: ARG002
        return None

    def tzname(self, at: datetime | None) -> str | None:  # noqa: ARG002
        return None


@pytest.mark.parametrize("offset", [timedelta(hours=24), timedelta(days=-3), "two hours"])
def test_an_impossible_offset_is_an_input_error(offset: object) -> None:
    with pytest.raises(InputError, match="no valid UTC offset"):
        read_draft("hi", "", datetime(2026, 1, 1, tzinfo=Strange(offset)), None, now=NOW)
    with pytest.raises(InputError, match="not a time"):
        read_draft("hi", "", "2026-01-01T00:00:00+25:00", None, now=NOW)


def test_an_offset_is_rounded_to_minutes() -> None:
    amsterdam = timezone(timedelta(minutes=19, seconds=32))
    assert read_draft("hi", "", datetime(1930, 1, 1, tzinfo=amsterdam), None, now=NOW).utc_offset_minutes == 20
    latest = timezone(timedelta(hours=23, minutes=59, seconds=59))
    assert read_draft("hi", "", datetime(1930, 1, 1, tzinfo=latest), None, now=NOW).utc_offset_minutes == 1439
    naive = read_draft("hi", "", datetime(1930, 1, 1, tzinfo=Strange(None)), None, now=NOW.astimezone(NO_ZONE))
    assert naive.utc_offset_minutes is None


@given(local=st.datetimes().filter(lambda local: 1 < local.year < 9999), offset=OFFSETS)
def test_the_day_is_the_date_in_the_iso_input(local: datetime, offset: int) -> None:
    text = local.replace(tzinfo=timezone(timedelta(minutes=offset))).isoformat()
    draft = read_draft("hi", "", text, None, now=NOW)
    page = Page("id", 1, draft.at, "hi", "", utc_offset_minutes=draft.utc_offset_minutes)
    assert page.day.isoformat() == text[:10]
    assert page.local_at.isoformat() == text
    assert page.at.utcoffset() == timedelta(0)
    assert [each.day for each in page.utterances()] == [page.day]


def test_export_and_load_keep_the_offsets(make_engine: EngineMaker, tmp_path: Path) -> None:
    memory = make_engine().memory("tom")
    times = [EVENING, "2026-03-11T00:30:00.000001+05:45", "2026-03-11T10:00:00Z", "2026-03-11T12:00:00", None]
    for at in times:
        memory.add_memory("said", "", at)
    memory.export(tmp_path / "one.jsonl")
    records = [json.loads(line) for line in (tmp_path / "one.jsonl").read_text().splitlines()]
    written = [each["at"] for each in records if each["kind"] == "page"]
    assert written[:4] == [
        "2026-03-10T23:30:00-08:00",
        "2026-03-11T00:30:00.000001+05:45",
        "2026-03-11T10:00:00+00:00",
        "2026-03-11T12:00:00-00:00",
    ]
    assert [datetime.fromisoformat(each) for each in written] == [page.at for page in memory.pages()]
    other = make_engine(data_storage_path=tmp_path / "other").memory("eve")
    other.load(tmp_path / "one.jsonl")
    assert list(other.pages()) == list(memory.pages())
    assert [page.utc_offset_minutes for page in other.pages()] == [-480, 345, 0, None, None]
    other.export(tmp_path / "two.jsonl")
    mine, theirs = ((tmp_path / name).read_text().splitlines() for name in ("one.jsonl", "two.jsonl"))
    assert mine[2:] == theirs[2:]
    third = make_engine(data_storage_path=tmp_path / "third", time_zone="Asia/Tokyo").memory("ann")
    third.load(tmp_path / "one.jsonl")
    assert list(third.pages()) == list(memory.pages())


def test_an_old_export_without_offsets_is_read(make_engine: EngineMaker, tmp_path: Path) -> None:
    memory = make_engine().memory("tom")
    memory.add_memory("said", "", EVENING)
    memory.export(tmp_path / "new.jsonl")
    text = (tmp_path / "new.jsonl").read_text().replace(EVENING, "2026-03-11T07:30:00")
    (tmp_path / "old.jsonl").write_text(text)
    other = make_engine(data_storage_path=tmp_path / "other").memory("tom")
    other.load(tmp_path / "old.jsonl")
    assert days_and_offsets(list(other.pages())) == [("2026-03-11", None)]


def test_imported_messages_keep_their_offsets(make_engine: EngineMaker, tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "one", "timestamp": EVENING},
        {"role": "assistant", "content": "fine", "timestamp": EVENING},
        {"role": "user", "content": "two", "timestamp": "2026-03-11T23:30:00"},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": "three", "timestamp": 1773300600},  # 12 March 2026, 07:30 UTC
    ]
    (tmp_path / "messages.json").write_text(json.dumps(messages))
    memory = make_engine(time_zone="America/Los_Angeles").memory("tom")
    memory.load(tmp_path / "messages.json")
    expected = [("2026-03-10", -480), ("2026-03-11", -420), ("2026-03-12", -420)]
    assert days_and_offsets(list(memory.pages())) == expected
    other = make_engine(data_storage_path=tmp_path / "other").memory("tom")
    other.load(tmp_path / "messages.json")
    assert days_and_offsets(list(other.pages())) == [("2026-03-10", -480), ("2026-03-11", None), ("2026-03-12", None)]


def test_a_prompt_has_one_date_line_per_day_of_the_senders(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    for at in ("2026-03-10T12:00:00+00:00", "2026-03-11T00:10:00+01:00", EVENING, "2026-03-11T12:00:00+00:00"):
        memory.add_memory("I baked bread.", "", at)
    prompt = memory.recall("bread").to_prompt()
    assert [line for line in prompt.splitlines() if line.startswith("[")] == ["[10 March 2026]", "[11 March 2026]"]
