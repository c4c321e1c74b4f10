"""Checks a database after its writers were killed: which pages must, may and must not be stored."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.crash.writer import DATABASE, Plan, at, open_engine, said
from memoryos.errors import MemoryOSError
from memoryos.memory import Memory
from memoryos.storage.migrations import HEAD

FLUSH_SECONDS = 20.0
"""A flush that takes longer is blocked by the lease of a dead writer, which expires after 300 seconds."""

READING_RULES = {
    "a page that is neither read nor due": "SELECT seq FROM pages WHERE (chain_id IS NULL) <> (segment_id IS NULL) "
    "OR (reading_id IS NULL) <> (segment_id IS NULL) OR (segment_id IS NULL AND read_provisionally)",
    "a page of a reading that is not there": "SELECT p.seq FROM pages p LEFT JOIN readings r ON "
    "r.scope_id = p.scope_id AND r.reading_id = p.reading_id WHERE p.reading_id IS NOT NULL AND r.reading_id IS NULL",
    "a page outside its reading": "SELECT p.seq FROM pages p JOIN readings r ON r.scope_id = p.scope_id AND "
    "r.reading_id = p.reading_id WHERE p.seq NOT BETWEEN r.first_seq AND r.last_seq",
    "a reading with a page of another": "SELECT r.reading_id FROM readings r JOIN pages p ON p.scope_id = r.scope_id "
    "AND p.seq BETWEEN r.first_seq AND r.last_seq WHERE p.reading_id IS NOT r.reading_id AND EXISTS "
    "(SELECT 1 FROM pages o WHERE o.scope_id = r.scope_id AND o.reading_id = r.reading_id)",
    "a reading without a page and without facts in the history": "SELECT r.reading_id FROM readings r LEFT JOIN pages p "
    "ON p.scope_id = r.scope_id AND p.reading_id = r.reading_id LEFT JOIN facts k ON k.scope_id = r.scope_id AND "
    "k.reading_id = r.reading_id WHERE p.seq IS NULL AND k.archived_at IS NULL",
    "a provisional mark that the reading does not have": "SELECT p.seq FROM pages p JOIN readings r ON "
    "r.scope_id = p.scope_id AND r.reading_id = p.reading_id WHERE p.read_provisionally <> r.provisional",
    "a fact of a reading that is not there": "SELECT k.fact_id FROM facts k LEFT JOIN readings r ON "
    "r.scope_id = k.scope_id AND r.reading_id = k.reading_id WHERE k.reading_id IS NOT NULL AND r.reading_id IS NULL",
    "a fact from a page that its reading has not read": "SELECT k.fact_id FROM facts k, json_each(k.source_page_ids) j "
    "JOIN pages p ON p.scope_id = k.scope_id AND p.page_id = j.value JOIN readings r ON r.scope_id = k.scope_id AND "
    "r.reading_id = k.reading_id WHERE p.seq NOT BETWEEN r.first_seq AND r.last_seq OR "
    "(k.archived_at IS NULL AND p.reading_id IS NOT k.reading_id)",
    "a fact without a reading that is not archived": "SELECT fact_id FROM facts WHERE reading_id IS NULL "
    "AND archived_at IS NULL",
}
"""Rules of readings. Each page is read, or it is due or being read and then has no chain, segment or reading.

