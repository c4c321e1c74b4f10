"""A check-up of an installation: one thing after the other, each with what to do about it. It makes no store."""

from __future__ import annotations

import itertools
import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import numpy as np

from memoryos.assembly import build_embedder
from memoryos.config import CONFIG_FILE_VARIABLE, ENV_PREFIX, SERVER_ENV_PREFIX, Config
from memoryos.doors.file_modes import narrow_all, wide_paths
from memoryos.doors.http.settings import ServerSettings
from memoryos.doors.mcp_trial import TrialError, try_server
from memoryos.errors import AnalystError, ConfigError, MemoryOSError, StoreError
from memoryos.language.languages import LANGUAGE_NAMES, language_of
from memoryos.models import multilingual_e5
from memoryos.models.minilm import MODEL_NAMES
from memoryos.models.openai import OpenAIChat
from memoryos.optional_methods import CompleteEmbedder
from memoryos.seams import ChatRequest, Message
from memoryos.storage.migrations import HEAD, State
from memoryos.storage.places import file_of, is_server, url_of
from memoryos.storage.store import Store
from memoryos.storage.verifying import state_of_file, try_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from memoryos.seams import Embedder, Usage
    from memoryos.storage.scopes import ScopeState

__all__ = ["Checked", "check_up", "filesystem_of", "size_text"]

PACKAGE = "memoryos-engine"
OLDEST_SQLITE = (3, 35, 0)
LEAST_FREE_BYTES = 100_000_000
FINDINGS_SHOWN = 3
SCOPES_SHOWN = 20
MOUNTS = Path("/proc/self/mounts")
NETWORK_FILESYSTEMS = frozenset(
    "afs beegfs ceph cifs davfs fuse.davfs2 fuse.gcsfuse fuse.glusterfs fuse.rclone fuse.s3fs fuse.sshfs glusterfs "
    "gpfs lustre ncpfs nfs nfs4 smb3 smbfs".split()
)
SCOPES_READ = 50
PAGES_READ = 20
"""Of so many scopes so many pages each tell which languages are spoken."""
_MULTILINGUAL = (
    f"set {ENV_PREFIX}EMBEDDING_MODEL_NAME=multilingual-e5-small to find by meaning too (docs/howto/other-languages.md)"
)
_SHORTEST_SECRET = 6
_ASKED = ChatRequest((Message("user", "Reply with OK"),))


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at.

    Attributes:
        what: The thing.
        state: A problem must be fixed; a note may be worth a look.
        says: What was found.
        advice: What to do; "" where there is nothing to do.
    """

    what: str
    state: Literal["ok", "note", "problem"]
    says: str
    advice: str = ""


def check_up(
    load: Callable[[], Config], *, offline: bool, options: Sequence[str] = (), fix: bool = False
) -> Iterator[Checked]:
    """Yields one check after the other; no text holds a secret.

    Args:
        load: Reads the settings.
        offline: Whether no endpoint is asked and no model is downloaded.
        options: What a client would write behind ``memoryos mcp``.
        fix: Whether to take the rights of other accounts to the store's files away.
    """
    yield _python()
    yield _packages()
    try:
        config = load()
    except ConfigError as error:
        yield Checked("settings", "problem", str(error), "put it right; docs/reference/config.md has every setting")
        return
    server = (_server(config, options, offline=offline) for _ in [None])
    for checked in itertools.chain([_settings()], _parts(config, offline=offline, fix=fix), server):
        yield _discreet(checked, config)


def _parts(config: Config, *, offline: bool, fix: bool) -> Iterator[Checked]:
    embedder, checked = _embedder(config, offline=offline)
    yield checked
    try:
        file = None if is_server(config.database) else file_of(config.database).absolute()
    except ConfigError as error:
        yield Checked("database", "problem", str(error), "set database_url, or leave it out and set data_storage_path")
    else:
        if file is None:
            yield from _database_server(config, embedder)
        else:
            yield from _folder(file.parent)
            yield _modes(file, fix=fix)
            yield from _database(file, config, embedder)
    yield _llm(config, offline=offline)


def size_text(size: float) -> str:
    """Returns a size as people read it, as "1.3 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _python() -> Checked:
    says = f"{platform.python_version()} on {platform.system()}, SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return Checked("Python", "problem", says, f"use a Python that is built with SQLite {oldest} or newer")
    return Checked("Python", "ok", says)


