"""Runs the tests of this folder on every kind of database, unless they are marked for one kind."""

from __future__ import annotations

import pytest

from tests.kinds import parametrize_kinds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize_kinds(metafunc)
