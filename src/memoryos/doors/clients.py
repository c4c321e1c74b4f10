"""MCP clients: where each keeps its servers, in which shape, and how an entry gets into such a file and out again.

Nothing here reads or writes a file. The edits are splices: what isn't the entry stays as it is, to the letter.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from memoryos.errors import MemoryOSError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["CLIENTS", "NAME", "Client", "Place", "UneditableError", "block", "entry", "with_entry", "without_entry"]

_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

NAME = "memoryos"
MARK = "\ufeff"  # some editors on Windows begin a file with it
CLAUDE_PACKAGE = "Packages/Claude_pzs8sxrjxfjjc"  # of Claude Desktop for Windows since February 2026
CLINE_EXTENSION = "Code/User/globalStorage/saoudrizwan.claude-dev"  # of Cline before it shared ~/.cline with its CLI


class UneditableError(MemoryOSError):
    """The content can't be changed without a loss; it stays as it is."""


class Place(NamedTuple):
    """A file that a client may read: it does when ``root`` exists."""

    root: Path
    rest: str

    @property
    def file(self) -> Path:
        """The file itself."""
        return self.root / self.rest


@dataclass(frozen=True)
class Client:
    """A program that starts MCP servers.

    Attributes:
        name: What ``memoryos install`` calls it.
        title: What people call it.
        places: Its files, given ``sys.platform``, the home folder and the environment; the usual one first.
        servers: Key of the table of servers.
        says_type: Whether an entry says that it is a local process.
        is_toml: Whether the file is TOML instead of JSON.
    """

    name: str
    title: str
    places: Callable[[str, Path, Mapping[str, str]], tuple[Place, ...]]
    servers: str = "mcpServers"
    says_type: bool = False
    is_toml: bool = False


