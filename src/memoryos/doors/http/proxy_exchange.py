"""Processes one chat in the proxy: recalls memory for the request, and stores the exchange after the reply."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from anyio.to_thread import run_sync

from memoryos.doors.http.observability import span
from memoryos.doors.http.proxy_memory import fit, memory_prompt, recall_query, sources_of
from memoryos.errors import InputError, NotFoundError
from memoryos.identifiers import new_id
from memoryos.model import ANSWERED_FROM
from memoryos.models.openai import mended

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.doors.http.audit import AuditLog
    from memoryos.doors.http.proxy_body import Chat
    from memoryos.doors.http.proxy_options import ProxyOptions
    from memoryos.doors.http.server_state import ServerState
    from memoryos.memory import Memory
    from memoryos.retrieval.recall import Recall

__all__ = ["Exchange", "Repeats"]

_log = logging.getLogger(__name__)

RECALL_SECONDS = 10.0
"""Timeout of the recall. After it, the chat continues without memory."""
REMEMBER_SECONDS = 60.0
"""Timeout for storing an exchange. After it, the client gets the end of the reply while storing continues."""
FAILED, OFF = "failed", "off"

Result = TypeVar("Result")


class Repeats:
    """Recognises questions that are repeated within some minutes, and returns the same idempotency key for them.

    With the same key, the store contains a repeated exchange only once. The keys are random. Hashes of the messages
    could be keys, too, but the store keeps the keys, and hashes would reveal the content of the messages.
    """

    SECONDS = 600.0
    MAX_KEYS = 10_000

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str, str], tuple[float, str]] = OrderedDict()

    def key(self, options: ProxyOptions, chat: Chat) -> str:
        """Returns the idempotency key of an exchange.

        If the request contains a key, this key is used. A question that is repeated within some minutes gets the same
        key again. Any other question gets a new key.
        """
        if options.idempotency_key is not None:
            return options.idempotency_key
        question = (options.user_id, options.assistant_id, chat.digest())
        now = time.monotonic()
        self._evict(now)
        return self._keys.setdefault(question, (now, new_id()))[1]

    def _evict(self, now: float) -> None:
        """Removes expired keys, and the oldest key if the cache is full."""
        while self._keys:
            oldest_at, _ = next(iter(self._keys.values()))
            if len(self._keys) < self.MAX_KEYS and oldest_at >= now - self.SECONDS:
                return
            self._keys.popitem(last=False)


@dataclass(slots=True)
class Exchange:
    """Recalls memory for one chat in the proxy, and stores the exchange.

    Attributes:
        audit: Writes the audit log lines of the request.
        server: The state of the server.
        chat: The request body.
        options: The options of the chat.
        key: The idempotency key under which the exchange is stored.
        recall_status: Value of a response header: the number of recalled pages, "failed" or "off".
    """

    audit: AuditLog
    server: ServerState
    chat: Chat
    options: ProxyOptions
    key: str
    recall_status: str = OFF
    _recalled: Recall | None = field(default=None, init=False)
    _received_at: datetime | None = field(default=None, init=False)

    async def body(self) -> bytes:
        """Returns the request body for the LLM endpoint, with recalled memory.

        If no memory was found or the recall failed, the body is unchanged.
        """
        if self.options.recalls and self.chat.question is not None:
            body = await _attempt("recalling memory", self._recall, RECALL_SECONDS)
            self.recall_status = (
                FAILED if body is None else str(0 if self._recalled is None else len(self._recalled.pages))
            )
            if body is not None:
                return body
        return self.chat.raw.encode()

    async def remember(self, answer: str) -> None:
        """Stores the question and its answer, unless the same exchange is already stored.

        Errors are only logged, because the client has a correct reply in any case.
        """
        if self.options.remembers and self.chat.question is not None:
            await _attempt("storing the exchange", lambda: self._remember(answer), REMEMBER_SECONDS)

    def _recall(self) -> bytes:
        memory = self._memory()
        self._received_at = self.server.engine().modules.local_now()
        query = recall_query(mended(self.chat.question or ""))
        if query.strip():
            max_tokens = self.server.settings.proxy_memory_tokens
            with span("memoryos.recall"):
                found = memory.recall(query, max_tokens=max_tokens)
            recalled = fit(found, self.chat.texts(), max_tokens)
            self.audit.record("read", memory, count=len(recalled.pages) if recalled else 0)
            if recalled is not None:
                body = self.chat.with_memory(memory_prompt(recalled))
                self._recalled = recalled
                return body
        return self.chat.raw.encode()

    def _remember(self, answer: str) -> None:
        sources = []
        if self._recalled is not None:
            sources = sources_of(answer, self._recalled, "\n".join(text for _, text in self.chat.texts()))
        memory = self._memory()
        try:
            memory.add_memory(
                mended(self.chat.question or ""),
                answer,
                self._received_at,
                {ANSWERED_FROM: sources} if sources else None,
                idempotency_key=self.key,
            )
        except InputError as error:
            if error.field != "idempotency_key":
                raise
            _log.debug("proxy: the question was repeated and already has a stored answer; the new answer is not stored")
        except NotFoundError:
            _log.debug(
                "proxy: the question was repeated, and its earlier answer was forgotten; the new answer is not stored"
            )
        else:
            self.audit.record("write", memory, count=1)

    def _memory(self) -> Memory:
        return self.server.engine().memory(self.options.user_id, self.options.assistant_id)


async def _attempt(operation: str, call: Callable[[], Result], seconds: float) -> Result | None:
    """Runs a function in a thread and returns its result. An error or timeout is logged, and the result is None.

    The log contains only the type of an error, because an error message can contain text of users.
    """
    task = asyncio.ensure_future(run_sync(call))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        _log.error("proxy: %s timed out after %g s", operation, seconds)
        return None
    error = task.exception()
    if error is not None:
        _log.error("proxy: %s failed: %s", operation, type(error).__name__)
        return None
    return task.result()
