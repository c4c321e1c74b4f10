"""Validation of inputs: invalid input raises an error that names the field; valid input is kept verbatim."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InputError
from memoryos.inputs import read_count, read_draft, read_messages, read_query, read_scope, read_time

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
storable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)


@pytest.mark.parametrize(
    ("user", "assistant", "field"),
    [
        ("", "", "user_input"),
        (" \n", "\t", "user_input"),
        (None, "x", "user_input"),
        (b"bytes", "x", "user_input"),
        (NOW, "x", "user_input"),
        ("x", 3, "agent_response"),
        ("nul \0", "x", "user_input"),
        ("x", "lone \ud83d surrogate", "agent_response"),
        ("x" * 4_000_001, "x", "user_input"),
    ],
)
def test_unstorable_text_raises(user: Any, assistant: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        read_draft(user, assistant, None, None, now=NOW)
    assert caught.value.field == field


@given(storable, storable)
def test_storable_text_is_kept_verbatim(user: str, assistant: str) -> None:
    if user.strip() or assistant.strip():
        draft = read_draft(user, assistant, None, None, now=NOW)
        assert (draft.user_text, draft.assistant_text, draft.at) == (user, assistant, NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2023-05-08T13:56:00Z", datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)),
        ("2023-05-08 13:56:00", datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)),
        ("2023-05-08", datetime(2023, 5, 8, tzinfo=timezone.utc)),
        (datetime(2023, 5, 8, 13), datetime(2023, 5, 8, 13, tzinfo=timezone.utc)),  # noqa: DTZ001
        (datetime(2023, 5, 8, 13, tzinfo=timezone(timedelta(hours=9))), datetime(2023, 5, 8, 4, tzinfo=timezone.utc)),
    ],
)
def test_a_time_is_read_as_utc(value: Any, expected: datetime) -> None:
    assert read_time("timestamp", value) == expected


@pytest.mark.parametrize(
    "value",
    ["soon", "", "1:56 pm", "2023-13-01", 1_683_554_160, datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))],
)
def test_invalid_time_raises(value: Any) -> None:
    with pytest.raises(InputError):
        read_time("timestamp", value)


@pytest.mark.parametrize("meta", [{"x": object()}, {"x": float("nan")}, "text", {"user_name": 3}, {"user_name": "\0"}])
def test_invalid_metadata_raises(meta: Any) -> None:
    with pytest.raises(InputError):
        read_draft("hi", "", None, meta, now=NOW)


def test_metadata_names_the_speakers_and_is_a_copy() -> None:
    meta = {"user_name": "Ann", "assistant_name": " Bob ", "tags": ["a"]}
    draft = read_draft("hi", "", None, meta, now=NOW)
    meta["tags"].append("b")  # type: ignore[attr-defined]
    assert (draft.user_name, draft.assistant_name, draft.metadata["tags"]) == ("Ann", "Bob", ["a"])


@pytest.mark.parametrize("user_id", ["", "  ", "x" * 1001, "a\0b", "a\ud800", None, 7])
def test_invalid_id_raises(user_id: Any) -> None:
    with pytest.raises(InputError):
        read_scope(user_id, "assistant")


@pytest.mark.parametrize(
    "user_id", ["../../x", "/etc/passwd", ".", "'; DROP TABLE pages; --", "你好", "x" * 1000, "a\nb"]
)
def test_ids_may_contain_any_printable_text(user_id: str) -> None:
    assert read_scope(user_id, "a").user_id == user_id


@pytest.mark.parametrize("query", ["", " ", None, "a\0", "\udc00"])
def test_invalid_query_raises(query: Any) -> None:
    with pytest.raises(InputError):
        read_query(query)


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True])
def test_invalid_count_raises(count: Any) -> None:
    with pytest.raises(InputError):
        read_count("max_pages", count)


def test_messages_become_pages_without_loss() -> None:
    drafts = read_messages(
        [
            {"role": "system", "content": "be kind"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "one"},
            {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "content": "42"},
            {"role": "assistant", "content": "answer"},
            {"role": "user", "content": "three", "timestamp": "2023-05-08"},
        ],
        now=NOW,
    )
    assert [(each.user_text, each.assistant_text) for each in drafts] == [
        ("", "hello"), ("one", ""), ("two", "answer"), ("three", ""),
    ]  # fmt: skip
    assert drafts[3].at.year == 2023


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text("abc", min_size=1, max_size=5)), max_size=20))
def test_every_message_is_in_one_page_in_order(said: list[tuple[str, str]]) -> None:
    drafts = read_messages([{"role": role, "content": text} for role, text in said], now=NOW)
    kept = [
        side for each in drafts for side in (("user", each.user_text), ("assistant", each.assistant_text)) if side[1]
    ]
    assert kept == said


@pytest.mark.parametrize("messages", [["text"], [None], [{"content": "x"}], [{"role": "user", "content": 3}]])
def test_invalid_messages_raise(messages: Any) -> None:
    with pytest.raises(InputError):
        read_messages(messages, now=NOW)
