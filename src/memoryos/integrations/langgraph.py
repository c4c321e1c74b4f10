"""``MemoryOSStore``: LangGraph's ``BaseStore`` on MemoryOS; an extra: ``pip install "memoryos-engine[langgraph]"``.

An item is a record in a scope of its own namespace: the scope's user is the namespace's labels with dots between them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import datetime
from typing import TYPE_CHECKING, Any

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import InputError
from memoryos.integrations.filters import compares
from memoryos.integrations.records import Shelf, merged, open_records
from memoryos.model import RECORDS

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        Item,
        ListNamespacesOp,
        MatchCondition,
        PutOp,
        SearchItem,
        SearchOp,
        get_text_at_path,
        validate_op_namespace,
    )
except ImportError as error:
    raise ImportError('the store for LangGraph needs it: pip install "memoryos-engine[langgraph]"') from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from langgraph.store.base import Op, Result

    from memoryos.model import Page

__all__ = ["MemoryOSStore"]

ASSISTANT_ID = f"{RECORDS}langgraph"
WHOLE = "$"
NOT_INDEXED = "(not indexed)"
_KEY, _VALUE, _CREATED_AT, _IS_INDEXED = "key", "value", "created_at", "is_indexed"


class MemoryOSStore(BaseStore):
    """A LangGraph store: durable, searched by meaning and by words, forgetting for good.

    A score is the cosine of the query and the item; the order is that of MemoryOS, by meaning and words together.
    Each item is on disk when its ``put`` returns. Methods may be called from several threads and processes; those that
    begin with "a" run in a thread.

    Args:
        engine: The engine to live beside, in its store and with its embedder; default: one of its own.
        fields: Paths of what is searched in a value, unless ``put`` names others; default: all of it.
        **settings: Settings of ``Config`` for an engine of its own, as ``data_storage_path``.
    """

    __slots__ = ("_fields", "_host", "_records", "_shelves")

    def __init__(
        self, engine: MemoryEngine | None = None, *, fields: Sequence[str] = (WHOLE,), **settings: Any
    ) -> None:
        if engine is not None and settings:
            raise InputError("settings", "are those of the engine that is given")
        host = engine or MemoryEngine(Config.load(**settings))
        self._host = host if engine is None else None
        self._records = open_records(host)
        self._fields = tuple(fields)
        self._shelves: dict[tuple[str, ...], Shelf] = {}

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Executes operations: what is read is as it was before; of several writes of one key the last one counts.

        Raises:
            InputError: If a value is not JSON-compatible, a namespace can't be stored, or a filter can't be read.
            InvalidNamespaceError: If a label is empty, no text, or has a dot; nothing was done.
            NotImplementedError: If an item shall expire; nothing was done.
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read or written.
        """
        asked = list(ops)
        for op in asked:
            validate_op_namespace(op)
            if isinstance(op, PutOp) and op.ttl is not None:
                raise NotImplementedError("items do not expire: ttl must be None")
        results = [self._read(op) for op in asked]
        self._write({(op.namespace, op.key): op for op in asked if isinstance(op, PutOp)})
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Does as ``batch``, in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def close(self) -> None:
        """Forgets what newer versions have taken the place of, and closes what the store has opened."""
        for shelf in list(self._shelves.values()):
            shelf.forget_outdated()
        self._records.close()
        if self._host is not None:
            self._host.close()

    def __enter__(self) -> MemoryOSStore:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            page = self._shelf(op.namespace).page(op.key)
            return None if page is None else Item(**_fields_of(op.namespace, page))
        if isinstance(op, SearchOp):
            return list(self._search(op))
        if isinstance(op, ListNamespacesOp):
            return self._list(op)
        return None

    def _write(self, ops: Mapping[tuple[tuple[str, ...], str], PutOp]) -> None:
        removed: dict[tuple[str, ...], list[str]] = {}
        for (namespace, key), op in ops.items():
            if op.value is None:
                removed.setdefault(namespace, []).append(key)
            else:
                self._put(namespace, key, dict(op.value), self._fields if op.index is None else op.index)
        for namespace, keys in removed.items():
            self._shelf(namespace).remove(keys)

    def _put(self, namespace: tuple[str, ...], key: str, value: dict[str, Any], index: Any) -> None:
        shelf = self._shelf(namespace)
        older = shelf.page(key)
        now = self._records.clock().isoformat()
        text = "\n".join(itertools.chain.from_iterable(get_text_at_path(value, path) for path in index or ()))
        shelf.put(
            text if text.strip() else NOT_INDEXED,
            {
                _KEY: key,
                _VALUE: value,
                _CREATED_AT: now if older is None else older.metadata[_CREATED_AT],
                _IS_INDEXED: bool(text.strip()),
            },
        )

    def _search(self, op: SearchOp) -> Iterator[SearchItem]:
        if op.limit <= 0:
            return
        shelves = [(each, self._shelf(each)) for each in self._namespaces() if _begins(each, op.namespace_prefix)]
        asks = bool(op.query and op.query.strip())
        found = self._ranked(op, shelves) if asks else _listed(op, shelves)
        for namespace, page, score in itertools.islice(found, max(op.offset, 0), max(op.offset, 0) + op.limit):
            yield SearchItem(**_fields_of(namespace, page), score=score)

    def _ranked(
        self, op: SearchOp, shelves: Sequence[tuple[tuple[str, ...], Shelf]]
    ) -> Iterator[tuple[tuple[str, ...], Page, float | None]]:
        """Yields the items that a query finds, best first, then those that it can't find."""
        places: dict[str, tuple[str, ...]] = {}
        ranked = []
        for namespace, shelf in shelves:
            pages = shelf.ranked(
                op.query or "",
                op.limit + max(op.offset, 0),
                lambda each: bool(each.page.metadata[_IS_INDEXED]) and _accepts(op.filter, each.page.metadata[_VALUE]),
            )
            places |= dict.fromkeys((each.page.page_id for each in pages), namespace)
            ranked.append(pages)
        for each in merged(ranked):
            yield places[each.page.page_id], each.page, each.cosine
        for namespace, page, _ in _listed(op, shelves):
            if not page.metadata[_IS_INDEXED]:
                yield namespace, page, None

    def _list(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        wanted = (each for each in self._namespaces() if all(_matches(one, each) for one in op.match_conditions or ()))
        held = (each for each in wanted if next(self._shelf(each).newest(), None) is not None)
        found = sorted({each[: op.max_depth] for each in held})
        return found[op.offset : op.offset + op.limit]

    def _namespaces(self) -> Iterator[tuple[str, ...]]:
        return (tuple(each.user_id.split(".")) for each in self._records.scopes() if each.assistant_id == ASSISTANT_ID)

    def _shelf(self, namespace: tuple[str, ...]) -> Shelf:
        if namespace not in self._shelves:
            memory = self._records.memory(".".join(namespace), ASSISTANT_ID)
            self._shelves.setdefault(namespace, Shelf(memory, lambda page: page.metadata.get(_KEY)))
        return self._shelves[namespace]


def _listed(
    op: SearchOp, shelves: Sequence[tuple[tuple[str, ...], Shelf]]
) -> Iterator[tuple[tuple[str, ...], Page, float | None]]:
    """Yields the items that the filter accepts, those that were written last first."""
    rows = [zip(itertools.repeat(namespace), shelf.newest(), strict=False) for namespace, shelf in shelves]
    for namespace, page in heapq.merge(*rows, key=lambda row: (row[1].at, row[1].seq), reverse=True):
        if _accepts(op.filter, page.metadata[_VALUE]):
            yield namespace, page, None


def _fields_of(namespace: tuple[str, ...], page: Page) -> dict[str, Any]:
    """Returns the arguments of an item."""
    return {
        "namespace": namespace,
        "key": page.metadata[_KEY],
        "value": page.metadata[_VALUE],
        "created_at": datetime.fromisoformat(page.metadata[_CREATED_AT]),
        "updated_at": page.at,
    }


def _begins(namespace: tuple[str, ...], prefix: tuple[str, ...]) -> bool:
    return namespace[: len(prefix)] == tuple(prefix)


def _matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in {"*", label} for wanted, label in zip(path, part, strict=True))


def _accepts(wanted: Mapping[str, Any] | None, value: Mapping[str, Any]) -> bool:
    return all(_agrees(each, value.get(name)) for name, each in (wanted or {}).items())


def _agrees(wanted: Any, value: Any) -> bool:
    """Returns whether a value is what the filter wants: operators, a part of an object, a whole list, or the same."""
    if isinstance(wanted, dict):
        if any(name.startswith("$") for name in wanted):
            return all(compares(name.removeprefix("$"), value, each) for name, each in wanted.items())
        return isinstance(value, dict) and _accepts(wanted, value)
    if isinstance(wanted, (list, tuple)):
        is_alike = isinstance(value, list) and len(value) == len(wanted)
        return is_alike and all(_agrees(one, other) for one, other in zip(wanted, value, strict=True))
    return bool(value == wanted)
