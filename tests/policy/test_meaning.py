"""Vector search: cosines of whole vectors are exact; those of codes are close enough to select candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from memoryos.retrieval.codes import VectorCodes
from memoryos.retrieval.meaning import MeaningIndex


def unit_rows(count: int, dimensions: int, seed: int = 1) -> NDArray[np.float32]:
    """Returns L2-normalised rows in 32 clusters, like embeddings of texts; dimensions differ in mean and spread."""
    chance = np.random.default_rng(seed)
    topics = np.random.default_rng(99).standard_normal((32, dimensions))
    noise = chance.standard_normal((count, dimensions)) * np.linspace(0.3, 1.5, dimensions)
    rows = topics[chance.integers(0, 32, count)] + noise + np.linspace(-0.5, 1, dimensions)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def index_of(rows: NDArray[np.float32], passages: list[int] | None = None) -> MeaningIndex:
    index = MeaningIndex(rows.shape[1])
    index.add(np.array(range(len(rows)) if passages is None else passages, np.int32), rows)
    return index


def test_cosines_of_whole_vectors_are_exact() -> None:
    rows = unit_rows(50, 24)
    found = index_of(rows).snapshot().cosines(rows[7], 50)
    assert found.values == pytest.approx(rows @ rows[7], abs=1e-6)
    assert found.known.all()


@pytest.mark.parametrize("shrunk", [False, True])
def test_passage_has_the_cosine_of_its_vector_and_is_unknown_without_one(*, shrunk: bool) -> None:
    rows = np.eye(3, 64, dtype=np.float32)
    index = index_of(rows, passages=[0, 2, 3])
    if shrunk:
        index.shrink()
    found = index.snapshot().cosines(rows[1], 6)
    assert int(found.values.argmax()) == 2
    assert found.known.tolist() == [True, False, True, True, False, False]
    assert found.values[[1, 4, 5]].tolist() == [0, 0, 0]
    assert index.last_passage == 3


@pytest.mark.parametrize("dimensions", [8, 64, 100, 384])
@pytest.mark.parametrize("first", [1, 300, 3000])
def test_cosines_of_codes_are_close_to_exact_ones(dimensions: int, first: int) -> None:
    """For any number of vectors in the code book, and for dimensions that do not fill the last word."""
    rows, queries = unit_rows(3000, dimensions), unit_rows(20, dimensions, seed=2)
    codes = VectorCodes(rows[:first])
    codes.extend(rows[first:])
    found_codes = codes.snapshot()
    assert len(found_codes) == 3000
    if first > 1:
        for query in queries:
            wanted, found = rows @ query, found_codes.cosines(query)
            assert np.corrcoef(wanted, found)[0, 1] > 0.93
            assert found.mean() == pytest.approx(wanted.mean(), abs=0.05)
            assert found.std() == pytest.approx(wanted.std(), rel=0.15)


def test_the_20_nearest_vectors_are_among_the_500_nearest_codes() -> None:
    rows, queries = unit_rows(10_000, 384), unit_rows(20, 384, seed=2)
    index = index_of(rows)
    exact = [index.snapshot().cosines(query, len(rows)).values for query in queries]
    index.shrink()
    for query, cosines in zip(queries, exact, strict=True):
        estimated = np.argsort(-index.snapshot().cosines(query, len(rows)).values)[:500]
        assert {*np.argsort(-cosines)[:20].tolist()} <= {*estimated.tolist()}


def test_codes_take_at_most_a_seventh_of_the_memory() -> None:
    index = index_of(unit_rows(30_000, 384))
    whole = index.nbytes
    assert index.is_exact
    index.shrink()
    assert not index.is_exact
    assert index.nbytes < whole / 7


def test_shrinking_an_index_without_vectors_does_nothing() -> None:
    index = MeaningIndex(8)
    index.shrink()
    assert index.is_exact
    assert index.last_passage == -1
    assert not index.snapshot().cosines(np.ones(8, np.float32), 3).known.any()


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 5))
def test_any_vectors_can_be_encoded(count: int, dimensions: int, seed: int) -> None:
    """Estimates are finite, also for one vector, equal vectors and zero vectors."""
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32) * (seed > 0)
    codes = VectorCodes(rows)
    for query in (rows[0], np.zeros(dimensions, np.float32)):
        assert np.isfinite(codes.snapshot().cosines(query)).all()


def test_rows_of_gives_the_documented_example() -> None:
    found = index_of(unit_rows(3, 8), passages=[0, 2, 3]).snapshot()
    assert found.rows_of(np.array([0, 2], np.int32), np.array([1, 4], np.int32)).tolist() == [0, 1, 2]
    assert found.rows_of(np.array([1], np.int32), np.array([2], np.int32)).tolist() == []
