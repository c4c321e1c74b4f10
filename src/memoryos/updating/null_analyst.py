"""The analyst of record scopes: it groups records under one topic and extracts nothing.

Records are values that a program stores under keys (see ``integrations/records.py``). No LLM may read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.errors import AnalystUnavailableError
from memoryos.model import Origin
from memoryos.seams import Digest, Lesson, Topic

if TYPE_CHECKING:
    from memoryos.seams import AnswerRequest, Batch, Material, Meter, Reply

__all__ = ["NullAnalyst"]


class NullAnalyst:
    """An ``Analyst`` that reads nothing: no text of a record reaches a model."""

    @property
    def origin(self) -> Origin:
        """Returns ("filing", "1"), as stored in existing databases."""
        return Origin("filing", "1")

    def digest(self, batch: Batch, meter: Meter) -> Digest:  # noqa: ARG002  (costs nothing)
        """Returns one chain and one topic for all pages."""
        continues = (batch.previous is not None, *(True for _ in batch.pages[1:]))
        topic = Topic("Records", frozenset({"records"}), tuple(page.page_id for page in batch.pages))
        return Digest(continues, ("Records",), (topic,))

    def learn(self, material: Material, meter: Meter) -> Lesson:  # noqa: ARG002  (costs nothing)
        """Returns an empty lesson."""
        return Lesson()

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:  # noqa: ARG002  (as above)
        """Raises ``AnalystUnavailableError``: record scopes can't answer questions."""
        raise AnalystUnavailableError("this scope holds records, which can't answer questions; search them instead")
