"""``Memory``: MemoryOS under the names of mem0's calls, so that a program changes its import and little else.

A memory here is what was said in one message, word for word; no LLM is needed. What MemoryOS derives from it, as facts
and a profile, is that of ``engine.memory(user_id, agent_id)``.
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
from memoryos.integrations.records import Shelf, merged
from memoryos.model import SIDES
from memoryos.models.once_a_query import OnceAQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from memoryos.integrations.mem0_filters import Owner
    from memoryos.model import Page, Scope

__all__ = ["Memory"]

RESULTS = 20
"""How many memories mem0 returns unless told."""
PATIENCE_SECONDS = 0.5
"""How long a search waits for a worker: as long as it embeds, not as long as an LLM thinks."""
OURS = "mem0"
"""Key of a page's metadata under which everything of this door stands."""


class Memory:
    """What mem0's ``Memory`` does, on MemoryOS; it takes the arguments of mem0's old and of its new releases.

    Args:
        engine: The engine to use; default: one of its own.
        **settings: Settings of ``Config`` for an engine of its own, as ``data_storage_path``.
    """

    def __init__(self, engine: MemoryEngine | None = None, **settings: Any) -> None:
        if engine is not None and settings:
            raise InputError("settings", "are those of the engine that is given")
        self.engine = engine or MemoryEngine(Config.load(**settings))
        self._is_own = engine is None
        unwindowed = self.engine.config.with_(short_term_capacity=0, background=False)
        self._reader = MemoryEngine(unwindowed, embedder=OnceAQuery(self.engine.embedder), clock=self.engine.clock)
        self._shelves: dict[Scope, Shelf] = {}
        self._homes: dict[str, Scope] = {}

    def add(
        self,
        messages: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        filters: Mapping[str, Any] | None = None,
        infer: bool = True,  # noqa: ARG002  (words are kept either way, and learned from in the background)
        timestamp: datetime | str | None = None,
    ) -> dict[str, Any]:
        """Remembers messages, a memory each; system and tool messages are passed over.

        Args:
            messages: A text, a message, or a list of messages.
            user_id: The user; this or one of the next two has to be given, here or in ``filters``.
            agent_id: The assistant.
            run_id: A part of the conversations of the two.
            metadata: What filters look at; JSON-compatible.
            filters: Another place for the ids.
            infer: Without effect.
            timestamp: When it was said; default: what a message says of itself, else now.

        Returns:
            ``{"results": [{"id", "memory", "event", "role", "actor_id"}]}``.

        Raises:
            InputError: If ids are missing or contradict each other, or a message can't be remembered.
            StoreError: If one could not be written; those before it were.
        """
        owner = read_owner((user_id, agent_id, run_id), filters)
        told: Any = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        told = told if isinstance(told, (list, tuple)) else [told]
        drafts = [(each, draft) for each in told for draft in read_messages([each], now=self.engine.clock())]
        shelf, results = self._shelf(owner.scope), []
        for message, draft in drafts:
            name = message.get("name")
            side = "user" if draft.user_text else "assistant"
            note = {"run_id": owner.run_id, "actor_id": name, "metadata": dict(metadata or {})}
            page = shelf.memory.add_memory(
                draft.user_text,
                draft.assistant_text,
                timestamp or message.get("timestamp"),
                {OURS: note} | ({f"{side}_name": name} if name else {}),
            )
            self._homes[page.page_id] = owner.scope
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
        """Returns the memories that answer a query, best first: found by meaning, words and time together.

        Args:
            query: What is looked for.
            user_id: As for ``add``; a user's memories with every agent unless one is named.
            agent_id: The assistant.
            run_id: Only memories of this run.
            filters: The ids, and conditions on metadata: a value, ``{"gte": 3}``, ``AND``, ``OR``, ``NOT``.
            top_k: Memories at most; default: 20.
            limit: The same under its old name.
            threshold: The lowest ``score``, which is a cosine.

        Raises:
            InputError: If ids are missing or contradict each other, or the filters can't be read.
            EmbeddingError: If the embedder failed.
        """
        query = read_query(query)
        owner = read_owner((user_id, agent_id, run_id), filters)
        count = _read_count(top_k, limit)
        homes: dict[str, Scope] = {}
        ranked = []
        for scope in filter(owner.owns, self._scopes()) if count else ():
            found = self._shelf(scope).ranked(
                query,
                count,
                lambda each, scope=scope: (  # type: ignore[misc]  # the default binds the scope of this round
                    (threshold is None or each.cosine >= threshold) and belongs(owner, filters, _item(scope, each.page))
                ),
            )
            homes |= dict.fromkeys((each.page.page_id for each in found), scope)
            ranked.append(found)
        best = itertools.islice(merged(ranked), count)
        return {"results": [_item(homes[each.page.page_id], each.page) | {"score": each.cosine} for each in best]}

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
        """Returns memories, of each agent the newest first; arguments and errors as for ``search``."""
        owner = read_owner((user_id, agent_id, run_id), filters)
        count = _read_count(top_k, limit)
        found = (item for _, _, item in self._owned(owner) if belongs(owner, filters, item))
        return {"results": list(itertools.islice(found, count))}

    def get(self, memory_id: str) -> dict[str, Any] | None:
        """Returns a memory, None if there is none."""
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
        """Puts other words, or more metadata, in the place of a memory's; its id stays, its old words are forgotten.

        Args:
            memory_id: The memory.
            text: The new words; default: the old ones.
            metadata: Added to what there is.
            data: The words under their old name.

        Raises:
            InputError: If nothing is to be changed, something can't be stored, or the memory is an exchange of two
                sides, as ``Memoryos.add_memory`` writes them.
            NotFoundError: If there is no such memory.
        """
        words = data if text is None else text
        if words is None and metadata is None:
            raise InputError("text", "or metadata has to be given")
        scope, page = self._found(memory_id)
        if len(page.speaking()) > 1:
            raise InputError("memory_id", "is an exchange that was not added here; forget it, or correct what it says")
        note = _note(page)
        changed = {
            "id": memory_id,
            "metadata": {**note.get("metadata", {}), **(metadata or {})},
            "created_at": note.get("created_at", page.at.isoformat()),
            "updated_at": self.engine.clock().isoformat(),
        }
        if words is not None:
            changed["versions"] = _versions(page)
        self._shelf(scope).put(
            _text(page) if words is None else read_query(words, field="text"),
            {**page.metadata, OURS: note | changed},
            at=page.at if words is None else None,
            by_assistant=_role(page) == "assistant",
        )
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str) -> dict[str, str]:
        """Forgets a memory for good, its history too, and everything that was derived from it.

        Raises:
            NotFoundError: If there is no such memory.
        """
        scope, _ = self._found(memory_id)
        self._shelf(scope).remove([memory_id])
        return {"message": "Memory deleted successfully!"}

    def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        *,
        filters: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Forgets all memories of a user, an agent or a run for good.

        Raises:
            InputError: If ids are missing or contradict each other; for everything there is ``reset``.
        """
        owner = read_owner((user_id, agent_id, run_id), filters)
        gone: dict[Scope, list[str]] = {}
        for scope, _, item in self._owned(owner):
            if belongs(owner, filters, item):
                gone.setdefault(scope, []).append(item["id"])
        for scope, memory_ids in gone.items():
            self._shelf(scope).remove(memory_ids)
        return {"message": "Memories deleted successfully!"}

    def history(self, memory_id: str) -> list[dict[str, Any]]:
        """Returns what became of a memory, oldest first; [] if there is none, as after ``delete``."""
        found = self._find(memory_id)
        if found is None:
            return []
        _, page = found
        told, actor_id = _versions(page), _note(page).get("actor_id")
        shared = {"memory_id": memory_id, "is_deleted": False, "actor_id": actor_id, "role": _role(page)}
        return [
            shared
            | {
                "id": f"{memory_id}/{number}",
                "old_memory": told[number - 1]["memory"] if number else None,
                "new_memory": each["memory"],
                "event": "UPDATE" if number else "ADD",
                "created_at": told[0]["at"],
                "updated_at": each["at"],
            }
            for number, each in enumerate(told)
        ]

    def reset(self) -> None:
        """Forgets everything of every user and agent of the store for good, but for records of other integrations."""
        for scope in self._scopes():
            self._shelf(scope).memory.forget(everything=True)
        self._shelves.clear()
        self._homes.clear()

    def close(self) -> None:
        """Closes what it has opened; an engine that was given stays open."""
        self._reader.close()
        if self._is_own:
            self.engine.close()

    def __enter__(self) -> Memory:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _scopes(self) -> Iterator[Scope]:
        return (each for each in self.engine.scopes() if not each.holds_records)

    def _owned(self, owner: Owner) -> Iterator[tuple[Scope, Page, dict[str, Any]]]:
        for scope in filter(owner.owns, self._scopes()):
            for page in self._shelf(scope).newest():
                yield scope, page, _item(scope, page)

    def _shelf(self, scope: Scope) -> Shelf:
        if scope not in self._shelves:
            memory = self.engine.memory(scope.user_id, scope.assistant_id)
            reader = self._reader.memory(scope.user_id, scope.assistant_id)
            self._shelves[scope] = Shelf(
                memory, _id_of, outdated_at_once=1, reader=reader, ranking=None, patience_seconds=PATIENCE_SECONDS
            )
        return self._shelves[scope]

    def _find(self, memory_id: str) -> tuple[Scope, Page] | None:
        home = self._homes.get(memory_id)
        for scope in itertools.chain([home] if home else [], self._scopes()):
            page = self._shelf(scope).page(memory_id)
            if page is not None:
                self._homes[memory_id] = scope
                return scope, page
        return None

    def _found(self, memory_id: str) -> tuple[Scope, Page]:
        found = self._find(memory_id)
        if found is None:
            raise NotFoundError(f"no memory {memory_id}")
        return found


def _read_count(top_k: int | None, limit: int | None) -> int:
    count = next((each for each in (top_k, limit) if each is not None), RESULTS)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise InputError("top_k", "must be a whole number of at least 0")
    return count


def _note(page: Page) -> dict[str, Any]:
    note = page.metadata.get(OURS)
    return note if isinstance(note, dict) else {}


def _id_of(page: Page) -> str:
    return str(_note(page).get("id", page.page_id))


def _text(page: Page) -> str:
    return "\n".join(page.text(side) for side in SIDES if page.text(side))


def _versions(page: Page) -> list[dict[str, Any]]:
    """Returns every wording of a memory with when it was told, oldest first; the last one counts."""
    note = _note(page)
    return [*note.get("versions", []), {"memory": _text(page), "at": note.get("updated_at", page.at.isoformat())}]


def _role(page: Page) -> str:
    return "user" if page.user_text else "assistant"


def _item(scope: Scope, page: Page) -> dict[str, Any]:
    """Returns a memory as mem0 shows it."""
    note, words = _note(page), _text(page)
    at = page.at.isoformat()
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
