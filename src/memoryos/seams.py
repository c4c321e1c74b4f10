"""Protocols of the replaceable parts: embedder, analyst, chat model and cost meter.

The module contains only protocols and value types. The docstring of a protocol lists what an implementation must do.
Optional methods have protocols of their own (``QueryEmbedder``, ``LanguageLimited``, ``Closeable``), and
``memoryos.optional_methods`` supplies defaults for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any, Literal

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.model import About, FactKind, FactStatus, Knowledge, Origin, Page, Profile, Side, Trait
    from memoryos.retrieval.recall import Recall


__all__ = [
    "MAX_BATCH_PAGES",
    "MAX_RELATED_FACTS",
    "Analyst",
    "AnswerRequest",
    "Batch",
    "ChatModel",
    "ChatRequest",
    "Closeable",
    "Embedder",
    "Fact",
    "Immediate",
    "LanguageLimited",
    "Material",
    "Message",
    "Meter",
    "Profiling",
    "QueryEmbedder",
    "Reading",
    "Reply",
    "ReplySchema",
    "Topic",
    "Usage",
]

MAX_BATCH_PAGES = 12
"""Maximum number of pages that an analyst reads in one call."""
MAX_RELATED_FACTS = 20
"""Maximum number of related facts that an analyst is shown with a batch."""


class Embedder(Protocol):
    """Turns texts into vectors.

    Every implementation
    * is cheap to construct, and loads its model at the first call of ``embed``;
    * may be called from several threads at once;
    * returns the same vector for a text alone and in a batch;
    * raises ``EmbeddingError`` on failure, and never returns zeros or fewer rows instead.

    It may also have ``QueryEmbedder.embed_queries``, ``LanguageLimited.languages`` and ``Closeable.close``.
    """

    @property
    def name(self) -> str:
        """Name of the model.

        It is stored with every vector, followed by the version of the passage cutter (``language/passages.py``).
        Vectors with different stored names are never compared.
        """
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector that ``embed`` returns."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns one vector for each text: ``float32[len(texts), dimensions]``, rows L2-normalised."""
        ...


class QueryEmbedder(Protocol):
    """An embedder with the optional method ``embed_queries``, for models that encode questions differently."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns one vector for each question, in the form of ``Embedder.embed``. Default: calls ``embed``."""
        ...


class LanguageLimited(Protocol):
    """An embedder with the optional property ``languages``, for models that support only some languages."""

    @property
    def languages(self) -> frozenset[str] | None:
        """Codes of the supported languages, for example "en". None, the default, means all languages.

        For a question in an unsupported language, recall gives less weight to vector similarity.
        """
        ...


class Immediate(Protocol):
    """An analyst with the optional property ``reads_immediately``, for analysts whose calls cost next to nothing."""

    @property
    def reads_immediately(self) -> bool:
        """Whether pages are read as soon as possible, even one by one. Default: False.

        Other analysts read a batch when it is full, or when the scope had no new page for ``reading_delay_seconds``.
        """
        ...


