"""An analyst that replays recorded facts instead of extracting them, which shows the effect of perfect reading.

Pages get new ids in every store. So recorded facts refer to utterances by the ids that the benchmarks store in the
metadata of a page: ``user_id`` and ``assistant_id``, and ``conversation`` if ids are unique in a conversation only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from memoryos.analysts.grouping import group_pages
from memoryos.analysts.local import LocalAnalyst
from memoryos.model import SIDES, Origin
from memoryos.seams import Fact, Profiling, Reading

if TYPE_CHECKING:
    from memoryos.model import FactKind, FactStatus, Knowledge, Page, Side
    from memoryos.seams import AnswerRequest, Batch, Material, Meter, Reply

__all__ = ["Record", "RecordedAnalyst", "RecordedFact"]


@dataclass(frozen=True, slots=True)
class RecordedFact:
    """A fact of a data set. The fields that are not described here are those of ``memoryos.seams.Fact``.

    Attributes:
        text: The fact.
        source_ids: Ids of the utterances that state it, in the order of the conversation; at least one. The fact
            appears when the last of them is read.
        side: The side that the fact describes, and for whose capacity it counts.
        subject: Name of another person that the fact describes; "" for the speaker of ``side``.
        replaces: Texts of the earlier facts that this fact replaces.
    """

    text: str
    source_ids: tuple[str, ...]
    side: Side = "user"
    subject: str = ""
    kind: FactKind = "fact"
    status: FactStatus | None = None
    slot: str | None = None
    value: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    replaces: tuple[str, ...] = ()


@dataclass
class Record:
    """Recorded facts, found by the utterance at which they appear.

    Attributes:
        unusable: Number of facts that can't be replayed, by reason.
    """

    unusable: Counter[str] = field(default_factory=Counter)
    _facts: dict[tuple[str, str], list[RecordedFact]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Returns the number of facts that can be replayed."""
        return sum(map(len, self._facts.values()))

    def add(self, conversation: str, facts: Iterable[RecordedFact]) -> None:
        """Adds facts of a conversation; its name is "" if ids of utterances are unique in the whole data set."""
        for each in facts:
            self._facts.setdefault((conversation, each.source_ids[-1]), []).append(each)

    def facts_at(self, page: Page) -> list[RecordedFact]:
        """Returns the facts that appear when a page is read, those of the user's utterance first."""
        conversation = _conversation(page)
        return [fact for each in _utterance_ids(page) for fact in self._facts.get((conversation, each), ())]


class RecordedAnalyst:
    """An ``Analyst`` that takes the facts from a record, and everything else from the local analyst.

    Args:
        record: The facts.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._local = LocalAnalyst()
        self._replayed: set[tuple[str, RecordedFact]] = set()
        self._not_shown: set[tuple[str, RecordedFact]] = set()

    @property
    def origin(self) -> Origin:
        """Returns the name and version under which a store keeps the origin of the facts."""
        return Origin("recorded", "1")

    @property
    def reads_immediately(self) -> bool:
        """Returns True, because reading calls no model."""
        return True

    def read(self, batch: Batch, meter: Meter) -> Reading:  # noqa: ARG002  (costs nothing)
        """Returns the chains and topics of the local analyst, and the recorded facts of the pages.

        A fact is stated at those of its source pages that are in the batch. An earlier fact that it replaces is ignored
        if neither this reading nor the batch contains it.
        """
        found: list[RecordedFact] = []
        facts: list[Fact] = []
        known = _ids_by_text((*batch.slots, *batch.related))
        for page in batch.pages:
            for each in self._record.facts_at(page):
                key = (_conversation(page), each)
                older = _replaced_ids(each, known, found)
                self._replayed.add(key)
                if len(older) < len(each.replaces):
                    self._not_shown.add(key)
                facts.append(_fact(each, page, batch, older))
                found.append(each)
        return replace(group_pages(batch), facts=tuple(facts))

    def profile(self, material: Material, meter: Meter) -> Profiling:
        """Returns the traits that the local analyst infers."""
        return self._local.profile(material, meter)

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Returns the answer of the local analyst."""
        return self._local.answer(request, meter)

    def summary(self) -> dict[str, Any]:
        """Returns the numbers of facts for a report.

        ``facts`` can be replayed, and ``replayed`` of them were. ``replaced_not_shown`` of the replayed facts replace
        an earlier fact that was in no batch. ``unusable`` contains the reasons why other facts can't be replayed.
        """
        return {
            "readings": self.origin.analyst,
            "facts": len(self._record),
            "replayed": len(self._replayed),
            "replaced_not_shown": len(self._not_shown),
            "unusable": dict(self._record.unusable),
        }


def _fact(recorded: RecordedFact, page: Page, batch: Batch, replaces: tuple[str, ...]) -> Fact:
    """Converts a fact that appears at a page of a batch."""
    sources = [
        each.page_id
        for each in batch.pages
        if _conversation(each) == _conversation(page) and not {*_utterance_ids(each)}.isdisjoint(recorded.source_ids)
    ]
    return Fact(
        about=recorded.side,
        text=recorded.text,
        source_page_ids=tuple(sources),
        valid_from=recorded.valid_from,
        replaces=replaces,
        subject=recorded.subject or batch.subject(page, recorded.side),
        slot=recorded.slot,
        value=recorded.value,
        kind=recorded.kind,
        status=recorded.status,
        valid_until=recorded.valid_until,
    )


def _replaced_ids(recorded: RecordedFact, known: dict[str, str], found: Sequence[RecordedFact]) -> tuple[str, ...]:
    """Returns the ids of the replaced facts: "#" with the number of a fact of this reading, or the id of a shown one."""
    numbers = {each.text: f"#{number}" for number, each in enumerate(found)}
    ids = known | numbers
    return tuple(ids[text] for text in recorded.replaces if text in ids)


def _ids_by_text(facts: Iterable[Knowledge]) -> dict[str, str]:
    return {each.text: each.knowledge_id for each in facts}


def _conversation(page: Page) -> str:
    return str(page.metadata.get("conversation", ""))


def _utterance_ids(page: Page) -> list[str]:
    found = (page.metadata.get(f"{side}_id") for side in SIDES)
    return [str(each) for each in found if each]
