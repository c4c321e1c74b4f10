"""Idempotency keys: identifies requests that are sent again, and creates the answers to them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from memoryos.errors import InputError, NotFoundError
from memoryos.generation.responder import Answer
from memoryos.inputs import read_idempotency_key
from memoryos.model import ANSWERED_FROM
from memoryos.retrieval.recall import Recall
from memoryos.storage.idempotency import idempotency_key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memoryos.generation.responder import AnswerStyle
    from memoryos.model import Page, PageDraft
    from memoryos.storage.idempotency import IdempotencyKey

__all__ = ["NO_TIME", "answer_request", "append_request", "repeated_answer"]

NO_TIME = datetime.min.replace(tzinfo=timezone.utc)
"""Placeholder for a missing time of a page, so that a repeated request has the same hash at another time."""


def append_request(idempotency_key: str, drafts: Sequence[PageDraft]) -> IdempotencyKey:
    """Returns the hashes of a request to append pages.

    Args:
        idempotency_key: The caller's key.
        drafts: The pages; those without a given time have ``NO_TIME``.

    Raises:
        InputError: If the key is invalid.
    """
    content = [(each.at.isoformat(), each.user_text, each.assistant_text, dict(each.metadata)) for each in drafts]
    return idempotency_key_of(read_idempotency_key(idempotency_key), content)


def answer_request(idempotency_key: str, query: str, style: AnswerStyle, *, remember: bool) -> IdempotencyKey:
    """Returns the hashes of a request for an answer.

    Raises:
        InputError: If the key is invalid, or the answer is not remembered.
    """
    key = read_idempotency_key(idempotency_key)
    if not remember:
        raise InputError("idempotency_key", "requires remember=True: an answer that is not stored can't be repeated")
    return idempotency_key_of(key, ("answer", query, style.relationship, style.style_hint, style.conversation))


def repeated_answer(query: str, page: Page) -> Answer:
    """Returns the answer that is stored in a page, with its sources but with an empty recall and without its origin.

    Raises:
        NotFoundError: If the answer was forgotten.
    """
    if not page.assistant_text:
        raise NotFoundError("the answer to this request was forgotten; send the request with a new idempotency key")
    return Answer(page.assistant_text, Recall(query), tuple(page.metadata.get(ANSWERED_FROM, ())))
