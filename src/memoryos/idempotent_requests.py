"""Recognises repeated requests by their idempotency keys, so that a request is executed only once.

The record of a request contains the caller's key and a hash of the request. A repeated request has the same record.
"""

from __future__ import annotations

from dataclasses import replace
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
    from memoryos.redaction import Redactor
    from memoryos.storage.idempotency import IdempotencyKey

__all__ = ["NO_TIME", "answer_request", "append_request", "repeated_answer"]

NO_TIME = datetime.min.replace(tzinfo=timezone.utc)
"""Replaces a missing timestamp in the hash of a request, so that a repetition of the request has the same hash."""


def append_request(idempotency_key: str, drafts: Sequence[PageDraft]) -> IdempotencyKey:
    """Returns the idempotency record of a request to store pages: the caller's key and a hash of the pages.

    Args:
        idempotency_key: The caller's key.
        drafts: The pages to store, in which secrets are redacted. ``NO_TIME`` replaces a missing timestamp.

    Raises:
        InputError: If the key is not valid.
    """
    content = [(each.at.isoformat(), each.user_text, each.assistant_text, dict(each.metadata)) for each in drafts]
    return idempotency_key_of(read_idempotency_key(idempotency_key), content)


def answer_request(
    idempotency_key: str, query: str, style: AnswerStyle, redactor: Redactor, *, remember: bool
) -> IdempotencyKey:
    """Returns the idempotency record of a question: the caller's key and a hash of the question and the answer style.

    The hash is computed after secrets were redacted.

    Raises:
        InputError: If the key is not valid. Also if ``remember`` is False: the answer is then not stored, so it could
            not be returned for a repeated request.
    """
    key = read_idempotency_key(idempotency_key)
    if not remember:
        raise InputError(
            "idempotency_key", "requires remember=True, because only a stored answer can be returned again"
        )
    style = replace(style, style_hint=redactor.text(style.style_hint), conversation=redactor.value(style.conversation))
    return idempotency_key_of(
        key, ("answer", redactor.text(query), style.relationship, style.style_hint, style.conversation)
    )


def repeated_answer(query: str, page: Page) -> Answer:
    """Returns the answer stored in a page, with the ids of its source pages.

    Its recall is empty and its origin is None, because neither is stored.

    Raises:
        NotFoundError: If the answer was forgotten.
    """
    if not page.assistant_text:
        raise NotFoundError("the answer to this request was forgotten; send the request with a new idempotency key")
    return Answer(page.assistant_text, Recall(query), tuple(page.metadata.get(ANSWERED_FROM, ())))