def _packages() -> Checked:
    found, missing = [PACKAGE + " " + metadata.version(PACKAGE)], []
    for requirement in metadata.requires(PACKAGE) or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" in requirement or _is_for_older_python(requirement):
            continue
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Checked("packages", "problem", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Checked("packages", "ok", ", ".join(found))


def _is_for_older_python(requirement: str) -> bool:
    marked = re.search(r"python_version\s*<\s*['\"]3\.(\d+)['\"]", requirement)
    return marked is not None and sys.version_info >= (3, int(marked.group(1)))


def _settings() -> Checked:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Config.model_fields} | {CONFIG_FILE_VARIABLE}
    known |= {f"{SERVER_ENV_PREFIX}{name.upper()}" for name in ServerSettings.model_fields}
    given = [each for each in os.environ if each.upper().startswith(ENV_PREFIX)]
    unknown = sorted(each for each in given if each.upper().split("__")[0] not in known)
    if unknown:
        says = f"no setting, ignored: {', '.join(unknown)}"
        return Checked("settings", "note", says, "correct the name of the variable, or take it away")
    return Checked("settings", "ok", f"every value can be used; {len(given)} from {ENV_PREFIX}* variables")


def _embedder(config: Config, *, offline: bool) -> tuple[Embedder | None, Checked]:
    try:
        embedder = build_embedder(config)
        if offline and _asks_for_vectors(config):
            return embedder, Checked("embedder", "note", f"{embedder.name} was not asked (--offline)")
        return embedder, _embedded(embedder)
    except (MemoryOSError, ImportError) as error:
        where = _address(config.embedding_base_url) if config.has_embedding_endpoint else "this machine"
        advice = f"until then nothing new is found by its meaning ({config.embedding_model_name} at {where})"
        return None, Checked("embedder", "problem", str(error), advice)


def _asks_for_vectors(config: Config) -> bool:
    """Whether the embedder asks an endpoint, or may download its model."""
    return config.has_embedding_endpoint or config.embedding_model_name not in (
        MODEL_NAMES | (multilingual_e5.MODEL_NAMES if multilingual_e5.is_installed() else frozenset())
    )


def _embedded(embedder: Embedder) -> Checked:
    started = time.monotonic()
    matrix = embedder.embed(["What did we say about the garden?"])
    says = f"{embedder.name}, {embedder.dimensions} dimensions, {time.monotonic() - started:.2f} s for the first text"
    if matrix.shape != (1, embedder.dimensions):
        says = f"{embedder.name} promises {embedder.dimensions} dimensions and gives {matrix.shape[-1]}"
        return Checked("embedder", "problem", says, f"set embedding_dimensions to {matrix.shape[-1]}")
    if not np.isfinite(matrix).all() or not matrix.any():
        return Checked("embedder", "problem", f"{embedder.name} gives no vector", "use another model")
    return Checked("embedder", "ok", says)


def _folder(folder: Path) -> Iterator[Checked]:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        says = f"{there} can't be written: {error.strerror}"
        yield Checked("folder", "problem", says, "give this user the right to write there, or choose another --data")
        return
    suffix = "" if there == folder else " (not there yet; it is made when something is first remembered)"
    yield Checked("folder", "ok", f"{folder}{suffix}")
    filesystem = filesystem_of(there)
    says = f"{size_text(free)} free" + (f" on {filesystem}" if filesystem else "")
    if filesystem in NETWORK_FILESYSTEMS:
        advice = "keep the store on a local disk: SQLite loses data where locks and shared memory don't hold"
        yield Checked("disk", "problem", f"{says}, a network filesystem", advice)
    elif free < LEAST_FREE_BYTES:
        yield Checked("disk", "problem", says, "make room; when the disk is full nothing new is remembered")
    else:
        yield Checked("disk", "ok", says)


def _modes(file: Path, *, fix: bool) -> Checked:
    """Tells which files of the store other accounts may read; with ``fix`` they may not any more."""
    if os.name != "posix":
        return Checked("file modes", "ok", "not used on this system; the access list of the folder above applies")
    wide = wide_paths(file)
    if not wide:
        return Checked("file modes", "ok", "only this account may read the store")
    names = ", ".join(path.name for path in wide[:FINDINGS_SHOWN]) + (", …" if len(wide) > FINDINGS_SHOWN else "")
    if not fix:
        says = f"other accounts have rights to {len(wide)} files or folders: {names}"
        return Checked("file modes", "problem", says, "memoryos doctor --fix takes these rights away")
    failures = narrow_all(wide)
    if failures:
        return Checked(
            "file modes", "problem", "; ".join(failures[:FINDINGS_SHOWN]), "run it as the owner of the files"
        )
    return Checked("file modes", "ok", f"took the rights of other accounts to {len(wide)} away: {names}")


