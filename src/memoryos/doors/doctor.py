"""The checks of ``memoryos doctor``. Each check tests a part of the installation and suggests a fix for a problem.

No check creates a store.
"""

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
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import numpy as np

from memoryos.assembly import build_embedder
from memoryos.config import AUTO_MODEL, CONFIG_FILE_VARIABLE, ENV_PREFIX, SERVER_ENV_PREFIX, Config
from memoryos.doors.file_modes import accessible_paths, restrict_all
from memoryos.doors.filesystems import NETWORK_FILESYSTEMS, filesystem_of
from memoryos.doors.http.settings import ServerSettings
from memoryos.doors.mcp_trial import TrialError, try_server
from memoryos.embedding_choice import read_choice
from memoryos.errors import AnalystError, ConfigError, MemoryOSError, StoreError
from memoryos.language.passages import vector_model
from memoryos.models import multilingual_e5
from memoryos.models.minilm import MODEL_NAMES
from memoryos.models.openai import OpenAIChat
from memoryos.seams import ChatRequest, Message
from memoryos.storage.database_urls import is_server_url, parse_database_url, sqlite_file_of
from memoryos.storage.migrations import HEAD, State
from memoryos.storage.store import Store
from memoryos.storage.verification import check_writable, read_schema_state
from memoryos.updating.language_support import PAGES_READ, LanguageSupport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from memoryos.seams import Embedder, Usage
    from memoryos.storage.scopes import ScopeState

__all__ = ["CheckResult", "run_checks", "size_text"]

PACKAGE = "memoryos-engine"
OLDEST_SQLITE = (3, 35, 0)
LEAST_FREE_BYTES = 100_000_000
FINDINGS_SHOWN = 3
SCOPES_SHOWN = 20
SCOPES_READ = 50
"""The language check reads the newest pages of at most this many scopes."""
_SHORTEST_SECRET = 6
_TEST_REQUEST = ChatRequest((Message("user", "Reply with OK"),))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. The attribute names are the keys of ``memoryos doctor --json``.

    Attributes:
        what: Name of the check.
        state: "ok", "note" (may need an action) or "problem" (prevents operation).
        says: What the check found.
        advice: The suggested action; "" if none is needed.
    """

    what: str
    state: Literal["ok", "note", "problem"]
    says: str
    advice: str = ""


def run_checks(
    load: Callable[[], Config], *, offline: bool, options: Sequence[str] = (), fix: bool = False
) -> Iterator[CheckResult]:
    """Runs all checks and yields the result of each. Secrets are removed from the texts.

    Args:
        load: Returns the settings.
        offline: Whether to skip the checks that would call an endpoint or download a model.
        options: Command line options that an MCP client would pass to ``memoryos mcp``.
        fix: Whether to remove the permissions that other accounts have on files of the store.
    """
    yield _python()
    yield _packages()
    try:
        config = load()
    except ConfigError as error:
        yield CheckResult(
            "settings", "problem", str(error), "correct the value; docs/reference/config.md lists all settings"
        )
        return
    for result in _configured_checks(config, options, offline=offline, fix=fix):
        yield _redacted(result, config)


def _configured_checks(config: Config, options: Sequence[str], *, offline: bool, fix: bool) -> Iterator[CheckResult]:
    """Runs the checks that need valid settings and yields their results. The texts may still contain secrets."""
    yield _settings()
    embedder, result = _embedder(config, offline=offline)
    yield result
    try:
        file = None if is_server_url(config.database) else sqlite_file_of(config.database).absolute()
    except ConfigError as error:
        yield CheckResult(
            "database", "problem", str(error), "correct database_url, or remove it and set data_storage_path"
        )
    else:
        if file is None:
            yield from _database_server(config, embedder)
        else:
            yield from _folder(file.parent)
            yield _modes(file, fix=fix)
            yield from _database(file, config, embedder)
    yield _llm(config, offline=offline)
    yield _server(config, options, offline=offline)


def size_text(size: float) -> str:
    """Returns a size in bytes as text with a decimal unit, for example "1.3 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _python() -> CheckResult:
    says = f"{platform.python_version()} on {platform.system()}, SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return CheckResult("Python", "problem", says, f"use a Python build with SQLite {oldest} or newer")
    return CheckResult("Python", "ok", says)


