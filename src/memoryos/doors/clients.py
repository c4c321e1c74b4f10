"""MCP clients: the paths of their configuration files, and functions that add or remove the MemoryOS server in them.

The functions edit text; they do not read or write files. They insert or remove only the entry of the MemoryOS server.
All other characters, for example comments and white space, stay the same. To support another client, add it to
``CLIENTS``.
"""

from __future__ import annotations

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

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "memoryos"
MARK = "\ufeff"  # byte order mark, which some Windows editors write at the start of a file
CLAUDE_PACKAGE = "Packages/Claude_pzs8sxrjxfjjc"  # Claude Desktop for Windows since February 2026
CLINE_EXTENSION = "Code/User/globalStorage/saoudrizwan.claude-dev"  # Cline before it used ~/.cline


class UneditableError(MemoryOSError):
    """A configuration file can't be edited without losing other content. The file was not changed."""


class Place(NamedTuple):
    """A possible configuration file of a client.

    Attributes:
        root: Folder that exists only if the client is installed.
        relative_path: Path of the configuration file, relative to ``root``.
    """

    root: Path
    relative_path: str

    @property
    def file(self) -> Path:
        """The path of the configuration file."""
        return self.root / self.relative_path


@dataclass(frozen=True)
class Client:
    """A program that starts MCP servers.

    Attributes:
        name: Name of the client as an argument of ``memoryos install``.
        title: Product name.
        places: Returns the possible configuration files, the usual file first. The arguments are ``sys.platform``, the
            home folder and the environment variables.
        servers_key: Key of the object that contains all MCP servers in the configuration file.
        needs_type: Whether the entry of a server must contain ``"type": "stdio"``.
        is_toml: Whether the configuration file is TOML instead of JSON.
    """

    name: str
    title: str
    places: Callable[[str, Path, Mapping[str, str]], tuple[Place, ...]]
    servers_key: str = "mcpServers"
    needs_type: bool = False
    is_toml: bool = False


