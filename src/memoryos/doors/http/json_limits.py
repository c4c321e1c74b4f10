"""Checks the number of values and the nesting depth of a JSON text before the text is parsed."""

from __future__ import annotations

import numpy as np
from starlette.exceptions import HTTPException

from memoryos.errors import InputError

__all__ = ["MAX_DEPTH", "check_json"]

MAX_DEPTH = 200
"""Maximum nesting depth of lists and objects. Python's JSON parser is recursive and fails at a deeper nesting."""
_OPENING = b"[{"
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def check_json(body: bytes, max_values: int) -> None:
    """Checks the size of a JSON text without parsing it, in linear time and much faster than a parser.

    Each list, object, member of an object and item of a list counts as one value. The function estimates their number
    from the brackets and commas outside strings. A parser would stop at the first syntax error. For the text before
    that error, the estimate is never lower than the true number.

    Args:
        body: The text. It need not be valid JSON; the parser reports syntax errors.
        max_values: Maximum number of values.

    Raises:
        HTTPException: 413 if the text has more than ``max_values`` values.
        InputError: If the text is nested more than 200 levels deep or is not UTF-8 (for example UTF-16).
    """
    if b"\0" in body:  # UTF-16 and UTF-32 JSON always contain NUL, valid UTF-8 JSON never
        raise InputError("body", "contains a NUL byte; send JSON in UTF-8")
    if _count(body, b",[{") <= max_values and _count(body, _OPENING) <= MAX_DEPTH:
        return
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if unescaped.count(b'"') > 4 * (max_values + 1):  # at most a quoted name and a quoted text per value
        raise _too_many(max_values)
    outside = b"".join(unescaped.split(b'"')[::2])
    if _depth(outside, max_values) > MAX_DEPTH:
        raise InputError("body", f"is nested more than {MAX_DEPTH} levels deep; send a flatter structure")
    if _count(outside, b",[{") > max_values:
        raise _too_many(max_values)


def _count(text: bytes, marks: bytes) -> int:
    return sum(text.count(mark) for mark in marks)


def _depth(outside: bytes, max_brackets: int) -> int:
    """Returns the greatest nesting depth within the first ``max_brackets`` brackets of a JSON text.

    Args:
        outside: The text without its strings.
        max_brackets: Maximum number of brackets to examine.
    """
    brackets = np.frombuffer(outside.translate(None, _NO_BRACKETS)[:max_brackets], dtype=np.uint8)
    opens = (brackets == ord("[")) | (brackets == ord("{"))
    return int(np.cumsum(np.where(opens, 1, -1)).max(initial=0))


def _too_many(max_values: int) -> HTTPException:
    return HTTPException(413, f"The JSON has more than {max_values} values; send it in parts or raise max_json_values.")
