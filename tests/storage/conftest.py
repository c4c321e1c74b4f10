"""The tests of this folder run on every kind of database, unless they are marked to need one."""

from __future__ import annotations

import pytest

from tests.kinds import parametrize_kinds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize_kinds(metafunc)
