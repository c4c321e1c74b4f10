"""``ScopeHandle``: the id of one scope, looked up once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.errors import NotFoundError, StoreUnavailableError
from memoryos.storage.scopes import NULL_SCOPE_ID

if TYPE_CHECKING:
    from memoryos.model import Scope
    from memoryos.modules import Modules

__all__ = ["ScopeHandle"]


class ScopeHandle:
    """Looks up the id of a scope and caches it. Every method raises an error once the store can't be used.

    Args:
        scope: The scope.
        modules: The engine's modules.
    """

    def __init__(self, scope: Scope, modules: Modules) -> None:
        self.scope = scope
        self._modules = modules
        self._scope_id: str | None = None
        self._is_closed = False

    @property
    def exists(self) -> bool:
        """Whether the scope exists: whether anything was ever stored in it.

        Raises:
            StoreUnavailableError: As for ``check_usable``.
        """
        return self.find() != NULL_SCOPE_ID

    def find(self) -> str:
        """Returns the id; ``NULL_SCOPE_ID`` if the scope does not exist, so that a read finds nothing.

        Raises:
            StoreUnavailableError: As for ``check_usable``.
        """
        self.check_usable()
        if self._scope_id is None:
            self._scope_id = self._modules.scopes.find(self.scope)
        return self._scope_id or NULL_SCOPE_ID

    def open(self) -> str:
        """Returns the id; creates the scope if it does not exist. For writes.

        Raises:
            StoreUnavailableError: As for ``check_usable``.
        """
        self.check_usable()
        if self._scope_id is None:
            self._scope_id = self._modules.scopes.open(self.scope, self._modules.clock())
        return self._scope_id

    def require(self) -> str:
        """Returns the id of an existing scope.

        Raises:
            NotFoundError: If the scope does not exist.
            StoreUnavailableError: As for ``check_usable``.
        """
        if not self.exists:
            raise NotFoundError("nothing was remembered here yet")
        return self.find()

    def close(self) -> bool:
        """Ends the use of the scope; returns whether this is the first call."""
        was_closed, self._is_closed = self._is_closed, True
        return not was_closed

    def check_usable(self) -> None:
        """Raises an error if the store can't be used through this handle.

        Raises:
            StoreUnavailableError: After ``close``, and in a forked child process.
        """
        self._modules.check_process()
        if self._is_closed:
            raise StoreUnavailableError("the store is closed")
