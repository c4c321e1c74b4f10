"""The stand-in: while the analyst fails, another one works, and says so on everything that it writes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from memoryos.errors import AnalystError, BudgetExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memoryos.model import Origin
    from memoryos.seams import Analyst, AnswerRequest, Batch, Digest, Lesson, Material, Meter, Reply

__all__ = ["StandIn"]

_log = logging.getLogger(__name__)

Done = TypeVar("Done")


class StandIn:
    """An ``Analyst`` that asks one and, while that fails, another, whose work carries its own origin.

    After a failure the first one is left alone for a while that doubles with each failure, so that an endpoint that is
    away costs one timeout and not one a page.

    Args:
        analyst: Who is asked; the origin of this analyst is its origin.
        substitute: Who works meanwhile; never fails.
        pause_seconds: How long the first one is left alone after a failure.
        longest_pause_seconds: The most that this grows to.
    """

    def __init__(
        self, analyst: Analyst, substitute: Analyst, *, pause_seconds: float, longest_pause_seconds: float
    ) -> None:
        self.analyst = analyst
        self._substitute = substitute
        self._pause_seconds = pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._lock = threading.Lock()
        self._failures = 0
        self._away_until = 0.0

    @property
    def origin(self) -> Origin:
        """Returns the origin of the analyst itself."""
        return self.analyst.origin

    def digest(self, batch: Batch, meter: Meter) -> Digest:
        """Reads a batch; the digest names its origin if the substitute read it."""
        read = self._try(lambda: self.analyst.digest(batch, meter))
        return read or replace(self._substitute.digest(batch, meter), origin=self._substitute.origin)

    def learn(self, material: Material, meter: Meter) -> Lesson:
        """Reads a hot segment; the lesson names its origin if the substitute read it."""
        read = self._try(lambda: self.analyst.learn(material, meter))
        return read or replace(self._substitute.learn(material, meter), origin=self._substitute.origin)

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Answers; the substitute does if nothing was said yet when the analyst failed.

        Raises:
            AnalystError: While the pieces are read: if it failed in the middle, for what was said can't be taken back.
        """
        begun = self._try(lambda: _begin(self.analyst.answer(request, meter)))
        return begun or replace(self._substitute.answer(request, meter), origin=self._substitute.origin)

    def _try(self, work: Callable[[], Done]) -> Done | None:
        if time.monotonic() < self._away_until:
            return None
        try:
            done = work()
        except BudgetExceededError:
            return None
        except AnalystError as error:
            with self._lock:
                pause = min(self._pause_seconds * 2**self._failures, self._longest_pause_seconds)
                pause = max(pause, getattr(error, "retry_after_seconds", None) or 0.0)
                self._failures = min(self._failures + 1, 30)
                self._away_until = time.monotonic() + pause
            _log.warning("the stand-in works for %.0f s: %s: %s", pause, type(error).__name__, error)
            return None
        with self._lock:
            self._failures, self._away_until = 0, 0.0
        return done


def _begin(reply: Reply) -> Reply:
    """Returns the reply once something is said; blank space says nothing."""
    pieces = reply.pieces
    first = ""
    for piece in pieces:
        first += piece
        if first.strip():
            break

    def whole() -> Iterator[str]:
        yield first
        yield from pieces

    return replace(reply, pieces=whole())
