"""Runs the tests of this directory on each kind of database, unless a test is marked with the kinds that it needs."""

from __future__ import annotations

import pytest

from tests.kinds import parametrize_kinds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize_kinds(metafunc)
