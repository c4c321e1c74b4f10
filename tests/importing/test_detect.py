"""Format detection: each format is detected by content; other files raise an error that lists the formats."""

from __future__ import annotations

import contextlib
import json
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InputError
from memoryos.importing import chat_exports
from memoryos.importing.detect import read_source

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
PAGE = {"user_input": "question", "agent_response": "answer", "timestamp": "2025-06-10 14:23:11"}
MESSAGES = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]
CLAUDE = {
    "name": "Talk",
    "chat_messages": [
        {"uuid": "a", "sender": "human", "text": "question", "created_at": "2025-06-10T14:23:11Z"},
        {"uuid": "b", "sender": "assistant", "text": "answer", "created_at": "2025-06-10T14:23:12Z"},
    ],
}
CHATGPT = {
    "title": "Talk",
    "mapping": {
        "a": {"parent": None, "message": {"author": {"role": "user"}, "content": {"parts": ["question"]}}},
        "b": {"parent": "a", "message": {"author": {"role": "assistant"}, "content": {"parts": ["answer"]}}},
    },
    "current_node": "b",
}


def own_lines() -> str:
    return '{"at": "2023-05-08T13:56:00+00:00", "user_text": "question", "assistant_text": "answer", "meta_data": {}}\n'


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2), encoding="utf-8")
    return path


def pages(path: Path) -> list[tuple[str, str]]:
    return [(each.user_text, each.assistant_text) for source in read_source(path, NOW) for each in source.drafts]


@pytest.mark.parametrize(
    "value",
    [
        own_lines(),
        json.dumps(PAGE),
        [PAGE],
        {"sessions": {"session_1": {"details": [PAGE]}}},
        [CLAUDE],
        [CHATGPT],
        CHATGPT,
        MESSAGES,
        {"messages": MESSAGES},
        [MESSAGES],
        "\n".join(json.dumps(each) for each in MESSAGES),
    ],
)
def test_file_format_is_detected_by_content(tmp_path: Path, value: Any) -> None:
    assert pages(write(tmp_path / "anything.txt", value)) == [("question", "answer")]


def test_folder_format_is_detected_by_its_files(tmp_path: Path) -> None:
    write(tmp_path / "data" / "users" / "alice" / "short_term.json", [PAGE])
    write(tmp_path / "chats" / "conversations.json", [CLAUDE])
    assert pages(tmp_path / "data") == pages(tmp_path / "chats") == [("question", "answer")]
    assert read_source(tmp_path / "data", NOW)[0].user_id == "alice"


def test_an_archive_is_recognised(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "chats.zip", "w") as archive:
        archive.writestr("conversations.json", json.dumps([CHATGPT]))
    assert pages(tmp_path / "chats.zip") == [("question", "answer")]


def test_own_export_is_read_unchanged(tmp_path: Path) -> None:
    metadata = {"user_name": "Alice", "imported": "knowledge"}
    line = {
        "page_id": "id",
        "seq": 1,
        "at": "2023-05-08T00:00:00+00:00",
        "user_text": "question",
        "assistant_text": "",
        "meta_data": metadata,
    }
    (source,) = read_source(write(tmp_path / "pages.jsonl", json.dumps(line)), NOW)
    at = datetime(2023, 5, 8, tzinfo=timezone.utc)
    assert (source.drafts[0].at, source.drafts[0].user_name, dict(source.drafts[0].metadata)) == (at, "Alice", metadata)


def test_damaged_own_export_is_rejected_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2"):
        read_source(write(tmp_path / "pages.jsonl", own_lines() + own_lines()[:30]), NOW)
    with pytest.raises(InputError, match="can't be read"):
        read_source(write(tmp_path / "pages.jsonl", own_lines() + "[" * 100_000), NOW)


@pytest.mark.parametrize(
    "value", ["", "hello", "{}", "[]", "5", "[1, 2]", '{"a": 1}\n{"b": 2}', '{"messages": []}', "\0\0", "{"]
)
def test_unsupported_format_error_lists_supported_formats(tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError, match=r"published MemoryOS.*ChatGPT or Claude\.ai.*messages"):
        read_source(write(tmp_path / "conversations.json", value), NOW)


def test_missing_or_empty_path_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_source(tmp_path / "missing", NOW)
    with pytest.raises(InputError, match="is not supported; supported formats are"):
        read_source(tmp_path, NOW)


@given(st.binary(max_size=80))
def test_any_file_raises_only_input_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with contextlib.suppress(InputError):
        read_source(tmp_path / "file", NOW)


@pytest.mark.parametrize(
    "value", [own_lines() * 2, [PAGE, PAGE], {"sessions": {"s": {"details": [PAGE]}}}, [CLAUDE], [CHATGPT], MESSAGES]
)
def test_any_truncation_raises_only_input_error(tmp_path: Path, value: Any) -> None:
    content = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
    for cut in range(len(content)):
        (tmp_path / "file").write_bytes(content[:cut])
        try:
            found = pages(tmp_path / "file")
        except InputError:
            continue
        assert {side for page in found for side in page} <= {"question", "answer", ""}


@pytest.mark.parametrize("name", ["conversations.json", "conversations-000.json", "a/b/conversations-12.json"])
def test_chat_export_file_names_match(name: str) -> None:
    assert chat_exports.NAME.search(name)
    assert not chat_exports.NAME.search(name.replace("conversations", "shared_conversations"))