A rebuild keeps the earlier readings whose facts are in the history. Such a reading has no page and no current fact.
"""
NOTHING_FOUND_BY = READING_RULES | {
    "a vector of no page": "SELECT v.owner_id FROM vectors v LEFT JOIN pages p ON p.scope_id = v.scope_id "
    "AND p.page_id = v.owner_id WHERE v.owner_kind IN ('user', 'assistant') AND p.page_id IS NULL",
    "a vector of no knowledge": "SELECT v.owner_id FROM vectors v LEFT JOIN facts k ON k.scope_id = v.scope_id "
    "AND k.fact_id = v.owner_id WHERE v.owner_kind = 'knowledge' AND k.fact_id IS NULL",
    "a vector of neither": "SELECT owner_id FROM vectors WHERE owner_kind NOT IN ('user', 'assistant', 'knowledge')",
    "an embedded page without its vectors": "SELECT p.seq FROM pages p WHERE embedded_with IS NOT NULL AND "
    "(trim(p.user_text) <> '') + (trim(p.assistant_text) <> '') <> (SELECT count(*) FROM vectors v WHERE "
    "v.scope_id = p.scope_id AND v.owner_id = p.page_id AND v.model = p.embedded_with "
    "AND v.owner_kind IN ('user', 'assistant'))",
    "a page that is not marked as embedded with vectors": "SELECT p.seq FROM pages p JOIN vectors v ON "
    "v.scope_id = p.scope_id AND v.owner_id = p.page_id WHERE v.owner_kind IN ('user', 'assistant') "
    "AND p.embedded_with IS NULL",
    "a page in no segment that is there": "SELECT p.seq FROM pages p LEFT JOIN segments s ON s.scope_id = p.scope_id "
    "AND s.segment_id = p.segment_id WHERE p.segment_id IS NOT NULL AND s.segment_id IS NULL",
    "a page in no chain that is there": "SELECT p.seq FROM pages p LEFT JOIN chains c ON c.scope_id = p.scope_id "
    "AND c.chain_id = p.chain_id WHERE p.chain_id IS NOT NULL AND c.chain_id IS NULL",
    "a chain without a page": "SELECT c.chain_id FROM chains c LEFT JOIN pages p ON p.scope_id = c.scope_id AND "
    "p.chain_id = c.chain_id WHERE p.seq IS NULL",
    "a segment whose count is not what it holds": "SELECT s.segment_id FROM segments s WHERE page_count <> (SELECT "
    "count(*) FROM pages p WHERE p.scope_id = s.scope_id AND p.segment_id = s.segment_id) OR page_count = 0",
    "a segment whose length is not what is unprofiled": "SELECT s.segment_id FROM segments s WHERE length <> (SELECT "
    "count(*) FROM pages p WHERE p.scope_id = s.scope_id AND p.segment_id = s.segment_id AND NOT p.profiled)",
    "knowledge from a page that is not there": "SELECT k.fact_id FROM facts k, json_each(k.source_page_ids) j "
    "LEFT JOIN pages p ON p.scope_id = k.scope_id AND p.page_id = j.value WHERE p.page_id IS NULL",
    "knowledge from nowhere": "SELECT fact_id FROM facts WHERE json_array_length(source_page_ids) = 0",
    "a profile from a page that is not there": "SELECT r.version FROM profiles r, json_tree(r.body) j LEFT JOIN pages p "
    "ON p.scope_id = r.scope_id AND p.page_id = j.value WHERE j.type = 'text' AND p.page_id IS NULL AND "
    "(j.path LIKE '%source_page_ids' OR j.path LIKE '%evidence_page_ids')",
    "a gap in the versions of the profile": "SELECT scope_id FROM profiles GROUP BY scope_id "
    "HAVING max(version) <> count(*) OR min(version) <> 1",
    "a gap in the log": "SELECT c.scope_id FROM scopes c LEFT JOIN pages p ON p.scope_id = c.scope_id "
    "GROUP BY c.scope_id HAVING count(p.seq) <> c.last_seq OR max(p.seq) <> c.last_seq OR min(p.seq) <> 1",
    "a revision ahead of the scope's": "SELECT c.scope_id FROM scopes c LEFT JOIN segments s ON s.scope_id = c.scope_id "
    "WHERE s.revision > c.revision OR c.learned_revision > c.revision OR c.reset_revision > c.revision",
}
"""Queries without results in a consistent store; the key describes the problem that a result means."""
FACTLESS = {
    "a page that was read without a fact": "SELECT p.seq FROM pages p WHERE p.reading_id IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM facts k, json_each(k.source_page_ids) j WHERE k.scope_id = p.scope_id AND j.value = p.page_id)"
}
"""Further queries for stores of the scripted analyst, which states a fact in every page."""

Tables = dict[str, list[tuple[Any, ...]]]


@dataclass
class Announced:
    """Pages of one unfinished call. Either all of them are stored, or none."""

    writer: str
    first: int
    count: int
    action: str


@dataclass
class Promised:
    """The pages that a database must, may and must not contain.

    Attributes:
        pages: Checksum of the assistant's text by writer and number, for every page that must be stored.
        open: Announced pages that were neither acknowledged nor refused.
        refused: Pages that were refused, or missing in an earlier check.
        answers: Pages whose assistant's text is a generated answer, so that its checksum is not known before.
        log_bytes: Length of the write-ahead log when a page was acknowledged.
        acknowledged: Number of acknowledged pages.
        is_rebuilt: Whether the local analyst may have processed all pages again.
    """

    pages: dict[tuple[str, int], int | None] = field(default_factory=dict)
    open: list[Announced] = field(default_factory=list)
    refused: set[tuple[str, int]] = field(default_factory=set)
    answers: set[tuple[str, int]] = field(default_factory=set)
    log_bytes: dict[tuple[str, int], int] = field(default_factory=dict)
    acknowledged: int = 0
    is_rebuilt: bool = False

    def process_lines(self, writer: str, lines: Iterable[str]) -> list[str]:
        """Processes the output lines of a writer. Returns the unexpected lines."""
        problems: list[str] = []
        announced: Announced | None = None
        for line in lines:
            word, *rest = line.split(" ")
            if word == "adding":
                announced = Announced(writer, int(rest[0]), int(rest[1]), rest[2])
            elif word == "added" and announced is not None:
                self._acknowledge(announced, int(rest[2]), int(rest[3]))
                announced = None
            elif word == "refused" and announced is not None and rest[0] == announced.action:
                self.refused |= set(_keys(announced))
                announced = None
            elif word == "rebuilding":
                self.is_rebuilt = True
            elif word == "failed":
                problems.append(f"writer {writer}: {line}")
        if announced is not None:
            self.open.append(announced)
        return problems

    def next_number(self, writer: str) -> int:
        """Returns the next unused page number of the writer."""
        used = [number for name, number in (*self.pages, *self.refused) if name == writer]
        used += [each.first + each.count - 1 for each in self.open if each.writer == writer]
        return max(used, default=0) + 1

    def _acknowledge(self, announced: Announced, checksum: int, log_bytes: int) -> None:
        *others, last = _keys(announced)
        self.log_bytes |= dict.fromkeys((*others, last), log_bytes)
        self.pages |= dict.fromkeys(others)
        self.pages[last] = checksum
        self.acknowledged += announced.count
        if announced.action == "answer":
            self.answers.add(last)


@dataclass
class Findings:
    """Result of a check of a database."""

    problems: list[str] = field(default_factory=list)
    found: int = 0
    lost: int = 0
    doubled: int = 0
    unacknowledged: int = 0
    is_corrupt: bool = False
    leases_left: int = 0
    copies_left: int = 0
    is_forgotten: bool = False
    seconds: float = 0.0


def check(plan: Plan, promised: Promised, *, drain: bool) -> Findings:
    """Opens a database after a crash, and compares it with the pages that must be stored.

    Pages that were not acknowledged but are stored now must also be stored in later checks.

    Args:
        plan: Plan of one of its writers, with the folder and the settings of the store.
        promised: Expected pages; updated with the unacknowledged pages that are stored.
        drain: Whether to process everything due, twice.
    """
    started = time.perf_counter()
    findings = Findings()
    workplace = Path(plan.folder) / f"{DATABASE}.work"
    findings.copies_left = sum(each.is_dir() for each in workplace.glob("*"))
    if not (Path(plan.folder) / DATABASE).exists():
        if promised.pages:
            findings.problems.append("the database is gone")
        return findings
    try:
        with open_engine(plan, steady=True) as engine:
            file = Path(plan.folder) / DATABASE
            damage = _damage(file)
            findings.is_corrupt = bool(damage)
            findings.problems += damage
            if not findings.is_corrupt:
                _compare(file, promised, findings)
                queries = NOTHING_FOUND_BY
                if plan.analyst == "scripted" and not promised.is_rebuilt:
                    queries = NOTHING_FOUND_BY | FACTLESS
                findings.problems += _unsound(file, queries)
                findings.problems += [f"{each.name} was left behind" for each in workplace.glob("*")]
                if drain:
                    _drain(engine.memory("tom", "helper"), file, findings)
                    findings.problems += [f"after a flush: {each}" for each in _damage(file) + _unsound(file, queries)]
    except (MemoryOSError, sqlite3.Error, TimeoutError) as error:
        findings.is_corrupt = findings.is_corrupt or isinstance(error, sqlite3.DatabaseError)
        findings.problems.append(f"reopening: {type(error).__name__}: {error}")
    findings.seconds = time.perf_counter() - started
    return findings


def check_forgotten(plan: Plan, numbers: Iterable[int]) -> Findings:
    """Opens a database whose writer was killed while it forgot pages. All of them must be stored, or no byte of any.

    The facts of the scripted analyst name all pages that it was shown, so a fact of a reading that saw a forgotten page
    contains such bytes.

    Args:
        plan: Plan of the writer.
        numbers: Numbers of the forgotten pages; empty if the writer was killed before.
    """
    findings = Findings()
    started = time.perf_counter()
    wanted = {(plan.writer, number) for number in numbers}
    with open_engine(plan, steady=True) as engine:
        there = wanted & {_key(page.user_text) for page in engine.memory("tom", "helper").pages()}
        findings.problems += [f"verify: {each}" for each in engine.store.verify()]
        findings.problems += _unsound(Path(plan.folder) / DATABASE, READING_RULES)
    if there and there != wanted:
        findings.problems.append(f"{len(there)} of {len(wanted)} pages are still stored after forgetting")
    files = [each for each in Path(plan.folder).rglob("*") if each.is_file()]
    stored = b"".join(each.read_bytes() for each in files)
    if not there:
        left = [name for name in wanted if f"[{name[0]}/{name[1]}]".encode() in stored]
        findings.problems += [f"page {name} was forgotten and is in the bytes of the files" for name in left]
        findings.is_forgotten = bool(wanted)
    findings.seconds = time.perf_counter() - started
    return findings


@contextlib.contextmanager
def connected(file: Path) -> Iterator[sqlite3.Connection]:
    """Yields a connection and closes it at the end."""
    with contextlib.closing(sqlite3.connect(file, timeout=60)) as connection:
        yield connection


def read_tables(file: Path) -> Tables:
    """Returns every row of every table."""
    with connected(file) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608


def _damage(file: Path) -> list[str]:
    with connected(file) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        found += [f"a foreign key of {row[0]} leads nowhere" for row in connection.execute("PRAGMA foreign_key_check")]
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return found + ([] if version == [(HEAD,)] else [f"the schema's version is {version}"])


def _unsound(file: Path, queries: Mapping[str, str]) -> list[str]:
    with connected(file) as connection:
        answers = {name: connection.execute(query).fetchmany(3) for name, query in queries.items()}
    return [f"{name}: {rows}" for name, rows in answers.items() if rows]


def _compare(file: Path, promised: Promised, findings: Findings) -> None:
    """Compares the stored pages with the expected pages.

    Each expected page must be stored once, unchanged and in order. The pages of an unfinished call must be stored
    together or not at all.
    """
    with connected(file) as connection:
        rows = connection.execute("SELECT user_text, assistant_text, at FROM pages ORDER BY scope_id, seq").fetchall()
        leases = connection.execute("SELECT count(*) FROM scopes WHERE lease_owner IS NOT NULL").fetchone()
    findings.leases_left = leases[0]
    keys = [_key(row[0]) for row in rows]
    held = Counter(keys)
    _settle(promised, held, findings)
    findings.found = len(rows)
    findings.lost = sum(key not in held for key in promised.pages)
    findings.doubled = sum(count - 1 for count in held.values())
    lost = [key for key in promised.pages if key not in held]
    findings.problems += [f"page {key} was acknowledged and is lost" for key in lost[:3]]
    findings.problems += [f"page {key} is there {count} times" for key, count in held.items() if count > 1]
    findings.problems += [f"page {key} was never promised" for key in held if key not in promised.pages]
    for writer in {name for name, _ in held}:
        numbers = [number for name, number in keys if name == writer]
        if numbers != sorted(numbers):
            findings.problems.append(f"the pages of {writer} are out of order")
    for key, (user_text, assistant_text, micros) in zip(keys, rows, strict=True):
        if not _is_verbatim(promised, key, (user_text, assistant_text), micros):
            findings.problems.append(f"page {key} was changed")


def _settle(promised: Promised, held: Counter[tuple[str, int]], findings: Findings) -> None:
    """Resolves unfinished calls: pages that are stored now must stay, and missing pages must never appear later."""
    for announced in promised.open:
        keys = _keys(announced)
        present = [key for key in keys if key in held]
        if len(present) not in {0, len(keys)}:
            findings.problems.append(f"{present} of {keys} are stored, of a call that must be atomic")
        findings.unacknowledged += len(present)
        promised.pages |= dict.fromkeys(present)
        promised.refused |= set(keys) - set(present)
        if announced.action == "answer":
            promised.answers |= set(present)
    promised.open.clear()


def _is_verbatim(promised: Promised, key: tuple[str, int], texts: tuple[str, str], micros: int) -> bool:
    checksum = promised.pages.get(key)
    is_reply_right = checksum is None or checksum == zlib.crc32(texts[1].encode())
    user_text, assistant_text = said(*key)
    if key in promised.answers:
        return texts[0] == user_text and bool(texts[1]) and is_reply_right
    is_time_right = micros == round(at(key[1]).timestamp()) * 1_000_000 + key[1]
    return texts == (user_text, assistant_text) and is_reply_right and is_time_right


def _drain(memory: Memory, file: Path, findings: Findings) -> None:
    """Reads all due pages, and profiles hot segments, twice. The second time must change nothing."""
    memory.flush(timeout=FLUSH_SECONDS)
    stats = memory.get_memory_stats()
    wanted = {"pages_due": 0, "pages_without_vector": 0, "pages_provisional": 0, "last_error": None}
    left = {name: stats[name] for name, value in wanted.items() if stats[name] != value}
    if left:
        findings.problems.append(f"still due after a flush: {left}")
    placed = sum(page.segment_id is not None for page in memory.pages())
    if placed != stats["pages"]:
        findings.problems.append(f"{placed} of {stats['pages']} pages are read")
    before = read_tables(file)
    memory.flush(timeout=FLUSH_SECONDS)
    after = read_tables(file)
    changed = [name for name, rows in after.items() if rows != before[name]]
    if changed:
        findings.problems.append(f"a second flush changed {changed}")
    if any(row[0] for row in _leases(file)):
        findings.problems.append("a flush left its lease")
    findings.problems += _unrecalled(memory)


def _unrecalled(memory: Memory) -> list[str]:
    """Recalls all pages, and returns the problems.

    The recall must find all pages except those of archived segments that have left the window.
    """
    archived = {each.segment_id for each in memory.segments(archived=True)}
    recall = memory.recall("my sister", max_pages=10_000)
    window = {page.page_id for page in recall.short_term}
    wanted = {page.page_id for page in memory.pages() if page.segment_id not in archived} | window
    found = {each.page.page_id for each in recall.pages} | window
    return [f"of {len(wanted)} pages to recall {len(found)} are"] if found != wanted else []


def _leases(file: Path) -> list[tuple[Any, ...]]:
    with connected(file) as connection:
        return connection.execute("SELECT lease_owner FROM scopes").fetchall()


def _key(text: str) -> tuple[str, int]:
    writer, _, rest = text[1:].partition("/")
    number = rest.partition("]")[0]
    return (writer, int(number)) if number.isdigit() else (text[:40], -1)


def _keys(announced: Announced) -> list[tuple[str, int]]:
    return [(announced.writer, number) for number in range(announced.first, announced.first + announced.count)]
