"""The caller of a request: its API key, its user and its rights."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException

__all__ = ["LOCAL", "Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: a user, an administrator, or (if no API key is required) any program on this machine.

    Attributes:
        key_id: Id of the API key of the request; None if no key is required.
        is_admin: Whether the caller may use every user's memory and the routes of the whole server.
        user_id: The only user whose memory the caller may use; None for other callers.
    """

    key_id: str | None
    is_admin: bool
    user_id: str | None

    def may_use(self, user_id: str) -> bool:
        """Returns whether the caller may use the memory of a user. The memory need not exist."""
        return self.is_admin or self.user_id == user_id

    def require_access(self, user_id: str) -> None:
        """Raises an error if the caller may not use the memory of a user.

        The error does not depend on whether the user exists, so that callers can't find out which users exist.

        Raises:
            HTTPException: 403 if the caller may not use the memory.
        """
        if not self.may_use(user_id):
            raise HTTPException(
                403, "this key is for the memory of another user; use the key's user id, or another key"
            )


LOCAL = Caller(key_id=None, is_admin=True, user_id=None)
"""The caller of every request while no API key is required: any program on this machine."""
