"""Checks of the contracts of ``Reading`` and ``Profiling``, for the tests of all analysts."""

from __future__ import annotations

import re

from memoryos.seams import Batch, Material, Profiling, Reading
from memoryos.slots import SLOTS

__all__ = ["check_profiling", "check_reading"]


def check_reading(batch: Batch, reading: Reading) -> None:
    """Asserts that a reading keeps the contract of ``seams.Reading`` and ``seams.Fact``."""
    page_ids = [page.page_id for page in batch.pages]
    known_ids = {fact.knowledge_id for fact in (*batch.slots, *batch.related)}
    assert len(reading.continues) == len(page_ids)
    assert not (reading.continues[0] and not batch.before)
    starts = sum(not each for each in reading.continues[1:]) + 1
    assert len(reading.chain_summaries) == starts
    assert reading.topics
    assert sorted(page_id for topic in reading.topics for page_id in topic.page_ids) == sorted(page_ids)
    assert all(topic.page_ids for topic in reading.topics)
    for index, fact in enumerate(reading.facts):
        assert fact.text.strip()
        assert fact.subject
        assert fact.source_page_ids
        assert {*fact.source_page_ids} <= {*page_ids}
        assert fact.slot is None or fact.slot in SLOTS
        assert fact.slot is not None or fact.value is None
        assert fact.value is not None or fact.slot is None or fact.valid_until is not None
        assert fact.status is None or fact.kind in {"plan", "decision", "promise"}
        for other in fact.replaces:
            match = re.fullmatch(r"#(\d+)", other)
            assert other in known_ids or (match is not None and int(match[1]) < index)


def check_profiling(material: Material, profiling: Profiling) -> None:
    """Asserts that a profiling keeps the contract of ``seams.Profiling``."""
    known_ids = {page_id for trait in material.profile.traits for page_id in trait.evidence_page_ids}
    known_ids |= {page.page_id for page in material.pages}
    keys = [(trait.subject, trait.category, trait.dimension) for trait in profiling.traits]
    assert len(keys) == len({*keys})
    for trait in profiling.traits:
        assert trait.reason.strip()
        assert trait.evidence_page_ids
        assert {*trait.evidence_page_ids} <= known_ids
