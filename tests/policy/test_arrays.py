"""Growing arrays and the helpers for groups and ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.retrieval.arrays import GrowingArray, concatenated_ranges, run_starts

numbers = st.integers(0, 100)
changes = st.lists(
    st.tuples(st.just("extend"), st.lists(numbers, max_size=100)) | st.tuples(st.just("replace"), st.sets(numbers)),
    max_size=12,
)


@given(changes)
def test_snapshots_keep_their_values_whatever_changes_later(changes: list[tuple[str, list[int] | set[int]]]) -> None:
    growing: GrowingArray[np.int32] = GrowingArray(np.int32)
    expected: list[int] = []
    snapshots = [(growing.snapshot(), list(expected))]
    for change, values in changes:
        if change == "extend":
            growing.extend([*values])
            expected += values
        else:
            indices = np.array([each for each in values if each < len(expected)], np.int64)
            growing.replace(indices, np.full(len(indices), 7, np.int32))
            expected = [7 if index in values else value for index, value in enumerate(expected)]
        snapshots.append((growing.snapshot(), list(expected)))
        assert growing.view.tolist() == expected
    for snapshot, values_then in snapshots:
        assert snapshot.tolist() == values_then


def test_replacing_rows_leaves_the_arrays_of_the_caller_unchanged() -> None:
    given_rows = np.zeros((3, 2), np.float32)
    growing: GrowingArray[np.float32] = GrowingArray(np.float32, 2)
    growing.extend(given_rows)
    growing.replace(np.array([1]), np.ones((1, 2), np.float32))
    assert growing.view.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert not given_rows.any()


@pytest.mark.parametrize(
    ("values", "starts"), [([5, 5, 7, 9, 9], [0, 2, 3]), ([], []), ([0], [0]), ([0, 0, 1, 0], [0, 2, 3])]
)
def test_run_starts(values: list[int], starts: list[int]) -> None:
    assert run_starts(np.array(values, np.int32)).tolist() == starts


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=10))
def test_concatenated_ranges(ranges: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array(each, np.int64) for each in zip(*ranges, strict=True)) if ranges else (NONE, NONE)
    expected = [index for start, length in ranges for index in range(start, start + length)]
    assert concatenated_ranges(starts, lengths).tolist() == expected
    assert concatenated_ranges(np.array([4, 0]), np.array([2, 3])).tolist() == [4, 5, 0, 1, 2]


NONE = np.zeros(0, np.int64)
