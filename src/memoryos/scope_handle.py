"""``ScopeHandle``: looks up the database id of a scope once and caches it. A scope is one user with one assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.errors import NotFoundError, StoreUnavailableError
from memoryos.storage.scopes import NULL_SCOPE_ID

if TYPE_CHECKING:
    from memoryos.model import Scope
    from memoryos.modules import Modules

__all__ = ["ScopeHandle"]


class ScopeHandle:
    """Looks up the database id of a scope and caches it. Every method first checks that the database is usable.

    Args:
        scope: The user and the assistant.
        modules: The parts of the engine, including the database.
    """

    def __init__(self, scope: Scope, modules: Modules) -> None:
        self.scope = scope
        self._modules = modules
        self._scope_id: str | None = None
        self._is_closed = False

    @property
    def exists(self) -> bool:
        """Whether the scope exists, which means that something was stored in it once.

        Raises:
            StoreUnavailableError: If the handle is closed, or this is a forked child process.
        """
        return self.find() != NULL_SCOPE_ID

    def find(self) -> str:
        """Returns the id of the scope. For use by reads: it does not create the scope.

        If the scope does not exist, the method returns ``NULL_SCOPE_ID``, with which every read finds nothing.

        Raises:
            StoreUnavailableError: If the handle is closed, or this is a forked child process.
        """
        self.check_usable()
        if self._scope_id is None:
            self._scope_id = self._modules.scopes.find(self.scope)
        return self._scope_id or NULL_SCOPE_ID

    def open(self) -> str:
        """Returns the id of the scope. For use by writes: it creates the scope if it does not exist.

        Raises:
            StoreUnavailableError: If the handle is closed, or this is a forked child process.
        """
        self.check_usable()
        if self._scope_id is None:
            self._scope_id = self._modules.scopes.open(self.scope, self._modules.clock())
        return self._scope_id

    def require(self) -> str:
        """Returns the id of the scope, which must exist.

        Raises:
            NotFoundError: If the scope does not exist.
            StoreUnavailableError: If the handle is closed, or this is a forked child process.
        """
        if not self.exists:
            raise NotFoundError("this memory is empty: no page was stored for this user and assistant")
        return self.find()

    def close(self) -> bool:
        """Closes the handle. Returns True at the first call, and False at later calls, which have no effect."""
        was_closed, self._is_closed = self._is_closed, True
        return not was_closed

    def check_usable(self) -> None:
        """Checks that the database can be used through this handle.

        Raises:
            StoreUnavailableError: If the handle is closed, or this is a forked child process.
        """
        self._modules.check_process()
        if self._is_closed:
            raise StoreUnavailableError("this memory is closed; create a new Memoryos object")
