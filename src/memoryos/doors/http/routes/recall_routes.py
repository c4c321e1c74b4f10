"""The route for recall: returns ranked pages and facts for a query, with the parts of each score."""

from __future__ import annotations

from pydantic import Field

from memoryos.config import RankingWeights
from memoryos.doors import recall_shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.observability import span
from memoryos.doors.http.routes.route_base import USER, Body, router

__all__ = ["routes"]

routes = router("recall")


class Query(Body):
    """A query for recall, with limits and weights."""

    query: str = Field(examples=["Where does Tom live?"])
    max_pages: int | None = Field(default=None, ge=1, le=10_000, description="Default: the server's setting.")
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Maximum number of tokens of the whole prompt. A page may then contain one text only.",
    )
    ranking: RankingWeights | None = Field(
        default=None,
        description="Weights for this query only. The query then changes no heat. Default: the server's weights.",
    )
    near_misses: int = Field(default=0, ge=0, le=100, description="Number of next best pages to return as well.")


@routes.post(f"{USER}/recall")
def recall(memory: ScopedMemory, body: Query, audit: Audit) -> recall_shapes.ExplainedRecall:
    """Returns the memory that is relevant to a query. No LLM is called and no text is stored."""
    ranking = None
    if body.ranking is not None:
        ranking = memory.config.ranking.model_copy(update=body.ranking.model_dump(exclude_unset=True))
    with span("memoryos.recall"):
        found = memory.recall(
            body.query,
            max_pages=body.max_pages,
            max_tokens=body.max_tokens,
            ranking=ranking,
            near_misses=body.near_misses,
        )
    audit.record("read", memory, count=len(found.pages) + len(found.short_term) + len(found.knowledge))
    return recall_shapes.ExplainedRecall.of(found)
