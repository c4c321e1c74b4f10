"""Crashes: after a writer is killed, every acknowledged page exists once and other processes continue.

These tests run a short version of each part of ``python -m benchmarks.crash``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.crash.__main__ import (
    SMALL,
    Report,
    Starter,
    crash_test_environment,
    delete_indexes,
    fill_disks,
    kill_at_fail_points,
    kill_at_random,
    kill_while_forgetting,
    protect_files,
    tear_logs,
)
from benchmarks.crash.checking import Promised, check, check_forgotten
from benchmarks.crash.writer import DATABASE, Plan

MEMORY = Path("/dev/shm")  # noqa: S108  (a killed process leaves the same files there, sooner)


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Starter, Path]]:
    with crash_test_environment(MEMORY if MEMORY.is_dir() else None) as (starter, folder):
        yield starter, folder


@pytest.fixture(scope="module")
def whole(shop: tuple[Starter, Path]) -> tuple[Plan, Promised]:
    """Returns a store without faults and the list of pages that were added to it."""
    starter, folder = shop
    plan = Plan(str(folder / "whole"), analyst="scripted", settings=SMALL, actions=(*["add"] * 9, "flush"))
    running, promised = starter.start(plan), Promised()
    assert running.wait() == 0
    assert promised.process_lines(plan.writer, running.output_lines()) == []
    return plan, promised


def test_writers_killed_at_random(shop: tuple[Starter, Path]) -> None:
    report = Report()
    kill_at_random(*shop, kills=25, seed=7, report=report)
    assert report.problems == []
    assert report.kills == 25
    assert report.acknowledged > 25
    assert report.found == report.acknowledged + report.unacknowledged


def test_writers_killed_between_any_two_commits(shop: tuple[Starter, Path]) -> None:
    report = Report()
    every = {"statement": 50, "before commit": 5, "after commit": 1}
    kill_at_fail_points(*shop, report, work=("messages", "recall", "flush", "answer"), every=every)
    assert report.problems == []
    assert report.fail_points > 30
    hit = {each.removesuffix(", committing") for each in report.places}
    assert hit >= {"opening", "messages", "lease", "embed", "read", "profile", "archive", "visits", "answer"}


def test_writers_killed_during_a_rebuild(shop: tuple[Starter, Path]) -> None:
    starter, folder = shop
    report = Report()
    (folder / "rebuilding").mkdir()
    every = {"statement": 1000, "before commit": 2, "after commit": 4}
    kill_at_fail_points(starter, folder / "rebuilding", report, analyst="local", work=("rebuild",), every=every)
    assert report.problems == []
    assert any(each.startswith("rebuild") for each in report.places)
    assert report.copies_left > 0, "killed rebuilds must leave scratch copies, which the next opening removes"


def test_writers_killed_during_forgetting_and_erasing(shop: tuple[Starter, Path]) -> None:
    report = Report()
    kill_while_forgetting(*shop, report, every={"statement": 8, "before commit": 2, "after commit": 2})
    assert report.problems == []
    assert report.fail_points > 10
    assert 0 < report.forgotten < report.fail_points, (
        "some writers must be killed before the plan is committed and some after"
    )
    hit = {each.removesuffix(", committing") for each in report.places}
    assert hit >= {"forget", "erase"}


def test_forgetting_removes_what_readings_before_a_rebuild_saw(shop: tuple[Starter, Path]) -> None:
    starter, folder = shop
    actions = (*["add"] * 8, "flush", "rebuild", "add", "flush", "forget")
    plan = Plan(str(folder / "rebuilt"), analyst="scripted", settings=SMALL, actions=actions)
    running = starter.start(plan)
    assert running.wait() == 0
    (forgotten,) = [line.split()[1:] for line in running.output_lines() if line.startswith("forgetting ")]
    findings = check_forgotten(plan, map(int, forgotten))
    assert findings.problems == []
    assert findings.is_forgotten


def test_disk_becomes_full(shop: tuple[Starter, Path]) -> None:
    report = Report()
    fill_disks(*shop, report, range(0, 10_000, 5_000))
    assert report.problems == []
    assert {each.split(": ")[0] for each in report.writes_refused} == {
        f"full disk, {each}" for each in ("adding", "draining", "reopening", "worker", "opening")
    }
    assert all(": StoreUnavailableError: " in each for each in report.writes_refused)


def test_files_become_read_only(shop: tuple[Starter, Path]) -> None:
    report = Report()
    protect_files(*shop, report)
    assert report.problems == []
    assert any("readonly database" in each for each in report.writes_refused)
    assert all(": StoreUnavailableError: " in each for each in report.writes_refused)


def test_truncated_log_loses_only_later_transactions(shop: tuple[Starter, Path]) -> None:
    report = Report()
    tear_logs(*shop, count=16, seed=7, report=report)
    assert report.problems == []
    assert report.logs_torn == 16
    assert report.torn_pages_lost > 0


def test_deleted_index_of_the_log_is_recreated(shop: tuple[Starter, Path]) -> None:
    report = Report()
    delete_indexes(*shop, report)
    assert report.problems == []
    assert report.kills == 2


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("DELETE FROM pages WHERE seq = 9", "was acknowledged and is lost"),
        ("UPDATE pages SET user_text = (SELECT user_text FROM pages WHERE seq = 1) WHERE seq = 9", "is there 2 times"),
        ("UPDATE pages SET assistant_text = 'no' WHERE seq = 2", "was changed"),
        ("UPDATE pages SET at = at + 1 WHERE seq = 2", "was changed"),
        ("UPDATE pages SET seq = seq + 1 WHERE seq = 9", "a gap in the log"),
        ("UPDATE pages SET seq = 100 WHERE seq = 1", "out of order"),
        ("UPDATE pages SET segment_id = NULL WHERE seq = 2", "neither read nor due"),
        ("UPDATE pages SET reading_id = NULL WHERE seq = 2", "neither read nor due"),
        ("UPDATE pages SET chain_id = NULL, segment_id = NULL, reading_id = NULL WHERE seq = 2", "page of another"),
        ("UPDATE pages SET reading_id = (SELECT reading_id FROM pages WHERE seq = 1)", "a page outside its reading"),
        (
            "UPDATE pages SET reading_id = (SELECT reading_id FROM pages WHERE seq = 1)",
            "a reading without a page and without",
        ),
        ("UPDATE pages SET read_provisionally = 1", "a provisional mark"),
        ("DELETE FROM readings", "a page of a reading that is not there"),
        ("DELETE FROM readings", "a fact of a reading that is not there"),
        ("UPDATE facts SET reading_id = NULL, archived_at = NULL", "a fact without a reading"),
        ("UPDATE facts SET reading_id = (SELECT reading_id FROM pages WHERE seq = 1)", "its reading has not read"),
        ("UPDATE pages SET profiled = 0", "length is not what is unprofiled"),
        ("UPDATE segments SET page_count = page_count + 1", "count is not what it holds"),
        ("DELETE FROM vectors WHERE owner_kind = 'user'", "an embedded page without its vectors"),
        ("UPDATE pages SET embedded_with = NULL", "not marked as embedded"),
        ("DELETE FROM chains", "a page in no chain"),
        ("DELETE FROM segments", "a page in no segment"),
        ("DELETE FROM facts", "a vector of no knowledge"),
        ("DELETE FROM facts", "a page that was read without a fact"),
        (
            "UPDATE profiles SET version = version + 1 WHERE version = (SELECT max(version) FROM profiles)",
            "a gap in the",
        ),
    ],
)
def test_checks_detect_injected_faults(
    tmp_path: Path, whole: tuple[Plan, Promised], damage: str, complaint: str
) -> None:
    plan, promised = whole
    copy = tmp_path / DATABASE
    copy.write_bytes((Path(plan.folder) / DATABASE).read_bytes())
    assert check(replace(plan, folder=str(tmp_path)), promised, drain=True).problems == []
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(damage)
    problems = check(replace(plan, folder=str(tmp_path)), promised, drain=False).problems
    assert any(complaint in each for each in problems), problems
