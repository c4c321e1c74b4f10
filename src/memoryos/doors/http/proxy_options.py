"""The options of a chat in the proxy: its user and assistant, and whether to recall memory and to store the chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import HTTPException

from memoryos.errors import InputError
from memoryos.inputs import read_idempotency_key

if TYPE_CHECKING:
    from starlette.requests import Request

    from memoryos.config import Config
    from memoryos.doors.http.caller import Caller
    from memoryos.doors.http.proxy_body import Chat

__all__ = ["ASSISTANT", "IDEMPOTENCY_KEY", "PREFIX", "RECALL", "REMEMBER", "USER", "ProxyOptions", "read_proxy_options"]

PREFIX = "x-memoryos-"
"""Prefix of the proxy's own request headers. They are not forwarded to the LLM endpoint."""
USER = "X-MemoryOS-User"
ASSISTANT = "X-MemoryOS-Assistant"
RECALL = "X-MemoryOS-Recall"
REMEMBER = "X-MemoryOS-Remember"
IDEMPOTENCY_KEY = "Idempotency-Key"
_BOOLEANS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """The options of one chat in the proxy.

    Attributes:
        user_id: The user whose memory is used.
        assistant_id: The assistant. User and assistant together select the memory.
        recalls: Whether recalled memory is added to the chat.
        remembers: Whether the exchange is stored as a page.
        idempotency_key: The idempotency key of the request; None for a request without a key.
    """

    user_id: str
    assistant_id: str
    recalls: bool
    remembers: bool
    idempotency_key: str | None


def read_proxy_options(request: Request, caller: Caller, chat: Chat, config: Config) -> ProxyOptions:
    """Returns the options of a chat from the request's headers, its field ``user`` and the settings.

    A user in the headers takes precedence over the field ``user``. If the key of the request belongs to one user, that
    user's memory is used. If the key belongs to an administrator, the request must name a user. If no key is required,
    the default is the user in the settings.

    Raises:
        HTTPException: 403 if the request names a user other than the user of its key.
        InputError: If a header is invalid, or if an administrator's request names no user.
    """
    key = _header(request, IDEMPOTENCY_KEY)
    return ProxyOptions(
        user_id=_user(_header(request, USER) or chat.user, caller, config),
        assistant_id=_header(request, ASSISTANT) or config.assistant_id,
        recalls=_boolean(request, RECALL),
        remembers=_boolean(request, REMEMBER),
        idempotency_key=None if key is None else read_idempotency_key(key),
    )


def _user(requested: str | None, caller: Caller, config: Config) -> str:
    if caller.user_id is not None:
        if requested not in {None, caller.user_id}:
            raise HTTPException(
                403, f"this key is for the memory of another user; send the user id of the key in {USER} or `user`"
            )
        return caller.user_id
    if requested is not None:
        return requested
    if caller.key_id is not None:
        raise InputError("user", f"is required with an administrator's key; send {USER} or the field `user`")
    return config.user_id


def _boolean(request: Request, name: str) -> bool:
    value = _header(request, name) or "yes"
    if value.lower() not in _BOOLEANS:
        raise InputError(name, "must be yes or no")
    return _BOOLEANS[value.lower()]


def _header(request: Request, name: str) -> str | None:
    """Returns the value of a header, decoded as UTF-8; None if the header is absent or empty."""
    values = set(request.headers.getlist(name))
    if len(values) > 1:
        raise InputError(name, "occurs twice with different values; send this header once")
    value = next(iter(values), "")
    try:
        value = value.encode("latin-1").decode()
    except UnicodeError as error:
        raise InputError(name, "must be UTF-8") from error
    return value.strip() or None
