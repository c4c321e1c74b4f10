"""``Memory``: a class with the methods of mem0's ``Memory``. To replace mem0 in a program, change the import.

mem0 calls a stored text "a memory". Here, each message becomes one memory with exactly its text; no LLM is needed.
``engine.memory(user_id, agent_id)`` provides the facts and the profile that MemoryOS derives from the messages.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any

from memoryos.config import DEFAULT_ASSISTANT_ID, Config
from memoryos.engine import MemoryEngine
from memoryos.errors import InputError, NotFoundError
from memoryos.inputs import read_messages, read_query
from memoryos.integrations.mem0_filters import NO_USER, belongs, read_owner
from memoryos.integrations.records import PageSearch, RecordCollection, merged
from memoryos.model import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from memoryos.integrations.mem0_filters import Owner
    from memoryos.model import Page, Scope

__all__ = ["Memory"]

RESULTS = 20
"""Default number of results, as in mem0."""
LEASE_TIMEOUT_SECONDS = 0.5
"""Maximum time that a search waits until a worker releases its lease (its temporary right to write).

In this time, a worker can finish the computation of embeddings, but not an LLM call.
"""
METADATA_KEY = "mem0"
"""The key in a page's metadata under which this module stores its own fields."""


class Memory:
    """Stores and searches memories in MemoryOS, with the interface of mem0's ``Memory``.

    The methods accept the arguments of old and new releases of mem0.

    Args:
        engine: The memory engine to use; default: a new engine. ``close`` closes only a new engine.
        **settings: Settings of ``Config`` for the new engine, for example ``data_storage_path``.
    """

    def __init__(self, engine: MemoryEngine | None = None, **settings: Any) -> None:
        if engine is not None and settings:
            raise InputError("settings", "can't be combined with an engine; configure the engine instead")
        self.engine = engine or MemoryEngine(Config.load(**settings))
        self._owns_engine = engine is None
        self._page_search = PageSearch(self.engine.modules)
        self._collections: dict[Scope, RecordCollection] = {}
        self._scope_of: dict[str, Scope] = {}

    def add(
        self,
        messages: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        filters: Mapping[str, Any] | None = None,
        infer: bool = True,  # noqa: ARG002  (messages are always stored verbatim)
        timestamp: datetime | str | None = None,
    ) -> dict[str, Any]:
        """Stores each message as one memory. System and tool messages are ignored.

        Args:
            messages: A text, a message, or a list of messages.
            user_id: The user. At least one of the three ids is required, here or in ``filters``.
            agent_id: The assistant.
            run_id: A session between the user and the assistant.
            metadata: JSON-compatible fields to which filters can refer.
            filters: The ids can be given here instead of as arguments.
            infer: Has no effect.
            timestamp: Time of the messages; default: the ``timestamp`` of each message, otherwise now.

        Returns:
            ``{"results": [{"id", "memory", "event", "role", "actor_id"}]}``.

        Raises:
            InputError: If ids are missing or contradictory, or a message can't be stored.
            StoreError: If a message could not be written. The messages before this message are stored.
        """
        owner = read_owner((user_id, agent_id, run_id), filters)
        given: Any = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        given = given if isinstance(given, (list, tuple)) else [given]
        drafts = [(each, draft) for each in given for draft in read_messages([each], now=self.engine.clock())]
        collection, results = self._collection(owner.scope), []
        for message, draft in drafts:
            name = message.get("name")
            side = "user" if draft.user_text else "assistant"
            note = {"run_id": owner.run_id, "actor_id": name, "metadata": dict(metadata or {})}
            page = collection.memory.add_memory(
                draft.user_text,
                draft.assistant_text,
                timestamp or message.get("timestamp"),
                {METADATA_KEY: note} | ({f"{side}_name": name} if name else {}),
            )
            self._scope_of[page.page_id] = owner.scope
            results.append({"id": page.page_id, "memory": _text(page), "event": "ADD", "role": side, "actor_id": name})
        return {"results": results}

    def search(
        self,
        query: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        filters: Mapping[str, Any] | None = None,
        top_k: int | None = None,
        limit: int | None = None,
        threshold: float | None = None,
    ) -> dict[str, Any]:
        """Returns the memories that match a query, best first.

        The ranking uses meaning, the words that a memory shares with the query, and time.

        Args:
            query: The query.
            user_id: The user. At least one of the three ids is required, here or in ``filters``.
            agent_id: The assistant; default: the user's memories with all assistants are searched.
            run_id: Searches only the memories of this run.
            filters: The ids, and conditions on metadata, for example ``{"level": {"gte": 3}}``. ``AND``, ``OR`` and
                ``NOT`` combine conditions.
            top_k: Maximum number of memories; default: 20.
            limit: Former name of ``top_k``.
            threshold: Minimum ``score`` (cosine similarity).

        Raises:
            InputError: If ids are missing or contradictory, or a filter is invalid.
            EmbeddingError: If the embedder failed.
        """
        query = read_query(query)
        owner = read_owner((user_id, agent_id, run_id), filters)
        count = _read_count(top_k, limit)
        scope_of: dict[str, Scope] = {}
        ranked = []
        for scope in filter(owner.owns, self._scopes()) if count else ():
            found = self._collection(scope).ranked(
                query,
                count,
                lambda each, scope=scope: (  # type: ignore[misc]  # the default binds the scope of this iteration
                    (threshold is None or each.cosine >= threshold) and belongs(owner, filters, _item(scope, each.page))
                ),
            )
            scope_of |= dict.fromkeys((each.page.page_id for each in found), scope)
            ranked.append(found)
        best = itertools.islice(merged(ranked), count)
        return {"results": [_item(scope_of[each.page.page_id], each.page) | {"score": each.cosine} for each in best]}

    def get_all(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        filters: Mapping[str, Any] | None = None,
        top_k: int | None = None,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """Returns all memories that the ids and filters select. The memories of each agent are sorted from new to old.

        The arguments and errors are the same as for ``search``.
        """
        owner = read_owner((user_id, agent_id, run_id), filters)
        count = _read_count(top_k, limit)
        found = (item for _, _, item in self._owned(owner) if belongs(owner, filters, item))
        return {"results": list(itertools.islice(found, count))}

    def get(self, memory_id: str) -> dict[str, Any] | None:
        """Returns the memory with an id; None if it does not exist."""
        found = self._find(memory_id)
        return None if found is None else _item(*found)

    def update(
        self,
        memory_id: str,
        text: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        data: str | None = None,
    ) -> dict[str, str]:
        """Replaces the text of a memory, or adds metadata to it. The id stays the same.

        MemoryOS forgets the old page, but ``history`` still returns the old text.

        Args:
            memory_id: Id of the memory.
            text: The new text; default: unchanged.
            metadata: Fields to add or replace.
            data: Former name of ``text``.

        Raises:
            InputError: If text and metadata are both missing, or one of them can't be stored. Also if the memory is a
                page of ``Memoryos.add_memory``, because it contains two texts (a user message and a reply).
            NotFoundError: If the memory does not exist.
        """
        words = data if text is None else text
        if words is None and metadata is None:
            raise InputError("text", "is missing, and so is metadata; pass at least one of them")
        scope, page = self._found(memory_id)
        if len(page.speaking()) > 1:
            raise InputError(
                "memory_id",
                "is an exchange (a user message and a reply), which can't be updated; delete it and add messages",
            )
        note = _note(page)
        changed = {
            "id": memory_id,
            "metadata": {**note.get("metadata", {}), **(metadata or {})},
            "created_at": note.get("created_at", page.local_at.isoformat()),
            "updated_at": self.engine.clock().isoformat(),
        }
        if words is not None:
            changed["versions"] = _versions(page)
        self._collection(scope).put(
            _text(page) if words is None else read_query(words, field="text"),
            {**page.metadata, METADATA_KEY: note | changed},
            at=page.local_at if words is None else None,
            by_assistant=_role(page) == "assistant",
        )
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str) -> dict[str, str]:
        """Permanently forgets a memory with its history and all data derived from it.

        Raises:
            NotFoundError: If the memory does not exist.
        """
        scope, _ = self._found(memory_id)
        self._collection(scope).remove([memory_id])
        return {"message": "Memory deleted successfully!"}

    def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        *,
        filters: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Permanently forgets all memories of a user, an agent or a run.

        Raises:
            InputError: If ids are missing or contradictory. To forget everything, use ``reset``.
        """
        owner = read_owner((user_id, agent_id, run_id), filters)
        forgotten: dict[Scope, list[str]] = {}
        for scope, _, item in self._owned(owner):
            if belongs(owner, filters, item):
                forgotten.setdefault(scope, []).append(item["id"])
        for scope, memory_ids in forgotten.items():
            self._collection(scope).remove(memory_ids)
        return {"message": "Memories deleted successfully!"}

    def history(self, memory_id: str) -> list[dict[str, Any]]:
        """Returns all versions of a memory, oldest first. If the memory does not exist or was deleted, returns []."""
        found = self._find(memory_id)
        if found is None:
            return []
        _, page = found
        versions, actor_id = _versions(page), _note(page).get("actor_id")
        shared = {"memory_id": memory_id, "is_deleted": False, "actor_id": actor_id, "role": _role(page)}
        return [
            shared
            | {
                "id": f"{memory_id}/{number}",
                "old_memory": versions[number - 1]["memory"] if number else None,
                "new_memory": each["memory"],
                "event": "UPDATE" if number else "ADD",
                "created_at": versions[0]["at"],
                "updated_at": each["at"],
            }
            for number, each in enumerate(versions)
        ]

    def reset(self) -> None:
        """Permanently forgets all memories of the store, except the data of other integrations (e.g. LangGraph)."""
        for scope in self._scopes():
            self._collection(scope).memory.forget(everything=True)
        self._collections.clear()
        self._scope_of.clear()

    def close(self) -> None:
        """Closes the engine if this object created it. An engine that was passed to the constructor stays open."""
        if self._owns_engine:
            self.engine.close()

    def __enter__(self) -> Memory:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _scopes(self) -> Iterator[Scope]:
        return (each for each in self.engine.scopes() if not each.holds_records)

    def _owned(self, owner: Owner) -> Iterator[tuple[Scope, Page, dict[str, Any]]]:
        for scope in filter(owner.owns, self._scopes()):
            for page in self._collection(scope).newest():
                yield scope, page, _item(scope, page)

    def _collection(self, scope: Scope) -> RecordCollection:
        if scope not in self._collections:
            self._collections[scope] = RecordCollection(
                self.engine.memory(scope.user_id, scope.assistant_id),
                self._page_search,
                _id_of,
                max_outdated_pages=1,
                ranking=None,
                lease_timeout_seconds=LEASE_TIMEOUT_SECONDS,
            )
        return self._collections[scope]

    def _find(self, memory_id: str) -> tuple[Scope, Page] | None:
        likely_scope = self._scope_of.get(memory_id)
        for scope in itertools.chain([likely_scope] if likely_scope else [], self._scopes()):
            page = self._collection(scope).page(memory_id)
            if page is not None:
                self._scope_of[memory_id] = scope
                return scope, page
        return None

    def _found(self, memory_id: str) -> tuple[Scope, Page]:
        found = self._find(memory_id)
        if found is None:
            raise NotFoundError(f"no memory has the id {memory_id!r}; get_all returns valid ids")
        return found


def _read_count(top_k: int | None, limit: int | None) -> int:
    count = next((each for each in (top_k, limit) if each is not None), RESULTS)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise InputError("top_k", "must be a whole number of at least 0")
    return count


def _note(page: Page) -> dict[str, Any]:
    note = page.metadata.get(METADATA_KEY)
    return note if isinstance(note, dict) else {}


def _id_of(page: Page) -> str:
    return str(_note(page).get("id", page.page_id))


def _text(page: Page) -> str:
    return "\n".join(page.text(side) for side in SIDES if page.text(side))


def _versions(page: Page) -> list[dict[str, Any]]:
    """Returns all versions of a memory's text with their times, oldest first. The last version is the current text."""
    note = _note(page)
    return [*note.get("versions", []), {"memory": _text(page), "at": note.get("updated_at", page.local_at.isoformat())}]


def _role(page: Page) -> str:
    return "user" if page.user_text else "assistant"


def _item(scope: Scope, page: Page) -> dict[str, Any]:
    """Converts a page to a memory in mem0's format."""
    note, words = _note(page), _text(page)
    at = page.local_at.isoformat()
    item = {
        "id": _id_of(page),
        "memory": words,
        "hash": hashlib.md5(words.encode(), usedforsecurity=False).hexdigest(),
        "metadata": note.get("metadata") or None,
        "created_at": note.get("created_at", at),
        "updated_at": note.get("updated_at", at),
        "role": _role(page),
    }
    ids = {
        "user_id": None if scope.user_id == NO_USER else scope.user_id,
        "agent_id": None if scope.assistant_id == DEFAULT_ASSISTANT_ID else scope.assistant_id,
        "run_id": note.get("run_id"),
        "actor_id": note.get("actor_id"),
    }
    return item | {name: value for name, value in ids.items() if value is not None}