def _packages() -> CheckResult:
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
        return CheckResult("packages", "problem", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return CheckResult("packages", "ok", ", ".join(found))


def _is_for_older_python(requirement: str) -> bool:
    marker = re.search(r"python_version\s*<\s*['\"]3\.(\d+)['\"]", requirement)
    return marker is not None and sys.version_info >= (3, int(marker.group(1)))


def _settings() -> CheckResult:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Config.model_fields} | {CONFIG_FILE_VARIABLE}
    known |= {f"{SERVER_ENV_PREFIX}{name.upper()}" for name in ServerSettings.model_fields}
    given = [each for each in os.environ if each.upper().startswith(ENV_PREFIX)]
    unknown = sorted(each for each in given if each.upper().split("__")[0] not in known)
    if unknown:
        says = f"ignored unknown variables: {', '.join(unknown)}"
        return CheckResult("settings", "note", says, "correct or unset these environment variables")
    return CheckResult("settings", "ok", f"all values are valid; {len(given)} come from {ENV_PREFIX}* variables")


def _embedder(config: Config, *, offline: bool) -> tuple[Embedder | None, CheckResult]:
    try:
        config = read_choice(config)
        embedder = build_embedder(config)
        if offline and _needs_network(config):
            return embedder, CheckResult("embedder", "note", f"{embedder.name} was not called (--offline)")
        return embedder, _try_embedder(embedder)
    except (MemoryOSError, ImportError) as error:
        where = _address(config.embedding_base_url) if config.has_embedding_endpoint else "this machine"
        advice = (
            f"check the model {config.embedding_model_name} at {where}; until it works, new pages are found only by "
            "their words, not by their meaning"
        )
        return None, CheckResult("embedder", "problem", str(error), advice)


def _needs_network(config: Config) -> bool:
    """Returns whether embedding a text calls an endpoint or may download a model."""
    return config.has_embedding_endpoint or config.embedding_model_name not in (
        {AUTO_MODEL} | MODEL_NAMES | (multilingual_e5.MODEL_NAMES if multilingual_e5.is_installed() else frozenset())
    )


def _try_embedder(embedder: Embedder) -> CheckResult:
    """Embeds one text as a test, and checks the shape and the values of the vector."""
    started = time.monotonic()
    matrix = embedder.embed(["What did we say about the garden?"])
    says = f"{embedder.name}, {embedder.dimensions} dimensions, {time.monotonic() - started:.2f} s for the first text"
    if matrix.shape != (1, embedder.dimensions):
        says = f"{embedder.name} declares {embedder.dimensions} dimensions but returns {matrix.shape[-1]}"
        return CheckResult("embedder", "problem", says, f"set embedding_dimensions to {matrix.shape[-1]}")
    if not np.isfinite(matrix).all() or not matrix.any():
        says = f"{embedder.name} returns a zero vector or values that are not finite"
        return CheckResult("embedder", "problem", says, "use another model")
    return CheckResult("embedder", "ok", says)


def _folder(folder: Path) -> Iterator[CheckResult]:
    """Checks that a folder can be written, and checks the free space and the filesystem of its disk.

    If the folder does not exist, its nearest existing parent folder is checked.
    """
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
        free = shutil.disk_usage(existing).free
    except OSError as error:
        says = f"{existing} can't be written: {error.strerror}"
        yield CheckResult("folder", "problem", says, "give this user write permission, or choose another --data")
        return
    suffix = "" if existing == folder else " (does not exist yet; it is created when the first page is stored)"
    yield CheckResult("folder", "ok", f"{folder}{suffix}")
    filesystem = filesystem_of(existing)
    says = f"{size_text(free)} free" + (f" on {filesystem}" if filesystem else "")
    if filesystem in NETWORK_FILESYSTEMS:
        advice = "move the store to a local disk: SQLite can lose data on a network filesystem without reliable locks"
        yield CheckResult("disk", "problem", f"{says}, a network filesystem", advice)
    elif free < LEAST_FREE_BYTES:
        yield CheckResult("disk", "problem", says, "free disk space; on a full disk no new page can be stored")
    else:
        yield CheckResult("disk", "ok", says)


