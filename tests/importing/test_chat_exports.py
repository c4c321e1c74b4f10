"""Exports of ChatGPT and Claude.ai: complete and damaged files, folders and archives."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InputError
from memoryos.importing import archives
from memoryos.importing.branches import current_branch
from memoryos.importing.chat_exports import read_chat_export
from memoryos.importing.sources import Source

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
START = 1_700_000_000.25


def node(name: str, parent: str | None, role: str | None = None, text: Any = "", **other: Any) -> dict[str, Any]:
    """A node of a mapping with all fields of a real one."""
    if role is None:
        return {"id": name, "message": None, "parent": parent, "children": []}
    parts = text if isinstance(text, list) else [text]
    message: dict[str, Any] = {
        "id": name,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": START + int(name[1:]) if name[1:].isdigit() else None,
        "update_time": None,
        "content": {"content_type": "text", "parts": parts},
        "status": "finished_successfully",
        "end_turn": None,
        "weight": 1.0,
        "metadata": {"model_slug": "gpt-5"},
        "recipient": "all",
        "channel": None,
    }
    return {"id": name, "message": message | other, "parent": parent, "children": []}


def chatgpt(*nodes: dict[str, Any], current: str | None = None, **other: Any) -> dict[str, Any]:
    return {
        "title": "Ferns",
        "create_time": START,
        "update_time": START + 99,
        "mapping": {"root": node("root", None)} | {each["id"]: each for each in nodes},
        "moderation_results": [],
        "current_node": current or nodes[-1]["id"],
        "conversation_id": "6900f3ad-0028",
        "is_archived": False,
        "id": "6900f3ad-0028",
    } | other


def ferns() -> dict[str, Any]:
    return chatgpt(
        node("n1", "root", "user", "How often do ferns want water?"),
        node("n2", "n1", "assistant", "Twice a week."),
        node("n3", "n2", "user", "And light?"),
        node("n4", "n3", "assistant", "Little."),
    )


def said(number: int, sender: str, text: str, parent: int = -1, **other: Any) -> dict[str, Any]:
    """A message of Claude.ai with all fields of a real one."""
    return {
        "uuid": f"019d{number:04d}",
        "text": text,
        "content": [
            {
                "start_timestamp": None,
                "stop_timestamp": None,
                "flags": None,
                "type": "text",
                "text": text,
                "citations": [],
            }
        ],
        "sender": sender,
        "created_at": f"2026-03-07T12:04:{number:02d}.551130Z",
        "updated_at": f"2026-03-07T12:04:{number:02d}.551130Z",
        "attachments": [],
        "files": [],
        "parent_message_uuid": "00000000-0000-4000-8000-000000000000" if parent < 0 else f"019d{parent:04d}",
    } | other


def claude(*messages: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {
        "uuid": "c1a9a5f8",
        "name": "Skills",
        "summary": "",
        "created_at": "2026-03-07T12:04:00.918149Z",
        "updated_at": "2026-03-07T12:05:00.918149Z",
        "account": {"uuid": "a-1"},
        "chat_messages": list(messages),
    } | other


def skills() -> dict[str, Any]:
    return claude(
        said(1, "human", "How do I import skills?"),
        said(2, "assistant", "In the settings.", 1),
        said(3, "human", "Thanks", 2),
        said(4, "assistant", "Gladly.", 3),
    )


def read(tmp_path: Path, value: Any) -> Source:
    file = tmp_path / "conversations.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    sources = read_chat_export(file, NOW)
    assert len(sources) == 1
    assert (sources[0].user_id, sources[0].assistant_id) == (None, None)
    return sources[0]


def pages(source: Source) -> list[tuple[str, str]]:
    return [(each.user_text, each.assistant_text) for each in source.drafts]


FERNS = [("How often do ferns want water?", "Twice a week."), ("And light?", "Little.")]
SKILLS = [("How do I import skills?", "In the settings."), ("Thanks", "Gladly.")]


def test_both_exports_become_pages_with_their_conversation(tmp_path: Path) -> None:
    source = read(tmp_path, [skills(), ferns()])
    assert pages(source) == FERNS + SKILLS
    assert [each.metadata["conversation"] for each in source.drafts] == ["Ferns", "Ferns", "Skills", "Skills"]
    assert source.drafts[0].at == datetime.fromtimestamp(START + 1, tz=timezone.utc)
    assert source.drafts[2].at == datetime(2026, 3, 7, 12, 4, 1, 551130, tzinfo=timezone.utc)
    assert source.problems == ()


def test_only_the_current_branch_is_read(tmp_path: Path) -> None:
    edited = chatgpt(
        node("n1", "root", "user", "draft"),
        node("n2", "n1", "assistant", "old answer"),
        node("n3", "root", "user", "question"),
        node("n4", "n3", "assistant", "first answer"),
        node("n5", "n3", "assistant", "second answer"),
        current="n4",
    )
    assert pages(read(tmp_path, [edited])) == [("question", "first answer")]
    for lost in ({"current_node": None}, {"current_node": "gone"}, {"current_node": [1]}):
        assert pages(read(tmp_path, [edited | lost])) == [("question", "second answer")]


def test_a_claude_branch_ends_in_the_newest_message(tmp_path: Path) -> None:
    edited = claude(
        said(1, "human", "draft"),
        said(2, "assistant", "old answer", 1),
        said(3, "human", "question"),
        said(4, "assistant", "first answer", 3),
        said(5, "assistant", "second answer", 3),
    )
    assert pages(read(tmp_path, [edited])) == [("question", "second answer")]
    assert pages(read(tmp_path, [edited | {"current_leaf_message_uuid": "019d0004"}])) == [("question", "first answer")]


def test_messages_whose_tree_is_broken_are_kept(tmp_path: Path) -> None:
    whole = ferns()
    del whole["mapping"]["n2"]
    assert pages(read(tmp_path, [whole])) == [("How often do ferns want water?", ""), ("And light?", "Little.")]
    old = claude(
        *({name: each[name] for name in ("uuid", "text", "sender", "created_at")} for each in skills()["chat_messages"])
    )
    assert pages(read(tmp_path, [old])) == SKILLS


def test_system_texts_tool_calls_and_reasoning_are_not_imported(tmp_path: Path) -> None:
    context = {"content": {"content_type": "user_editable_context", "user_profile": "x"}}
    value = chatgpt(
        node("n1", "root", "system", "be kind"),
        node("n2", "n1", "user", "x", **context),
        node("n3", "n2", "user", "hidden", metadata={"is_visually_hidden_from_conversation": True}),
        node("n4", "n3", "user", "What is 2+2?"),
        node("n5", "n4", "assistant", "x", content={"content_type": "thoughts", "thoughts": []}),
        node("n6", "n5", "assistant", "print(2+2)", recipient="python"),
        node("n7", "n6", "tool", "4"),
        node("n8", "n7", "assistant", "let me see", channel="commentary"),
        node("n9", "n8", "assistant", "Four.", channel="final"),
    )
    assert pages(read(tmp_path, [value])) == [("What is 2+2?", "Four.")]


def test_images_and_files_become_placeholders(tmp_path: Path) -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1", "width": 4, "height": 3}
    spoken = {"content_type": "audio_transcription", "text": "spoken words", "direction": "in", "decoding_id": None}
    sound = {"audio_asset_pointer": {"asset_pointer": "sediment://file_1"}, "content_type": "audio_asset_pointer"}
    files = {"attachments": [{"id": "f", "name": "leaf.png"}, {"id": "g", "name": "care.pdf"}]}
    value = chatgpt(
        node("n1", "root", "user", [image, "What is this?"], metadata=files),
        node("n2", "n1", "assistant", "A fern."),
        node("n3", "n2", "user", [spoken, sound]),
        node("n4", "n3", "assistant", [5, None, {}, "Heard."]),
    )
    assert pages(read(tmp_path, [value])) == [
        ("[image]\nWhat is this?\n[file: care.pdf]", "A fern."),
        ("spoken words", "Heard."),
    ]


def test_claude_text_blocks_take_precedence_over_text(tmp_path: Path) -> None:
    blocks = [
        {"type": "thinking", "thinking": "The user asks."},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "name": "view", "input": {}},
        {"type": "tool_result", "content": [{"type": "text", "text": "raw"}]},
        {"type": "text", "text": "Found."},
    ]
    stopgap = "\n```\nThis block is not supported on your current device yet.\n```\n"
    value = claude(
        said(
            1,
            "human",
            "Look",
            content=[],
            files=[{"file_name": "1772_image.PNG"}],
            attachments=[{"file_name": "notes.txt", "extracted_content": "long"}],
        ),
        said(2, "assistant", f"The user asks.\nLet me look.{stopgap}Found.", 1, content=blocks),
        said(3, "human", f"And{stopgap}now", 2, content=[]),
        said(4, "assistant", stopgap, 3, content=[blocks[2]]),
    )
    found = pages(read(tmp_path, [value]))
    assert found == [("Look\n\n[file: notes.txt]\n\n[image]", "Let me look.\n\nFound."), ("And\n\nnow", "")]


def test_message_without_time_gets_the_previous_time(tmp_path: Path) -> None:
    value = chatgpt(
        node("n1", "root", "user", "a", create_time=None), node("n2", "n1", "assistant", "b", create_time="nan")
    )
    assert read(tmp_path, [value]).drafts[0].at == datetime.fromtimestamp(START, tz=timezone.utc)
    assert read(tmp_path, [value | {"create_time": None}]).drafts[0].at == NOW


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (None, "6900f3ad-0028"),
        ("", "6900f3ad-0028"),
        ("a\0", "6900f3ad-0028"),
        (["x"], "6900f3ad-0028"),
        ("t" * 999, "t" * 200),
    ],
)
def test_conversation_without_title_is_labelled_with_its_id(tmp_path: Path, title: Any, expected: str) -> None:
    assert {each.metadata["conversation"] for each in read(tmp_path, [ferns() | {"title": title}]).drafts} == {expected}


def test_unstorable_messages_are_problems_with_their_place(tmp_path: Path) -> None:
    value = ferns()
    value["mapping"]["n2"]["message"]["content"]["parts"] = ["secret \ud83d"]
    value["mapping"]["n4"]["message"]["content"] = 5
    source = read(tmp_path, [value, 7, {"mapping": 3}, skills()])
    assert pages(source) == [("How often do ferns want water?", ""), ("And light?", ""), *SKILLS]
    assert [each.split(": ")[0] for each in source.problems] == [
        "conversations.json, conversation 1, message 5",
        "conversations.json, conversation 1, message 3",
        "conversations.json, conversation 2",
        "conversations.json, conversation 3",
    ]
    assert not any("secret" in each for each in source.problems)


ODD: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "n1", "root", "user", "text", "all"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "mapping message parent author role content parts content_type metadata chat_messages sender uuid".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.lists(ODD, max_size=4), ODD, ODD)
def test_no_json_structure_raises(tmp_path: Path, values: list[Any], message: Any, content: Any) -> None:
    odd_node = ferns() | {
        "mapping": {"n1": {"message": message, "parent": content}, "n2": message},
        "current_node": content,
    }
    odd_message = claude(said(1, "human", "x", content=content, files=message, attachments=content), message, content)
    read(tmp_path, [ferns(), skills(), odd_node, odd_message, *values])


@pytest.mark.parametrize("value", [[], {}, None, 5, "text", [{}], [{"messages": []}], [{"mapping": []}], ""])
def test_a_file_without_conversations_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InputError, match="contains no conversations"):
        read(tmp_path, value)


def test_single_conversation_and_wrapped_list_are_read(tmp_path: Path) -> None:
    assert pages(read(tmp_path, ferns())) == FERNS
    assert pages(read(tmp_path, {"conversations": [skills()]})) == SKILLS


def whole_messages(text: str, cut: int, starts: list[str]) -> list[bool]:
    """Returns for each message whether its JSON object ends before the cut."""
    begins = [
        text.index("{", text.index(each) - 8 if each.startswith('"uuid') else text.index(each)) for each in starts
    ]
    return [json.JSONDecoder().raw_decode(text, begin)[1] <= cut for begin in begins]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("make", "expected", "starts"),
    [
        (ferns, FERNS, [f'"n{each}": ' for each in range(1, 5)]),
        (skills, SKILLS, [f'"uuid": "019d{each:04d}"' for each in range(1, 5)]),
    ],
)
def test_truncated_file_keeps_all_complete_messages(
    tmp_path: Path, make: Any, expected: list[tuple[str, str]], starts: list[str], indent: int | None
) -> None:
    text = json.dumps([make()], indent=indent)
    file = tmp_path / "conversations.json"
    for cut in range(len(text)):
        whole = whole_messages(text, cut, starts)
        sides = [side if there else "" for side, there in zip([*expected[0], *expected[1]], whole, strict=True)]
        file.write_text(text[:cut], encoding="utf-8")
        try:
            found = pages(read_chat_export(file, NOW)[0])
        except InputError:
            found = []
        assert found == [each for each in zip(sides[::2], sides[1::2], strict=True) if any(each)], cut


def test_truncated_conversation_keeps_its_complete_messages(tmp_path: Path) -> None:
    text = json.dumps([ferns()])
    source = read(tmp_path, text[: text.index('"id": "n4"')])
    assert pages(source) == [FERNS[0], ("And light?", "")]
    assert [each.partition(": ")[2][:10] for each in source.problems] == ["damaged at", "is damaged"]
    text = json.dumps([skills()])
    assert pages(read(tmp_path, text[: text.index('"uuid": "019d0004"')])) == [SKILLS[0], ("Thanks", "")]


def packed(files: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return buffer.getvalue()


def read_zip(tmp_path: Path, files: dict[str, Any] | bytes, name: str = "export.zip") -> Source:
    file = tmp_path / name
    file.write_bytes(files if isinstance(files, bytes) else packed(files))
    return read_chat_export(file, NOW)[0]


@pytest.mark.parametrize(
    "files",
    [
        {"conversations.json": [ferns(), skills()], "user.json": {}, "chat.html": {}, "shared_conversations.json": [7]},
        {"conversations-000.json": [ferns()], "conversations-001.json": [skills()], "export_manifest.json": {}},
        {"export/conversations.json": [ferns(), skills()], "__MACOSX/export/conversations.json": [7]},
        {
            "User Online Activity/Conversations_1-chatgpt-0001.zip": packed(
                {"conversations.json": [ferns(), skills()]}
            ),
            "report.html": {},
        },
    ],
)
def test_downloaded_archive_is_read(tmp_path: Path, files: dict[str, Any]) -> None:
    assert pages(read_zip(tmp_path, files)) == FERNS + SKILLS
    assert pages(read_zip(tmp_path, files, "data-2026-batch-0000")) == FERNS + SKILLS


def test_an_unpacked_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "conversations-000.json").write_text(json.dumps([ferns()]), encoding="utf-8")
    (tmp_path / "conversations-001.json").write_text(json.dumps([skills()]), encoding="utf-8")
    assert pages(read_chat_export(tmp_path, NOW)[0]) == FERNS + SKILLS


@pytest.mark.parametrize(
    "name",
    [
        "../conversations.json",
        "/conversations.json",
        "a/../../conversations.json",
        "C:\\conversations.json",
        "..\\conversations.json",
    ],
)
def test_path_outside_of_the_archive_is_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="absolute path"):
        read_zip(tmp_path, {name: [ferns()]})


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 100_000)
    bomb = b"[" + b" " * 99_990 + b"]"
    assert len(packed({"conversations.json": bomb})) < 1000
    with pytest.raises(InputError, match="unpacks to more than"):
        read_zip(tmp_path, {"conversations-000.json": bomb, "conversations-001.json": bomb})
    inner = packed({"conversations.json": bomb})
    with pytest.raises(InputError, match="unpacks to more than"):
        read_zip(tmp_path, {"Conversations_1.zip": inner, "Conversations_2.zip": inner})


def test_deeper_nested_archives_are_ignored(tmp_path: Path) -> None:
    inner = packed({"conversations.json": [ferns()]})
    with pytest.raises(InputError, match="contains no conversations"):
        read_zip(tmp_path, {"Conversations_1.zip": packed({"Conversations_2.zip": inner})})


def test_a_damaged_archive_is_refused_or_read(tmp_path: Path) -> None:
    whole = packed({"conversations.json": [ferns()]})
    for cut in range(0, len(whole), 3):
        with pytest.raises(InputError, match="zip"):
            read_zip(tmp_path, whole[:cut])


@given(st.integers(0, 2000), st.integers(0, 255))
def test_archive_with_a_wrong_byte_raises_only_input_error(tmp_path: Path, position: int, value: int) -> None:
    whole = bytearray(packed({"conversations.json": [ferns()]}))
    whole[position % len(whole)] = value
    with contextlib.suppress(InputError):
        read_zip(tmp_path, bytes(whole))


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.none() | st.sampled_from("abcdefxy"), min_size=1),
    st.none() | st.sampled_from("abz"),
)
def test_branch_has_no_duplicates_and_ends_in_its_leaf(parents: dict[str, str | None], leaf: str | None) -> None:
    branch = current_branch(parents, sorted(parents), leaf)
    assert len(set(branch)) == len(branch)
    assert set(branch) <= set(parents)
    assert branch[-1] == (leaf if leaf in parents else max(parents))
