"""Requests that are sent again, because their answer was lost: by what they are known, and what they get."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from memoryos.errors import InputError, NotFoundError
from memoryos.generation.responder import Answer
from memoryos.inputs import read_idempotency_key
from memoryos.model import ANSWERED_FROM
from memoryos.retrieval.recall import Recall
from memoryos.storage.idempotency import once_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memoryos.generation.responder import AnswerStyle
    from memoryos.model import Page, PageDraft
    from memoryos.storage.idempotency import Once

__all__ = ["NO_TIME", "answer_request", "append_request", "repeated_answer"]

NO_TIME = datetime.min.replace(tzinfo=timezone.utc)
"""Stands for a time that the caller did not give: a request that is sent again asks for the same."""


def append_request(idempotency_key: str, drafts: Sequence[PageDraft]) -> Once:
    """Returns the mark of a request to remember exchanges; those without a time of their own have ``NO_TIME``.

    Raises:
        InputError: If the key can't be used.
    """
    asked = [(each.at.isoformat(), each.user_text, each.assistant_text, dict(each.metadata)) for each in drafts]
    return once_of(read_idempotency_key(idempotency_key), asked)


def answer_request(idempotency_key: str, query: str, style: AnswerStyle, *, remember: bool) -> Once:
    """Returns the mark of a request to answer.

    Raises:
        InputError: If the key can't be used, or goes with an answer that is not to be remembered.
    """
    key = read_idempotency_key(idempotency_key)
    if not remember:
        raise InputError("idempotency_key", "needs remember: an answer that is not remembered can't be repeated_answer")
    return once_of(key, ("answer", query, style.relationship, style.style_hint, style.conversation))


def repeated_answer(query: str, page: Page) -> Answer:
    """Returns the answer that was remembered as a page: with its sources, without a recall and without its origin.

    Raises:
        NotFoundError: If the answer was forgotten since.
    """
    if not page.assistant_text:
        raise NotFoundError("this request was done, and its answer was forgotten since")
    return Answer(page.assistant_text, Recall(query), tuple(page.metadata.get(ANSWERED_FROM, ())))
