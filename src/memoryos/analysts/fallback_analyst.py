"""Replaces a failing analyst by a fallback; results of the fallback carry its own origin."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from memoryos.errors import AnalystError, AnalystUnavailableError, BudgetExceededError
from memoryos.optional_methods import reads_immediately

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memoryos.model import Origin
    from memoryos.seams import Analyst, AnswerRequest, Batch, Material, Meter, Profiling, Reading, Reply

__all__ = ["FallbackAnalyst"]

_log = logging.getLogger(__name__)

Done = TypeVar("Done")


class FallbackAnalyst:
    """An ``Analyst`` that calls the primary analyst and, while that fails, the fallback.

    After a failure the primary is not called for a back-off time that doubles with each failure. An unreachable
    endpoint then costs one timeout per back-off instead of one per page.

    Args:
        primary: The preferred analyst; this analyst reports its origin.
        fallback: Used during the back-off; must not fail.
        pause_seconds: Back-off after the first failure.
        longest_pause_seconds: Maximum back-off.
    """

    def __init__(
        self, primary: Analyst, fallback: Analyst, *, pause_seconds: float, longest_pause_seconds: float
    ) -> None:
        self._primary = primary
        self._fallback = fallback
        self._pause_seconds = pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0

    @property
    def origin(self) -> Origin:
        """Returns the origin of the primary analyst."""
        return self._primary.origin

    @property
    def reads_immediately(self) -> bool:
        """Returns whether the primary analyst reads pages as soon as possible."""
        return reads_immediately(self._primary)

    def read(self, batch: Batch, meter: Meter) -> Reading:
        """Returns the reading of a batch; its ``origin`` is set if the fallback produced it."""
        reading = self._try(lambda: self._primary.read(batch, meter))
        return reading or replace(self._fallback.read(batch, meter), origin=self._fallback.origin)

    def profile(self, material: Material, meter: Meter) -> Profiling:
        """Returns the traits shown by a hot segment; ``origin`` is set if the fallback produced them."""
        profiling = self._try(lambda: self._primary.profile(material, meter))
        return profiling or replace(self._fallback.profile(material, meter), origin=self._fallback.origin)

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Returns the answer of the primary, or of the fallback if the primary fails before its first words.

        Raises:
            AnalystError: While the pieces are read, if the primary fails later: earlier pieces were already shown.
        """
        begun = self._try(lambda: _begin(self._primary.answer(request, meter)))
        return begun or replace(self._fallback.answer(request, meter), origin=self._fallback.origin)

    def _try(self, work: Callable[[], Done]) -> Done | None:
        if time.monotonic() < self._retry_at:
            return None
        try:
            done = work()
        except BudgetExceededError:
            return None
        except AnalystError as error:
            with self._lock:
                pause = min(self._pause_seconds * 2**self._failures, self._longest_pause_seconds)
                pause = max(pause, _retry_after_seconds(error))
                self._failures = min(self._failures + 1, 30)
                self._retry_at = time.monotonic() + pause
            _log.warning("analyst failed; using the fallback for %.0f s: %s: %s", pause, type(error).__name__, error)
            return None
        with self._lock:
            self._failures, self._retry_at = 0, 0.0
        return done


def _retry_after_seconds(error: AnalystError) -> float:
    return (error.retry_after_seconds or 0.0) if isinstance(error, AnalystUnavailableError) else 0.0


def _begin(reply: Reply) -> Reply:
    """Reads the reply up to its first non-blank text, so that an early failure is raised here; returns all of it."""
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
