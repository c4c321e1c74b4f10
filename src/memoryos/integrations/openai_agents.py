"""``MemoryOSSession``: a session of the OpenAI Agents SDK that remembers; an extra: ``memoryos-engine[openai-agents]``.

The SDK's items stand verbatim in a scope of records, one scope a session. What was said in them becomes pages of the
user's memory, which outlives the session and is recalled into the instructions of any later one. The SDK itself is not
imported here: a session is whatever has its methods.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import uuid
from typing import TYPE_CHECKING, Any, cast

from memoryos.generation.prompt import DATA
from memoryos.integrations.records import Shelf, open_records
from memoryos.language.fence import fenced
from memoryos.model import RECORDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from agents import Agent, RunContextWrapper, SessionSettings, TResponseInputItem

    from memoryos.memory import Memoryos
    from memoryos.model import Page
    from memoryos.retrieval.recall import Recall

__all__ = ["MemoryOSSession"]

MEMORY_TOKENS = 1_000
SESSION = "session"
"""Key of a page's metadata: the session, and the item of it, that the page was said in."""
_KEY, _ITEMS = "key", "items"
_SEARCHED_PAGES = 50


class MemoryOSSession:
    """A ``Session`` of the OpenAI Agents SDK over a memory.

    An exchange becomes a page when the assistant has answered: the user's words since the last answer, and the answer.
    Tool calls and what they returned stay in the session only. ``pop_item`` takes an answer back: its page is
    forgotten. ``clear_session`` forgets the session, not the memory.

    Args:
        session_id: Names the conversation, among those of this user with this assistant.
        memory: The memory of the user.
        session_settings: The SDK's own: how many items a run reads.
    """

    def __init__(self, session_id: str, memory: Memoryos, session_settings: SessionSettings | None = None) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = session_settings
        self.memory = memory
        self._records = open_records(memory.engine)
        place = f"{RECORDS}openai-agents/{memory.scope.assistant_id}/{session_id}"
        shelf_of = self._records.memory(memory.scope.user_id, place)
        self._shelf = Shelf(shelf_of, lambda page: page.metadata.get(_KEY), outdated_at_once=1)
        self._lock = threading.Lock()

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Returns the items, oldest first: the newest ``limit`` of them, else as many as the settings say, else all."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        return await asyncio.to_thread(self._get, limit)

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds items, all or none, and remembers the exchanges that they complete.

        Raises:
            InputError: If an item is not JSON-compatible; nothing was added.
            StoreError: If they could not be written.
        """
        if items:
            await asyncio.to_thread(self._add, items)

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the newest item away and returns it; None if there is none. What was remembered of it is forgotten."""
        return await asyncio.to_thread(self._pop)

    async def clear_session(self) -> None:
        """Forgets every item of the session for good; what was remembered of it stays."""
        await asyncio.to_thread(self._clear)

    def instructions(
        self, text: str, *, max_tokens: int = MEMORY_TOKENS
    ) -> Callable[[RunContextWrapper[Any], Agent[Any]], Awaitable[str]]:
        """Returns the ``instructions`` of an agent: a text, and what is remembered for the user's last words.

        Args:
            text: What the agent is told whatever is remembered.
            max_tokens: Estimated tokens of the recalled pages at most.
        """

        async def with_memory(context: RunContextWrapper[Any], agent: Agent[Any]) -> str:  # noqa: ARG001  (the SDK's)
            return await asyncio.to_thread(self._instruct, text, list(context.turn_input), max_tokens)

        return with_memory

    def close(self) -> None:
        """Closes what the session has opened; the memory stays open."""
        self._records.close()

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
            waiting = self._unanswered()
            self._put(key, list(items))
            for number, item in enumerate(items):
                role, text = _said(item)
                if role == "user":
                    waiting.append(text)
                elif role == "assistant":
                    place = {"id": self.session_id, "item": f"{key}/{number}"}
                    self.memory.add_memory("\n\n".join(waiting), text, None, {SESSION: place})
                    waiting = []

    def _pop(self) -> TResponseInputItem | None:
        with self._lock:
            page = next(self._shelf.newest(), None)
            if page is None:
                return None
            key, items = page.metadata[_KEY], list(page.metadata[_ITEMS])
            item = cast("TResponseInputItem", items.pop())
            if items:
                self._put(key, items)
            else:
                self._shelf.remove([key])
            if _said(item)[0] == "assistant":
                self._take_back(f"{key}/{len(items)}")
            return item

    def _clear(self) -> None:
        with self._lock:
            self._shelf.remove([page.metadata[_KEY] for page in self._shelf.newest()])

    def _put(self, key: str, items: list[TResponseInputItem]) -> None:
        said = "\n".join(text for _, text in map(_said, items) if text)
        self._shelf.put(said or "(no words)", {_KEY: key, _ITEMS: items})

    def _newest(self) -> Iterator[tuple[TResponseInputItem, str]]:
        """Yields the items, the newest first, each with the key that it stands under."""
        for page in self._shelf.newest():
            for item in reversed(page.metadata[_ITEMS]):
                yield item, page.metadata[_KEY]

    def _unanswered(self) -> list[str]:
        """Returns what the user has said since the last answer, oldest first."""
        found: list[str] = []
        for item, _ in self._newest():
            role, text = _said(item)
            if role == "assistant":
                break
            if role == "user":
                found.append(text)
        return found[::-1]

    def _take_back(self, place: str) -> None:
        pages = self.memory.newest_pages(_SEARCHED_PAGES)
        gone = [page.page_id for page in pages if _place(page) == {"id": self.session_id, "item": place}]
        if gone:
            self.memory.forget(page_ids=gone)

    def _instruct(self, text: str, turn: Sequence[TResponseInputItem], max_tokens: int) -> str:
        asked = [said for role, said in map(_said, turn) if role == "user"] or self._unanswered()
        if not asked:
            return text
        recall = self._elsewhere(self.memory.recall(asked[-1], max_tokens=max_tokens))
        known = recall.to_prompt(numbered=True)
        return "\n\n".join([text, DATA.format(tags="<memory>"), fenced("memory", known)]) if known else text

    def _elsewhere(self, recall: Recall) -> Recall:
        """Returns the recall without the pages of this session, which the model reads as items."""

        def is_here(page: Page) -> bool:
            return bool(_place(page).get("id") == self.session_id)

        return dataclasses.replace(
            recall,
            pages=tuple(each for each in recall.pages if not is_here(each.page)),
            short_term=tuple(page for page in recall.short_term if not is_here(page)),
        )


def _place(page: Page) -> dict[str, Any]:
    place = page.metadata.get(SESSION)
    return place if isinstance(place, dict) else {}


def _said(item: TResponseInputItem) -> tuple[str | None, str]:
    """Returns who speaks in an item and what; None for an item in which nobody does, as a call of a tool."""
    message = cast("dict[str, Any]", item)
    role, content = message.get("role"), message.get("content")
    if role not in {"user", "assistant"} or content is None:
        return None, ""
    if not isinstance(content, str):
        parts = [part.get("text") or part.get("refusal") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return (role, content) if content.strip() else (None, "")
