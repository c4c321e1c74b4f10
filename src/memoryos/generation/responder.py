"""The responder: from what is remembered to an answer (§3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import AnalystError
from memoryos.generation.prompt import LONGEST_UTTERANCE, answer_prompt
from memoryos.language.text import estimate_tokens
from memoryos.seams import AnswerRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from memoryos.config import Config
    from memoryos.model import Origin
    from memoryos.retrieval.recall import Recall
    from memoryos.seams import Analyst, Meter

__all__ = ["Answer", "AnswerStream", "Manner", "Responder"]

REPLY_SHARE = 0.25
"""Of the model's context; kept free for the reply."""
SHORTEST_EXCERPT = 125


class Answer(str):
    """An answer: text, with what it is based on.

    Attributes:
        sources: Ids of the pages that it is based on, best first.
        recall: Everything that was remembered for the query.
        origin: Who answered.
    """

    __slots__ = ("origin", "recall", "sources")

    recall: Recall
    sources: tuple[str, ...]
    origin: Origin | None

    def __new__(  # noqa: PYI034
        cls, text: str, recall: Recall, sources: tuple[str, ...] = (), origin: Origin | None = None
    ) -> Answer:
        """Returns the text with its sources."""
        answer = super().__new__(cls, text)
        answer.recall = recall
        answer.sources = sources
        answer.origin = origin
        return answer

    def __reduce__(self) -> tuple[type[Answer], tuple[str, Recall, tuple[str, ...], Origin | None]]:
        """Lets answers be copied."""
        return Answer, (str(self), self.recall, self.sources, self.origin)

    @property
    def flagged(self) -> tuple[str, ...]:
        """Ids of pages in its context that read like instructions to a model."""
        return self.recall.flagged


class AnswerStream(Iterator[str]):
    """The pieces of an answer as they come.

    Attributes:
        recall: Everything that was remembered for the query.
        answer: The whole answer, once its last piece has come; None before.
    """

    def __init__(self, recall: Recall, pieces: Iterator[str | Answer]) -> None:
        self.recall = recall
        self.answer: Answer | None = None
        self._pieces = pieces

    def __next__(self) -> str:
        """Returns the next piece."""
        for piece in self._pieces:
            if not isinstance(piece, Answer):
                return piece
            self.answer = piece
        raise StopIteration

    def close(self) -> None:
        """Ends the answer where it is; what is not whole is not remembered."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer is to be given.

    Attributes:
        relationship: What the assistant is to the user.
        style_hint: How to answer.
        conversation: What the caller knows of this conversation.
    """

    relationship: str
    style_hint: str
    conversation: Mapping[str, Any] | None


class Responder:
    """Has the analyst answer from a recall.

    Args:
        analyst: Who answers.
        config: Role and instructions of the assistant, and what the LLM can read at once.
    """

    def __init__(self, analyst: Analyst, config: Config) -> None:
        self._analyst = analyst
        self._config = config

    def answer(
        self,
        recall: Recall,
        manner: Manner,
        *,
        stream: bool,
        meter: Meter,
        remember: Callable[[Answer], Answer] | None,
        report: Callable[[AnalystError], None],
    ) -> Iterator[str | Answer]:
        """Yields the answer piece by piece, then the whole as an ``Answer``.

        Args:
            recall: What is remembered for the query.
            manner: How to answer.
            stream: Whether pieces are wanted as they come.
            meter: Is told what the call cost.
            remember: Called once with the whole answer, only if the analyst finished it; returns what is remembered,
                which may be the answer that a twin of this request was given first. None remembers nothing.
            report: Called with the error if it failed.

        Raises:
            AnalystError: If the analyst failed; nothing is remembered then.
        """
        request = AnswerRequest(recall.query, self._prompt(recall, manner), recall, stream)
        pieces: list[str] = []
        try:
            reply = self._analyst.answer(request, meter)
            for piece in reply.pieces:
                pieces.append(piece)
                yield piece
        except AnalystError as error:
            report(error)
            raise
        answer = Answer("".join(pieces), recall, reply.sources(), reply.origin or self._analyst.origin)
        yield answer if remember is None else remember(answer)

    def _prompt(self, recall: Recall, manner: Manner) -> str:
        """Writes the prompt; as long as it does not fit, its longest utterances are halved."""
        room = self._config.llm_context_tokens * (1 - REPLY_SHARE) - estimate_tokens(recall.query)
        longest = LONGEST_UTTERANCE
        while True:
            prompt = answer_prompt(
                recall,
                relationship=manner.relationship,
                style_hint=manner.style_hint,
                conversation=manner.conversation,
                agent_profile=self._config.agent_profile,
                instructions=self._config.standing_instructions,
                longest_utterance=longest,
            )
            if longest <= SHORTEST_EXCERPT or estimate_tokens(prompt) <= room:
                return prompt
            longest //= 2
