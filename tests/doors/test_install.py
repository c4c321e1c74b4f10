"""Tests of ``memoryos install``: the entry of every client is added and removed on every platform; other content stays."""

from __future__ import annotations

import json
import re
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from memoryos.doors import install as door
from memoryos.doors.clients import (
    CLIENTS,
    NAME,
    Client,
    UneditableError,
    block,
    entry,
    with_entry,
    without_entry,
)
from tests.doors.mcp_client import LineClient

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOWTO = (Path(__file__).parents[2] / "docs" / "howto" / "mcp-clients.md").read_text(encoding="utf-8")
PLATFORMS = ("darwin", "linux", "win32")
JSON_CLIENTS = [each for each in CLIENTS.values() if not each.is_toml]
CODEX = CLIENTS["codex"]
EXAMPLE = {
    name: entry(client, "/path/to/python", user="you", data=Path("/home/you/memoryos_data"))
    for name, client in CLIENTS.items()
}
OTHER_TOML = """# mine
model = "o9"   # the best
[mcp_servers.other]
command = "x"
args = [
    "[mcp_servers.memoryos]",
]
notes = '''
[mcp_servers.memoryos]
command = "no"
'''

[projects."/a b"]
trust = inf  # entirely
"""

Install = Callable[..., Result]

all_clients = pytest.mark.parametrize("client", CLIENTS.values(), ids=list(CLIENTS))
all_platforms = pytest.mark.parametrize("platform", PLATFORMS)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "Zoë 家"
    folder.mkdir()
    return folder