def _modes(file: Path, *, fix: bool) -> CheckResult:
    """Reports files of the store on which other accounts have permissions. With ``fix``, removes these permissions."""
    if os.name != "posix":
        return CheckResult(
            "file modes", "ok", "not checked: this system uses the access control lists of the parent folder"
        )
    wide = accessible_paths(file)
    if not wide:
        return CheckResult("file modes", "ok", "only this account can access the store")
    names = ", ".join(path.name for path in wide[:FINDINGS_SHOWN]) + (", …" if len(wide) > FINDINGS_SHOWN else "")
    if not fix:
        says = f"other accounts have permissions on {len(wide)} files or folders: {names}"
        return CheckResult("file modes", "problem", says, "run memoryos doctor --fix to remove these permissions")
    failures = restrict_all(wide)
    if failures:
        return CheckResult(
            "file modes", "problem", "; ".join(failures[:FINDINGS_SHOWN]), "run this command as the owner of the files"
        )
    return CheckResult("file modes", "ok", f"removed the permissions of other accounts on {len(wide)} files: {names}")


def _database(file: Path, config: Config, embedder: Embedder | None) -> Iterator[CheckResult]:
    if not file.exists():
        yield CheckResult("database", "ok", f"{file} does not exist yet; it is created when the first page is stored")
        return
    try:
        state = read_schema_state(file)
        if state is not State.CURRENT:
            yield _other_schema(file, state)
            return
        check_writable(file)
        with Store(file) as store:
            size = size_text(file.stat().st_size)
            yield CheckResult("database", "ok", f"{file}, {size}, schema {HEAD}, writable")
            yield _verified(store)
            yield from _scopes(store, None if embedder is None else vector_model(embedder.name))
            yield from _languages(store, config, embedder)
    except (StoreError, OSError) as error:
        advice = (
            "check the file permissions and other processes that use the file; restore a damaged file from a backup"
        )
        yield CheckResult("database", "problem", str(error), advice)


def _database_server(config: Config, embedder: Embedder | None) -> Iterator[CheckResult]:
    name = parse_database_url(config.database).render_as_string(hide_password=True)
    try:
        check_writable(config.database)
        with Store(config.database) as store:
            yield CheckResult("database", "ok", f"{name}, schema {HEAD}, writable")
            yield _verified(store)
            yield from _scopes(store, None if embedder is None else vector_model(embedder.name))
            yield from _languages(store, config, embedder)
    except (StoreError, ConfigError) as error:
        advice = "check that the server is running; docs/howto/postgresql.md describes the setup"
        yield CheckResult("database", "problem", str(error), advice)


def _other_schema(file: Path, state: State) -> CheckResult:
    if state is State.UNKNOWN:
        advice = f"upgrade {PACKAGE}, or choose another --data"
        return CheckResult("database", "problem", f"{file}: {state.value}; the file was not changed", advice)
    advice = "copy the file first if you may return to the older release" if state is State.OLDER else ""
    return CheckResult("database", "note", f"{file}: {state.value}; it is migrated at the next use", advice)


def _verified(store: Store) -> CheckResult:
    faults = store.verify()
    if not faults:
        return CheckResult("data", "ok", "no faults found")
    more = f"; and {len(faults) - FINDINGS_SHOWN} more" if len(faults) > FINDINGS_SHOWN else ""
    says = f"{'; '.join(faults[:FINDINGS_SHOWN])}{more}"
    advice = "run memoryos verify for all faults, memoryos rebuild to derive the tiers again, or restore a backup"
    return CheckResult("data", "problem", says, advice)


def _scopes(store: Store, model: str | None) -> Iterator[CheckResult]:
    """Counts the pages of all scopes (memories), and reports the scopes whose last processing failed."""
    pages = due = without_vector = 0
    failing: list[tuple[str, ScopeState]] = []
    for scope_id, scope in store.scopes.all().items():
        pages += store.log.count(scope_id)
        due += store.log.count_due(scope_id)
        without_vector += 0 if model is None else store.log.count_unembedded(scope_id, model)
        state = store.scopes.state(scope_id)
        if state.last_error is not None:
            failing.append((f"user {scope.user_id!r} with assistant {scope.assistant_id!r}", state))
    says = f"{pages} in {len(store.scopes.all())} scopes; {due} due to be read, {without_vector} for embedding"
    yield CheckResult("pages", "ok", says)
    for scope_name, state in failing[:SCOPES_SHOWN]:
        says = f"{scope_name}: {state.last_error} (consecutive failures: {state.attempts})"
        advice = "due pages are retried automatically; see the results of embedder and LLM"
        yield CheckResult("last error", "note", says, advice)
    if len(failing) > SCOPES_SHOWN:
        yield CheckResult("last error", "note", f"{len(failing) - SCOPES_SHOWN} more scopes have errors")


