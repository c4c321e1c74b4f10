"""Verification: checks the database file and the consistency of all rows.

The findings contain ids and no texts of users.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import StoreUnreadableError
from memoryos.model import SHARED
from memoryos.storage import migrations
from memoryos.storage.damaged_values import find_damaged
from memoryos.storage.database import mapped_errors
from memoryos.storage.database_urls import open_database
from memoryos.storage.json_views import JSON_VIEWS
from memoryos.storage.schema import erasures, pages, tombstones
from memoryos.storage.tombstones import read_marks
from memoryos.storage.usage import find_wrong_counters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from memoryos.storage.database import Database

__all__ = ["MAX_LINES_PER_KIND", "check_writable", "find_faults", "read_schema_state"]

MAX_LINES_PER_KIND = 20
"""Maximum number of findings of one kind that are listed. The other findings are only counted."""
_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""All characters that ``str.strip`` removes. A text of only these characters has no vector."""
_NAMEABLE = re.compile(r"[\w./:@#-]{1,200}")


_VIEWS = """
WITH segment_pages(scope_id, segment_id, pages, unprofiled) AS (
    SELECT scope_id, segment_id, count(*), sum(CASE WHEN profiled THEN 0 ELSE 1 END) FROM pages
    WHERE segment_id IS NOT NULL GROUP BY scope_id, segment_id
),
embedded_texts(scope_id, page_id, side, model) AS (
    SELECT scope_id, page_id, 'user', embedded_with FROM pages
    WHERE embedded_with IS NOT NULL AND trim(user_text, :space) <> ''
    UNION ALL
    SELECT scope_id, page_id, 'assistant', embedded_with FROM pages
    WHERE embedded_with IS NOT NULL AND trim(assistant_text, :space) <> ''
),
"""
"""Common table expressions (WITH clauses) for all rules; ``JSON_VIEWS`` is appended to them."""

_RULES_OF_A_FILE = {
    "duplicate page id": """
        SELECT scope_id, page_id FROM pages NOT INDEXED GROUP BY scope_id, page_id HAVING count(*) > 1
    """,
}
"""Rules for SQLite only, in the same format as ``_RULES``.

The index of the primary key prevents duplicate rows. If this index is damaged, the file can contain them.
"""