@pytest.fixture
def install(home: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    def invoke(client: Client, *arguments: str, platform: str = "linux") -> Result:
        monkeypatch.setattr(door, "PLATFORM", platform)
        group = click.Group("memoryos", commands=[door.install])
        always = ["install", client.name, "--home", str(home), "--user", "Zoë", "--data", str(home / "data")]
        return CliRunner().invoke(group, [*always, *arguments])

    return invoke


def usual_file(client: Client, home: Path, platform: str = "linux") -> Path:
    return client.places(platform, home, {})[0].file


def parsed(client: Client, text: str) -> Any:
    return tomllib.loads(text) if client.is_toml else json.loads(text)


def others(client: Client) -> str:
    if client.is_toml:
        return OTHER_TOML
    content = {"theme": "dark", client.servers_key: {"other": {"command": "é", "n": 1}}, "last": [1, {"x": None}]}
    return json.dumps(content, indent=4).replace('"n": 1', '"n": 1.50e0')


def filled(client: Client, home: Path, text: str | None = None) -> Path:
    file = usual_file(client, home)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((others(client) if text is None else text).encode())
    return file


def backups(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{file.name}.bak-*"))


def assert_left_alone(file: Path, before: bytes, done: Result) -> None:
    assert (done.exit_code, file.read_bytes()) == (1, before), done.output
    assert [each.name for each in file.parent.iterdir() if each.is_file()] == [file.name]


@all_platforms
@all_clients
def test_new_file_contains_an_entry_for_this_python(
    client: Client, platform: str, home: Path, install: Install
) -> None:
    done = install(client, platform=platform)
    file = usual_file(client, home, platform)
    assert done.exit_code == 0, done.output
    assert str(file) in done.output
    ours = parsed(client, file.read_text(encoding="utf-8"))[client.servers_key][NAME]
    assert Path(ours["command"]) == Path(sys.executable)
    assert ours["args"] == ["-m", "memoryos", "mcp", "--user", "Zoë", "--data", str(home / "data")]
    assert ours.get("type") == ("stdio" if client.needs_type else None)
    assert not backups(file)


@all_clients
def test_other_content_of_the_file_is_preserved(client: Client, home: Path, install: Install) -> None:
    file = filled(client, home)
    before = file.read_text(encoding="utf-8")
    assert install(client).exit_code == 0
    after = file.read_text(encoding="utf-8")
    if client.is_toml:
        assert after.startswith(before)
    else:
        assert [line.rstrip(",") for line in before.splitlines() if line.rstrip(",") not in {each.rstrip(",") for each in after.splitlines()}] == []  # fmt: skip
    assert NAME in parsed(client, after)[client.servers_key]
    assert "other" in parsed(client, after)[client.servers_key]
    assert [each.read_text(encoding="utf-8") for each in backups(file)] == [before]

    assert install(client, "--remove").exit_code == 0
    assert file.read_text(encoding="utf-8") == before
    assert len(backups(file)) == 2


@all_clients
def test_second_install_changes_nothing(client: Client, home: Path, install: Install) -> None:
    file = filled(client, home)
    assert install(client).exit_code == 0
    before, saved = file.stat(), backups(file)
    done = install(client)
    assert "already" in done.output
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert backups(file) == saved


@all_clients
def test_removing_a_missing_entry_changes_nothing(client: Client, home: Path, install: Install) -> None:
    done = install(client, "--remove")
    assert (done.exit_code, "is not in the configuration" in done.output) == (0, True)
    assert list(home.iterdir()) == []
    file = filled(client, home)
    before = file.read_bytes()
    assert install(client, "--remove").exit_code == 0
    assert (file.read_bytes(), backups(file)) == (before, [])


@all_clients
def test_print_writes_no_file(client: Client, home: Path, install: Install) -> None:
    done = install(client, "--print")
    where, shown = done.output.split("\n", 1)
    assert where.endswith(str(usual_file(client, home)))
    assert NAME in parsed(client, shown)[client.servers_key]
    assert list(home.iterdir()) == []
    assert install(client, "--print", "--remove").exit_code == 2


@all_clients
def test_reinstall_keeps_keys_added_by_the_user(client: Client, home: Path, install: Install) -> None:
    assert install(client).exit_code == 0
    file = usual_file(client, home)
    text = file.read_text(encoding="utf-8")
    mine = '\n# mine\n[mcp_servers.memoryos.env]\nKEY = "k"\n'
    text = text + mine if client.is_toml else text.replace('"command"', '"env": {"KEY": "k"},\n"command"')
    file.write_text(text, encoding="utf-8")
    assert install(client, "--user", "ann").exit_code == 0
    after = file.read_text(encoding="utf-8")
    ours = parsed(client, after)[client.servers_key][NAME]
    assert ours["env"] == {"KEY": "k"}
    assert ours["args"][4] == "ann"
    assert mine in after or not client.is_toml


@all_clients
def test_entry_without_command_is_replaced(client: Client) -> None:
    remote = {"url": "https://example.org/mcp"}
    text = (
        f'[mcp_servers.{NAME}]\nurl = "{remote["url"]}"\n'
        if client.is_toml
        else json.dumps({client.servers_key: {NAME: remote}})
    )
    assert parsed(client, with_entry(text, client, EXAMPLE[client.name]))[client.servers_key] == {
        NAME: EXAMPLE[client.name]
    }


@pytest.mark.parametrize("text", ['{"a": 1', "[]", "7", '{"X": 3}', '{"X": null}', "{'a': 1}", "\x00"])
@pytest.mark.parametrize("client", JSON_CLIENTS, ids=lambda each: each.name)
@pytest.mark.parametrize("option", [(), ("--remove",)])
def test_damaged_file_is_not_changed(
    client: Client, text: str, option: tuple[str, ...], home: Path, install: Install
) -> None:
    file = filled(client, home, text.replace("X", client.servers_key))
    done = install(client, *option)
    assert_left_alone(file, text.replace("X", client.servers_key).encode(), done)
    assert "by hand" in done.output


@pytest.mark.parametrize(
    "text",
    ["a = ", "[x\n", "mcp_servers = 3\n", "mcp_servers = { other = { command = 'x' } }\n", "[[mcp_servers]]\na = 1\n"],
)
def test_toml_that_can_not_be_edited_is_not_changed(text: str, home: Path, install: Install) -> None:
    file = filled(CODEX, home, text)
    done = install(CODEX)
    assert_left_alone(file, text.encode(), done)
    assert "[mcp_servers.memoryos]" in done.output


def test_file_that_is_not_utf_8_is_not_changed(home: Path, install: Install) -> None:
    file = filled(CLIENTS["cursor"], home)
    file.write_bytes("{}".encode("utf-16"))
    assert_left_alone(file, "{}".encode("utf-16"), install(CLIENTS["cursor"]))


@pytest.mark.parametrize(
    "text",
    [
        '{\n  // mine\n  "X": {}\n}',
        '{"X": {"a": {"command": "x",},}}',
        '{"u": "http://a", /* b */ "X": {}}',
        "// only\n",
    ],
)
@pytest.mark.parametrize("client", JSON_CLIENTS, ids=lambda each: each.name)
def test_json_with_comments_is_not_changed(client: Client, text: str, home: Path, install: Install) -> None:
    text = text.replace("X", client.servers_key)
    file = filled(client, home, text)
    done = install(client)
    assert_left_alone(file, text.encode(), done)
    assert "comments or trailing commas" in done.output
    assert '"command"' in done.output


def test_comment_characters_in_a_string_are_not_a_comment() -> None:
    cursor = CLIENTS["cursor"]
    text = '{"a": "// no, /* no */ ,]", "b": "\\"//"}'
    assert parsed(cursor, with_entry(text, cursor, EXAMPLE["cursor"]))["a"] == "// no, /* no */ ,]"


@all_clients
def test_symbolic_link_and_file_mode_are_preserved(client: Client, home: Path, install: Install) -> None:
    file = filled(client, home)
    real = home / "dotfiles" / "kept"
    real.parent.mkdir()
    file.rename(real)
    file.symlink_to(real)
    real.chmod(0o640)
    assert install(client).exit_code == 0
    assert file.is_symlink()
    assert NAME in real.read_text(encoding="utf-8")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (real, *backups(file))] == [0o640, 0o640]
    assert list(real.parent.iterdir()) == [real]


def test_new_file_is_private(home: Path, install: Install) -> None:
    assert install(CODEX).exit_code == 0
    assert stat.S_IMODE(usual_file(CODEX, home).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "what", ["memoryos.storage.scratch_dir.create_file", "os.fsync", "back up", "pathlib.Path.replace"]
)
@all_clients
def test_read_only_folder_changes_nothing(
    client: Client, what: str, home: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = filled(client, home)
    made = Path(tempfile.mkdtemp(dir=home))
    if what == "back up":
        monkeypatch.setattr(door, "_back_up", refuse)
    else:
        monkeypatch.setattr(what, refuse)
    done = install(client)
    assert (done.exit_code, "Permission denied" in done.output) == (1, True), done.output
    assert file.read_text(encoding="utf-8") == others(client)
    assert {each for each in file.parent.iterdir() if each.is_file()} == {file, *backups(file)}
    made.rmdir()


def test_folder_in_place_of_the_file_is_an_error(home: Path, install: Install) -> None:
    usual_file(CODEX, home).mkdir(parents=True)
    done = install(CODEX)
    assert (done.exit_code, "can't be read" in done.output) == (1, True)


def test_existing_backup_is_not_overwritten(home: Path, install: Install) -> None:
    file = filled(CODEX, home)
    for _ in range(3):
        assert install(CODEX).exit_code == 0
        assert install(CODEX, "--remove").exit_code == 0
    assert len(backups(file)) == 6
    assert all(re.fullmatch(r"config\.toml\.bak-\d{14}(-\d+)?", each.name) for each in backups(file))


def test_concurrent_change_of_the_file_is_preserved(
    home: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filled(CODEX, home)

    def meanwhile(changed: Path, _: bytes) -> Path:
        changed.write_text("new = 1\n", encoding="utf-8")
        return changed

    monkeypatch.setattr(door, "_back_up", meanwhile)
    assert_left_alone(file, b"new = 1\n", install(CODEX))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@all_clients
def test_newlines_and_byte_order_mark_are_preserved(client: Client, newline: str, mark: str) -> None:
    text = mark + others(client).replace("\n", newline)
    after = with_entry(text, client, EXAMPLE[client.name])
    assert after.startswith(mark)
    assert not newline.startswith("\r") or not re.search(r"(?<!\r)\n", after)
    assert without_entry(after, client) == text


@pytest.mark.parametrize(
    "text", ["{}", '{"a":1}', '{"mcpServers":{}}', '{"mcpServers":{"a":{}}}', ' {"mcpServers" : {\t} , "b":2}\n']
)
def test_json_layouts_are_edited(text: str) -> None:
    cursor = CLIENTS["cursor"]
    after = parsed(cursor, with_entry(text, cursor, EXAMPLE["cursor"]))
    assert after["mcpServers"].pop(NAME) == EXAMPLE["cursor"]
    assert after == {"mcpServers": {}, **json.loads(text)}


@pytest.mark.parametrize(
    "text",
    ['mcp_servers.memoryos.command = "x"\nmcp_servers.memoryos.args = ["y"]\na = 1\n', '[mcp_servers]\nmemoryos = { command = "x" }\n[a]\n'],
)  # fmt: skip
def test_toml_table_notations_are_removed_or_rejected(text: str) -> None:
    assert NAME not in tomllib.loads(without_entry(text, CODEX)).get("mcp_servers", {})
    try:
        after = with_entry(text, CODEX, EXAMPLE["codex"])
    except UneditableError:
        return
    assert tomllib.loads(after)["mcp_servers"][NAME] == EXAMPLE["codex"]


keys = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
servers = st.dictionaries(keys.filter(lambda name: name != NAME), values, max_size=3)


@given(
    client=st.sampled_from(JSON_CLIENTS),
    rest=st.dictionaries(keys, values, max_size=3),
    table=st.none() | servers,
    indent=st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
    path=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_json_add_then_remove_restores_the_text(
    *, client: Client, rest: dict[str, Any], table: dict[str, Any] | None, indent: Any, ascii_only: bool, path: str
) -> None:
    content = rest if table is None else {**rest, client.servers_key: table}
    if not isinstance(content.get(client.servers_key, {}), dict):
        return
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
    wanted = entry(client, path, user=path, data=Path("/data"))
    added = with_entry(text, client, wanted)
    assert json.loads(added)[client.servers_key][NAME] == wanted
    assert with_entry(added, client, wanted) == added
    assert json.loads(without_entry(added, client)) == {
        **content,
        client.servers_key: content.get(client.servers_key, {}),
    }


@given(
    parts=st.lists(
        st.sampled_from(
            ["# c\n", "\n", "[a]\nx = '''\n[mcp_servers.memoryos]\n'''\n", "[mcp_servers]\n", "[mcp_servers.b]\nargs = [\n'[c]',\n]\n",
             "[[d]]\ne = nan\n", "[mcp_servers.b.env]\nK = 1979-05-27 # t\n", '[f."g.h"]\nk = {l = 1}']
        ), unique=True, max_size=6),
    path=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1),
)  # fmt: skip
def test_toml_add_then_remove_restores_the_text(*, parts: list[str], path: str) -> None:
    text = "".join(each if each.endswith("\n") else f"{each}\n" for each in parts[:-1]) + "".join(parts[-1:])
    wanted = entry(CODEX, path, user=path, data=Path("/data"))
    added = with_entry(text, CODEX, wanted)
    assert tomllib.loads(added)["mcp_servers"][NAME] == wanted
    assert with_entry(added, CODEX, wanted) == added
    assert without_entry(added, CODEX).rstrip("\n") == text.rstrip("\n")


def test_all_existing_installations_get_the_entry(home: Path, install: Install) -> None:
    usual, packaged = CLIENTS["claude-desktop"].places("win32", home, {})
    packaged.root.mkdir(parents=True)
    assert install(CLIENTS["claude-desktop"], platform="win32").exit_code == 0
    assert (usual.file.exists(), packaged.file.exists()) == (False, True)
    usual.root.mkdir(parents=True)
    usual.file.write_text("{ damaged", encoding="utf-8")
    before = packaged.file.read_bytes()
    assert install(CLIENTS["claude-desktop"], "--user", "ann", platform="win32").exit_code == 1
    assert packaged.file.read_bytes() == before
    usual.file.unlink()
    assert install(CLIENTS["claude-desktop"], platform="win32").exit_code == 0
    assert usual.file.exists()


def test_environment_variables_change_the_paths() -> None:
    home, away = Path("/home/you"), "/elsewhere"
    moved = {
        "claude-code": ("CLAUDE_CONFIG_DIR", "linux", "/elsewhere/.claude.json"),
        "codex": ("CODEX_HOME", "darwin", "/elsewhere/config.toml"),
        "vscode": ("XDG_CONFIG_HOME", "linux", "/elsewhere/Code/User/mcp.json"),
        "cline": ("CLINE_MCP_SETTINGS_PATH", "win32", "/elsewhere"),
        "claude-desktop": ("APPDATA", "win32", "/elsewhere/Claude/claude_desktop_config.json"),
    }
    for name, (variable, platform, file) in moved.items():
        assert CLIENTS[name].places(platform, home, {variable: away})[0].file == Path(file)


def test_relative_data_folder_becomes_absolute(home: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    (home / "settings.json").write_text('{"llm_model": "m"}', encoding="utf-8")
    done = install(CLIENTS["cursor"], "--data", "here", "--config", "settings.json", "--print")
    arguments = json.loads(done.output.split("\n", 1)[1])["mcpServers"][NAME]["args"]
    assert arguments[-4:] == ["--data", str(home / "here"), "--config", str(home / "settings.json")]
    assert install(CLIENTS["cursor"], "--config", "nowhere.json").exit_code == 1


def test_global_options_are_used(home: Path) -> None:
    from memoryos.doors.cli import cli  # noqa: PLC0415

    group = click.Group("memoryos", commands=[door.install], params=cli.params, callback=lambda **_: None)
    arguments = ["--user", "ann", "--data", str(home / "d"), "install", "cursor", "--home", str(home), "--print"]
    done = CliRunner().invoke(group, arguments)
    assert json.loads(done.output.split("\n", 1)[1])["mcpServers"][NAME]["args"][3:] == [
        "--user",
        "ann",
        "--data",
        str(home / "d"),
    ]


def test_secrets_of_the_environment_are_not_written(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-7f3a")
    for client in CLIENTS.values():
        assert "sk-7f3a" not in install(client, "--print").output


@all_clients
def test_howto_matches_the_code(client: Client) -> None:
    section = HOWTO.split(f"\n## {client.title}\n")[1].split("\n## ")[0]
    assert f"memoryos install {client.name}\n" in section
    assert f"```{'toml' if client.is_toml else 'json'}\n{block(client, EXAMPLE[client.name])}```" in section
    for place in client.places("darwin", Path("~"), {}) + client.places("linux", Path("~"), {}):
        assert f"`{place.file.as_posix()}`" in section
    variables = {"APPDATA": "%APPDATA%", "LOCALAPPDATA": "%LOCALAPPDATA%"}
    for place in client.places("win32", Path(), variables):
        shown = str(place.file) if str(place.file).startswith("%") else f"%USERPROFILE%/{place.file}"
        assert f"`{shown.replace('/', chr(92))}`" in section


DOCUMENTED = [
    (language, text)
    for file in [*sorted((Path(__file__).parents[2] / "docs").rglob("*.md")), Path(__file__).parents[2] / "README.md"]
    for language, text in re.findall(r"^```(json|toml)\n(.*?)^```$", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if re.search(rf'"{NAME}": {{|\.{NAME}\]', text)
]  # fmt: skip


def documented_entry(language: str, text: str) -> dict[str, Any]:
    """Returns the entry in a documented configuration block."""
    read = tomllib.loads(text) if language == "toml" else json.loads(text)
    ((servers, table),) = read.items()
    assert servers in {client.servers_key for client in CLIENTS.values()}
    found: dict[str, Any] = table[NAME]
    return found


def test_howto_documents_every_client() -> None:
    shapes = [documented_entry(*each) for each in DOCUMENTED]
    assert all(EXAMPLE[name] in shapes for name in CLIENTS)
    assert len(DOCUMENTED) >= len(CLIENTS)


@pytest.mark.enable_socket
@pytest.mark.parametrize(("language", "text"), DOCUMENTED, ids=[str(number) for number in range(len(DOCUMENTED))])
def test_server_starts_from_each_documented_block(language: str, text: str, tmp_path: Path) -> None:
    documented = documented_entry(language, text)
    places = {"/path/to/python": sys.executable, "/home/you": str(tmp_path)}

    def here(value: str) -> str:
        for place, ours in places.items():
            value = value.replace(place, ours)
        return value

    command = [here(documented["command"]), *map(here, documented["args"])]
    assert documented.get("type", "stdio") == "stdio"
    variables = {name: here(value) for name, value in documented.get("env", {}).items()}
    with LineClient(tmp_path, started_by=command, variables=variables) as client:
        assert len(client.ask("tools/list")["result"]["tools"]) == 7
        client.structured("add_memory", user_input="I keep bees.")
        assert client.structured("memory_stats")["user_id"] == "you"
    assert (tmp_path / "memoryos_data" / "memoryos.db").is_file()
