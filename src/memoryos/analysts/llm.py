"""The LLM analyst: one model call per batch, per hot segment and per answer."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, TypeVar

from memoryos.analysts.citing import CitationReader
from memoryos.analysts.llm_replies import read_profiling, read_reading
from memoryos.analysts.prompts import profile as profile_prompt
from memoryos.analysts.prompts import read as read_prompt
from memoryos.errors import InvalidReplyError
from memoryos.language.text import estimate_tokens
from memoryos.model import Origin
from memoryos.optional_methods import close_method
from memoryos.seams import ChatRequest, Message, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from memoryos.seams import AnswerRequest, Batch, ChatModel, Material, Meter, Profiling, Reading, ReplySchema

__all__ = ["LLMAnalyst"]

_log = logging.getLogger(__name__)

LONGEST_UTTERANCE = 8_000
"""Characters: a longer utterance stands as an excerpt. The bound is halved until the prompt fits the model's context."""
SHORTEST_EXCERPT = 125
REPLY_SHARE = 0.25
"""Of the context; kept free for the reply."""
_ECHO_CHARACTERS = 4_000
_REPAIR = (
    "That reply can't be used: {reason}. Reply again with the one JSON object that was asked for, and nothing else."
)

Result = TypeVar("Result")


class LLMAnalyst:
    """An ``Analyst`` on any chat model.

    Args:
        model: The chat model.
        context_tokens: What it reads and writes in one call; longer prompts show long utterances as excerpts.
    """

    def __init__(self, model: ChatModel, *, context_tokens: int = 16_000) -> None:
        self._model = model
        self._close_model = close_method(model)
        self._room = int(context_tokens * (1 - REPLY_SHARE))
        self._echo_characters = min(_ECHO_CHARACTERS, int(context_tokens * REPLY_SHARE / 2))

    @property
    def origin(self) -> Origin:
        """Returns ("llm/<model>", the versions of its prompts)."""
        return Origin(f"llm/{self._model.name}", f"{read_prompt.VERSION}.{profile_prompt.VERSION}")

    def close(self) -> None:
        """Closes the connections of the model, if it has any."""
        self._close_model()

    def read(self, batch: Batch, meter: Meter) -> Reading:
        """Reads a batch with one call, and a second one if the first reply is not usable.

        Raises:
            AnalystUnavailableError: If the model can't be reached, or the token budget is used up.
            InvalidReplyError: If the second reply is not usable either.
        """
        meter.allow()
        messages = self._fitting(lambda limit: read_prompt.read_messages(batch, limit), batch.pages[0].page_id)
        reading = self._ask(messages, read_prompt.SCHEMA, lambda text: read_reading(text, batch), meter)
        _log_dropped(read_prompt.NAME, reading.dropped)
        return reading

    def profile(self, material: Material, meter: Meter) -> Profiling:
        """Infers traits with one call, and a second one if the first reply is not usable.

        Raises:
            AnalystUnavailableError: If the model can't be reached, or the token budget is used up.
            InvalidReplyError: If the second reply is not usable either.
        """
        meter.allow()
        messages = self._fitting(
            lambda limit: profile_prompt.profile_messages(material, limit), material.pages[0].page_id
        )
        profiling, dropped = self._ask(
            messages, profile_prompt.SCHEMA, lambda text: read_profiling(text, material), meter
        )
        _log_dropped(profile_prompt.NAME, dropped)
        return profiling

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Answers with one call; the pages that it names as its sources are taken out of the text."""
        messages = (Message("system", request.system), Message("user", request.query))
        citations = CitationReader(request.recall)
        return Reply(self._spoken(request, ChatRequest(messages), citations, meter), citations.page_ids)

    def _spoken(
        self, request: AnswerRequest, chat: ChatRequest, citations: CitationReader, meter: Meter
    ) -> Iterator[str]:
        pieces = self._model.stream(chat, meter) if request.stream else iter([self._model.complete(chat, meter)])
        has_spoken = False
        for piece in citations.read(_UNSTORABLE.sub("", piece) for piece in pieces):
            has_spoken = has_spoken or bool(piece.strip())
            yield piece
        if not has_spoken:
            raise InvalidReplyError("the reply was empty")

    def _ask(
        self, messages: tuple[Message, ...], schema: ReplySchema, read: Callable[[str], Result], meter: Meter
    ) -> Result:
        text = self._model.complete(ChatRequest(messages, schema), meter)
        try:
            return read(text)
        except InvalidReplyError as error:
            _log.info("%s: a reply is asked for again: %s", schema.name, error)
            repair = Message("user", _REPAIR.format(reason=error))
            again = (*messages, Message("assistant", _UNSTORABLE.sub("", text)[: self._echo_characters]), repair)
            return read(self._model.complete(ChatRequest(again, schema), meter))

    def _fitting(self, write: Callable[[int], tuple[Message, ...]], page_id: str) -> tuple[Message, ...]:
        limit = LONGEST_UTTERANCE
        messages = write(limit)
        while (tokens := _tokens(messages)) > self._room and limit > SHORTEST_EXCERPT:
            limit //= 2
            messages = write(limit)
        if tokens > self._room:
            _log.warning(
                "a prompt of about %d tokens leaves too little of llm_context_tokens for the reply (from page %s on)",
                tokens,
                page_id,
            )
        if any(_LEFT_OUT.search(each.content) for each in messages):
            _log.info("pages from %s on are shown to the LLM with utterances of at most %d characters", page_id, limit)
        return messages


def _log_dropped(name: str, dropped: Sequence[str]) -> None:
    if dropped:
        _log.info("%s: parts of a reply are not used: %s", name, "; ".join(dropped))


def _tokens(messages: tuple[Message, ...]) -> float:
    return sum(estimate_tokens(each.content) for each in messages)


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LEFT_OUT = re.compile(r"\[… [\d,]+ characters left out …\]")