def _languages(store: Store, config: Config, embedder: Embedder | None) -> Iterator[CheckResult]:
    """Yields a note if most of the newest pages are in languages that the embedding model does not support."""
    if embedder is None:
        return
    support = LanguageSupport(embedder, config)
    scopes = itertools.islice(store.scopes.all(), SCOPES_READ)
    finding = support.finding(page for scope_id in scopes for page in store.log.newest(scope_id, PAGES_READ))
    if finding is not None:
        yield CheckResult("languages", "note", finding, f"run {support.fix} (docs/howto/other-languages.md)")


def _server(config: Config, options: Sequence[str], *, offline: bool) -> CheckResult:
    """Checks that the MCP server starts and answers, on a temporary store."""
    if offline and _needs_network(config):
        return CheckResult("MCP server", "note", "was not started (--offline), because it would call the embedder")
    try:
        trial = try_server([sys.executable, "-m", "memoryos", "mcp", *options])
    except TrialError as error:
        return CheckResult("MCP server", "problem", str(error), "fix the reported error and the problems listed above")
    uses_client_model = config.mcp_sampling and not config.has_llm
    analyst = "the client's model (if the client offers one)" if uses_client_model else trial.analyst
    says = f"lists {len(trial.tools)} tools {trial.seconds:.1f} s after its start; analyst: {analyst}"
    return CheckResult("MCP server", "ok", says)


class _TokenMeter:
    """Counts the tokens of the request that tests the LLM. Implements the protocol ``Meter`` without a token budget."""

    def __init__(self) -> None:
        self.tokens = 0

    def allow(self) -> None:
        """Allows every LLM call. No token budget applies, because the user requested the test."""

    def __call__(self, usage: Usage) -> None:
        self.tokens += usage.prompt_tokens + usage.completion_tokens


def _llm(config: Config, *, offline: bool) -> CheckResult:
    if not config.has_llm:
        if config.openai_base_url:
            says = "openai_base_url is set but openai_api_key is not, so the local analyst reads pages and answers"
            advice = "set OPENAI_API_KEY to use the endpoint; any value works if the endpoint needs no key"
            return CheckResult("LLM", "note", says, advice)
        return CheckResult("LLM", "ok", "not configured; the local analyst reads pages and answers")
    endpoint = f"{config.llm_model} at {_address(config.openai_base_url)}"
    if offline:
        return CheckResult("LLM", "note", f"{endpoint} was not called (--offline)")
    key = None if config.openai_api_key is None else config.openai_api_key.get_secret_value()
    model = OpenAIChat(
        config.llm_model,
        api_key=key,
        base_url=config.openai_base_url,
        timeout_seconds=config.llm_timeout_seconds,
        max_retries=0,
    )
    meter, started = _TokenMeter(), time.monotonic()
    try:
        model.complete(_TEST_REQUEST, meter)
    except AnalystError as error:
        if config.on_llm_failure == "wait":
            effect = "until the LLM works, new pages can be found but are not read by an analyst"
        else:
            effect = "until the LLM works, the local analyst is used"
        advice = f"check OPENAI_API_KEY, OPENAI_BASE_URL and llm_model; {effect}"
        return CheckResult("LLM", "problem", f"{endpoint}: {error}", advice)
    finally:
        model.close()
    seconds = time.monotonic() - started
    return CheckResult("LLM", "ok", f"{endpoint} answered in {seconds:.1f} s ({meter.tokens} tokens)")


def _address(url: str | None) -> str:
    """Returns a URL without its user name, password and query, which may be secret."""
    if not url:
        return "api.openai.com"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an invalid URL"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _redacted(result: CheckResult, config: Config) -> CheckResult:
    """Returns the result with each text on one line and API keys replaced by "•••"."""
    keys = [key.get_secret_value() for key in (config.openai_api_key, config.embedding_api_key) if key is not None]
    texts = [" ".join(text.split()) for text in (result.says, result.advice)]
    for key in keys:
        if len(key) >= _SHORTEST_SECRET:
            texts = [text.replace(key, "•••") for text in texts]
    return replace(result, says=texts[0], advice=texts[1])