def _claude_desktop(platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    usual = Place(_settings(platform, home, environment) / "Claude", "claude_desktop_config.json")
    if platform != "win32":
        return (usual,)
    local = home / (environment.get("LOCALAPPDATA") or "AppData/Local")
    return usual, Place(local / CLAUDE_PACKAGE, "LocalCache/Roaming/Claude/claude_desktop_config.json")


def _claude_code(_platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    return (Place(home / (environment.get("CLAUDE_CONFIG_DIR") or ""), ".claude.json"),)


def _cursor(_platform: str, home: Path, _environment: Mapping[str, str]) -> tuple[Place, ...]:
    return (Place(home / ".cursor", "mcp.json"),)


def _cline(platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    file = "settings/cline_mcp_settings.json"
    if chosen := environment.get("CLINE_MCP_SETTINGS_PATH"):
        return (Place(home, chosen),)
    return Place(home / ".cline", f"data/{file}"), Place(_settings(platform, home, environment) / CLINE_EXTENSION, file)


def _windsurf(platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    ours = _settings(platform, home, environment) if platform == "win32" else home / ".config"
    return Place(ours / "devin", "mcp_config.json"), Place(home / ".codeium/windsurf", "mcp_config.json")


def _vscode(platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    return (Place(_settings(platform, home, environment) / "Code/User", "mcp.json"),)


def _codex(_platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    return (Place(home / (environment.get("CODEX_HOME") or ".codex"), "config.toml"),)


def _settings(platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """Returns the folder where programs keep settings."""
    if platform == "win32":
        return home / (environment.get("APPDATA") or "AppData/Roaming")
    if platform == "darwin":
        return home / "Library/Application Support"
    return home / (environment.get("XDG_CONFIG_HOME") or ".config")


CLIENTS = {
    client.name: client
    for client in (
        Client("claude-desktop", "Claude Desktop", _claude_desktop),
        Client("claude-code", "Claude Code", _claude_code, says_type=True),
        Client("cursor", "Cursor", _cursor),
        Client("cline", "Cline", _cline),
        Client("windsurf", "Windsurf", _windsurf),
        Client("vscode", "VS Code", _vscode, servers="servers", says_type=True),
        Client("codex", "Codex", _codex, servers="mcp_servers", is_toml=True),
    )
}


def entry(client: Client, python: str, *, user: str, data: Path, config: Path | None = None) -> dict[str, Any]:
    """Returns what the client has to know to start the server."""
    arguments = ["-m", "memoryos", "mcp", "--user", user, "--data", str(data)]
    if config is not None:
        arguments += ["--config", str(config)]
    kind = {"type": "stdio"} if client.says_type else {}
    return {**kind, "command": python, "args": arguments}


def block(client: Client, given: Mapping[str, Any]) -> str:
    """Returns the entry as a file of its own, to be shown or to begin with."""
    if client.is_toml:
        return _toml_block(client, given)
    return json.dumps({client.servers: {NAME: given}}, indent=2, ensure_ascii=False) + "\n"


def with_entry(text: str, client: Client, given: Mapping[str, Any]) -> str:
    """Returns the content with the entry; the same text when it is there already.

    Keys that somebody added to the entry stay, such as ``env`` or ``disabled``.

    Raises:
        UneditableError: If the content is damaged, has comments (JSON), or is of another shape.
    """
    mark, text = _split_mark(text)
    if not client.is_toml and not text.strip():
        return mark + block(client, given)
    before = _parse(client, text)
    there = _servers(client, before).get(NAME)
    wanted = {**there, **given} if isinstance(there, dict) and "command" in there else dict(given)
    if there == wanted:
        return mark + text
    changed = _toml_with(text, client, there, wanted) if client.is_toml else _json_with(text, client, wanted)
    return mark + _checked(client, before, changed, wanted)


def without_entry(text: str, client: Client) -> str:
    """Returns the content without the entry; the same text when it isn't there.

    Raises:
        UneditableError: As for ``with_entry``.
    """
    mark, text = _split_mark(text)
    if not text.strip():
        return mark + text
    before = _parse(client, text)
    if NAME not in _servers(client, before):
        return mark + text
    change = _toml_without if client.is_toml else _json_without
    return mark + _checked(client, before, change(text, client), None)


def _split_mark(text: str) -> tuple[str, str]:
    return (MARK, text[1:]) if text.startswith(MARK) else ("", text)


def _parse(client: Client, text: str) -> dict[str, Any]:
    try:
        found = _toml.loads(text, parse_float=str) if client.is_toml else json.loads(text)
    except (ValueError, RecursionError) as error:
        if not client.is_toml and _is_commented(text):
            raise UneditableError("it has comments or trailing commas, which would be lost") from error
        raise UneditableError(f"it is damaged ({error}); repair it first") from error
    if not isinstance(found, dict):
        raise UneditableError("it is no JSON object")
    return found


def _servers(client: Client, content: dict[str, Any]) -> dict[str, Any]:
    found = content.get(client.servers, {})
    if not isinstance(found, dict):
        raise UneditableError(f'its "{client.servers}" is no table of servers')
    return found


def _checked(client: Client, before: dict[str, Any], text: str, wanted: dict[str, Any] | None) -> str:
    """Returns the changed text once it is sure that nothing but the entry changed."""
    try:
        after = _parse(client, text)
        ours = _servers(client, after).get(NAME)
        same = ours == wanted and _others(client, after) == _others(client, before)
    except UneditableError:
        same = False
    if not same:
        raise UneditableError(f'its "{client.servers}" is written in a way that can\'t be edited safely')
    return text


def _others(client: Client, content: dict[str, Any]) -> dict[str, Any]:
    servers = {name: each for name, each in _servers(client, content).items() if name != NAME}
    return {**content, client.servers: servers}


# JSON

_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))|//[^\r\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)
"""Strings and comments that are not closed reach to the end of the text, so that no character is read twice."""
_DECODER = json.JSONDecoder()


class _Member(NamedTuple):
    key: str
    start: int
    value: int
    end: int


def _is_commented(text: str) -> bool:
    bare = _TRAILING_COMMA.sub(r"\1", _COMMENT.sub(r"\1", text))
    try:
        return not bare.strip() or isinstance(json.loads(bare), (dict, list))
    except (ValueError, RecursionError):
        return False


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yields the members of the object whose brace is at ``start``; the text is known to be JSON."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, colon = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, colon) + 1)
        _, end = _DECODER.raw_decode(text, value)
        yield _Member(key, at, value, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _find(text: str, start: int, key: str) -> _Member | None:
    """Returns the member with the key; of several the last, as parsers do."""
    return next((each for each in reversed([*_members(text, start)]) if each.key == key), None)


def _json_with(text: str, client: Client, wanted: Mapping[str, Any]) -> str:
    root = _skip(text, 0)
    servers = _find(text, root, client.servers)
    if servers is None:
        return _json_insert(text, root, client.servers, {NAME: wanted})
    ours = _find(text, servers.value, NAME)
    if ours is None:
        return _json_insert(text, servers.value, NAME, wanted)
    return text[: ours.value] + _json_value(text, ours.start, wanted) + text[ours.end :]


def _json_insert(text: str, start: int, key: str, value: Mapping[str, Any]) -> str:
    members = [*_members(text, start)]
    if members:
        lead, at, rest = text[start + 1 : members[0].start], members[-1].end, members[-1].end
        before, after = "," + (lead or " "), ""
    else:
        at, rest = start + 1, _skip(text, start + 1)
        outer = _newline(text) + _indent(text, start)
        before, after = outer + _unit(text), outer
    shown = f"{json.dumps(key)}: "
    spliced = text[:at] + before
    return spliced + shown + _json_value(spliced, len(spliced), value) + after + text[rest:]


def _json_value(text: str, at: int, value: Mapping[str, Any]) -> str:
    """Returns the value as it is written for a key at this position."""
    if "\n" not in text:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (_newline(text) + _indent(text, at)).join(lines)


def _json_without(text: str, client: Client) -> str:
    while (servers := _find(text, _skip(text, 0), client.servers)) and (ours := _find(text, servers.value, NAME)):
        members = [*_members(text, servers.value)]
        place = members.index(ours)
        if place:
            start, end = members[place - 1].end, ours.end
        elif len(members) > 1:
            start, end = ours.start, members[1].start
        else:
            start, end = servers.value + 1, servers.end - 1
        text = text[:start] + text[end:]
    return text


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _indent(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


# TOML


class _Statement(NamedTuple):
    path: tuple[str, ...]  # of what it sets or opens; empty for comments and blank lines
    text: str


def _statements(text: str) -> Iterator[_Statement]:
    """Yields the statements one by one; those that take several lines end with the first line that completes them."""
    table: tuple[str, ...] = ()
    lines: list[str] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        lines.append(line)
        try:
            found = _toml.loads("".join(lines))
        except ValueError:
            continue
        path = _path(found)
        if lines[0].lstrip().startswith("["):
            table = path
        elif path:
            path = table + path
        yield _Statement(path, "".join(lines))
        lines = []


def _path(found: Any) -> tuple[str, ...]:
    """Returns the keys down to where they part."""
    if not isinstance(found, dict) or len(found) != 1:
        return ()
    key, value = next(iter(found.items()))
    return (key, *_path(value))


def _toml_with(text: str, client: Client, there: object, wanted: Mapping[str, Any]) -> str:
    ours, lines = (client.servers, NAME), _toml_lines(wanted)
    if not isinstance(there, dict) or "command" not in there:
        text = _toml_without(text, client)
        gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        return text + (gap + _toml_block(client, wanted)).replace("\n", _newline(text))
    new = {key: line.replace("\n", _newline(text)) for key, line in lines.items() if there.get(key) != wanted[key]}
    kept = [
        each for each in _statements(text) if each.path[:2] != ours or each.path[2:3] not in [(key,) for key in new]
    ]
    heads = [place for place, each in enumerate(kept) if each.path == ours and each.text.lstrip().startswith("[")]
    place = heads[0] + 1 if heads else len(kept)
    return "".join([*(each.text for each in kept[:place]), *new.values(), *(each.text for each in kept[place:])])


def _toml_without(text: str, client: Client) -> str:
    kept: list[_Statement] = []
    for each in _statements(text):
        if each.path[:2] != (client.servers, NAME):
            kept.append(each)
        elif each.text.lstrip().startswith("[") and kept and not kept[-1].text.strip():
            kept.pop()
    return "".join(each.text for each in kept)


def _toml_block(client: Client, given: Mapping[str, Any]) -> str:
    return f"[{client.servers}.{NAME}]\n" + "".join(_toml_lines(given).values())


def _toml_lines(given: Mapping[str, Any]) -> dict[str, str]:
    return {key: f"{key} = {_toml_value(value)}\n" for key, value in given.items()}


def _toml_value(value: Any) -> str:
    """Returns strings and lists of strings as TOML: they are written as in JSON, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
