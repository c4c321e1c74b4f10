"""Parametrization of tests by kind of database (SQLite, PostgreSQL)."""

from __future__ import annotations

import pytest

__all__ = ["KINDS", "parametrize_kinds"]

KINDS = ("sqlite", "postgresql")


def parametrize_kinds(metafunc: pytest.Metafunc) -> None:
    """Runs a test with the fixture ``database_kind`` once for each kind, or for the kinds of its ``kinds`` mark."""
    if "database_kind" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("kinds")
    metafunc.parametrize("database_kind", KINDS if mark is None else mark.args)
