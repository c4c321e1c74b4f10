"""Pauses of the server process: thread turns are short, and objects of the start are not visited by collections."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from memoryos.doors.http.pauses import SWITCH_INTERVAL_SECONDS, exclude_from_collection, shorten_thread_turns


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


def test_thread_turns_are_shorter_than_the_default() -> None:
    shorten_thread_turns()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_SECONDS)


def test_existing_objects_are_not_visited_again() -> None:
    existing: list[object] = [[]]
    assert gc.is_tracked(existing)
    exclude_from_collection()
    assert not any(each is existing for each in gc.get_objects())
    assert gc.get_freeze_count() > 0
