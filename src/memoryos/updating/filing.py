"""Filing: what becomes of records, which programs keep under keys and which nobody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.errors import AnalystUnavailableError
from memoryos.model import Origin
from memoryos.seams import Digest, Lesson, Topic

if TYPE_CHECKING:
    from memoryos.seams import AnswerRequest, Batch, Material, Meter, Reply

__all__ = ["FilingAnalyst"]


class FilingAnalyst:
    """An ``Analyst`` that files pages under one topic and reads nothing in them: no LLM ever sees a record."""

    @property
    def origin(self) -> Origin:
        """Returns ("filing", "1")."""
        return Origin("filing", "1")

    def digest(self, batch: Batch, meter: Meter) -> Digest:  # noqa: ARG002  (costs nothing)
        """Returns one chain and one topic, whatever the pages say."""
        continues = (batch.previous is not None, *(True for _ in batch.pages[1:]))
        topic = Topic("Records", frozenset({"records"}), tuple(page.page_id for page in batch.pages))
        return Digest(continues, ("Records",), (topic,))

    def learn(self, material: Material, meter: Meter) -> Lesson:  # noqa: ARG002  (costs nothing)
        """Learns nothing."""
        return Lesson()

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:  # noqa: ARG002  (as above)
        """Raises ``AnalystUnavailableError``: nobody talks with records."""
        raise AnalystUnavailableError("records are looked up, they do not answer")
