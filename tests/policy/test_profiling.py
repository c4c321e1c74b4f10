"""Traits of a profiling: their checks, and merging them into the profile."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from memoryos.errors import InvalidReplyError
from memoryos.model import Origin, Page, Profile, Trait
from memoryos.seams import Material, Profiling
from memoryos.updating.profiling import check_profiling, merge_traits, without_pages

AT = datetime(2026, 5, 1, tzinfo=timezone.utc)
ORIGIN = Origin("scripted", "1")
PAGE = Page("p1", 1, AT, "I run every day", "")
MUSIC = Trait("interests", "music", "high", "r", ("p0",))
SPORT = Trait("interests", "sport", "high", "r", ("p1",))
KNOWN = Profile(3, (), (MUSIC,), AT, ORIGIN)


def test_a_profile_is_merged_not_replaced() -> None:
    merged = merge_traits(KNOWN, KNOWN, Profiling((SPORT,)), AT, ORIGIN)
    assert merged is not None
    assert (merged.version, merged.traits, merged.attributes) == (4, (MUSIC, SPORT), ())


def test_trait_replaces_the_one_of_the_same_subject_and_dimension() -> None:
    weaker = Trait("interests", "music", "low", "r", ("p1",))
    of_ann = Trait("interests", "music", "low", "r", ("p1",), subject="Ann")
    merged = merge_traits(KNOWN, KNOWN, Profiling((weaker, of_ann)), AT, ORIGIN)
    assert merged is not None
    assert set(merged.traits) == {weaker, of_ann}


def test_profiling_without_changed_traits_makes_no_new_version() -> None:
    assert merge_traits(Profile(), Profile(), Profiling(), AT, ORIGIN) is None
    assert merge_traits(KNOWN, KNOWN, Profiling((MUSIC,)), AT, ORIGIN) is None


def test_traits_with_only_removed_evidence_are_removed() -> None:
    both = Trait("interests", "art", "high", "r", ("p0", "p1"))
    stored = Profile(3, (), (both, MUSIC, SPORT), AT, ORIGIN)
    kept = without_pages(stored, {"p1"})
    assert kept.traits == (both, MUSIC)
    merged = merge_traits(stored, kept, Profiling(), AT, ORIGIN)
    assert merged is not None
    assert (merged.version, set(merged.traits)) == (4, {both, MUSIC})


@pytest.mark.parametrize("evidence", [(), ("invented",), ("p1", "invented")])
def test_trait_with_missing_or_unknown_evidence_raises(evidence: tuple[str, ...]) -> None:
    trait = Trait("interests", "art", "high", "r", evidence)
    with pytest.raises(InvalidReplyError):
        check_profiling(Material((PAGE,), (), KNOWN), Profiling((SPORT, trait)))


def test_trait_may_cite_the_evidence_of_known_traits() -> None:
    trait = Trait("interests", "music", "low", "r", ("p0", "p1"))
    assert check_profiling(Material((PAGE,), (), KNOWN), Profiling((trait,))) is None  # type: ignore[func-returns-value]
