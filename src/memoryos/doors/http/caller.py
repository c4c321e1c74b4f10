"""The caller of a request: the key, the user and the rights that authentication found."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException

__all__ = ["LOCAL", "Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of a request.

    Attributes:
        key_id: Id of the API key of the request; None while keys are off.
        is_admin: Whether the caller may use every user's memory and the routes of the whole server.
        user_id: The only user whose memory the caller may use; None for an administrator and while keys are off.
    """

    key_id: str | None
    is_admin: bool
    user_id: str | None

    def may_use(self, user_id: str) -> bool:
        """Returns whether the caller may use that user's memory. The memory need not exist."""
        return self.is_admin or self.user_id == user_id

    def require_access(self, user_id: str) -> None:
        """Raises an error if the caller may not use a user's memory.

        The error is the same whether or not that user exists, so that it does not reveal which users there are.

        Raises:
            HTTPException: 403 if the memory of that user is closed to the caller.
        """
        if not self.may_use(user_id):
            raise HTTPException(403, "this key is for the memory of another user")


LOCAL = Caller(key_id=None, is_admin=True, user_id=None)
"""The caller of every request while keys are off: any program on this machine."""
