"""The responder: from what is remembered to an answer (§3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.generation.prompt import answer_prompt
from memoryos.seams import AnswerRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from memoryos.retrieval.recall import Recall
    from memoryos.seams import Analyst

__all__ = ["Answer", "Responder"]


class Answer(str):
    """An answer: text, with what it is based on.

    Attributes:
        sources: Ids of the pages that it is based on, best first.
        recall: Everything that was remembered for the query.
    """

    __slots__ = ("recall", "sources")

    recall: Recall
    sources: tuple[str, ...]

    def __new__(cls, text: str, recall: Recall, sources: tuple[str, ...] = ()) -> Answer:  # noqa: PYI034
        """Returns the text with its sources."""
        answer = super().__new__(cls, text)
        answer.recall = recall
        answer.sources = sources
        return answer


class Responder:
    """Has the analyst answer from a recall."""

    def __init__(self, analyst: Analyst) -> None:
        self._analyst = analyst

    def answer(
        self,
        recall: Recall,
        *,
        relationship: str,
        style_hint: str,
        conversation: Mapping[str, Any] | None,
        remember: Callable[[str], None],
    ) -> Iterator[str | Answer]:
        """Yields the answer piece by piece, then the whole as an ``Answer``.

        Args:
            recall: What is remembered for the query.
            relationship: What the assistant is to the user.
            style_hint: How to answer.
            conversation: What the caller knows of this conversation.
            remember: Called once with the whole answer, only if the analyst finished it.

        Raises:
            AnalystError: If the analyst failed; nothing is remembered then.
        """
        system = answer_prompt(recall, relationship=relationship, style_hint=style_hint, conversation=conversation)
        reply = self._analyst.answer(AnswerRequest(recall.query, system, recall))
        pieces: list[str] = []
        for piece in reply.pieces:
            pieces.append(piece)
            yield piece
        text = "".join(pieces)
        remember(text)
        yield Answer(text, recall, reply.source_page_ids)