def filesystem_of(folder: Path, mounts: Path | None = None) -> str | None:
    """Returns the type of the filesystem that a folder is on, as "ext4"; None where that can't be told."""
    try:
        lines = (mounts or MOUNTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    folder = folder.resolve()
    best: tuple[int, str] | None = None
    for _, place, kind, *_ in (line.split(" ") for line in lines if line.count(" ") >= 3):  # noqa: PLR2004
        mounted = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place))
        depth = len(mounted.parts)
        if folder.is_relative_to(mounted) and (best is None or depth >= best[0]):
            best = depth, kind
    return None if best is None else best[1]


def _database(file: Path, config: Config, embedder: Embedder | None) -> Iterator[Checked]:
    if not file.exists():
        yield Checked("database", "ok", f"{file} is not there yet; it is made when something is first remembered")
        return
    try:
        state = state_of_file(file)
        if state is not State.CURRENT:
            yield _other_schema(file, state)
            return
        try_writing(file)
        with Store(file) as store:
            yield Checked("database", "ok", f"{file}, {size_text(file.stat().st_size)}, schema {HEAD}, can be written")
            yield _verified(store)
            yield from _scopes(store, config, None if embedder is None else embedder.name)
            yield from _languages(store, embedder)
    except (StoreError, OSError) as error:
        advice = "see who may write there, or what else uses it; of a damaged file restore the last backup"
        yield Checked("database", "problem", str(error), advice)


def _database_server(config: Config, embedder: Embedder | None) -> Iterator[Checked]:
    name = url_of(config.database).render_as_string(hide_password=True)
    try:
        try_writing(config.database)
        with Store(config.database) as store:
            yield Checked("database", "ok", f"{name}, schema {HEAD}, can be written")
            yield _verified(store)
            yield from _scopes(store, config, None if embedder is None else embedder.name)
            yield from _languages(store, embedder)
    except (StoreError, ConfigError) as error:
        yield Checked("database", "problem", str(error), "see docs/howto/postgresql.md, and whether the server is up")


def _other_schema(file: Path, state: State) -> Checked:
    if state is State.UNKNOWN:
        advice = f"upgrade {PACKAGE}, or choose another --data"
        return Checked("database", "problem", f"{file}: {state.value}; it is left alone", advice)
    advice = "keep a copy of the file first, if you may go back to that release" if state is State.OLDER else ""
    return Checked("database", "note", f"{file}: {state.value}; it is brought up when it is next used", advice)


def _verified(store: Store) -> Checked:
    faults = store.verify()
    if not faults:
        return Checked("data", "ok", "nothing wrong")
    more = f"; and {len(faults) - FINDINGS_SHOWN} more" if len(faults) > FINDINGS_SHOWN else ""
    says = f"{'; '.join(faults[:FINDINGS_SHOWN])}{more}"
    advice = "memoryos verify shows all; memoryos rebuild derives the tiers anew, a damaged file needs a backup"
    return Checked("data", "problem", says, advice)


def _scopes(store: Store, config: Config, model: str | None) -> Iterator[Checked]:
    pages = due = bare = 0
    failing: list[tuple[str, ScopeState]] = []
    for scope_id, scope in store.scopes.all().items():
        pages += store.log.count(scope_id)
        due += store.log.count_due(scope_id, store.log.slid_out(scope_id, config.short_term_capacity))
        bare += 0 if model is None else store.log.count_unembedded(scope_id, model)
        state = store.scopes.state(scope_id)
        if state.last_error is not None:
            failing.append((f"user {scope.user_id!r} with assistant {scope.assistant_id!r}", state))
    says = f"{pages} in {len(store.scopes.all())} scopes; {due} wait to be consolidated, {bare} to be embedded"
    yield Checked("pages", "ok", says)
    for who, state in failing[:SCOPES_SHOWN]:
        says = f"{who}: {state.last_error} (failures in a row: {state.attempts})"
        yield Checked("last error", "note", says, "what waits is tried again by itself; see embedder and LLM")
    if len(failing) > SCOPES_SHOWN:
        yield Checked("last error", "note", f"{len(failing) - SCOPES_SHOWN} more scopes have one")