_REPLACED = "SELECT scope_id, fact_id, older_id FROM fact_replaces"
_REQUESTS_WITHOUT_PAGE = """
SELECT n.scope_id, n.key_hash, n.page_id FROM request_pages n WHERE NOT EXISTS
(SELECT 1 FROM pages p WHERE p.scope_id = n.scope_id AND p.page_id = n.page_id)
"""
_RULES = {
    "position of the newest page above last_seq": """
        SELECT s.scope_id, p.seq, s.last_seq FROM scopes s
        JOIN (SELECT scope_id, max(seq) AS seq FROM pages GROUP BY scope_id) p ON p.scope_id = s.scope_id
        WHERE p.seq > s.last_seq
    """,
    "scope without a row in table owners": """
        SELECT s.scope_id FROM scopes s WHERE NOT EXISTS (SELECT 1 FROM owners o
        WHERE o.user_id = s.user_id AND o.assistant_id = s.assistant_id AND o.scope_id = s.scope_id)
    """,
    "row in table owners for a missing scope": """
        SELECT o.scope_id FROM owners o WHERE NOT EXISTS (SELECT 1 FROM scopes s WHERE s.scope_id = o.scope_id)
    """,
    "page with a missing segment": """
        SELECT p.scope_id, p.page_id, p.segment_id FROM pages p WHERE p.segment_id IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM segments s WHERE s.scope_id = p.scope_id AND s.segment_id = p.segment_id)
    """,
    "page with a missing chain": """
        SELECT p.scope_id, p.page_id, p.chain_id FROM pages p WHERE p.chain_id IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM chains c WHERE c.scope_id = p.scope_id AND c.chain_id = p.chain_id)
    """,
    "page with a missing reading": """
        SELECT p.scope_id, p.page_id, p.reading_id FROM pages p WHERE p.reading_id IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM readings r WHERE r.scope_id = p.scope_id AND r.reading_id = p.reading_id)
    """,
    "knowledge with a missing reading": """
        SELECT k.scope_id, k.fact_id, k.reading_id FROM facts k WHERE k.reading_id IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM readings r WHERE r.scope_id = k.scope_id AND r.reading_id = k.reading_id)
    """,
    "reading without pages and knowledge": """
        SELECT scope_id, reading_id FROM readings EXCEPT SELECT scope_id, reading_id FROM pages
        EXCEPT SELECT scope_id, reading_id FROM facts
    """,
    "embedded page without its vector": """
        SELECT s.scope_id, s.page_id, s.side FROM embedded_texts s WHERE NOT EXISTS (SELECT 1 FROM vectors v WHERE
        v.scope_id = s.scope_id AND v.owner_kind = s.side AND v.owner_id = s.page_id AND v.model = s.model)
    """,
    "segment with a wrong page_count": """
        SELECT s.scope_id, s.segment_id, s.page_count, coalesce(h.pages, 0) FROM segments s
        LEFT JOIN segment_pages h ON h.scope_id = s.scope_id AND h.segment_id = s.segment_id
        WHERE s.page_count <> coalesce(h.pages, 0)
    """,
    "segment with a length above its number of unprofiled pages": """
        SELECT s.scope_id, s.segment_id, s.length, coalesce(h.unprofiled, 0) FROM segments s
        LEFT JOIN segment_pages h ON h.scope_id = s.scope_id AND h.segment_id = s.segment_id
        WHERE s.length > coalesce(h.unprofiled, 0)
    """,
    "chain without pages": "SELECT scope_id, chain_id FROM chains EXCEPT SELECT scope_id, chain_id FROM pages",
    "knowledge without sources": """
        SELECT s.scope_id, s.fact_id FROM fact_origins s WHERE s.analyst <> :shared AND s.count = 0
    """,
    "knowledge with a missing source page": """
        SELECT n.scope_id, n.fact_id, n.page_id FROM fact_sources n WHERE NOT EXISTS
        (SELECT 1 FROM pages p WHERE p.scope_id = n.scope_id AND p.page_id = n.page_id)
    """,
    "profile version whose previous version is missing": """
        SELECT p.scope_id, p.version FROM profiles p WHERE p.version <> 1 AND NOT EXISTS
        (SELECT 1 FROM profiles q WHERE q.scope_id = p.scope_id AND q.version = p.version - 1)
    """,
    "profile version with a missing evidence page": """
        SELECT e.scope_id, e.version, e.page_id FROM evidence e WHERE NOT EXISTS
        (SELECT 1 FROM pages p WHERE p.scope_id = e.scope_id AND p.page_id = e.page_id)
    """,
    "incomplete deletion; opening the store completes it": """
        SELECT scope_id, forgetting_id FROM forgettings
    """,
    "vector of a missing page or fact": """
        SELECT v.scope_id, v.owner_kind, v.owner_id, v.model FROM vectors v WHERE NOT CASE
        WHEN v.owner_kind IN ('user', 'assistant') THEN EXISTS
        (SELECT 1 FROM pages p WHERE p.scope_id = v.scope_id AND p.page_id = v.owner_id)
        WHEN v.owner_kind = 'knowledge' THEN EXISTS
        (SELECT 1 FROM facts k WHERE k.scope_id = v.scope_id AND k.fact_id = v.owner_id) ELSE FALSE END
    """,
    "vector with a wrong length": """
        SELECT scope_id, owner_kind, owner_id, model, dimensions, length(vector) FROM vectors WHERE dimensions < 1
        OR length(vector) = 0 OR length(vector) % (4 * dimensions) <> 0
        OR (owner_kind = 'knowledge' AND length(vector) <> 4 * dimensions)
    """,
    "model with vectors of different lengths": """
        SELECT scope_id, model, min(dimensions), max(dimensions) FROM vectors GROUP BY scope_id, model
        HAVING min(dimensions) <> max(dimensions)
    """,
}
"""The rules: for each kind of finding, a query that returns one row for each finding.

The first column is the scope id; the other columns are printed in the finding.
"""


def find_faults(database: Database) -> list[str]:
    """Returns the faults of the database file and of all rows, from one snapshot.

    Each fault is one line with the user, the assistant, the kind of finding and ids. At most 20 findings of one kind
    are listed, and the others are counted.

    Raises:
        StoreError: If the database can't be read at present.
    """
    faults: list[str] = []
    try:
        with database.read() as connection:
            faults += database.faults(connection, MAX_LINES_PER_KIND)
            owners = _owners(connection)
            rules = _RULES if database.dialect != "sqlite" else _RULES_OF_A_FILE | _RULES
            for kind, query in rules.items():
                rows = connection.execute(
                    sa.text(_VIEWS + JSON_VIEWS[database.dialect] + query), {"space": _SPACE, "shared": SHARED.analyst}
                )
                faults += _format_findings(kind, rows, owners)
            faults += _format_findings("wrong page or byte counter", find_wrong_counters(connection), owners)
            views = _VIEWS + JSON_VIEWS[database.dialect]
            damaged = ((each.scope_id, each.place, *each.row.split()) for each in find_damaged(connection))
            faults += _format_findings("unreadable value", damaged, owners)
            faults += _format_findings("knowledge that is replaced in a cycle", _find_cycles(connection, views), owners)
            faults += _check_tombstones(connection, owners, views=views)
            faults += _check_erasures(connection)
    except StoreUnreadableError as error:
        faults.append(f"file: {error}")
    return faults


