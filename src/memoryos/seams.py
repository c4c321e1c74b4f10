"""The seams: what MemoryOS asks of an embedder and of an analyst.

Two Protocols without code. Each docstring is the contract and the checklist for whoever implements one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.model import About, Attribute, Knowledge, Origin, Page, Profile, Trait
    from memoryos.retrieval.recall import Recall

__all__ = ["Analyst", "AnswerRequest", "Batch", "Digest", "Embedder", "Fact", "Lesson", "Material", "Reply", "Topic"]


class Embedder(Protocol):
    """Turns texts into vectors.

    An implementation
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
    """

    continues: tuple[bool, ...]
    chain_summaries: tuple[str, ...]
    topics: tuple[Topic, ...]


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
    """

    attributes: tuple[Attribute, ...] = ()
    traits: tuple[Trait, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A question and all that may be used to answer it.

    Attributes:
        query: The user's words.
        system: The prompt's standing part: instructions, profile, knowledge, recalled and short-term pages, fenced.
        recall: The same material as values, for an analyst that needs no prompt.
    """

    query: str
    system: str
    recall: Recall


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer under way.

    Attributes:
        pieces: The text piece by piece; joined they are the answer. Iterating may raise ``AnalystError``.
        source_page_ids: The pages that it is based on, best first.
    """

    pieces: Iterator[str]
    source_page_ids: tuple[str, ...] = ()


class Analyst(Protocol):
    """Reads conversations and writes down what was learned.

    An implementation
    * never sees a database and keeps no state between calls: the same input may be handed over again after a crash;
    * may be called from several threads;
    * raises ``AnalystUnavailableError`` when its model can't be reached and ``InvalidReplyError`` when it can't make
      sense of the reply: a failed call never becomes text, a score or an empty result;
    * names only page ids and knowledge ids that it was shown.
    """

    @property
    def origin(self) -> Origin:
        """Stored with everything that it derives."""
        ...

    def digest(self, batch: Batch) -> Digest:
        """Reads a batch once: continuity, chain summaries, topics."""
        ...

    def learn(self, material: Material) -> Lesson:
        """Reads a hot segment once: attributes, traits, knowledge."""
        ...

    def answer(self, request: AnswerRequest) -> Reply:
        """Returns the answer under way, in the language of the query."""
        ...
