"""The protocols of the replaceable parts: embedder, analyst, chat model and cost meter.

Protocols and value types only, without code. Each docstring is the contract and the checklist for an implementation.
Optional methods are protocols of their own (``QueryEmbedder``, ``LanguageLimited``, ``Closeable``).
``memoryos.optional_methods`` supplies the defaults for implementations without them, so that callers need no check.
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

    from memoryos.model import About, Attribute, Knowledge, Origin, Page, Profile, Trait
    from memoryos.retrieval.recall import Recall


__all__ = [
    "Analyst",
    "AnswerRequest",
    "Batch",
    "ChatModel",
    "ChatRequest",
    "Closeable",
    "Digest",
    "Embedder",
    "Fact",
    "LanguageLimited",
    "Lesson",
    "Material",
    "Message",
    "Meter",
    "QueryEmbedder",
    "Reply",
    "ReplySchema",
    "Topic",
    "Usage",
]


class Embedder(Protocol):
    """Turns texts into vectors.

    Every implementation
    * is cheap to construct and loads its model at the first ``embed``;
    * is safe to call from several threads;
    * returns the same vector for a text alone and in a batch;
    * raises ``EmbeddingError`` on failure (never returns zeros or fewer rows).

    Optional: ``QueryEmbedder.embed_queries``, ``LanguageLimited.languages`` and ``Closeable.close``.
    """

    @property
    def name(self) -> str:
        """Identifies the model; stored with every vector. Vectors of different names are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), dimensions]``, rows L2-normalised, in the order given."""
        ...


class QueryEmbedder(Protocol):
    """Optional method of an embedder whose model encodes questions differently from stored texts."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of questions, in the form of ``Embedder.embed``. Default: ``embed``."""
        ...


class LanguageLimited(Protocol):
    """Optional property of an embedder whose model was trained on few languages."""

    @property
    def languages(self) -> frozenset[str] | None:
        """Codes of the supported languages, for example "en"; None for no limit. Default: None.

        Recall lowers the weight of vector similarity for a question in another language.
        """
        ...