class Closeable(Protocol):
    """An embedder, analyst or chat model with the optional method ``close``, which closes its connections."""

    def close(self) -> None:
        """Closes the connections. A later call of another method may open them again."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Input of ``Analyst.read``: neighbouring pages to read, and what the analyst needs to know to understand them.

    Attributes:
        pages: The pages to read, in the order of the log; at least one and at most ``MAX_BATCH_PAGES``.
        vectors: One vector per page, ``float32[len(pages), dimensions]``, L2-normalised. It is the mean of the vectors
            of the user's and the assistant's text.
        before: The pages directly before ``pages[0]``, oldest first; at most two. They were read before and are only
            shown.
        before_vector: The vector of ``before[-1]``; None without such a page.
        before_summary: Summary of the chain that contains ``before[-1]``; "" if it is in no chain. A chain is a series
            of pages on one subject.
        user_name: Name of the main user of the scope; None if unnamed. A page in which the user has this name or no
            name is a page of "user"; with another name it is a page of another person.
        assistant_name: The same for the assistant.
        slots: The current facts with a slot, oldest first.
        related: Other current facts that are related to the pages by meaning or words, oldest first; at most
            ``MAX_RELATED_FACTS``.
    """

    pages: tuple[Page, ...]
    vectors: NDArray[np.float32]
    before: tuple[Page, ...] = ()
    before_vector: NDArray[np.float32] | None = None
    before_summary: str = ""
    user_name: str | None = None
    assistant_name: str | None = None
    slots: tuple[Knowledge, ...] = ()
    related: tuple[Knowledge, ...] = ()

    def subject(self, page: Page, side: Side) -> str:
        """Returns the subject of facts that a speaker states about themselves: "user", "assistant" or a name."""
        name = page.user_name if side == "user" else page.assistant_name
        main = self.user_name if side == "user" else self.assistant_name
        return side if name is None or main is None or name.casefold() == main.casefold() else name


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of a batch of pages: summary, keywords (K_p in Eq. 3 of the paper) and ids of the pages on it."""

    summary: str
    keywords: frozenset[str]
    page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that an analyst extracted from pages and that is not stored yet.

    A retraction ("I have no dog any more") is a fact whose ``valid_until`` has passed. It removes the value of its
    slot, or any value of the slot if its own value is None, and the facts in ``replaces``.

    Attributes:
        about: The side whose capacity the fact counts for: the user or the assistant.
        text: The fact as one sentence, in the language of the conversation.
        source_page_ids: Ids of the pages from which the fact was extracted; never empty.
        valid_from: Time from which the fact is true, if the text states one.
        replaces: Ids of the facts that this fact contradicts or changes: facts in ``Batch.slots`` or ``Batch.related``.
            "#0" refers to the first fact of the same ``Reading``, "#1" to the second; only earlier facts.
        subject: Whom the fact describes: "user", "assistant" or the name of another person. Default: ``about``.
        slot: The slot that the fact fills (``memoryos.slots``); None for most facts.
        value: The value of the slot; None without a slot, and for a retraction of any value.
        kind: What kind of statement the fact is.
        status: The status of a plan, decision or promise; None for other kinds.
        valid_until: Time until which the fact is true, if the text states one.
    """

    about: About
    text: str
    source_page_ids: tuple[str, ...]
    valid_from: datetime | None = None
    replaces: tuple[str, ...] = ()
    subject: str = ""
    slot: str | None = None
    value: str | None = None
    kind: FactKind = "fact"
    status: FactStatus | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of ``Analyst.read``: the chains, topics and facts of a batch of pages.

    A chain is a series of consecutive pages on one subject.

    Attributes:
        continues: One boolean per page: True if the page continues the subject of the page before it, False if it
            starts a new chain. The page before the first page is ``Batch.before[-1]``.
        chain_summaries: One summary for each chain, in order. If ``continues[0]`` is True, the first summary replaces
            the summary of the chain that contains ``Batch.before[-1]``.
        topics: One or more topics. Every page of the batch is in exactly one topic.
        facts: What the pages state. A fact that is known already may be repeated.
        dropped: The parts of a model's reply that were not used, each with the reason. They contain no text of the
            conversation.
        origin: The fallback analyst, if it produced this result; None if the analyst itself did.
    """

    continues: tuple[bool, ...]
    chain_summaries: tuple[str, ...]
    topics: tuple[Topic, ...]
    facts: tuple[Fact, ...] = ()
    dropped: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """Input of ``Analyst.profile``: pages of a hot segment, the facts stated in them, and the profile so far.

    A segment is the group of all pages on one topic. It is hot if it was recalled often or recently.

    Attributes:
        pages: The pages of the segment that were not used for a profile yet, in the order of the log; at least one.
        facts: The current facts from these pages, oldest first.
        profile: The current profile of the user.
        user_name: As in ``Batch``.
        assistant_name: As in ``Batch``.
    """

    pages: tuple[Page, ...]
    facts: tuple[Knowledge, ...]
    profile: Profile
    user_name: str | None = None
    assistant_name: str | None = None


@dataclass(frozen=True, slots=True)
class Profiling:
    """Result of ``Analyst.profile``: the changes to the traits of the people who speak.

    Attributes:
        traits: New or changed personality traits. Each replaces the trait of the same subject and dimension completely.
        origin: The fallback analyst, if it produced this result; None if the analyst itself did.
    """

    traits: tuple[Trait, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Input of ``Analyst.answer``: a question, and the recalled pages and facts.

    Attributes:
        query: The question in the user's words.
        system: The system prompt. It contains instructions and, marked as data, the profile, facts and recalled pages.
        recall: The recalled pages and facts as objects, for an analyst that does not use the prompt.
        stream: Whether the caller shows the pieces of the answer as they arrive.
    """

    query: str
    system: str
    recall: Recall
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Result of ``Analyst.answer``: an answer that is streamed in pieces.

    Attributes:
        pieces: Yields the text of the answer in pieces. The iteration may raise ``AnalystError``.
        sources: Function that returns the ids of the pages on which the answer is based, best first. It may be called
            only after the last piece.
        origin: The fallback analyst, if it produced this answer; None if the analyst itself did.
    """

    pieces: Iterator[str]
    sources: Callable[[], tuple[str, ...]] = tuple
    origin: Origin | None = None


class Meter(Protocol):
    """Records the cost of model calls and enforces the token budget."""

    def allow(self) -> None:
        """Checks the token budget. Analysts call this method before work that can wait until the next day.

        Raises:
            BudgetExceededError: If the budget is used up.
        """
        ...

    def __call__(self, usage: Usage) -> None:
        """Records the cost of one model call, even if its reply was not usable."""
        ...


class Analyst(Protocol):
    """Extracts structure and knowledge from conversations, and answers questions.

    Every implementation
    * has no access to the database and keeps no state between calls, because after a crash a call is repeated;
    * may be called from several threads at once;
    * raises ``AnalystUnavailableError`` if its model can't be reached, and ``InvalidReplyError`` if the model's reply
      is not usable. It never returns an empty or invented result instead;
    * returns only ids of pages and facts that its input contains;
    * reports the cost of each model call to the meter, including failed calls.

    It may also have ``Immediate.reads_immediately`` and ``Closeable.close``.
    """

    @property
    def origin(self) -> Origin:
        """Name of the analyst and version of its prompt or rules. Both are stored with all data that it derives."""
        ...

    def read(self, batch: Batch, meter: Meter) -> Reading:
        """Groups a batch of pages into chains and topics, summarises each of them, and extracts facts.

        A chain is a series of consecutive pages on one subject. A topic may also contain pages that are far apart.
        Every page is read once, in the order of the log.
        """
        ...

    def profile(self, material: Material, meter: Meter) -> Profiling:
        """Infers personality traits from pages of one hot segment and the facts stated in them."""
        ...

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Answers a question in its language, from the recalled pages and facts. The answer is streamed."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of one model call.

    Attributes:
        model: Name of the model.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the reply, including reasoning that the endpoint does not return.
        seconds: Duration, including retries.
        estimated: Whether the numbers of tokens are estimates, because the endpoint reported none.
        failed: Whether the call ended in an error.
    """

    model: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    estimated: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ReplySchema:
    """The JSON schema that a reply must satisfy, with a name.

    All fields of its objects are required, and additional fields are forbidden.
    """

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Input of a chat model.

    Attributes:
        messages: The messages of the chat, oldest first.
        schema: The JSON schema of the reply; None for free text. A model without schema support may ignore it.
    """

    messages: tuple[Message, ...]
    schema: ReplySchema | None = None


class ChatModel(Protocol):
    """Completes chats.

    Every implementation
    * is cheap to construct, and opens connections at its first call;
    * may be called from several threads at once;
    * repeats a call after a transient error, with a limited number of retries;
    * raises ``AnalystUnavailableError`` if the model can't be reached, and ``InvalidReplyError`` if the reply is empty
      or malformed. Error messages contain no text of the conversation;
    * removes the model's reasoning (``<think>`` blocks) from the reply.

    It may also have ``Closeable.close``.
    """

    @property
    def name(self) -> str:
        """Name of the model, as shown in the cost records."""
        ...

    def complete(self, request: ChatRequest, meter: Meter) -> str:
        """Returns the model's reply to the messages. The reply is never empty."""
        ...

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the model's reply to the messages in pieces as they arrive."""
        ...
