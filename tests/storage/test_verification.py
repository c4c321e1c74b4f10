"""Verification: a consistent store has no findings; each kind of damage has a finding without content."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoryos.errors import StoreError, StoreUnavailableError, StoreUnreadableError
from memoryos.model import SHARED, Attribute, Chain, Knowledge, Origin, PageDraft, Profile, Scope, Segment, Trait
from memoryos.storage import verification
from memoryos.storage.erasures import note_erasure
from memoryos.storage.lease import Lease
from memoryos.storage.long_term_table import NewProfile, SegmentProfiled
from memoryos.storage.mid_term_table import Consolidation
from memoryos.storage.migrations import KNOWN, State
from memoryos.storage.reading_table import NewReading, ReadingRow
from memoryos.storage.store import Store
from memoryos.storage.tombstones import note_tombstones
from memoryos.storage.vector_table import UtteranceVectors
from memoryos.storage.verification import MAX_LINES_PER_KIND, check_writable, read_schema_state
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker
from tests.postgres import Server

NOW = FixedClock()()
ORIGIN = Origin("scripted", "1")
SECRET = "the red bicycle"
OWNER = "user 'tom' with assistant 'helper'"
CIRCLE = "knowledge that is replaced in a cycle"


def entry(knowledge_id: str, sources: tuple[str, ...], origin: Origin = ORIGIN, **values: Any) -> Knowledge:
    return Knowledge(knowledge_id, "user", SECRET, NOW, NOW, None, None, sources, origin, **values)


def fill(store: Store, scope: Scope) -> None:
    """Fills a scope with rows of every table: four pages, of which three were read, two are profiled and one is due."""
    scope_id = store.scopes.open(scope, NOW)
    lease = Lease(scope_id, "me", NOW + timedelta(minutes=5))
    assert store.scopes.claim(lease, NOW)
    pages = store.log.append(scope_id, [PageDraft(NOW, f"{SECRET} {number}", " \n") for number in range(4)], NOW)
    ids = [page.page_id for page in pages]
    windows = [np.ones((2, 3), np.float32), *(np.ones((1, 3), np.float32) for _ in ids[1:])]
    utterances = [
        UtteranceVectors(page.page_id, page.seq, "user", each) for page, each in zip(pages, windows, strict=True)
    ]
    store.vectors.save_pages(lease, "openai/m@3", ids, utterances)
    segment = Segment("s1", SECRET, frozenset({"bicycle"}), 0, 3, 3, NOW, NOW)
    places = Consolidation(
        (Chain("c1", SECRET),), (segment,), dict.fromkeys(ids[:3], "c1"), dict.fromkeys(ids[:3], "s1")
    )
    row = ReadingRow("r1", 1, 1, 3, ORIGIN, provisional=False, dropped=(), recorded_at=NOW)
    known = (
        entry("k1", (ids[0],), reading_id="r1"),
        entry("k2", (ids[0], ids[1]), reading_id="r1"),
        entry("k4", (ids[1],), reading_id="r1", replaces=("k1",)),
    )
    store.readings.add(lease, NewReading(row, places, known))
    traits = (Trait("needs", "order", "high", SECRET, (ids[0],)),)
    for version, page_id in enumerate(ids[:2], 1):
        profile = Profile(version, (Attribute("home", SECRET, (ids[1],)),), traits, NOW, ORIGIN)
        store.long_term.save_profile(lease, NewProfile(SegmentProfiled("s1", 3 - version), (page_id,), profile))
    store.scopes.release(lease)
    store.long_term.add(scope_id, [entry("k3", (), SHARED)])
    assert store.scopes.claim(lease, NOW)
    store.vectors.save_knowledge(lease, "openai/m@3", [("k2", np.ones(3, np.float32))])
    store.scopes.release(lease)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with Store(tmp_path / "memoryos.db") as store:
        fill(store, Scope("ann", "helper"))
        fill(store, Scope("tom", "helper"))
    return tmp_path / "memoryos.db"


def damage(file: Path, script: str) -> None:
    """Executes SQL statements, with TOM replaced by the id of a scope."""
    connection = sqlite3.connect(file)
    scope_id = connection.execute("SELECT scope_id FROM scopes WHERE user_id = 'tom'").fetchone()[0]
    connection.executescript(script.replace("TOM", f"'{scope_id}'"))
    connection.close()


def found(file: Path) -> list[str]:
    with Store(file) as store:
        faults = store.verify()
    assert not [line for line in faults if "bicycle" in line or "\n" in line]
    return faults


def test_consistent_store_has_no_findings(file: Path) -> None:
    assert found(file) == []


def test_engine_writes_and_deletions_have_no_findings(make_engine: EngineMaker) -> None:
    engine = make_engine(mid_term_heat_threshold=1.0, short_term_capacity=2, mid_term_capacity=2)
    memory = engine.memory("tom")
    texts = ["I love baking rye bread.", "I work as a nurse in Ghent.", "My cat is called Miro.", "I moved to Porto."]
    added = [memory.add_memory(f"{texts[number % 4]} {number}", "I see." * (number % 2)) for number in range(24)]
    memory.flush()
    assert memory.knowledge()
    assert engine.store.verify() == []
    memory.forget(page_ids=[added[1].page_id, added[7].page_id])
    assert engine.store.verify() == []
    memory.flush()
    memory.rebuild()
    assert engine.store.verify() == []


UNIQUE_LOST = "CREATE TABLE loose AS SELECT * FROM pages; DROP TABLE pages; ALTER TABLE loose RENAME TO pages;"
NOBODY = "missing scope"
DAMAGES = [
    ("UPDATE pages SET metadata = '{' WHERE scope_id = TOM AND seq = 1", "unreadable value", 1),
    ("UPDATE segments SET origin = x'ff' WHERE scope_id = TOM", "unreadable value", 1),
    ("UPDATE facts SET source_page_ids = '[' WHERE scope_id = TOM AND fact_id = 'k2'", "unreadable value", 1),
    ("UPDATE profiles SET body = 'gone' WHERE scope_id = TOM AND version = 2", "unreadable value", 1),
    (f"{UNIQUE_LOST} UPDATE pages SET page_id = (SELECT page_id FROM pages WHERE scope_id = TOM AND seq = 3) WHERE scope_id = TOM AND seq = 4", "duplicate page id", 1),  # noqa: S608
    ("UPDATE scopes SET last_seq = 3 WHERE scope_id = TOM", "position of the newest page above last_seq: 4 3", 1),
    ("DELETE FROM owners WHERE scope_id = TOM", "scope without a row in table owners", 1),
    ("INSERT INTO owners VALUES ('x', 'y', 'nowhere')", "row in table owners for a missing scope", 1),
    ("INSERT INTO forgettings VALUES (TOM, 'f1', '{}', 0)", "incomplete deletion; opening the store completes it: f1", 1),
    ("DELETE FROM segments WHERE scope_id = TOM", "page with a missing segment", 3),
    ("DELETE FROM chains WHERE scope_id = TOM", "page with a missing chain", 3),
    ("DELETE FROM readings WHERE scope_id = TOM", "page with a missing reading", 3),
    ("UPDATE pages SET reading_id = 'r9' WHERE scope_id = TOM AND seq = 2", "page with a missing reading", 1),
    ("DELETE FROM readings WHERE scope_id = TOM", "knowledge with a missing reading", 3),
    ("UPDATE facts SET reading_id = 'r9' WHERE scope_id = TOM AND fact_id = 'k2'", "knowledge with a missing reading: k2 r9", 1),
    ("UPDATE pages SET reading_id = NULL WHERE scope_id = TOM; UPDATE facts SET reading_id = NULL WHERE scope_id = TOM", "reading without pages and knowledge: r1", 1),
    ("INSERT INTO readings SELECT scope_id, 'r9', 1, 1, 2, origin, provisional, dropped, recorded_at FROM readings WHERE scope_id = TOM", "reading without pages and knowledge: r9", 1),
    ("DELETE FROM vectors WHERE scope_id = TOM AND owner_kind = 'user'", "embedded page without its vector", 4),
    ("UPDATE pages SET assistant_text = 'Yes.' WHERE scope_id = TOM AND seq = 2", "embedded page without its vector", 1),
    ("UPDATE segments SET page_count = 4 WHERE scope_id = TOM", "segment with a wrong page_count: s1 4 3", 1),
    ("INSERT INTO segments SELECT scope_id, 's9', summary, keywords, 0, 0, 1, 0, 0, NULL, 0, origin FROM segments WHERE scope_id = TOM", "segment with a wrong page_count: s9 1 0", 1),
    ("UPDATE segments SET length = 2 WHERE scope_id = TOM", "segment with a length above its number of unprofiled pages: s1 2 1", 1),
    ("INSERT INTO chains VALUES (TOM, 'c9', '', '{}')", "chain without pages: c9", 1),
    ("UPDATE facts SET source_page_ids = '[]' WHERE scope_id = TOM AND fact_id = 'k2'", "knowledge without sources: k2", 1),
    ("UPDATE facts SET source_page_ids = '[\"gone\"]' WHERE scope_id = TOM AND fact_id = 'k2'", "knowledge with a missing source page: k2 gone", 1),
    ("UPDATE facts SET source_page_ids = (SELECT json_array(page_id) FROM pages WHERE scope_id <> TOM) WHERE scope_id = TOM AND fact_id = 'k2'", "knowledge with a missing source page: k2", 1),
    ("UPDATE facts SET source_page_ids = '[\"a red bicycle\"]' WHERE scope_id = TOM AND fact_id = 'k2'", "knowledge with a missing source page: k2 (value hidden)", 1),
    ("UPDATE facts SET replaces = '[\"k4\"]' WHERE scope_id = TOM AND fact_id = 'k1'", CIRCLE, 2),
    ("UPDATE facts SET replaces = '[\"k4\", \"k2\"]' WHERE scope_id = TOM AND fact_id = 'k1'", CIRCLE, 2),
    ("UPDATE facts SET replaces = '[\"k2\"]' WHERE scope_id = TOM AND fact_id = 'k2'", f"{CIRCLE}: k2", 1),
    ("DELETE FROM profiles WHERE scope_id = TOM AND version = 1", "profile version whose previous version is missing: 2", 1),
    ("UPDATE profiles SET version = version - 1 WHERE scope_id = TOM", "profile version whose previous version is missing: 0", 1),
    ("UPDATE profiles SET body = json_set(body, '$.traits[0].evidence_page_ids[0]', 'gone') WHERE scope_id = TOM AND version = 1", "profile version with a missing evidence page: 1 gone", 1),
    ("UPDATE profiles SET body = json_set(body, '$.attributes[0].source_page_ids[0]', 'gone') WHERE scope_id = TOM AND version = 2", "profile version with a missing evidence page: 2 gone", 1),
    ("INSERT INTO idempotency VALUES (TOM, 'h1', 'h2', '[\"gone\"]', 0)", "idempotency key with a missing page: h1 gone", 1),
    ("INSERT INTO idempotency VALUES (TOM, 'h1', 'h2', '[', 0)", "unreadable value: idempotency.page_ids h1", 1),
    ("DELETE FROM pages WHERE scope_id = TOM AND seq = 4", "vector of a missing page or fact: user", 1),
    ("UPDATE vectors SET owner_id = 'k9' WHERE scope_id = TOM AND owner_kind = 'knowledge'", "vector of a missing page or fact: knowledge k9 openai/m@3", 1),
    ("UPDATE vectors SET owner_kind = 'chain' WHERE scope_id = TOM AND owner_kind = 'knowledge'", "vector of a missing page or fact: chain k2", 1),
    ("UPDATE vectors SET vector = x'00' WHERE scope_id = TOM AND owner_kind = 'knowledge'", "vector with a wrong length: knowledge k2 openai/m@3 3 1", 1),
    ("UPDATE vectors SET vector = vector || vector WHERE scope_id = TOM AND owner_kind = 'knowledge'", "vector with a wrong length: knowledge", 1),
    ("UPDATE vectors SET vector = x'' WHERE scope_id = TOM AND owner_kind = 'user'", "vector with a wrong length: user", 4),
    ("UPDATE vectors SET dimensions = 0 WHERE scope_id = TOM AND owner_kind = 'knowledge'", "vector with a wrong length: knowledge", 1),
    ("UPDATE vectors SET dimensions = 6, vector = vector || vector WHERE scope_id = TOM AND owner_kind = 'knowledge'", "model with vectors of different lengths: openai/m@3 3 6", 1),
]  # fmt: skip


@pytest.mark.parametrize(("script", "finding", "count"), DAMAGES)
def test_damage_is_found_in_a_file(file: Path, script: str, finding: str, count: int) -> None:
    damage(file, script)
    lines = [line for line in found(file) if finding in line]
    assert len(lines) == count, found(file)
    assert all(line.startswith((f"{OWNER}: ", f"{NOBODY}: ")) for line in lines)


WORDS_OF_SQLITE = ("x'", "json_", "loose", "version - 1")
PLAIN = [each for each in DAMAGES if "unreadable" not in each[1] and not any(word in each[0] for word in WORDS_OF_SQLITE)] + [
    ("UPDATE profiles SET body = replace(body::text, '\"evidence_page_ids\": [\"', '\"evidence_page_ids\": [\"gone')::json WHERE scope_id = TOM AND version = 1", "profile version with a missing evidence page: 1 gone", 1),
    ("UPDATE profiles SET body = '[1]' WHERE scope_id = TOM AND version = 2", "profile version with a missing evidence", 0),
    ("UPDATE facts SET source_page_ids = '{}' WHERE scope_id = TOM AND fact_id = 'k2'", "knowledge without sources: k2", 1),
]  # fmt: skip


@pytest.mark.kinds("postgresql")
@pytest.mark.parametrize(("script", "finding", "count"), PLAIN)
def test_damage_is_found_on_a_server(place: str, postgres: Server, script: str, finding: str, count: int) -> None:
    with Store(place) as store:
        fill(store, Scope("ann", "helper"))
        fill(store, Scope("tom", "helper"))
        assert store.verify() == []
        script = script.replace("TOM", f"'{store.scopes.find(Scope('tom', 'helper'))}'")
        postgres.execute(script, place.split("@/")[1].split("?", maxsplit=1)[0])
        faults = store.verify()
    lines = [line for line in faults if finding in line]
    assert len(lines) == count, faults
    assert all(line.startswith((f"{OWNER}: ", f"{NOBODY}: ")) for line in lines)
    assert "bicycle" not in str(faults)


def test_existing_forgotten_page_is_found(place: str) -> None:
    with Store(place) as store:
        fill(store, Scope("tom", "helper"))
        scope_id = str(store.scopes.find(Scope("tom", "helper")))
        page = next(store.log.after(scope_id))
        with store._database.write(scope_id) as connection:
            note_tombstones(connection, scope_id, "page", [page.page_id], NOW)
        (line,) = store.verify()
    assert line == f"{OWNER}: forgotten page that still exists: {page.page_id}"


def test_due_erasure_is_found(place: str) -> None:
    with Store(place) as store:
        with store._database.write() as connection:
            note_erasure(connection, "f1", NOW)
        (line,) = store.verify()
        assert "an erasure of deleted bytes is due since 2026" in line
        store.erase()
        assert store.verify() == []


def test_every_rule_is_tested() -> None:
    tested = " ".join(finding for _, finding, _ in DAMAGES)
    assert not [kind for kind in (*verification._RULES, CIRCLE) if kind not in tested]


def test_findings_name_the_damaged_scope(file: Path) -> None:
    damage(file, "DELETE FROM segments WHERE scope_id = TOM; UPDATE scopes SET last_seq = 0 WHERE scope_id = TOM")
    assert {line.split(":")[0] for line in found(file)} == {OWNER}


ORIGIN_TEXT = '{"analyst": "local", "version": "1"}'


def test_excess_findings_of_a_kind_are_counted(file: Path) -> None:
    more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 57)"
    damage(file, f"{more} INSERT INTO chains SELECT TOM, 'x' || i, '', '{ORIGIN_TEXT}' FROM n")  # noqa: S608
    lines = found(file)
    assert len(lines) == MAX_LINES_PER_KIND + 1
    assert lines[-1] == f"chain without pages: {57 - MAX_LINES_PER_KIND} more findings"


def test_rows_without_a_scope_are_found(file: Path) -> None:
    damage(file, "INSERT INTO chains VALUES ('nowhere', 'c9', '', '{}')")
    lines = found(file)
    assert [
        line
        for line in lines
        if line.startswith("file: row ") and "of table chains refers to a missing row of table scopes" in line
    ]
    assert "missing scope: chain without pages: c9" in lines
    more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 50)"
    damage(file, f"{more} INSERT INTO chains SELECT 'nowhere', 'x' || i, '', '{{}}' FROM n")  # noqa: S608
    assert f"file: {51 - MAX_LINES_PER_KIND} more rows refer to missing rows" in found(file)


def test_damaged_index_is_found(file: Path) -> None:
    other = "CREATE INDEX pages_segment ON pages (scope_id, chain_id, seq)"
    script = f"UPDATE sqlite_master SET sql = '{other}' WHERE name = 'pages_segment'"  # noqa: S608
    damage(file, f"PRAGMA writable_schema = ON; {script}")
    assert [line for line in found(file) if line.startswith("file: ") and "pages_segment" in line]


def test_truncated_file_is_found(file: Path) -> None:
    torn = bytearray(file.read_bytes())
    torn[len(torn) // 3 :] = b"\xaa" * (len(torn) - len(torn) // 3)
    file.write_bytes(torn)
    try:
        assert [line for line in found(file) if line.startswith("file: ")]
    except StoreError as error:  # the truncated part is read when the store is opened
        assert isinstance(error, StoreUnreadableError)  # noqa: PT017


def test_user_ids_with_line_breaks_are_escaped(tmp_path: Path) -> None:
    with Store(tmp_path / "memoryos.db") as store:
        scope_id = store.scopes.open(Scope("a\n\x1b[31m\u202e", "b"), NOW)
        store.log.append(scope_id, [PageDraft(NOW, "x", "")], NOW)
        with store._database.write() as connection:
            connection.exec_driver_sql("UPDATE scopes SET last_seq = 0")
        (line,) = store.verify()
    assert line == "user 'a\\n\\x1b[31m\\u202e' with assistant 'b': position of the newest page above last_seq: 1 0"


def test_verification_reads_one_snapshot_during_writes(file: Path) -> None:
    with Store(file) as store, Store(file) as other:
        scope_id = other.scopes.open(Scope("tom", "helper"), NOW)
        with store._database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM scopes").all()
            other.log.append(scope_id, [PageDraft(NOW, "new", "")], NOW)
            assert connection.exec_driver_sql("SELECT count(*) FROM pages").scalar() == 8
        assert store.verify() == []


def test_schema_state_is_read_without_writing(tmp_path: Path) -> None:
    file = tmp_path / "a #?%20 b.db"
    with pytest.raises(StoreUnavailableError):
        read_schema_state(file)
    assert list(tmp_path.iterdir()) == []
    file.touch()
    assert read_schema_state(file) is State.EMPTY
    assert file.stat().st_size == 0
    file.unlink()
    with Store(file):
        assert read_schema_state(file) is State.CURRENT
    for version, state in ((KNOWN[0], State.OLDER), ("9999", State.UNKNOWN)):
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.close()
        before = file.read_bytes()
        assert read_schema_state(file) is state
        assert file.read_bytes() == before
    file.write_bytes(b"no database" * 500)
    with pytest.raises(StoreUnreadableError):
        read_schema_state(file)


def test_write_check_is_rolled_back(file: Path) -> None:
    before = file.read_bytes()
    check_writable(file)
    assert file.read_bytes() == before
    with Store(file) as store:
        assert len(store.scopes.all()) == 2
        check_writable(file)
        assert store.verify() == []


def test_write_check_raises_if_writing_is_impossible(file: Path) -> None:
    damage(file, "CREATE TRIGGER no BEFORE INSERT ON scopes BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreError):
        check_writable(file)