def _languages(store: Store, embedder: Embedder | None) -> Iterator[Checked]:
    """Tells when the newest pages are mostly in languages that the embedder's model does not know."""
    known = None if embedder is None else CompleteEmbedder(embedder).languages
    if known is None:
        return
    scopes = itertools.islice(store.scopes.all(), SCOPES_READ)
    read = (page for scope_id in scopes for page in store.log.newest(scope_id, PAGES_READ))
    told = Counter(code for page in read if (code := language_of(f"{page.user_text}\n{page.assistant_text}")))
    foreign = [code for code, _ in told.most_common() if code not in known]
    if 2 * sum(told[code] for code in foreign) <= told.total():
        return
    names = " and ".join(LANGUAGE_NAMES[code] for code in foreign)
    says = f"most of the newest pages are in {names}, which the embedder does not know: they are found by words"
    if multilingual_e5.is_installed():
        yield Checked("languages", "note", says, _MULTILINGUAL)
    else:
        yield Checked("languages", "note", says, f"{multilingual_e5.INSTALL}, then {_MULTILINGUAL}")


def _server(config: Config, options: Sequence[str], *, offline: bool) -> Checked:
    """Starts the MCP server as a client would, on a store that is thrown away."""
    if offline and _asks_for_vectors(config):
        return Checked("MCP server", "note", "was not started (--offline): it would ask the embedder")
    try:
        trial = try_server([sys.executable, "-m", "memoryos", "mcp", *options])
    except TrialError as error:
        return Checked("MCP server", "problem", str(error), "put right what it says, or what is a problem above")
    reader = "the client's model, if it offers one," if config.mcp_sampling and not config.has_llm else trial.analyst
    says = f"starts and lists {len(trial.tools)} tools in {trial.seconds:.1f} s; {reader} reads and answers"
    return Checked("MCP server", "ok", says)


class _Bill:
    """A meter that keeps what one call cost."""

    def __init__(self) -> None:
        self.tokens = 0

    def allow(self) -> None:
        """Allows it: it was asked for."""

    def __call__(self, usage: Usage) -> None:
        self.tokens += usage.prompt_tokens + usage.completion_tokens


def _llm(config: Config, *, offline: bool) -> Checked:
    if not config.has_llm:
        if config.openai_base_url:
            says = "openai_base_url is set and no key: the local analyst reads and answers"
            return Checked("LLM", "note", says, "set OPENAI_API_KEY; an endpoint that needs none takes any")
        return Checked("LLM", "ok", "none is set: the local analyst reads and answers")
    which = f"{config.llm_model} at {_address(config.openai_base_url)}"
    if offline:
        return Checked("LLM", "note", f"{which} was not asked (--offline)")
    key = None if config.openai_api_key is None else config.openai_api_key.get_secret_value()
    seconds = config.llm_timeout_seconds
    model = OpenAIChat(
        config.llm_model, api_key=key, base_url=config.openai_base_url, timeout_seconds=seconds, max_retries=0
    )
    bill, started = _Bill(), time.monotonic()
    try:
        model.complete(_ASKED, bill)
    except AnalystError as error:
        advice = "until then pages wait, findable" if config.on_llm_failure == "wait" else "the local analyst stands in"
        return Checked(
            "LLM", "problem", f"{which}: {error}", f"see OPENAI_API_KEY, OPENAI_BASE_URL, llm_model; {advice}"
        )
    finally:
        model.close()
    return Checked("LLM", "ok", f"{which} answered in {time.monotonic() - started:.1f} s ({bill.tokens} tokens)")


def _address(url: str | None) -> str:
    """Returns an address without what may be secret in it: name, password, parameters."""
    if not url:
        return "api.openai.com"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _discreet(checked: Checked, config: Config) -> Checked:
    """Returns the check on one line, with whatever secret slipped into its text taken out."""
    keys = [key.get_secret_value() for key in (config.openai_api_key, config.embedding_api_key) if key is not None]
    texts = [" ".join(text.split()) for text in (checked.says, checked.advice)]
    for key in keys:
        if len(key) >= _SHORTEST_SECRET:
            texts = [text.replace(key, "•••") for text in texts]
    return replace(checked, says=texts[0], advice=texts[1])
