"""Reads data exports of ChatGPT and Claude.ai: ``conversations.json``, or the zip file or folder that contains it.

Format of a ChatGPT conversation: ``{"title", "mapping": {id: {"parent", "message": {"author": {"role"}, "content":
{"parts"}, …}}}, "current_node"}``. Exports since 2026 consist of several files ``conversations-000.json`` and so on.

Format of a Claude.ai conversation: ``{"name", "chat_messages": [{"sender", "text", "content": [block, …],
"created_at", "parent_message_uuid"}, …]}``.

Only messages of the user and the assistant are read, without system texts, tool calls, tool results and reasoning.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from memoryos.errors import InputError
from memoryos.importing.archives import open_texts
from memoryos.importing.branches import current_branch
from memoryos.importing.salvage import ItemReader, PartialObject
from memoryos.importing.sources import DAMAGED, Message, Source, SourceBuilder, label

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from memoryos.model import Side

__all__ = ["NAME", "is_chat_export", "read_chat_export"]

NAME = re.compile(r"(?:^|/)conversations(?:-\d+)?\.json$")
"""Matches the names of the files of an export, in a folder or in a zip file."""
_SIDES: dict[str, Side] = {"user": "user", "human": "user", "assistant": "assistant"}
_IMAGE = "[image]"
_TEXT_TYPES = (None, "text", "multimodal_text")
_VISIBLE_RECIPIENTS = (None, "all")
_REASONING_CHANNELS = ("analysis", "commentary")
_EARLIEST = datetime.min.replace(tzinfo=timezone.utc)
_UNSUPPORTED_BLOCK = re.compile(r"```\s*This block is not supported on your current device yet\.\s*```")
_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|webp|heic|bmp|svg|tiff?)$", re.IGNORECASE)


class _Node(NamedTuple):
    """A message in the tree of a conversation.

    Attributes:
        parent: Id of the parent message.
        side: The speaker; None for messages that are not imported, such as tool calls.
        text: The text; None if it can't be read.
        at: The time; None if the file does not contain it.
    """

    parent: str | None
    side: Side | None
    text: str | None
    at: datetime | None


def is_chat_export(file: Path) -> bool:
    """Returns whether a JSON file contains conversations of ChatGPT or Claude.ai. Reads only the start of the file.

    Raises:
        InputError: If the file can't be read.
    """
    for _, text in open_texts(file, NAME):
        for item in ItemReader(text):
            if _kind(item) is not None:
                return True
            if item and isinstance(item, (dict, list)):
                return False
    return False


def read_chat_export(path: Path, now: datetime) -> list[Source]:
    """Reads an export of ChatGPT or Claude.ai from a zip file, an unpacked folder or a single file.

    Returns:
        One source, with the pages of all conversations.

    Raises:
        InputError: If the export can't be read or contains no conversation.
    """
    builder = SourceBuilder(now)
    found = False
    for name, text in open_texts(path, NAME):
        conversations = ItemReader(text)
        is_noted = False
        for number, conversation in enumerate(conversations, 1):
            is_noted = is_noted or _note_damage(builder, conversations, name)
            found = found or _kind(conversation) is not None
            _read_conversation(builder, conversation, f"{name}, conversation {number}")
        if not is_noted:
            _note_damage(builder, conversations, name)
    if not found:
        why = "".join(f"; {problem}" for problem in builder.problems[:1])
        raise InputError(
            "path", f"{path} contains no conversations.json with conversations of ChatGPT or Claude.ai{why}"
        )
    return [builder.source()]


def _note_damage(builder: SourceBuilder, conversations: ItemReader, name: str) -> bool:
    if conversations.damage:
        builder.note(name, f"{conversations.damage}; the part before it was read")
    return bool(conversations.damage)


def _kind(conversation: Any) -> str | None:
    if isinstance(conversation, dict):
        if isinstance(conversation.get("mapping"), dict):
            return "mapping"
        if isinstance(conversation.get("chat_messages"), list):
            return "chat_messages"
    return None


def _read_conversation(builder: SourceBuilder, body: Any, place: str) -> None:
    if _kind(body) is None:
        builder.note(
            place,
            DAMAGED if isinstance(body, PartialObject) else "is not a conversation; it was skipped",
        )
        return
    if isinstance(body, PartialObject):
        builder.note(place, "is damaged; its complete messages were read")
    is_chatgpt = _kind(body) == "mapping"
    tree = _chatgpt_tree(builder, body["mapping"]) if is_chatgpt else _claude_tree(builder, body["chat_messages"])
    leaf = body.get("current_node", body.get("current_leaf_message_uuid"))
    title = label(*(body.get(name) for name in ("title", "name", "conversation_id", "id", "uuid")))
    started_at = builder.time_of(body.get("create_time", body.get("created_at")))
    builder.add_messages([*_branch(builder, tree, leaf, place)], title, started_at)


def _branch(builder: SourceBuilder, tree: dict[str, _Node], leaf: Any, place: str) -> Iterator[Message]:
    """Yields the messages of the current branch of a conversation, oldest first."""
    numbers = {each: number for number, each in enumerate(tree, 1)}
    oldest_first = sorted(tree, key=lambda each: (tree[each].at or _EARLIEST, numbers[each]))
    for each in current_branch({name: node.parent for name, node in tree.items()}, oldest_first, leaf):
        node = tree[each]
        if node.side is None:
            continue
        if node.text is None:
            builder.note(f"{place}, message {numbers[each]}", "the text of the message can't be read; it was skipped")
            continue
        yield Message(node.side, node.text, node.at, f"{place}, message {numbers[each]}")


def _chatgpt_tree(builder: SourceBuilder, mapping: dict[str, Any]) -> dict[str, _Node]:
    tree = {}
    for name, node in mapping.items():
        if isinstance(node, dict) and not isinstance(node, PartialObject):
            message = _mapping(node.get("message"))
            role = _mapping(message.get("author")).get("role", message.get("role"))
            side = _side(role) if _is_shown(message) else None
            tree[name] = _Node(
                _id(node.get("parent")), side, _chatgpt_text(message), builder.time_of(message.get("create_time"))
            )
    return tree


def _is_shown(message: dict[str, Any]) -> bool:
    """Returns whether a message was shown to the user. Tool calls, reasoning and hidden messages were not shown."""
    is_hidden = _mapping(message.get("metadata")).get("is_visually_hidden_from_conversation") is True
    is_text = _mapping(message.get("content")).get("content_type") in _TEXT_TYPES
    return (
        is_text
        and not is_hidden
        and message.get("recipient") in _VISIBLE_RECIPIENTS
        and message.get("channel") not in _REASONING_CHANNELS
    )


def _chatgpt_text(message: dict[str, Any]) -> str | None:
    content = message.get("content")
    parts = content.get("parts", content.get("text")) if isinstance(content, dict) else content
    if not isinstance(parts, list):
        return parts if isinstance(parts, str) else None
    texts = [_chatgpt_part(each) for each in parts]
    attached = _mapping(message.get("metadata")).get("attachments")
    texts += [each for each in _attached(attached, "name") if each != _IMAGE]
    return "\n".join(each for each in texts if each.strip())


def _chatgpt_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind, text = _mapping(part).get("content_type"), _mapping(part).get("text")
    if kind == "image_asset_pointer":
        return _IMAGE
    return text if kind == "audio_transcription" and isinstance(text, str) else ""


def _claude_tree(builder: SourceBuilder, messages: list[Any]) -> dict[str, _Node]:
    tree: dict[str, _Node] = {}
    for number, message in enumerate(messages):
        if isinstance(message, dict) and not isinstance(message, PartialObject):
            name = _id(message.get("uuid")) or ""
            parent, at = _id(message.get("parent_message_uuid")), builder.time_of(message.get("created_at"))
            side = _side(message.get("sender"))
            tree[f"{name}#{number}" if name in tree or not name else name] = _Node(
                parent, side, _claude_text(message), at
            )
    return tree


def _claude_text(message: dict[str, Any]) -> str | None:
    """Returns the text of a message from its text blocks, or from ``text`` in old exports without blocks.

    ``text`` is the second choice, because it also contains reasoning and placeholders.
    """
    content, text = message.get("content"), message.get("text")
    if isinstance(content, list) and content:
        blocks = [each for each in content if isinstance(each, dict) and each.get("type", "text") == "text"]
        texts = [each["text"] for each in blocks if isinstance(each.get("text"), str)]
    elif isinstance(content, str):
        texts = [content]
    elif isinstance(text, str):
        texts = ["\n\n".join(part.strip() for part in _UNSUPPORTED_BLOCK.split(text)).strip()]
    else:
        return None
    texts += _attached(message.get("attachments"), "file_name") + _attached(message.get("files"), "file_name")
    return "\n\n".join(each for each in texts if each.strip())


def _attached(files: Any, key: str) -> list[str]:
    """Returns a placeholder such as "[file: plan.pdf]" for each attached file. Contents of files are not imported."""
    names = [label(each.get(key)) for each in files if isinstance(each, dict)] if isinstance(files, list) else []
    return [_IMAGE if each and _PICTURE.search(each) else f"[file: {each}]" if each else "[file]" for each in names]


def _side(role: Any) -> Side | None:
    return _SIDES.get(role) if isinstance(role, str) else None


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
