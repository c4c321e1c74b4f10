"""Data folders in the format of the published program, complete and damaged by its non-atomic writes."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InputError
from memoryos.importing.published import is_published_folder, read_published, read_published_file
from memoryos.importing.sources import Source

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)


def qa(number: int, **other: Any) -> dict[str, Any]:
    return {
        "user_input": f'question {number} "é" {{',
        "agent_response": f"answer {number}",
        "timestamp": f"2025-06-10 14:23:{number:02d}",
    } | other


def paged(number: int, **other: Any) -> dict[str, Any]:
    """A page of mid-term memory, its fields in the order in which updater.py and mid_term.py put them there."""
    return {
        "page_id": f"page_{number:08x}",
        **qa(number),
        "preloaded": False,
        "analyzed": True,
        "pre_page": f"page_{number - 1:08x}",
        "next_page": None,
        "meta_info": "They talk about numbers.",
        "page_embedding": [0.123, -4.5e-05, 0.089],
        "page_keywords": ["numbers"],
    } | other


def mid_term(*sessions: list[Any]) -> dict[str, Any]:
    return {
        "sessions": {
            f"session_{number:08x}": {
                "id": f"session_{number:08x}",
                "summary": "Numbers, mostly.",
                "summary_keywords": ["numbers"],
                "summary_embedding": [0.5, 0.5],
                "details": pages,
                "L_interaction": len(pages),
                "R_recency": 1.0,
                "N_visit": 0,
                "H_segment": 3.0,
                "timestamp": "2025-06-11 09:00:00",
                "last_visit_time": "2025-06-11 09:00:00",
                "access_count_lfu": 0,
            }
            for number, pages in enumerate(sessions, 1)
        },
        "access_frequency": {"session_00000001": 0},
    }


def long_term(
    profile: Any = None, knowledge: tuple[str, ...] = (), assistant_knowledge: tuple[str, ...] = ()
) -> dict[str, Any]:
    def entries(texts: tuple[str, ...]) -> list[dict[str, Any]]:
        return [{"knowledge": each, "timestamp": "2025-06-12 09:15:00", "knowledge_embedding": [0.2]} for each in texts]

    profiles = {} if profile is None else {"alice": {"data": profile, "last_updated": "2025-06-13 10:00:00"}}
    return {
        "user_profiles": profiles,
        "knowledge_base": entries(knowledge),
        "assistant_knowledge": entries(assistant_knowledge),
    }


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def write(folder: Path, **files: Any) -> Path:
    """Writes files; "users_alice_short" is users/alice/short_term.json."""
    names = {
        "short": "short_term.json",
        "mid": "mid_term.json",
        "user": "long_term_user.json",
        "assistant": "long_term_assistant.json",
    }
    for key, value in files.items():
        root, owner, name = key.split("_")
        file = folder / root / owner / names[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_of(value), encoding="utf-8")
    return folder


def only(sources: list[Source]) -> Source:
    assert len(sources) == 1
    return sources[0]


def texts(source: Source) -> list[str]:
    return [each.user_text.split(' "')[0] or each.assistant_text for each in source.drafts]


def test_every_tier_of_one_user_and_one_assistant_becomes_one_source(tmp_path: Path) -> None:
    write(
        tmp_path,
        users_alice_short=[qa(5), qa(6)],
        users_alice_mid=mid_term([paged(1), paged(2)], [paged(3), paged(4)]),
        users_alice_user=long_term("Openness ( High )", ("- Alice likes ferns", "- None")),
        assistants_helper_assistant=long_term(None, (), ("- The assistant recommended a park",)),
    )
    source = only(read_published(tmp_path, NOW))
    assert (source.user_id, source.assistant_id, source.problems) == ("alice", "helper", ())
    assert texts(source)[:6] == [f"question {number}" for number in range(1, 7)]
    first = source.drafts[0]
    assert first.user_text == 'question 1 "é" {'
    assert first.assistant_text == "answer 1"
    assert first.at == datetime(2025, 6, 10, 14, 23, 1, tzinfo=timezone.utc)
    assert dict(first.metadata) == {}
    learned = [(each.user_text, each.assistant_text, dict(each.metadata), each.at.day) for each in source.drafts[6:]]
    assert learned == [
        ("- Alice likes ferns", "", {"imported": "knowledge"}, 12),
        ("", "- The assistant recommended a park", {"imported": "assistant_knowledge"}, 12),
        ("Openness ( High )", "", {"imported": "profile"}, 13),
    ]


def test_page_in_two_sessions_is_read_once(tmp_path: Path) -> None:
    pages = [paged(1), paged(2)]
    write(tmp_path, users_alice_mid=mid_term(pages, pages), users_alice_short=[qa(2), qa(3)])
    source = only(read_published(tmp_path, NOW))
    assert texts(source) == ["question 1", "question 2", "question 3"]


def test_pages_are_in_order_of_time_across_sessions(tmp_path: Path) -> None:
    write(tmp_path, users_alice_mid=mid_term([paged(4), paged(1)], [paged(3), paged(2)]))
    assert texts(only(read_published(tmp_path, NOW))) == [f"question {number}" for number in range(1, 5)]


def test_user_and_assistant_are_known_if_unique(tmp_path: Path) -> None:
    write(
        tmp_path,
        users_alice_short=[qa(1)],
        users_bob_short=[qa(2)],
        assistants_helper_assistant=long_term(None, (), ("it knows",)),
    )
    found = {(each.user_id, each.assistant_id): len(each.drafts) for each in read_published(tmp_path, NOW)}
    assert found == {("alice", "helper"): 1, ("bob", "helper"): 1, (None, "helper"): 1}
    (tmp_path / "assistants" / "another").mkdir()  # the program makes the folder before it has anything to write
    found = {(each.user_id, each.assistant_id): len(each.drafts) for each in read_published(tmp_path, NOW)}
    assert found == {("alice", None): 1, ("bob", None): 1, (None, "helper"): 1}


@pytest.mark.parametrize("user_id", ["team/alice", ".alice", "用户 1"])
def test_id_is_restored_from_the_folder_path(tmp_path: Path, user_id: str) -> None:
    folder = tmp_path / "users" / user_id
    folder.mkdir(parents=True)
    (folder / "short_term.json").write_text(text_of([qa(1)]), encoding="utf-8")
    assert only(read_published(tmp_path, NOW)).user_id == user_id


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("no page", "is not a page"),
        (None, "is not a page"),
        (qa(1, user_input=5), "must be text (str), not int"),
        (qa(1, agent_response=["a"]), "must be text (str), not list"),
        (qa(1, user_input="a\0b"), "NUL"),
        (qa(1, user_input="secret \ud83d"), "lone surrogate"),
        (qa(1, user_input="", agent_response=None), "agent_response is empty too; pass text in at least one of them"),
    ],
)
def test_unstorable_page_is_a_problem_and_not_partially_stored(tmp_path: Path, page: Any, problem: str) -> None:
    folder = tmp_path / "users" / "alice"
    folder.mkdir(parents=True)
    (folder / "short_term.json").write_text(json.dumps([page, qa(2)]), encoding="utf-8")
    source = only(read_published(tmp_path, NOW))
    assert texts(source) == ["question 2"]
    assert len(source.problems) == 1
    assert source.problems[0].startswith("users/alice/short_term.json, 1: ")
    assert problem in source.problems[0]
    assert "secret" not in source.problems[0]


@pytest.mark.parametrize("value", [{}, [], 5, "text", None, {"sessions": 5}, {"sessions": [5]}, {"knowledge_base": 7}])
def test_file_with_another_structure_does_not_raise(tmp_path: Path, value: Any) -> None:
    for name in ("mid", "short", "user"):
        write(tmp_path, **{f"users_alice_{name}": json.dumps(value)})
    assert len(only(read_published(tmp_path, NOW)).drafts) == 0


def test_a_foreign_mapping_is_noted(tmp_path: Path) -> None:
    write(tmp_path, users_alice_mid={"other": 1})
    assert only(read_published(tmp_path, NOW)).problems == (
        "users/alice/mid_term.json: contains no data of the published MemoryOS program",
    )


def test_a_time_that_cannot_be_read_is_kept_as_written(tmp_path: Path) -> None:
    odd = "1:56 pm on 8 May, 2023"
    write(tmp_path, users_alice_short=[qa(1), qa(2, timestamp=odd), qa(3, timestamp=None)])
    source = only(read_published(tmp_path, NOW))
    assert texts(source) == ["question 1", "question 2", "question 3"]
    assert {each.at for each in source.drafts} == {datetime(2025, 6, 10, 14, 23, 1, tzinfo=timezone.utc)}
    assert dict(source.drafts[1].metadata) == {"timestamp": odd}
    assert len(source.problems) == 1
    assert odd not in source.problems[0]


def test_page_without_any_time_gets_now(tmp_path: Path) -> None:
    write(tmp_path, users_alice_short=[qa(1, timestamp=None)])
    assert only(read_published(tmp_path, NOW)).drafts[0].at == NOW


def test_profiles_of_older_releases_are_kept_as_text(tmp_path: Path) -> None:
    write(tmp_path, users_alice_user=long_term({"mood": "calm"}))
    assert only(read_published(tmp_path, NOW)).drafts[0].user_text == '{"mood": "calm"}'
    write(tmp_path, users_alice_user={"user_profiles": {"alice": "calm"}})
    assert only(read_published(tmp_path, NOW)).drafts[0].user_text == "calm"


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users" / "alice").mkdir(parents=True)
    (tmp_path / "users" / "alice" / "other.json").write_text("[]", encoding="utf-8")
    assert not is_published_folder(tmp_path)
    with pytest.raises(InputError, match="is not a data folder"):
        read_published(tmp_path, NOW)
    with pytest.raises(InputError, match="is not a data folder"):
        read_published(tmp_path / "missing", NOW)


def whole_numbers(text: str, cut: int, numbers: range) -> list[str]:
    """Returns the pages whose closing bracket is before the cut."""
    ends = {each: text.index("}", text.index(f'"answer {each}"')) for each in numbers}
    return [f"question {each}" for each, end in ends.items() if end < cut]


@pytest.mark.parametrize("indent", [2, None])
@pytest.mark.parametrize("name", ["short", "mid"])
def test_truncated_file_keeps_all_complete_pages(tmp_path: Path, name: str, indent: int | None) -> None:
    value = [qa(1), qa(2), qa(3)] if name == "short" else mid_term([paged(1), paged(2)], [paged(3)])
    content = json.dumps(value, ensure_ascii=False, indent=indent).encode()
    write(tmp_path, **{f"users_alice_{name}": ""})
    file = next(tmp_path.rglob("*.json"))
    for cut in range(len(content)):
        file.write_bytes(content[:cut])
        source = only(read_published(tmp_path, NOW))
        before = content[:cut].decode(errors="ignore")
        assert texts(source) == whole_numbers(content.decode(), len(before), range(1, 4)), cut
        assert source.problems, cut
        assert not any("question" in each for each in source.problems)


def test_truncated_file_keeps_all_complete_entries(tmp_path: Path) -> None:
    content = text_of(long_term("calm", ("knows 1", "knows 2"), ("can 3",)))
    write(tmp_path, users_alice_user="")
    for cut in range(len(content)):
        write(tmp_path, users_alice_user=content[:cut])
        ends = {
            each: content.index("}", content.index(f'"{each}"')) for each in ("calm", "knows 1", "knows 2", "can 3")
        }
        found = {each.user_text or each.assistant_text for each in only(read_published(tmp_path, NOW)).drafts}
        assert found == {each for each, end in ends.items() if end < cut}, cut


def test_pages_after_the_damage_are_found(tmp_path: Path) -> None:
    content = text_of(mid_term([paged(1), paged(2), paged(3)], [paged(4)]))
    write(tmp_path, users_alice_mid=content.replace('"answer 2"', '"answer \\x'))
    source = only(read_published(tmp_path, NOW))
    assert texts(source) == ["question 1", "question 3", "question 4"]
    assert len(source.problems) == 2
    write(tmp_path, users_alice_mid=text_of(mid_term([paged(1)])) + content[200:])  # two writers, a shorter text first
    assert texts(only(read_published(tmp_path, NOW))) == [f"question {number}" for number in range(1, 5)]


def test_invalid_bytes_lose_only_their_page(tmp_path: Path) -> None:
    content = text_of([qa(1), qa(2)]).encode().replace(b"question 1", b"question \xff\xfe")
    write(tmp_path, users_alice_short="")
    next(tmp_path.rglob("*.json")).write_bytes(content)
    source = only(read_published(tmp_path, NOW))
    assert texts(source) == ["question 2"]
    assert "lone surrogate" in source.problems[0]


@given(data=st.data())
def test_no_damage_raises(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = text_of(mid_term([paged(1), paged(2)], [paged(3)])).encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    folder = write(tmp_path_factory.mktemp("data"), users_alice_mid="")
    next(folder.rglob("*.json")).write_bytes(content[:start] + data.draw(st.binary(max_size=20)) + content[end:])
    read = set(texts(only(read_published(folder, NOW))))
    text = content.decode()
    assert set(whole_numbers(text, len(content[:start].decode(errors="ignore")), range(1, 4))) <= read


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "[" + "9" * 10_000 + ",", "[NaN, 1e999"])
def test_deep_and_large_values_do_not_raise(tmp_path: Path, content: str) -> None:
    write(tmp_path, users_alice_short=content)
    source = only(read_published(tmp_path, NOW))
    assert len(source.drafts) == 0
    assert source.problems


def test_repeated_problem_is_counted(tmp_path: Path) -> None:
    write(tmp_path, users_alice_short=[qa(1), *[7] * 1_015])
    problems = only(read_published(tmp_path, NOW)).problems
    assert len(problems) == 11
    assert problems[0] == "users/alice/short_term.json, 2: is not a page; it was skipped"
    assert problems[-1] == "1,005 more places: is not a page; it was skipped"


def test_a_single_file_can_be_read(tmp_path: Path) -> None:
    write(tmp_path, users_alice_mid=mid_term([paged(1)]))
    source = only(read_published_file(tmp_path / "users" / "alice" / "mid_term.json", NOW))
    assert texts(source) == ["question 1"]
    assert (source.user_id, source.assistant_id) == (None, None)


def test_a_file_that_cannot_be_opened_is_noted(tmp_path: Path) -> None:
    write(tmp_path, users_alice_short=[qa(1)])
    broken = tmp_path / "users" / "alice" / "mid_term.json"
    broken.symlink_to(tmp_path / "nowhere")
    assert texts(only(read_published(tmp_path, NOW))) == ["question 1"]
