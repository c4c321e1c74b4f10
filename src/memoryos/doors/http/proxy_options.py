"""What a chat's headers and its field ``user`` ask of the proxy: whose memory, and what is to be left undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import HTTPException

from memoryos.errors import InputError
from memoryos.inputs import read_idempotency_key

if TYPE_CHECKING:
    from starlette.requests import Request

    from memoryos.config import Config
    from memoryos.doors.http.authentication import Caller
    from memoryos.doors.http.proxy_body import Chat

__all__ = ["ASSISTANT", "IDEMPOTENCY_KEY", "PREFIX", "RECALL", "REMEMBER", "USER", "ProxyOptions", "read_proxy_options"]

PREFIX = "x-memoryos-"
"""Headers that begin so are for us; none of them goes on to the endpoint."""
USER = "X-MemoryOS-User"
ASSISTANT = "X-MemoryOS-Assistant"
RECALL = "X-MemoryOS-Recall"
REMEMBER = "X-MemoryOS-Remember"
IDEMPOTENCY_KEY = "Idempotency-Key"
_ANSWERS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """Whose memory a chat is about, and what is done with it.

    Attributes:
        user_id: The user.
        assistant_id: The assistant.
        recalls: Whether memory is put in.
        remembers: Whether the exchange becomes a page.
        idempotency_key: The caller's own key of this request; None if it gave none.
    """

    user_id: str
    assistant_id: str
    recalls: bool
    remembers: bool
    idempotency_key: str | None


def read_proxy_options(request: Request, caller: Caller, chat: Chat, config: Config) -> ProxyOptions:
    """Returns what a request asks for.

    The header names the user, else the field ``user``; with both, the field is the endpoint's business and is not read.
    A key of one user can name nobody else. An administrator has to name somebody; while keys are off, whoever names
    nobody means the user of the settings.

    Raises:
        HTTPException: 403 if a key of one user names another.
        InputError: If a header can't be read, or an administrator's key names nobody.
    """
    key = _header(request, IDEMPOTENCY_KEY)
    return ProxyOptions(
        user_id=_user(_header(request, USER) or chat.user, caller, config),
        assistant_id=_header(request, ASSISTANT) or config.assistant_id,
        recalls=_switch(request, RECALL),
        remembers=_switch(request, REMEMBER),
        idempotency_key=None if key is None else read_idempotency_key(key),
    )


def _user(named: str | None, caller: Caller, config: Config) -> str:
    if caller.user_id is not None:
        if named not in {None, caller.user_id}:
            raise HTTPException(403, f"this key opens the memory of another user; where `user` is no user, set {USER}")
        return caller.user_id
    if named is not None:
        return named
    if caller.key_id is not None:
        raise InputError("user", f"an administrator's key opens every memory; name the user by {USER} or `user`")
    return config.user_id


def _switch(request: Request, name: str) -> bool:
    value = _header(request, name) or "yes"
    if value.lower() not in _ANSWERS:
        raise InputError(name, "must be yes or no")
    return _ANSWERS[value.lower()]


def _header(request: Request, name: str) -> str | None:
    """Returns the value of a header, read as UTF-8; None if it is absent or empty."""
    values = set(request.headers.getlist(name))
    if len(values) > 1:
        raise InputError(name, "is given twice, with two values")
    value = next(iter(values), "")
    try:
        value = value.encode("latin-1").decode()
    except UnicodeError as error:
        raise InputError(name, "must be UTF-8") from error
    return value.strip() or None
