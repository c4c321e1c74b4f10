"""Generates answers from recalled pages and facts (§3.5 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import InputError
from memoryos.generation.prompt import answer_prompt
from memoryos.language.text import estimate_tokens
from memoryos.seams import AnswerRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from memoryos.config import Config
    from memoryos.model import Origin
    from memoryos.retrieval.recall import Recall
    from memoryos.seams import Analyst, Meter

__all__ = ["Answer", "AnswerStream", "AnswerStyle", "Responder", "answer_sources", "replay"]

REPLY_SHARE = 0.25
"""Share of the LLM's context that is reserved for the reply."""


class Answer(str):
    """The text of an answer, with its sources.

    Attributes:
        sources: Ids of the pages on which the answer is based, best first.
        recall: The pages and facts that were recalled for the query.
        origin: The analyst that answered. None for a stored answer that is returned again to a repeated request.
    """

    __slots__ = ("origin", "recall", "sources")

    recall: Recall
    sources: tuple[str, ...]
    origin: Origin | None

    def __new__(  # noqa: PYI034
        cls, text: str, recall: Recall, sources: tuple[str, ...] = (), origin: Origin | None = None
    ) -> Answer:
        """Creates an answer from its text and its sources."""
        answer = super().__new__(cls, text)
        answer.recall = recall
        answer.sources = sources
        answer.origin = origin
        return answer

    def __reduce__(self) -> tuple[type[Answer], tuple[str, Recall, tuple[str, ...], Origin | None]]:
        """Returns the class and the arguments from which ``copy`` and ``pickle`` create a copy."""
        return Answer, (str(self), self.recall, self.sources, self.origin)

    @property
    def flagged(self) -> tuple[str, ...]:
        """Ids of the recalled pages that look like instructions to a model."""
        return self.recall.flagged


class AnswerStream(Iterator[str]):
    """An iterator over the pieces of an answer, in the order in which they arrive.

    Attributes:
        recall: The pages and facts that were recalled for the query.
        answer: The whole answer. None until the last piece was read.
    """

    def __init__(self, recall: Recall, pieces: Generator[str, None, Answer]) -> None:
        self.recall = recall
        self.answer: Answer | None = None
        self._pieces = pieces

    def __next__(self) -> str:
        """Returns the next piece of the answer."""
        try:
            return next(self._pieces)
        except StopIteration as end:
            if self.answer is None:  # a generator that has already ended has no value
                self.answer = end.value
            raise

    def finish(self) -> Answer:
        """Reads the remaining pieces and returns the whole answer.

        Raises:
            AnalystError: If the analyst failed.
            InputError: If the stream was closed before its end.
        """
        for _ in self:
            pass
        if self.answer is None:
            raise InputError("stream", "was closed before the end of the answer; call get_response again")
        return self.answer

    def close(self) -> None:
        """Stops the generation of the answer. An incomplete answer is not stored."""
        self._pieces.close()


@dataclass(frozen=True, slots=True)
class AnswerStyle:
    """The style of an answer, as the caller requests it.

    Attributes:
        relationship: The relationship of the assistant to the user, for example "friend".
        style_hint: Tone or form of the answer, in the caller's words.
        conversation: Facts about this conversation, for example its platform. None means no facts.
    """

    relationship: str
    style_hint: str
    conversation: Mapping[str, Any] | None


class Responder:
    """Calls the analyst to answer a query from recalled pages and facts.

    Args:
        analyst: The analyst that answers: an LLM, or local rules.
        config: The settings, e.g. the role of the assistant and the context size of the LLM.
    """

    def __init__(self, analyst: Analyst, config: Config) -> None:
        self._analyst = analyst
        self._config = config

    def answer(
        self, recall: Recall, style: AnswerStyle, meter: Meter, *, stream: bool = False
    ) -> Generator[str, None, Answer]:
        """Yields the answer in pieces, and then returns the whole answer.

        The analyst is called when the caller requests the first piece.

        Args:
            recall: The query, and the pages and facts that were recalled for it.
            style: The style of the answer.
            meter: Records the cost of the model call.
            stream: Whether the caller shows the pieces as they arrive.

        Raises:
            AnalystError: If the analyst failed. Pieces that were yielded before the error are no valid answer.
        """
        request = AnswerRequest(recall.query, self._prompt(recall, style), recall, stream)
        reply = self._analyst.answer(request, meter)
        pieces: list[str] = []
        for piece in reply.pieces:
            pieces.append(piece)
            yield piece
        return Answer("".join(pieces), recall, reply.sources(), reply.origin or self._analyst.origin)

    def _prompt(self, recall: Recall, style: AnswerStyle) -> str:
        """Returns the prompt. Lowers the token budget of the memory until the prompt fits into the LLM's context."""
        max_tokens = self._config.llm_context_tokens * (1 - REPLY_SHARE) - estimate_tokens(recall.query)
        budget: float | None = None
        while True:
            prompt = answer_prompt(
                recall,
                relationship=style.relationship,
                style_hint=style.style_hint,
                conversation=style.conversation,
                agent_profile=self._config.agent_profile,
                instructions=self._config.standing_instructions,
                max_tokens=budget,
            )
            excess = estimate_tokens(prompt) - max_tokens
            if excess <= 0 or budget == 0:
                return prompt
            budget = max_tokens if budget is None else max(0, budget - math.ceil(excess))


def answer_sources(answer: Answer) -> list[str]:
    """Returns the ids of the pages on which an answer is based.

    These are ``answer.sources``, and then the source pages of the facts that the answer quotes.
    """
    sources = dict.fromkeys(answer.sources)
    for fact in answer.recall.knowledge:
        if fact.text in answer:
            sources |= dict.fromkeys(fact.source_page_ids)
    return list(sources)


def replay(answer: Answer) -> Generator[str, None, Answer]:
    """Yields a stored answer as one piece, and then returns it, like a newly generated answer."""
    yield str(answer)
    return answer
