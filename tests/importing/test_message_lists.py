"""Message lists in every accepted structure, complete and damaged."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InputError
from memoryos.importing.message_lists import read_message_list
from memoryos.importing.sources import Source, fill_gaps, time_of

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "How often do ferns want water?"},
    {"role": "assistant", "content": "Twice a week."},
    {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "image_url", "image_url": {}}, "light?"]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    {"role": "tool", "content": "lux: 3"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "Little."}]},
]
PAGES = [("How often do ferns want water?", "Twice a week."), ("And\nlight?", "Little.")]


def read(tmp_path: Path, value: Any) -> Source:
    file = tmp_path / "talk.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value, indent=2), encoding="utf-8")
    sources = read_message_list(file, NOW)
    assert len(sources) == 1
    return sources[0]


def lines(*values: Any) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in values)


def pages(source: Source) -> list[tuple[str, str]]:
    return [(each.user_text, each.assistant_text) for each in source.drafts]


@pytest.mark.parametrize(
    "value",
    [
        TALK,
        {"messages": TALK, "model": "gpt-4o"},
        [TALK[:3], TALK[3:]],
        [{"messages": TALK[:3]}, {"messages": TALK[3:]}],
        lines(*TALK),
        lines(TALK[:3], TALK[3:]),
        lines({"messages": TALK[:3]}, {"messages": TALK[3:]}),
        "\n\n" + lines(*TALK).replace("\n", "\r\n\r\n"),
        "\ufeff" + json.dumps(TALK),
    ],
)
def test_every_accepted_structure_yields_the_same_pages(tmp_path: Path, value: Any) -> None:
    source = read(tmp_path, value)
    assert pages(source) == PAGES
    assert source.problems == ()
    assert {each.at for each in source.drafts} == {NOW}
    assert (source.user_id, source.assistant_id) == (None, None)


def test_single_message_is_read(tmp_path: Path) -> None:
    assert pages(read(tmp_path, {"role": "user", "content": "hello"})) == [("hello", "")]


def test_messages_of_different_lists_are_not_paired(tmp_path: Path) -> None:
    value = [[TALK[1]], [TALK[2]]]
    assert pages(read(tmp_path, value)) == [(PAGES[0][0], ""), ("", PAGES[0][1])]
    assert pages(read(tmp_path, lines(*value))) == [(PAGES[0][0], ""), ("", PAGES[0][1])]


def test_list_is_labelled_with_its_title(tmp_path: Path) -> None:
    source = read(tmp_path, [{"title": "Ferns", "messages": TALK}, {"id": "c-7", "messages": TALK}, TALK])
    assert [each.metadata.get("conversation") for each in source.drafts] == ["Ferns", "Ferns", "c-7", "c-7", None, None]


@pytest.mark.parametrize("name", ["timestamp", "created_at"])
@pytest.mark.parametrize(
    "written", ["2023-05-08T13:56:00Z", "2023-05-08 13:56:00", 1_683_554_160, 1_683_554_160.0, 1_683_554_160_000]
)
def test_times_are_read(tmp_path: Path, name: str, written: Any) -> None:
    value = [TALK[1] | {name: written}, TALK[2]]
    assert read(tmp_path, value).drafts[0].at == datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)


def test_pages_are_in_order_of_time_and_gaps_are_filled(tmp_path: Path) -> None:
    late, early = {"timestamp": "2024-01-01T00:00:00Z"}, {"timestamp": "2023-01-01T00:00:00Z"}
    value = [[TALK[1], TALK[2] | late], [TALK[3] | early, TALK[6]]]
    source = read(tmp_path, value)
    assert pages(source) == [PAGES[1], PAGES[0]]
    assert [each.at.year for each in source.drafts] == [2023, 2024]


@pytest.mark.parametrize("written", ["yesterday", -1e300, 1e300, float("nan"), True, [1], {"a": 1}])
def test_a_time_that_cannot_be_read_is_a_problem(tmp_path: Path, written: Any) -> None:
    source = read(tmp_path, [TALK[1] | {"timestamp": written}])
    assert source.drafts[0].at == NOW
    assert len(source.problems) == 1
    assert "yesterday" not in source.problems[0]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (5, "is not a message"),
        ({"content": "x"}, "is not a message"),
        ({"role": 5, "content": "secret"}, "the role of the message is not text"),
        ({"role": "user", "content": 5}, "neither text nor a list"),
        ({"role": "user", "content": {"text": "secret"}}, "neither text nor a list"),
        ({"role": "user", "content": "secret \0"}, "NUL"),
        ({"role": "user", "content": ["secret \ud83d"]}, "lone surrogate"),
    ],
)
def test_a_message_that_cannot_be_read_is_a_problem(tmp_path: Path, body: Any, problem: str) -> None:
    source = read(tmp_path, [body, *TALK[1:3]])
    assert pages(source) == PAGES[:1]
    assert len(source.problems) == 1
    assert source.problems[0].startswith("talk.json, message 1: ")
    assert problem in source.problems[0]
    assert "secret" not in source.problems[0]


def test_a_line_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    source = read(tmp_path, lines(TALK[1]) + "{oops\n" + lines(7, TALK[2]))
    assert source.problems[0].startswith("talk.json, line 2: damaged")
    assert source.problems[-1].startswith("talk.json, line 3: is not a message")


@pytest.mark.parametrize(
    "value", ["", "[", "{}", "[]", "5", "text", '{"messages": []}', '[{"messages": [5]}]', "[[[]]]"]
)
def test_a_file_without_messages_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError, match="contains no messages"):
        read(tmp_path, value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        read_message_list(tmp_path / "missing.json", NOW)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TALK),
        json.dumps({"messages": TALK}, indent=2),
        json.dumps([TALK[:3], TALK[3:]]),
        lines(*TALK),
        lines({"messages": TALK[:3]}, {"messages": TALK[3:]}),
    ],
)
def test_truncated_file_keeps_all_complete_messages(tmp_path: Path, text: str) -> None:
    sides = ["How often", "Twice", '"And"', "Little"]
    ends = []
    for each in sides:  # the object with the role, which may contain other objects
        begin = text.rindex("{", 0, text.rindex('"role"', 0, text.index(each)))
        ends.append(json.JSONDecoder().raw_decode(text, begin)[1])
    whole = [side for page in PAGES for side in page]
    for cut in range(len(text)):
        there = [side if end <= cut else "" for side, end in zip(whole, ends, strict=True)]
        try:
            found = pages(read(tmp_path, text[:cut]))
        except InputError:
            found = []
        assert found == [each for each in zip(there[::2], there[1::2], strict=True) if any(each)], cut


ODD: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "user", "assistant", "2023-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("role content text messages timestamp created_at title id".split()), inner, max_size=5
        )
    ),
    max_leaves=15,
)


@given(st.lists(ODD, max_size=4), st.booleans())
def test_no_json_structure_raises(tmp_path: Path, values: list[Any], as_lines: bool) -> None:
    read(tmp_path, lines(TALK[1], *values) if as_lines else [TALK[1], *values])
    with contextlib.suppress(InputError):
        read(tmp_path, values)


@given(st.text(max_size=60) | st.text(alphabet='[]{}",:\\ 1eax\n', max_size=60))
def test_no_text_raises(tmp_path: Path, text: str) -> None:
    content = json.dumps(TALK) + text
    (tmp_path / "talk.json").write_bytes(content.encode("utf-8", errors="surrogatepass"))
    assert pages(read_message_list(tmp_path / "talk.json", NOW)[0])[:2] == PAGES


def test_gaps_are_filled_from_the_nearest_time() -> None:
    one, two = datetime(2023, 1, 1, tzinfo=timezone.utc), datetime(2024, 1, 1, tzinfo=timezone.utc)
    assert fill_gaps([None, one, None, two, None]) == [one, one, one, two, two]
    assert fill_gaps([None]) == [None]
    assert fill_gaps([]) == []


@given(st.integers() | st.floats() | st.text() | st.none())
def test_any_value_is_a_time_or_none(value: Any) -> None:
    found = time_of(value)
    assert found is None or found.utcoffset() is not None
