"""Limits of archives: hostile archives raise a typed error, and large exports need little memory."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

import pytest

from memoryos.errors import InputError
from memoryos.importing import archives, salvage
from memoryos.importing.archives import MAX_RATIO
from memoryos.importing.chat_exports import read_chat_export
from memoryos.importing.detect import read_source
from memoryos.importing.spool import DraftSpool
from memoryos.model import PageDraft
from tests.importing.test_chat_exports import chatgpt, ferns, node

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
NAME = "conversations.json"


def zipped(path: Path, files: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_source(path, NOW)
    return str(error.value)


def pieces(count: int, text: str) -> Iterator[bytes]:
    """Yields an export of many conversations."""
    yield b"["
    for number in range(count):
        yield (b"," if number else b"") + json.dumps(
            chatgpt(node("n1", "root", "user", f"{number} {text}"), node("n2", "n1", "assistant", "Fine."))
        ).encode()
    yield b"]"


@pytest.mark.parametrize("member", ["text", "padding", "deep"])
def test_zip_bomb_is_rejected_with_little_memory(tmp_path: Path, member: str) -> None:
    fill = {"text": b'"' + b"a" * (1 << 20), "padding": b" " * (1 << 20), "deep": b'{"a":' * (1 << 18)}[member]
    file = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(NAME, "w", force_zip64=True) as entry,
    ):
        for number in range(200):
            entry.write(fill if member != "text" or number == 0 else fill[1:])
    assert file.stat().st_size < 2_000_000
    tracemalloc.start()
    message = refused(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "times its size" in message or "characters" in message or "nested too deeply" in message
    assert peak < 200 << 20


def test_large_export_needs_memory_of_one_conversation_only(tmp_path: Path) -> None:
    file = tmp_path / NAME
    with file.open("wb") as target:
        for piece in pieces(8_000, "x" * 4_000):
            target.write(piece)
    assert file.stat().st_size > 36_000_000
    tracemalloc.start()
    (source,) = read_source(file, NOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(source.drafts) == 8_000
    assert source.drafts[7_999].user_text.startswith("7999 x")
    assert peak < 25 << 20, "two pieces of a megabyte, pages up to 8 MB, and an index"


def test_ratio_limit_includes_nested_archives(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {NAME: b" " * (40 << 20)}).read_bytes()
    outer = zipped(tmp_path / "outer.zip", {"conversations-1.zip": inner})
    assert f"{MAX_RATIO} times its size" in refused(outer)


def test_typical_compression_ratio_is_accepted(tmp_path: Path) -> None:
    content = json.dumps([ferns()] * 400).encode()
    file = zipped(tmp_path / "export.zip", {NAME: content, "images/a.png": b"0" * 1_000, "chat.html": b"<html>"})
    assert len(content) > 10 * file.stat().st_size
    (source,) = read_chat_export(file, NOW)
    assert len(source.drafts) == 800


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    file = zipped(tmp_path / "export.zip", {NAME: "[]"})
    content = bytearray(file.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1
    file.write_bytes(content)
    assert "encrypted" in refused(file)


def test_other_methods_than_deflate_are_refused(tmp_path: Path) -> None:
    assert "deflate" in refused(zipped(tmp_path / "export.zip", {NAME: "[]"}, zipfile.ZIP_LZMA))


@pytest.mark.parametrize("name", ["../conversations.json", "/conversations.json", "C:\\conversations.json", "..\\x"])
def test_path_outside_of_the_archive_is_rejected(tmp_path: Path, name: str) -> None:
    assert "absolute path" in refused(zipped(tmp_path / "export.zip", {NAME: json.dumps([ferns()]), name: "[]"}))


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    content = zipped(tmp_path / "one.zip", {NAME: json.dumps([ferns()])}).read_bytes()
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = content[start:end]
    renamed = entry.replace(NAME.encode(), b"conversations-1.json")
    renamed = renamed[:28] + struct.pack("<H", len("conversations-1.json")) + renamed[30:]
    tail = bytearray(content[end:])
    struct.pack_into("<HHL", tail, 8, 2, 2, len(entry) + len(renamed))
    (tmp_path / "bomb.zip").write_bytes(content[:end] + renamed + bytes(tail))
    assert "overlap" in refused(tmp_path / "bomb.zip")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = zipped(tmp_path / "export.zip", {f"file {number}": "" for number in range(100)} | {NAME: "[]"})
    monkeypatch.setattr(archives, "MAX_ENTRIES", 100)
    assert "more than 100 entries" in refused(file)
    monkeypatch.setattr(archives, "MAX_ENTRIES", 50_000)
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 4_000)
    assert "entries" in refused(file)


def test_a_conversation_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "MAX_ITEM_CHARACTERS", 100_000)
    monkeypatch.setattr(salvage, "_PIECE_CHARACTERS", 10_000)
    file = tmp_path / NAME
    file.write_text(json.dumps([ferns(), chatgpt(node("n1", "root", "user", "x" * 300_000))]), encoding="utf-8")
    assert "100,000 characters" in refused(file)


@pytest.mark.parametrize(
    "content", ["[" * 200_000, '[{"mapping":' + '{"a":' * 200_000, '{"conversations": ' + "[" * 200_000]
)
def test_deep_nesting_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="nested too deeply"):
        read_chat_export(zipped(tmp_path / "deep.zip", {NAME: content}), NOW)


def test_a_damaged_end_of_an_entry_is_refused_and_gives_no_pages(tmp_path: Path) -> None:
    file = zipped(tmp_path / "export.zip", {NAME: json.dumps([ferns()] * 50)}, zipfile.ZIP_STORED)
    content = bytearray(file.read_bytes())
    at = content.index(b"Twice a week")
    content[at : at + 5] = b"Thric"
    file.write_bytes(content)
    assert "damaged" in refused(file)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64])
def test_items_do_not_depend_on_the_piece_boundaries(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "_PIECE_CHARACTERS", piece)
    values = [{"a": 'é\\u00e9 "\n'}, 12, -1.5e10, True, None, "text", [], [1, {"b": []}], float("inf")]
    text = json.dumps(values, indent=1)
    for before, after in (("", ""), (' \n{ "conversations" : ', ', "more": 1}')):
        reader = salvage.ItemReader(stream(before + text + after))
        assert list(reader) == values
        assert reader.damage == ""
    for cut in range(len(text)):
        found = list(salvage.ItemReader(stream(text[:cut])))
        assert found[: len(found) - 1] == values[: max(0, len(found) - 1)]


@pytest.mark.parametrize(
    ("text", "items", "damage"),
    [
        ("[1, 2\n, x]", [1, 2], "line 2, column 3"),
        ("[1 2]", [1], "line 1, column 4"),
        ("[1] 2", [1], "line 1, column 5"),
        ("[1", [1], "line 1, column 3"),
        ("", [], "line 1, column 1"),
        ("[]", [], ""),
        ('{"a": 1} x', [{"a": 1}], "line 1, column 10"),
    ],
)
def test_damage_is_reported_with_its_position(text: str, items: list[object], damage: str) -> None:
    reader = salvage.ItemReader(stream(text))
    assert list(reader) == items
    assert reader.damage.endswith(damage)
    assert bool(reader.damage) is bool(damage)


def stream(text: str) -> archives.TextStream:
    return archives.TextStream(io.BytesIO(text.encode()), Path("file"))


def test_spool_returns_pages_in_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoryos.importing.spool._KEPT_IN_MEMORY", 100)
    spool = DraftSpool()
    drafts = [PageDraft(NOW.replace(year=2030 - n % 3), f"text {n} é", "", "Ann", None, {"n": n}) for n in range(50)]
    for each in drafts:
        spool.append(each)
    assert list(spool) == sorted(drafts, key=lambda each: each.at)
    assert spool[:2] == list(spool)[:2]
