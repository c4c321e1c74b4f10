"""What a page has to know before it asks for anything: who calls, and the numbers that the server works with."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter
from pydantic import Field

from memoryos.analysts.traits import dimensions
from memoryos.config import HeatWeights, RankingWeights
from memoryos.doors import shapes
from memoryos.doors.http.callers import AnyCaller
from memoryos.doors.http.routes.common import router
from memoryos.doors.http.serving import TheServing

__all__ = ["setup_routes"]

setup_routes: APIRouter = router("server")


class TraitDimension(shapes.Shape):
    """One of the 90 dimensions of the profile."""

    category: str
    name: str
    high: str = Field(description="What the level high means.")
    low: str = Field(description="What the level low means.")


class Setup(shapes.Shape):
    """Who calls, and the numbers that the server works with; no secret, nothing that is remembered."""

    version: str
    now: shapes.Time = Field(description="The server's time.")
    keys: bool = Field(description="Whether every request needs a key.")
    is_admin: bool = Field(description="Whether the caller may see the memories of all users.")
    user_id: str = Field(description="The caller's own user; for an administrator the settings' one.")
    assistant_id: str = Field(description="The settings' assistant.")
    analyst: str
    embedder: str
    has_llm: bool
    llm_context_tokens: int = Field(description="Tokens that the LLM reads and writes in one call.")
    short_term_capacity: int
    mid_term_capacity: int
    retrieval_queue_capacity: int
    heat_threshold: float = Field(description="A hotter segment is learned from.")
    heat: HeatWeights
    ranking: RankingWeights
    dimensions: list[TraitDimension]


@setup_routes.get("/v1/setup")
def get_setup(serving: TheServing, caller: AnyCaller) -> Setup:
    """Returns who calls and what the server's settings are, as far as they explain what it answers."""
    engine = serving.engine()
    config = engine.config
    return Setup(
        version=version("memoryos-engine"),
        now=engine.clock(),
        keys=caller.key_id is not None,
        is_admin=caller.is_admin,
        user_id=caller.user_id or config.user_id,
        assistant_id=config.assistant_id,
        analyst=engine.analyst.origin.analyst,
        embedder=engine.embedder.name,
        has_llm=config.has_llm,
        llm_context_tokens=config.llm_context_tokens,
        short_term_capacity=config.short_term_capacity,
        mid_term_capacity=config.mid_term_capacity,
        retrieval_queue_capacity=config.retrieval_queue_capacity,
        heat_threshold=config.mid_term_heat_threshold,
        heat=config.heat,
        ranking=config.ranking,
        dimensions=[TraitDimension.model_validate(each) for each in dimensions()],
    )
