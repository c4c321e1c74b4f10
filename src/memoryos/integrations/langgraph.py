"""``MemoryOSStore``: LangGraph's ``BaseStore`` on MemoryOS. Requires ``pip install "memoryos-engine[langgraph]"``.

Each LangGraph namespace has its own memory. The user id of this memory consists of the namespace's labels, joined by
dots. Each item of the namespace is stored as a record in this memory.
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
from memoryos.integrations.records import PageSearch, RecordCollection, merged
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
    raise ImportError('MemoryOSStore requires LangGraph: pip install "memoryos-engine[langgraph]"') from error

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
    """A LangGraph store that saves items in MemoryOS, and searches them by meaning and by words.

    An item is on disk when ``put`` returns. Deleted items are permanently forgotten. The score of a found item is the
    cosine similarity of the query and the item. The ranking also uses the words that an item shares with the query.
    Therefore, the scores of the ranked items may not be in descending order. Several threads and processes may call the
    methods. The async methods run in a thread.

    Args:
        engine: The memory engine to use; default: a new engine. ``close`` closes only a new engine.
        fields: Paths of the fields to search in the value of an item; default: the whole value. ``put`` can set other
            fields for an item.
        **settings: Settings of ``Config`` for the new engine, for example ``data_storage_path``.
    """

    __slots__ = ("_collections", "_engine", "_fields", "_owns_engine", "_page_search")

    def __init__(
        self, engine: MemoryEngine | None = None, *, fields: Sequence[str] = (WHOLE,), **settings: Any
    ) -> None:
        if engine is not None and settings:
            raise InputError("settings", "can't be combined with an engine; configure the engine instead")
        self._owns_engine = engine is None
        self._engine = engine or MemoryEngine(Config.load(**settings))
        self._page_search = PageSearch(self._engine.modules)
        self._fields = tuple(fields)
        self._collections: dict[tuple[str, ...], RecordCollection] = {}

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Executes operations: first all reads, then all writes.

        If several operations write to the same key, only the last one takes effect.

        Raises:
            InputError: If a value is not JSON-compatible, a namespace can't be stored, or a filter is invalid.
            InvalidNamespaceError: If a label is empty, is not text, or contains a dot. No operation was executed.
            NotImplementedError: If an item has an expiry time. No operation was executed.
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read or written.
        """
        operations = list(ops)
        for op in operations:
            validate_op_namespace(op)
            if isinstance(op, PutOp) and op.ttl is not None:
                raise NotImplementedError("expiry times of items are not supported; set ttl to None")
        results = [self._read(op) for op in operations]
        self._write({(op.namespace, op.key): op for op in operations if isinstance(op, PutOp)})
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Runs ``batch`` in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def close(self) -> None:
        """Forgets replaced versions of items, and closes the engine if this object created it.

        Call this method before you close an engine that you passed to the constructor.
        """
        for collection in list(self._collections.values()):
            collection.forget_outdated()
        if self._owns_engine:
            self._engine.close()

    def __enter__(self) -> MemoryOSStore:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            page = self._collection(op.namespace).page(op.key)
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
            self._collection(namespace).remove(keys)

    def _put(self, namespace: tuple[str, ...], key: str, value: dict[str, Any], index: Any) -> None:
        collection = self._collection(namespace)
        previous = collection.page(key)
        now = self._engine.clock().isoformat()
        text = "\n".join(itertools.chain.from_iterable(get_text_at_path(value, path) for path in index or ()))
        collection.put(
            text if text.strip() else NOT_INDEXED,
            {
                _KEY: key,
                _VALUE: value,
                _CREATED_AT: now if previous is None else previous.metadata[_CREATED_AT],
                _IS_INDEXED: bool(text.strip()),
            },
        )

    def _search(self, op: SearchOp) -> Iterator[SearchItem]:
        if op.limit <= 0:
            return
        collections = [
            (each, self._collection(each)) for each in self._namespaces() if _has_prefix(each, op.namespace_prefix)
        ]
        has_query = bool(op.query and op.query.strip())
        found = self._ranked(op, collections) if has_query else _listed(op, collections)
        for namespace, page, score in itertools.islice(found, max(op.offset, 0), max(op.offset, 0) + op.limit):
            yield SearchItem(**_fields_of(namespace, page), score=score)

    def _ranked(
        self, op: SearchOp, collections: Sequence[tuple[tuple[str, ...], RecordCollection]]
    ) -> Iterator[tuple[tuple[str, ...], Page, float | None]]:
        """Yields the items that a query finds, best first.

        After them, yields the unsearchable items (stored with ``index=False``) that the filter accepts.
        """
        places: dict[str, tuple[str, ...]] = {}
        ranked = []
        for namespace, collection in collections:
            pages = collection.ranked(
                op.query or "",
                op.limit + max(op.offset, 0),
                lambda each: bool(each.page.metadata[_IS_INDEXED]) and _accepts(op.filter, each.page.metadata[_VALUE]),
            )
            places |= dict.fromkeys((each.page.page_id for each in pages), namespace)
            ranked.append(pages)
        for each in merged(ranked):
            yield places[each.page.page_id], each.page, each.cosine
        for namespace, page, _ in _listed(op, collections):
            if not page.metadata[_IS_INDEXED]:
                yield namespace, page, None

    def _list(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        matching = (
            each for each in self._namespaces() if all(_matches(one, each) for one in op.match_conditions or ())
        )
        nonempty = (each for each in matching if next(self._collection(each).newest(), None) is not None)
        found = sorted({each[: op.max_depth] for each in nonempty})
        return found[op.offset : op.offset + op.limit]

    def _namespaces(self) -> Iterator[tuple[str, ...]]:
        return (tuple(each.user_id.split(".")) for each in self._engine.scopes() if each.assistant_id == ASSISTANT_ID)

    def _collection(self, namespace: tuple[str, ...]) -> RecordCollection:
        if namespace not in self._collections:
            memory = self._engine.memory(".".join(namespace), ASSISTANT_ID)
            collection = RecordCollection(memory, self._page_search, lambda page: page.metadata.get(_KEY))
            self._collections.setdefault(namespace, collection)
        return self._collections[namespace]


def _listed(
    op: SearchOp, collections: Sequence[tuple[tuple[str, ...], RecordCollection]]
) -> Iterator[tuple[tuple[str, ...], Page, float | None]]:
    """Yields the items that the filter accepts, the most recently written item first."""
    rows = [
        zip(itertools.repeat(namespace), collection.newest(), strict=False) for namespace, collection in collections
    ]
    for namespace, page in heapq.merge(*rows, key=lambda row: (row[1].at, row[1].seq), reverse=True):
        if _accepts(op.filter, page.metadata[_VALUE]):
            yield namespace, page, None


def _fields_of(namespace: tuple[str, ...], page: Page) -> dict[str, Any]:
    """Returns the arguments with which an ``Item`` of LangGraph is constructed from a page."""
    return {
        "namespace": namespace,
        "key": page.metadata[_KEY],
        "value": page.metadata[_VALUE],
        "created_at": datetime.fromisoformat(page.metadata[_CREATED_AT]),
        "updated_at": page.at,
    }


def _has_prefix(namespace: tuple[str, ...], prefix: tuple[str, ...]) -> bool:
    return namespace[: len(prefix)] == tuple(prefix)


def _matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(pattern in {"*", label} for pattern, label in zip(path, part, strict=True))


def _accepts(conditions: Mapping[str, Any] | None, value: Mapping[str, Any]) -> bool:
    return all(_satisfies(each, value.get(name)) for name, each in (conditions or {}).items())


def _satisfies(condition: Any, value: Any) -> bool:
    """Returns whether a value satisfies a condition of a filter.

    A condition has one of these forms:

    * An object of operators, for example ``{"$gte": 3}``: all comparisons must be true.
    * Another object, with one condition for each field name: the value must be an object whose fields satisfy their
      conditions. The value may have more fields.
    * A list: the value must be a list of the same length, and its items must satisfy the conditions in the list.
    * Anything else: the value must be equal to it.
    """
    if isinstance(condition, dict):
        if any(name.startswith("$") for name in condition):
            return all(compares(name.removeprefix("$"), value, each) for name, each in condition.items())
        return isinstance(value, dict) and _accepts(condition, value)
    if isinstance(condition, (list, tuple)):
        has_same_length = isinstance(value, list) and len(value) == len(condition)
        return has_same_length and all(_satisfies(one, other) for one, other in zip(condition, value, strict=True))
    return bool(value == condition)
