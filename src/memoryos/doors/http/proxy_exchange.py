"""One chat that passes the proxy: what is put into it before, and what is remembered of it afterwards."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from anyio.to_thread import run_sync

from memoryos.doors.http.audit import audit
from memoryos.doors.http.observing import span
from memoryos.doors.http.proxy_memory import fit, memory_prompt, question, sources_of
from memoryos.errors import InputError, NotFoundError
from memoryos.identifiers import new_id
from memoryos.model import ANSWERED_FROM
from memoryos.models.openai import mended

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fastapi import Request

    from memoryos.doors.http.callers import Caller
    from memoryos.doors.http.proxy_body import Chat
    from memoryos.doors.http.proxy_wishes import Wishes
    from memoryos.doors.http.serving import Serving
    from memoryos.memory import Memory
    from memoryos.retrieval.recall import Recall

__all__ = ["Exchange", "Repeats"]

_log = logging.getLogger(__name__)

RECALL_SECONDS = 10.0
"""So long a chat waits for its memory; then it goes on without."""
REMEMBER_SECONDS = 60.0
"""So long the end of a reply waits until the exchange is on disk; then it is passed on, and the write goes on."""
FAILED, OFF = "failed", "off"

Done = TypeVar("Done")


class Repeats:
    """Knows for some minutes which question was asked, so that one that is sent again is remembered once.

    The keys are random: unlike hashes of the messages, which would stay in the store, they tell nobody what was said.
    """

    SECONDS = 600.0
    MOST = 10_000

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str, str], tuple[float, str]] = OrderedDict()

    def key(self, wishes: Wishes, chat: Chat) -> str:
        """Returns the key under which this exchange is remembered: the caller's own, or that of the same question."""
        if wishes.idempotency_key is not None:
            return wishes.idempotency_key
        asked = (wishes.user_id, wishes.assistant_id, chat.digest())
        now = time.monotonic()
        while self._keys and (len(self._keys) >= self.MOST or next(iter(self._keys.values()))[0] < now - self.SECONDS):
            self._keys.popitem(last=False)
        return self._keys.setdefault(asked, (now, new_id()))[1]


@dataclass(slots=True)
class Exchange:
    """What becomes of one chat.

    Attributes:
        request: The request.
        caller: Who sent it.
        serving: The server.
        chat: Its body.
        wishes: Whose memory it is about.
        key: The key under which it is remembered.
        recalled: What a client is told of the recall: how many pages, "failed" or "off".
    """

    request: Request
    caller: Caller
    serving: Serving
    chat: Chat
    wishes: Wishes
    key: str
    recalled: str = OFF
    _shown: Recall | None = field(default=None, init=False)
    _asked_at: datetime | None = field(default=None, init=False)

    async def body(self) -> bytes:
        """Returns what goes to the endpoint: the chat with memory in it, or as it is if there is none or it failed."""
        if self.wishes.recalls and self.chat.asked is not None:
            body = await _attempt("recall", self._recall, RECALL_SECONDS)
            self.recalled = FAILED if body is None else str(0 if self._shown is None else len(self._shown.pages))
            if body is not None:
                return body
        return self.chat.raw.encode()

    async def remember(self, answer: str) -> None:
        """Remembers the exchange, once however often it is sent. A failure is logged: the chat itself has succeeded."""
        if self.wishes.remembers and self.chat.asked is not None:
            await _attempt("remembering", lambda: self._remember(answer), REMEMBER_SECONDS)

    def _recall(self) -> bytes:
        memory = self._memory()
        self._asked_at = self.serving.engine().clock()
        query = question(mended(self.chat.asked or ""))
        if query.strip():
            max_tokens = self.serving.settings.proxy_memory_tokens
            with span("memoryos.recall"):
                found = memory.recall(query, max_tokens=max_tokens)
            shown = fit(found, self.chat.said(), max_tokens)
            audit(self.request, self.caller, "read", memory, count=len(shown.pages) if shown else 0)
            if shown is not None:
                body = self.chat.with_memory(memory_prompt(shown, max_tokens))
                self._shown = shown
                return body
        return self.chat.raw.encode()

    def _remember(self, answer: str) -> None:
        sources = []
        if self._shown is not None:
            sources = sources_of(answer, self._shown, "\n".join(text for _, text in self.chat.said()))
        memory = self._memory()
        try:
            memory.add_memory(
                mended(self.chat.asked or ""),
                answer,
                self._asked_at,
                {ANSWERED_FROM: sources} if sources else None,
                idempotency_key=self.key,
            )
        except InputError as error:
            if error.field != "idempotency_key":
                raise
            _log.debug("a question was asked again and answered otherwise; the first answer stays")
        except NotFoundError:
            _log.debug("a question was asked again whose answer was forgotten; it stays forgotten")
        else:
            audit(self.request, self.caller, "write", memory, count=1)

    def _memory(self) -> Memory:
        return self.serving.engine().memory(self.wishes.user_id, self.wishes.assistant_id)


async def _attempt(what: str, call: Callable[[], Done], seconds: float) -> Done | None:
    """Returns what a call in a thread of its own returns; None if it failed or takes too long, which is logged.

    What fails is named by its kind alone: a message may quote what was said.
    """
    task = asyncio.ensure_future(run_sync(call))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        _log.error("%s for the proxy takes longer than %g s", what, seconds)
        return None
    error = task.exception()
    if error is not None:
        _log.error("%s for the proxy failed: %s", what, type(error).__name__)
        return None
    return task.result()