class Closeable(Protocol):
    """Optional method of an embedder, analyst or chat model that holds connections. Default: nothing to release."""

    def close(self) -> None:
        """Releases the connections; a later call may open them again."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """The pages that are due for consolidation, and their context.

    Attributes:
        pages: The due pages in log order; at least one.
        vectors: ``float32[len(pages), dimensions]``: the mean of each page's utterance vectors, L2-normalised.
        previous: The page directly before ``pages[0]`` in the log, or None.
        previous_vector: The vector of ``previous``.
        previous_summary: Summary of the chain of ``previous``; "" if it has no chain.
    """

    pages: tuple[Page, ...]
    vectors: NDArray[np.float32]
    previous: Page | None = None
    previous_vector: NDArray[np.float32] | None = None
    previous_summary: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of a batch: K_p of Eq. 3 and the pages it covers."""

    summary: str
    keywords: frozenset[str]
    page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """An analyst's result for a batch.

    Attributes:
        continues: One boolean per page: whether it continues the page before it (``previous`` for the first page).
        chain_summaries: One summary for each chain of the batch, in order. The first belongs to the previous chain
            if ``continues[0]``; each later False starts a new chain.
        topics: One or two topics; every page of the batch is in exactly one of them.
        origin: Origin of the fallback analyst if it produced this result; None for the analyst itself.
    """

    continues: tuple[bool, ...]
    chain_summaries: tuple[str, ...]
    topics: tuple[Topic, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Knowledge found by an analyst, before the store assigns an id.

    Attributes:
        about: Whom the fact describes: the user or the assistant.
        text: The fact, one sentence, in the language of the conversation.
        source_page_ids: Ids of the source pages; never empty.
        valid_from: Start of its validity, if the text states one.
        supersedes: Ids of the current facts that this fact replaces. "#0" refers to the first fact of the same
            ``Lesson``, "#1" to the second.
        superseded_by: Id of the current fact that replaces this fact, or "#0", "#1" as above. Pages may be read out
            of order, so a fact from a newer page may be current already; this fact is then stored as superseded.
    """

    about: About
    text: str
    source_page_ids: tuple[str, ...]
    valid_from: datetime | None = None
    supersedes: tuple[str, ...] = ()
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """Input of ``Analyst.learn``: the unlearned pages of a hot segment and the current knowledge.

    Attributes:
        pages: Unlearned pages in log order; at least one.
        profile: The current profile.
        knowledge: The current (not superseded, not archived) entries, oldest first.
    """

    pages: tuple[Page, ...]
    profile: Profile
    knowledge: tuple[Knowledge, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Result of ``Analyst.learn``: changes only.

    Attributes:
        attributes: Static attributes that are new or changed.
        traits: Traits that are new or changed; each replaces the trait of the same dimension completely.
        facts: Knowledge to add, with the entries that each fact supersedes. Excludes entries of ``Material.knowledge``.
        dropped: Ids of current entries that are wrong or worthless; they move into history.
        origin: Origin of the fallback analyst if it produced this result; None for the analyst itself.
    """

    attributes: tuple[Attribute, ...] = ()
    traits: tuple[Trait, ...] = ()
    facts: tuple[Fact, ...] = ()
    dropped: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A question with the recalled memory from which to answer it.

    Attributes:
        query: The user's words.
        system: The system prompt: instructions, profile, knowledge, recalled and short-term pages, fenced as data.
        recall: The recalled memory as objects, for an analyst that does not use the prompt.
        stream: Whether the caller shows the pieces as they arrive.
    """

    query: str
    system: str
    recall: Recall
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A streaming answer.

    Attributes:
        pieces: Yields the text of the answer in pieces. Iterating may raise ``AnalystError``.
        sources: Function that returns the ids of the pages on which the answer is based, best first. Call it only after
            the last piece.
        origin: Origin of the fallback analyst if that one answers; None if the main analyst answers.
    """

    pieces: Iterator[str]
    sources: Callable[[], tuple[str, ...]] = tuple
    origin: Origin | None = None


class Meter(Protocol):
    """Records the cost of model calls and enforces the token budget."""

    def allow(self) -> None:
        """Raises ``BudgetExceededError`` if the budget is used up. Analysts call it before work that can wait."""
        ...

    def __call__(self, usage: Usage) -> None:
        """Records the cost of one call, whether or not its reply was usable."""
        ...


class Analyst(Protocol):
    """Extracts structure and knowledge from conversations, and answers questions.

    Every implementation
    * has no database access and no state between calls: after a crash the same input is passed again;
    * is safe to call from several threads;
    * raises ``AnalystUnavailableError`` if its model can't be reached and ``InvalidReplyError`` if the reply can't be
      used: a failed call never becomes text, a score or an empty result;
    * returns only page ids and knowledge ids from its input;
    * reports the cost of each model call to the meter, including failed calls.

    Optional: ``Closeable.close``.
    """

    @property
    def origin(self) -> Origin:
        """Name and version; stored with all derived data."""
        ...

    def digest(self, batch: Batch, meter: Meter) -> Digest:
        """Returns continuity, chain summaries and topics of a batch."""
        ...

    def learn(self, material: Material, meter: Meter) -> Lesson:
        """Returns attributes, traits and knowledge found in a hot segment."""
        ...

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Returns a streaming answer in the language of the query."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of one model call.

    Attributes:
        model: Name of the model.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the reply, including hidden reasoning.
        seconds: Duration, including retries.
        estimated: Whether the token counts are an estimate, because the endpoint reported none.
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
    """The required form of a reply: a name and a JSON schema of closed objects with all fields required."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Input of a chat model.

    Attributes:
        messages: The chat so far, newest last.
        schema: The required form of the reply; None for free text. A model without schema support may ignore it.
    """

    messages: tuple[Message, ...]
    schema: ReplySchema | None = None


class ChatModel(Protocol):
    """Completes chats.

    Every implementation
    * is cheap to construct and connects at its first call;
    * is safe to call from several threads;
    * makes a bounded number of retries after transient errors before it raises;
    * raises ``AnalystUnavailableError`` if no reply is available now and ``InvalidReplyError`` if the reply is empty
      or malformed; no error message contains text of the conversation;
    * removes hidden reasoning from the reply.

    Optional: ``Closeable.close``.
    """

    @property
    def name(self) -> str:
        """Name of the model, as shown in the cost records."""
        ...

    def complete(self, request: ChatRequest, meter: Meter) -> str:
        """Returns the reply, never empty."""
        ...

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the reply in pieces."""
        ...
