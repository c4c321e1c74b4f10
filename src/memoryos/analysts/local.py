"""The local analyst: reads and answers by rules, without a model, a key or a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.analysts.digesting import digest_batch
from memoryos.analysts.learning import learn_from
from memoryos.analysts.quoting import quote_answer
from memoryos.model import Origin

if TYPE_CHECKING:
    from memoryos.seams import AnswerRequest, Batch, Digest, Lesson, Material, Meter, Reply

__all__ = ["LocalAnalyst"]

_ORIGIN = Origin("local", "2")
"""Raised with the rules. What an older version wrote stays as it is, and says so, until it is rebuilt."""


class LocalAnalyst:
    """An ``Analyst`` that is deterministic and never leaves the machine.

    It takes only what is said in so many words: precision before completeness. It reads English, Dutch, Japanese,
    Portuguese, Vietnamese and Chinese.
    """

    @property
    def origin(self) -> Origin:
        """Returns ("local", version of its rules)."""
        return _ORIGIN

    def digest(self, batch: Batch, meter: Meter) -> Digest:  # noqa: ARG002  (costs nothing)
        """Reads continuity from meaning, words and pauses; summaries are sentences of the pages."""
        return digest_batch(batch)

    def learn(self, material: Material, meter: Meter) -> Lesson:  # noqa: ARG002  (costs nothing)
        """Reads first-person statements and what the assistant recommended or promised."""
        return learn_from(material)

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:  # noqa: ARG002  (costs nothing)
        """Quotes the best-matching memory with its date, and says that it is quoting."""
        return quote_answer(request.query, request.recall)
