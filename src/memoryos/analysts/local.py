"""The local analyst: reads and answers by rules, without a model, a key or a network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memoryos.analysts.fact_extraction import extract_facts
from memoryos.analysts.grouping import group_pages
from memoryos.analysts.quoting import quote_answer
from memoryos.analysts.traits import read_traits
from memoryos.model import Origin
from memoryos.seams import Profiling

if TYPE_CHECKING:
    from memoryos.seams import AnswerRequest, Batch, Material, Meter, Reading, Reply

__all__ = ["LocalAnalyst"]

_ORIGIN = Origin("local", "3")
"""The version is raised when the rules change. Facts of an older version stay as they are until a rebuild."""


class LocalAnalyst:
    """An ``Analyst`` that is deterministic and never leaves the machine.

    It takes only what is said in so many words: precision before completeness. It reads English, Dutch, Japanese,
    Portuguese, Vietnamese and Chinese.
    """

    @property
    def origin(self) -> Origin:
        """Returns ("local", version of its rules)."""
        return _ORIGIN

    @property
    def reads_immediately(self) -> bool:
        """Returns True, because reading calls no model."""
        return True

    def read(self, batch: Batch, meter: Meter) -> Reading:  # noqa: ARG002  (costs nothing)
        """Groups pages by meaning, words and pauses, and extracts first-person statements, advice and promises.

        Summaries are sentences of the pages.
        """
        return replace(group_pages(batch), facts=extract_facts(batch))

    def profile(self, material: Material, meter: Meter) -> Profiling:  # noqa: ARG002  (costs nothing)
        """Infers traits from what people say about themselves."""
        return Profiling(read_traits(material))

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:  # noqa: ARG002  (costs nothing)
        """Quotes the best-matching memory with its date, and says that it is quoting."""
        return quote_answer(request.query, request.recall)