def read_schema_state(file: Path) -> migrations.State:
    """Compares the schema of a database file with this release. Opens the file read-only.

    Raises:
        StoreUnavailableError: If the file can't be opened.
        StoreUnreadableError: If the file is damaged or is not a database.
    """
    place = f"{file.absolute().as_uri()}?mode=ro"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(place, uri=True), poolclass=sa.NullPool)
    with mapped_errors(), engine.connect() as connection:
        return migrations.state_of(connection)


def check_writable(place: str | Path) -> None:
    """Checks that an existing store can be written, with a test write that is rolled back.

    Raises:
        StoreError: If the store can't be written at present.
    """
    values = "'a test write that is rolled back', 'a', 'b', 0, 0, 0, 0, 0"
    columns = "scope_id, user_id, assistant_id, last_seq, revision, learned_revision, touched_at, attempts"
    with (
        contextlib.closing(open_database(place)) as database,
        contextlib.suppress(_RollBackError),
        database.write() as own,
    ):
        own.exec_driver_sql(f"INSERT INTO scopes ({columns}) VALUES ({values})")  # noqa: S608
        raise _RollBackError


class _RollBackError(Exception):
    """Ends a transaction without committing it."""


def _find_cycles(connection: sa.Connection, views: str) -> Iterator[tuple[str, str]]:
    """Yields (scope id, fact id) of all facts that replace each other in a cycle, or lie between two cycles."""
    rows = connection.execute(sa.text(views + _REPLACED), {"space": _SPACE})
    edges = {((row[0], row[1]), (row[0], row[2])) for row in rows}
    older: dict[tuple[str, str], set[tuple[str, str]]] = {}
    newer: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for one, other in edges:
        older.setdefault(one, set()).add(other)
        newer.setdefault(other, set()).add(one)
    nodes = {*older, *newer}
    pending = [each for each in nodes if not older.get(each) or not newer.get(each)]
    while pending:
        node = pending.pop()
        nodes.discard(node)
        for forward, backward in ((older, newer), (newer, older)):
            for each in forward.pop(node, ()):
                backward[each].discard(node)
                if not backward[each]:
                    pending.append(each)
    yield from sorted(nodes)


def _check_tombstones(connection: sa.Connection, owners: Mapping[str, str], *, views: str) -> Iterator[str]:
    """Yields a finding for each forgotten page that still exists, and for each missing page.

    A missing page was added by a request with an idempotency key, does not exist and was not forgotten.
    """
    requests: dict[str, list[Any]] = {}
    for row in connection.execute(sa.text(views + _REQUESTS_WITHOUT_PAGE), {"space": _SPACE}):
        requests.setdefault(row.scope_id, []).append(row)
    existing: list[tuple[str, str]] = []
    lost: list[tuple[str, str, str]] = []
    marked = sa.select(tombstones.c.scope_id).where(tombstones.c.kind == "page").distinct()
    for scope_id in sorted({*connection.execute(marked).scalars(), *requests}):
        marks = read_marks(connection, scope_id, "page")
        page_ids = sa.select(pages.c.page_id).where(pages.c.scope_id == scope_id) if marks.marks else None
        if page_ids is not None:
            existing += [(scope_id, each) for each in connection.execute(page_ids).scalars() if each in marks]
        lost += [tuple(row) for row in requests.get(scope_id, ()) if row.page_id not in marks]
    yield from _format_findings("forgotten page that still exists", existing, owners)
    yield from _format_findings("idempotency key with a missing page", lost, owners)


def _check_erasures(connection: sa.Connection) -> Iterator[str]:
    """Yields a finding if bytes of deleted rows may still be in the file."""
    since = connection.execute(sa.select(sa.func.min(erasures.c.due_since))).scalar_one_or_none()
    if since is not None:
        yield (
            f"file: an erasure of deleted bytes is due since {since.isoformat(timespec='seconds')}; the next process "
            "that opens the store performs the erasure, unless another process reads an older snapshot"
        )


def _owners(connection: sa.Connection) -> dict[str, str]:
    rows = connection.exec_driver_sql("SELECT scope_id, user_id, assistant_id FROM scopes")
    return {row[0]: f"user {row[1]!r} with assistant {row[2]!r}" for row in rows}


def _format_findings(kind: str, rows: Iterable[Any], owners: Mapping[str, str]) -> Iterator[str]:
    count = 0
    for count, (scope_id, *named) in enumerate(rows, 1):
        if count <= MAX_LINES_PER_KIND:
            yield f"{owners.get(scope_id, 'missing scope')}: {kind}: {' '.join(map(_show, named))}"
    if count > MAX_LINES_PER_KIND:
        yield f"{kind}: {count - MAX_LINES_PER_KIND} more findings"


def _show(value: object) -> str:
    """Returns an id or a number as text. Any other value may be a user's text and is not shown."""
    text = str(value)
    return text if _NAMEABLE.fullmatch(text) else "(value hidden)"
