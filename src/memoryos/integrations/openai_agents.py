"""``MemoryOSSession``: a session of the OpenAI Agents SDK with long-term memory (``memoryos-engine[openai-agents]``).

The items of a session (messages, tool calls and their results) are stored unchanged. The exchanges between user and
assistant are also added to the user's memory. In later sessions, agents can get these exchanges in their instructions
(see ``MemoryOSSession.instructions``).

This module does not import the SDK, because the SDK's ``Session`` is a protocol.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import uuid
from typing import TYPE_CHECKING, Any, cast

from memoryos.generation.prompt import DATA
from memoryos.inputs import read_scope
from memoryos.integrations.records import PageSearch, RecordCollection
from memoryos.language.fence import fenced
from memoryos.memory import Memory
from memoryos.model import RECORDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from agents import Agent, RunContextWrapper, SessionSettings, TResponseInputItem

    from memoryos.model import Page
    from memoryos.retrieval.recall import Recall

__all__ = ["MemoryOSSession"]

MEMORY_TOKENS = 1_000
SESSION = "session"
"""The key in a page's metadata under which the ids of the page's session and item are stored."""
_KEY, _ITEMS = "key", "items"
_SEARCHED_PAGES = 50


class MemoryOSSession:
    """A ``Session`` of the OpenAI Agents SDK that also adds the conversation to the memory of a user.

    When the assistant answers, a page is added to the memory. It contains the user's messages since the previous
    answer, and the new answer. Tool calls and their results are stored in the session only. If ``pop_item`` removes an
    answer, its page is forgotten. ``clear_session`` forgets the items of the session, but keeps the pages.

    Args:
        session_id: Name of the session. It must be unique for the user and the assistant of the memory.
        memory: The memory of the user.
        session_settings: Settings of the SDK; ``limit`` is the default number of items that ``get_items`` returns.
    """

    def __init__(self, session_id: str, memory: Memory, session_settings: SessionSettings | None = None) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = session_settings
        self.memory = memory
        assistant_id = f"{RECORDS}openai-agents/{memory.scope.assistant_id}/{session_id}"
        records = Memory(read_scope(memory.scope.user_id, assistant_id), memory.modules)
        self._items = RecordCollection(
            records, PageSearch(memory.modules), lambda page: page.metadata.get(_KEY), max_outdated_pages=1
        )
        self._lock = threading.Lock()

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Returns the newest items of the session, oldest first.

        Args:
            limit: Maximum number of items; default: the limit in ``session_settings``, or else all items.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        return await asyncio.to_thread(self._get, limit)

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds items to the session, and adds a page to the memory for each answer of the assistant.

        Either all items are added, or none.

        Raises:
            InputError: If an item is not JSON-compatible. Nothing was added.
            StoreError: If the items could not be written.
        """
        if items:
            await asyncio.to_thread(self._add, items)

    async def pop_item(self) -> TResponseInputItem | None:
        """Removes the newest item and returns it; None if the session is empty.

        If the item is an answer, its page in the memory is forgotten.
        """
        return await asyncio.to_thread(self._pop)

    async def clear_session(self) -> None:
        """Permanently forgets all items of the session. The pages in the user's memory are kept."""
        await asyncio.to_thread(self._clear)

    def instructions(
        self, text: str, *, max_tokens: int = MEMORY_TOKENS
    ) -> Callable[[RunContextWrapper[Any], Agent[Any]], Awaitable[str]]:
        """Returns a function for the argument ``instructions`` of an agent of the SDK.

        The SDK calls the function before each turn. The function returns the fixed text, followed by the memory that is
        relevant to the user's newest message.

        Args:
            text: The fixed text.
            max_tokens: Maximum size of the recalled pages in estimated tokens.
        """

        async def with_memory(context: RunContextWrapper[Any], agent: Agent[Any]) -> str:  # noqa: ARG001  (the SDK passes it)
            return await asyncio.to_thread(self._instruct, text, list(context.turn_input), max_tokens)

        return with_memory

    def close(self) -> None:
        """Does nothing, because the session opens no resources. The caller closes the memory."""

    def _get(self, limit: int | None) -> list[TResponseInputItem]:
        found: list[TResponseInputItem] = []
        for item, _ in self._newest():
            if limit is not None and len(found) >= limit:
                break
            found.append(item)
        return found[::-1]

    def _add(self, items: Sequence[TResponseInputItem]) -> None:
        key = uuid.uuid4().hex
        with self._lock:
            unanswered = self._unanswered()
            self._put(key, list(items))
            for number, item in enumerate(items):
                role, text = _message_of(item)
                if role == "user":
                    unanswered.append(text)
                elif role == "assistant":
                    origin = {"id": self.session_id, "item": f"{key}/{number}"}
                    self.memory.add_memory("\n\n".join(unanswered), text, None, {SESSION: origin})
                    unanswered = []

    def _pop(self) -> TResponseInputItem | None:
        with self._lock:
            page = next(self._items.newest(), None)
            if page is None:
                return None
            key, items = page.metadata[_KEY], list(page.metadata[_ITEMS])
            item = cast("TResponseInputItem", items.pop())
            if items:
                self._put(key, items)
            else:
                self._items.remove([key])
            if _message_of(item)[0] == "assistant":
                self._forget_answer(f"{key}/{len(items)}")
            return item

    def _clear(self) -> None:
        with self._lock:
            self._items.remove([page.metadata[_KEY] for page in self._items.newest()])

    def _put(self, key: str, items: list[TResponseInputItem]) -> None:
        searched = "\n".join(text for _, text in map(_message_of, items) if text)
        self._items.put(searched or "(no words)", {_KEY: key, _ITEMS: items})

    def _newest(self) -> Iterator[tuple[TResponseInputItem, str]]:
        """Yields the items of the session, newest first, each with the key under which it is stored."""
        for page in self._items.newest():
            for item in reversed(page.metadata[_ITEMS]):
                yield item, page.metadata[_KEY]

    def _unanswered(self) -> list[str]:
        """Returns the user's messages since the assistant's last answer, oldest first."""
        found: list[str] = []
        for item, _ in self._newest():
            role, text = _message_of(item)
            if role == "assistant":
                break
            if role == "user":
                found.append(text)
        return found[::-1]

    def _forget_answer(self, item_id: str) -> None:
        pages = self.memory.newest_pages(_SEARCHED_PAGES)
        page_ids = [page.page_id for page in pages if _item_of(page) == {"id": self.session_id, "item": item_id}]
        if page_ids:
            self.memory.forget(page_ids=page_ids)

    def _instruct(self, text: str, turn: Sequence[TResponseInputItem], max_tokens: int) -> str:
        questions = [text for role, text in map(_message_of, turn) if role == "user"] or self._unanswered()
        if not questions:
            return text
        recall = self._without_own_pages(self.memory.recall(questions[-1], max_tokens=max_tokens))
        memory = recall.to_prompt(numbered=True)
        return "\n\n".join([text, DATA.format(tags="<memory>"), fenced("memory", memory)]) if memory else text

    def _without_own_pages(self, recall: Recall) -> Recall:
        """Returns the recall without the pages of this session, because the model already receives them as items."""

        def is_own(page: Page) -> bool:
            return bool(_item_of(page).get("id") == self.session_id)

        return dataclasses.replace(
            recall,
            pages=tuple(each for each in recall.pages if not is_own(each.page)),
            short_term=tuple(page for page in recall.short_term if not is_own(page)),
        )


def _item_of(page: Page) -> dict[str, Any]:
    """Returns the ids of the session and the item of a page; {} if the page belongs to no session."""
    item = page.metadata.get(SESSION)
    return item if isinstance(item, dict) else {}


def _message_of(item: TResponseInputItem) -> tuple[str | None, str]:
    """Returns the role and text of an item; (None, "") for an item without text, for example a tool call."""
    message = cast("dict[str, Any]", item)
    role, content = message.get("role"), message.get("content")
    if role not in {"user", "assistant"} or content is None:
        return None, ""
    if not isinstance(content, str):
        parts = [part.get("text") or part.get("refusal") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return (role, content) if content.strip() else (None, "")
