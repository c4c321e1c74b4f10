"""The seams: what MemoryOS asks of an embedder, of an analyst and of a chat model.

Three Protocols without code. Each docstring is the contract and the checklist for whoever implements one.
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
    "Digest",
    "Embedder",
    "Fact",
    "Lesson",
    "Material",
    "Message",
    "Meter",
    "Reply",
    "ReplySchema",
    "Topic",
    "Usage",
]


class Embedder(Protocol):
    """Turns texts into vectors.

    An implementation whose model knows few languages may say which by a property ``languages``, a ``frozenset`` of
    codes as "en": its vectors count less for a question in another one. One whose model reads questions otherwise than
    what they are asked of may have a method ``embed_queries``, the twin of ``embed`` for questions; without it these
    are read by ``embed``. Every implementation
    * is cheap to construct and loads its model at the first ``embed``;
    * may be called from several threads;
    * gives the same vector for a text whatever else is in the call;
    * raises ``EmbeddingError`` (never returns zeros or fewer rows) when it can't.
    """

    @property
    def name(self) -> str:
        """Identifies the model; stored with every vector. Another name means vectors that can't be compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    def windows(self, text: str) -> list[str]:
        """Cuts a text into pieces that the model reads whole: at least one, in order; a model may state a maximum."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), dimensions]``, rows L2-normalised, in the order given."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """The pages that are due for consolidation, and what came right before them.

    Attributes:
        pages: The due pages in the order of the log; at least one.
        vectors: ``float32[len(pages), dimensions]``: mean of the page's utterance vectors, L2-normalised.
        previous: The page right before ``pages[0]`` in the log, if there is one.
        previous_vector: Its vector.
        previous_summary: Summary of the chain that ``previous`` belongs to ("" without one).
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
    """What an analyst reads in a batch.

    Attributes:
        continues: One boolean a page: does it continue the page before it (``previous`` for the first)?
        chain_summaries: One summary for each chain that the batch touches, in order: the first continues the
            previous chain if ``continues[0]``, each later False starts another.
        topics: One or two topics; every page of the batch is in exactly one of them.
        origin: Who read it, where that was not the analyst itself but its stand-in.
    """

    continues: tuple[bool, ...]
    chain_summaries: tuple[str, ...]
    topics: tuple[Topic, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Knowledge as an analyst hands it over, before the store gives it an id.

    Attributes:
        about: Whom it describes.
        text: The fact, one sentence, in the language of the conversation.
        source_page_ids: The pages it was read in; never empty.
        valid_from: Since when it holds, where the text says so.
        supersedes: Ids of current entries that it replaces; "#0" means the first fact of the same lesson, and so on.
        superseded_by: A current entry (or "#0" …) that replaces it: pages are not read in the order in which they were
            said, and what was said earlier goes straight into history.
    """

    about: About
    text: str
    source_page_ids: tuple[str, ...]
    valid_from: datetime | None = None
    supersedes: tuple[str, ...] = ()
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What an analyst is given to learn from: the unlearned pages of a hot segment and what is known already.

    Attributes:
        pages: Unlearned pages in the order of the log; at least one.
        profile: The current profile.
        knowledge: The current (not superseded, not archived) entries, oldest first.
    """

    pages: tuple[Page, ...]
    profile: Profile
    knowledge: tuple[Knowledge, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What an analyst learned: only what changes.

    Attributes:
        attributes: Static attributes that are new or changed.
        traits: Traits that are new or changed; each replaces the one of the same dimension, whole.
        facts: Knowledge to add, each naming what it supersedes. Nothing that is in ``Material.knowledge`` already.
        dropped: Ids of current entries that turned out wrong or worthless; they go into history.
        origin: Who read it, where that was not the analyst itself but its stand-in.
    """

    attributes: tuple[Attribute, ...] = ()
    traits: tuple[Trait, ...] = ()
    facts: tuple[Fact, ...] = ()
    dropped: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A question and all that may be used to answer it.

    Attributes:
        query: The user's words.
        system: The prompt's standing part: instructions, profile, knowledge, recalled and short-term pages, fenced.
        recall: The same material as values, for an analyst that needs no prompt.
        stream: Whether the caller wants the pieces as they come.
    """

    query: str
    system: str
    recall: Recall
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer under way.

    Attributes:
        pieces: The text piece by piece; joined they are the answer. Iterating may raise ``AnalystError``.
        sources: Returns the ids of the pages that it is based on, best first; asked when the pieces are used up.
        origin: Who answers, where that is not the analyst itself but its stand-in.
    """

    pieces: Iterator[str]
    sources: Callable[[], tuple[str, ...]] = tuple
    origin: Origin | None = None


class Meter(Protocol):
    """Watches what calls of a model cost."""

    def allow(self) -> None:
        """Raises ``BudgetExceededError`` when no more may be spent now; asked before work that can wait."""
        ...

    def __call__(self, usage: Usage) -> None:
        """Takes down what a call cost, as soon as that is known, whether or not the reply was of any use."""
        ...


class Analyst(Protocol):
    """Reads conversations and writes down what was learned.

    An implementation
    * never sees a database and keeps nothing of what it read between calls: the same input may be handed over again
      after a crash;
    * may be called from several threads;
    * raises ``AnalystUnavailableError`` when its model can't be reached and ``InvalidReplyError`` when it can't make
      sense of the reply: a failed call never becomes text, a score or an empty result;
    * names only page ids and knowledge ids that it was shown;
    * tells the meter what each call of a model cost, also of those that failed.
    """

    @property
    def origin(self) -> Origin:
        """Stored with everything that it derives."""
        ...

    def digest(self, batch: Batch, meter: Meter) -> Digest:
        """Reads a batch once: continuity, chain summaries, topics."""
        ...

    def learn(self, material: Material, meter: Meter) -> Lesson:
        """Reads a hot segment once: attributes, traits, knowledge."""
        ...

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:
        """Returns the answer under way, in the language of the query."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call of a model cost.

    Attributes:
        model: Name of the model.
        prompt_tokens: Tokens that it read.
        completion_tokens: Tokens that it wrote, thoughts included.
        seconds: How long it took, retries included.
        estimated: Whether the tokens are our estimate, because the endpoint did not say.
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
    """The shape that a reply must have: its name and a JSON schema of closed objects, every field required."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a chat model is asked.

    Attributes:
        messages: The chat so far, the newest last.
        schema: The shape of the reply; None for free text. A model that can't be held to it may reply in any text.
    """

    messages: tuple[Message, ...]
    schema: ReplySchema | None = None


class ChatModel(Protocol):
    """Completes chats.

    An implementation
    * is cheap to construct and connects at its first call;
    * may be called from several threads;
    * retries what is worth it, within bounds, before it raises;
    * raises ``AnalystUnavailableError`` when no reply can be had now, ``InvalidReplyError`` when the reply is empty or
      no reply at all; no error message holds any of the conversation;
    * leaves out what a reasoning model thinks before it speaks.
    """

    @property
    def name(self) -> str:
        """Name of the model, as the cost ledger shows it."""
        ...

    def complete(self, request: ChatRequest, meter: Meter) -> str:
        """Returns the reply, never empty."""
        ...

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the reply piece by piece."""
        ...
