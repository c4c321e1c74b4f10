"""The scripted analyst of the crash tests."""

from __future__ import annotations

import random

from memoryos.errors import AnalystUnavailableError, InvalidReplyError
from memoryos.model import Page, Trait
from memoryos.seams import AnswerRequest, Batch, Fact, Material, Meter, Profiling, Reading, Reply, Topic, Usage
from memoryos.testing import ScriptedAnalyst

__all__ = ["SUBJECTS", "FactPerPageAnalyst", "page_number"]

SUBJECTS = ("sailing", "baking", "violin", "gardening", "chess")


def page_number(page: Page) -> int:
    """Returns the number of a page, which its text contains."""
    return int(page.user_text.partition("/")[2].partition("]")[0])


class FactPerPageAnalyst(ScriptedAnalyst):
    """An analyst that states a fact in every page, so that facts are often replaced, retracted and archived.

    A fact names all pages that the analyst was shown. So forgetting is complete only if no fact of a reading that saw a
    forgotten page is left.
    """

    def __init__(self, failing: float) -> None:
        super().__init__()
        self._failing = failing

    def read(self, batch: Batch, meter: Meter) -> Reading:
        """Divides the pages into two topics, and returns one fact for every page and one with a slot."""
        self._work(meter)
        numbers = [page_number(page) for page in batch.pages]
        continues = [number % 3 != 0 for number in numbers]
        continues[0] = continues[0] and bool(batch.before)
        chains = tuple(f"chain at {numbers[0]}, {place}" for place in range(1 + continues[1:].count(False)))
        names = [SUBJECTS[number % len(SUBJECTS)] for number in numbers]
        groups: dict[str, list[str]] = {names[0]: []}
        other = next((name for name in names if name != names[0]), "")
        for page, name in zip(batch.pages, names, strict=True):
            groups.setdefault(names[0] if name == names[0] else other, []).append(page.page_id)
        topics = tuple(Topic(f"about {name}", frozenset({name}), tuple(ids)) for name, ids in groups.items())
        return Reading(tuple(continues), chains, topics, _stated(batch))

    def profile(self, material: Material, meter: Meter) -> Profiling:
        """Returns one trait, with the newest page as evidence."""
        self._work(meter)
        newest = material.pages[-1]
        return Profiling((Trait("made up", "steadiness", "high", "The user goes on.", (newest.page_id,)),))

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Returns a fixed answer."""
        self._work(meter)
        return super().answer(request, meter)

    def _work(self, meter: Meter) -> None:
        has_failed = random.random() < self._failing
        meter(Usage("noting", 10, 5, 0.001, failed=has_failed))
        if has_failed:
            raise random.choice((AnalystUnavailableError, InvalidReplyError))("failure of the test")


def _stated(batch: Batch) -> tuple[Fact, ...]:
    """Returns a fact of each page, and one with a slot: the newest page states a job, or that there is none."""
    shown = " ".join(page.user_text.partition(" ")[0] for page in (*batch.before, *batch.pages))
    known = [each.knowledge_id for each in batch.related]
    facts = []
    for page in batch.pages:
        older = (known.pop(),) if known and page_number(page) % 2 else ()
        text = f"The user said {page.user_text[:30]!r}; shown were {shown}."
        facts.append(Fact("user", text, (page.page_id,), replaces=older))
    newest = batch.pages[-1]
    has_ended = page_number(newest) % 4 == 0
    job = Fact(
        "user",
        f"The user {'has no job' if has_ended else 'works'} in {page_number(newest)}; shown were {shown}.",
        (newest.page_id,),
        replaces=tuple(known[:1]) if has_ended else (),
        slot="job",
        value=None if has_ended else f"number {page_number(newest)}",
        valid_until=newest.at if has_ended else None,
    )
    return (*facts, job)
