"""The analyst of scopes with records: puts all records into one topic and extracts no facts.

Records are values that a program stores under keys (see ``integrations/records.py``). They are never sent to an LLM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.errors import AnalystUnavailableError
from memoryos.model import Origin
from memoryos.seams import Profiling, Reading, Topic

if TYPE_CHECKING:
    from memoryos.seams import AnswerRequest, Batch, Material, Meter, Reply

__all__ = ["NullAnalyst"]


class NullAnalyst:
    """An ``Analyst`` for scopes in which a program stores records. It calls no model."""

    @property
    def origin(self) -> Origin:
        """Returns ("filing", "1"), the name and version under which existing databases store this analyst."""
        return Origin("filing", "1")

    @property
    def reads_immediately(self) -> bool:
        """Returns True, because reading calls no model."""
        return True

    def read(self, batch: Batch, meter: Meter) -> Reading:  # noqa: ARG002  (no model call, so no usage)
        """Assigns all pages of a batch to one chain and one topic, and extracts no facts."""
        continues = (bool(batch.before), *(True for _ in batch.pages[1:]))
        topic = Topic("Records", frozenset({"records"}), tuple(page.page_id for page in batch.pages))
        return Reading(continues, ("Records",), (topic,))

    def profile(self, material: Material, meter: Meter) -> Profiling:  # noqa: ARG002  (as above)
        """Returns no traits."""
        return Profiling()

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:  # noqa: ARG002  (as above)
        """Raises ``AnalystUnavailableError``, because questions about records can't be answered."""
        raise AnalystUnavailableError(
            "this memory contains records (values that a program stored under keys), and it can't answer questions "
            "about records; search the records instead"
        )