def _claude_desktop(platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    usual = Place(_settings_folder(platform, home, environment) / "Claude", "claude_desktop_config.json")
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
    return Place(home / ".cline", f"data/{file}"), Place(
        _settings_folder(platform, home, environment) / CLINE_EXTENSION, file
    )


def _windsurf(platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    ours = _settings_folder(platform, home, environment) if platform == "win32" else home / ".config"
    return Place(ours / "devin", "mcp_config.json"), Place(home / ".codeium/windsurf", "mcp_config.json")


def _vscode(platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    return (Place(_settings_folder(platform, home, environment) / "Code/User", "mcp.json"),)


def _codex(_platform: str, home: Path, environment: Mapping[str, str]) -> tuple[Place, ...]:
    return (Place(home / (environment.get("CODEX_HOME") or ".codex"), "config.toml"),)


def _settings_folder(platform: str, home: Path, environment: Mapping[str, str]) -> Path:
    """Returns the folder in which programs store their settings on a platform."""
    if platform == "win32":
        return home / (environment.get("APPDATA") or "AppData/Roaming")
    if platform == "darwin":
        return home / "Library/Application Support"
    return home / (environment.get("XDG_CONFIG_HOME") or ".config")


CLIENTS = {
    client.name: client
    for client in (
        Client("claude-desktop", "Claude Desktop", _claude_desktop),
        Client("claude-code", "Claude Code", _claude_code, needs_type=True),
        Client("cursor", "Cursor", _cursor),
        Client("cline", "Cline", _cline),
        Client("windsurf", "Windsurf", _windsurf),
        Client("vscode", "VS Code", _vscode, servers_key="servers", needs_type=True),
        Client("codex", "Codex", _codex, servers_key="mcp_servers", is_toml=True),
    )
}


def entry(client: Client, python: str, *, user: str, data: Path, config: Path | None = None) -> dict[str, Any]:
    """Returns the configuration entry with which a client starts the MemoryOS server."""
    arguments = ["-m", "memoryos", "mcp", "--user", user, "--data", str(data)]
    if config is not None:
        arguments += ["--config", str(config)]
    kind = {"type": "stdio"} if client.needs_type else {}
    return {**kind, "command": python, "args": arguments}


def block(client: Client, server: Mapping[str, Any]) -> str:
    """Returns the text of a configuration file that contains only the MemoryOS server."""
    if client.is_toml:
        return _toml_block(client, server)
    return json.dumps({client.servers_key: {NAME: server}}, indent=2, ensure_ascii=False) + "\n"


def with_entry(text: str, client: Client, server: Mapping[str, Any]) -> str:
    """Adds the MemoryOS server to the text of a configuration file, or updates its entry, and returns the text.

    Keys that the user added to the entry, for example ``env`` or ``disabled``, are kept.

    Args:
        text: Content of the configuration file.
        client: The client.
        server: The result of ``entry``.

    Raises:
        UneditableError: If the text can't be parsed, is JSON with comments, or has an unexpected structure.
    """
    mark, text = _split_mark(text)
    if not client.is_toml and not text.strip():
        return mark + block(client, server)
    before = _parse(client, text)
    old = _servers(client, before).get(NAME)
    new = {**old, **server} if isinstance(old, dict) and "command" in old else dict(server)
    if old == new:
        return mark + text
    changed = _toml_with(text, client, old, new) if client.is_toml else _json_with(text, client, new)
    return mark + _verified(client, before, changed, new)


def without_entry(text: str, client: Client) -> str:
    """Removes the MemoryOS server from the text of a configuration file, and returns the text.

    Raises:
        UneditableError: As for ``with_entry``.
    """
    mark, text = _split_mark(text)
    if not text.strip():
        return mark + text
    before = _parse(client, text)
    if NAME not in _servers(client, before):
        return mark + text
    remove = _toml_without if client.is_toml else _json_without
    return mark + _verified(client, before, remove(text, client), None)


def _split_mark(text: str) -> tuple[str, str]:
    return (MARK, text[1:]) if text.startswith(MARK) else ("", text)


def _parse(client: Client, text: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(text, parse_float=str) if client.is_toml else json.loads(text)
    except (ValueError, RecursionError) as error:
        if not client.is_toml and _is_commented(text):
            raise UneditableError("the file has comments or trailing commas, which editing would remove") from error
        raise UneditableError(f"the file can't be parsed ({error}); repair it first") from error
    if not isinstance(content, dict):
        raise UneditableError("the file does not contain a JSON object")
    return content


def _servers(client: Client, content: dict[str, Any]) -> dict[str, Any]:
    servers = content.get(client.servers_key, {})
    if not isinstance(servers, dict):
        raise UneditableError(f'the value of "{client.servers_key}" in the file is not a table of servers')
    return servers


def _verified(client: Client, before: dict[str, Any], text: str, new: dict[str, Any] | None) -> str:
    """Returns the edited text, after a check that only the entry of the MemoryOS server changed.

    Args:
        client: The client.
        before: The parsed content before the edit.
        text: The edited text.
        new: The expected entry; None if the entry was removed.

    Raises:
        UneditableError: If the edited text can't be parsed, or if anything other than the entry changed.
    """
    try:
        after = _parse(client, text)
        is_correct = _servers(client, after).get(NAME) == new and _others(client, after) == _others(client, before)
    except UneditableError:
        is_correct = False
    if not is_correct:
        raise UneditableError(
            f"the entry in \"{client.servers_key}\" can't be edited safely, because of the file's layout"
        )
    return text


def _others(client: Client, content: dict[str, Any]) -> dict[str, Any]:
    """Returns the parsed content of a configuration file without the MemoryOS server."""
    servers = {name: each for name, each in _servers(client, content).items() if name != NAME}
    return {**content, client.servers_key: servers}


# JSON

_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))|//[^\r\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)
"""Matches a trailing comma. Like ``_COMMENT``, it also matches each string (group 1), so that strings are kept.

An unclosed string or comment matches up to the end of the text. Otherwise, matching could take quadratic time.
"""
_DECODER = json.JSONDecoder()


class _Member(NamedTuple):
    key: str
    start: int
    value: int
    end: int


def _is_commented(text: str) -> bool:
    """Returns whether a text would be valid JSON without its comments and trailing commas."""
    bare = _TRAILING_COMMA.sub(r"\1", _COMMENT.sub(r"\1", text))
    try:
        return not bare.strip() or isinstance(json.loads(bare), (dict, list))
    except (ValueError, RecursionError):
        return False


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yields the members of the object whose opening brace is at index ``start`` of a valid JSON text."""
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
    """Returns the last member with a key (JSON parsers use the last one, too); None if no member has the key."""
    return next((each for each in reversed([*_members(text, start)]) if each.key == key), None)


def _json_with(text: str, client: Client, new: Mapping[str, Any]) -> str:
    root = _skip(text, 0)
    servers = _find(text, root, client.servers_key)
    if servers is None:
        return _json_insert(text, root, client.servers_key, {NAME: new})
    old = _find(text, servers.value, NAME)
    if old is None:
        return _json_insert(text, servers.value, NAME, new)
    return text[: old.value] + _json_value(text, old.start, new) + text[old.end :]


def _json_insert(text: str, start: int, key: str, value: Mapping[str, Any]) -> str:
    """Adds a member at the end of the object that starts at index ``start``, indented like the other members."""
    members = [*_members(text, start)]
    if members:
        lead, at, rest = text[start + 1 : members[0].start], members[-1].end, members[-1].end
        before, after = "," + (lead or " "), ""
    else:
        at, rest = start + 1, _skip(text, start + 1)
        outer = _newline(text) + _indent(text, start)
        before, after = outer + _unit(text), outer
    head = text[:at] + before
    return f"{head}{json.dumps(key)}: {_json_value(head, len(head), value)}{after}{text[rest:]}"


def _json_value(text: str, at: int, value: Mapping[str, Any]) -> str:
    """Returns a value as JSON, indented for a key at index ``at`` of the text."""
    if "\n" not in text:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (_newline(text) + _indent(text, at)).join(lines)


def _json_without(text: str, client: Client) -> str:
    while (servers := _find(text, _skip(text, 0), client.servers_key)) and (member := _find(text, servers.value, NAME)):
        members = [*_members(text, servers.value)]
        position = members.index(member)
        if position:
            start, end = members[position - 1].end, member.end
        elif len(members) > 1:
            start, end = member.start, members[1].start
        else:
            start, end = servers.value + 1, servers.end - 1
        text = text[:start] + text[end:]
    return text


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """Returns the indentation of the first indented line; two spaces if no line is indented."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _indent(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


# TOML


class _Statement(NamedTuple):
    path: tuple[str, ...]  # the key that it sets or the table that it opens; empty for comments and blank lines
    text: str


def _statements(text: str) -> Iterator[_Statement]:
    """Yields each statement of a TOML text.

    Lines are added to a statement until these lines together are valid TOML.
    """
    table: tuple[str, ...] = ()
    lines: list[str] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        lines.append(line)
        try:
            parsed = tomllib.loads("".join(lines))
        except ValueError:
            continue
        path = _path(parsed)
        if lines[0].lstrip().startswith("["):
            table = path
        elif path:
            path = table + path
        yield _Statement(path, "".join(lines))
        lines = []


def _path(parsed: Any) -> tuple[str, ...]:
    """Returns the path of keys in a parsed TOML statement, for example ``("a", "b")`` for ``a.b = 1``.

    The path ends before a table that is empty or has several keys.
    """
    if not isinstance(parsed, dict) or len(parsed) != 1:
        return ()
    key, value = next(iter(parsed.items()))
    return (key, *_path(value))


def _toml_with(text: str, client: Client, old: object, new: Mapping[str, Any]) -> str:
    path, lines = (client.servers_key, NAME), _toml_lines(new)
    if not isinstance(old, dict) or "command" not in old:
        text = _toml_without(text, client)
        gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        return text + (gap + _toml_block(client, new)).replace("\n", _newline(text))
    changed = {key: line.replace("\n", _newline(text)) for key, line in lines.items() if old.get(key) != new[key]}
    kept = [
        each for each in _statements(text) if each.path[:2] != path or each.path[2:3] not in [(key,) for key in changed]
    ]
    headers = [index for index, each in enumerate(kept) if each.path == path and each.text.lstrip().startswith("[")]
    index = headers[0] + 1 if headers else len(kept)
    return "".join([*(each.text for each in kept[:index]), *changed.values(), *(each.text for each in kept[index:])])


def _toml_without(text: str, client: Client) -> str:
    kept: list[_Statement] = []
    for each in _statements(text):
        if each.path[:2] != (client.servers_key, NAME):
            kept.append(each)
        elif each.text.lstrip().startswith("[") and kept and not kept[-1].text.strip():
            kept.pop()
    return "".join(each.text for each in kept)


def _toml_block(client: Client, server: Mapping[str, Any]) -> str:
    return f"[{client.servers_key}.{NAME}]\n" + "".join(_toml_lines(server).values())


def _toml_lines(server: Mapping[str, Any]) -> dict[str, str]:
    return {key: f"{key} = {_toml_value(value)}\n" for key, value in server.items()}


def _toml_value(value: Any) -> str:
    """Formats a string or a list of strings as a TOML value: like JSON, but with U+007F escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
