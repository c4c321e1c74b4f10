"""The route ``/v1/setup``. It returns the data that the inspector needs at its start: the caller and some settings."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter
from pydantic import Field

from memoryos.analysts.traits import dimensions
from memoryos.config import HeatWeights, RankingWeights
from memoryos.doors import shapes
from memoryos.doors.http.authentication import AnyCaller
from memoryos.doors.http.routes.route_base import router
from memoryos.doors.http.server_state import CurrentServer

__all__ = ["setup_routes"]

setup_routes: APIRouter = router("server")


class TraitDimension(shapes.Shape):
    """One of the 90 personality dimensions of the profile."""

    category: str
    name: str
    high: str = Field(description="Meaning of the level high.")
    low: str = Field(description="Meaning of the level low.")


class Setup(shapes.Shape):
    """Data about the caller and some settings of the server. It contains no secrets and no stored texts."""

    version: str
    now: shapes.Time = Field(description="Current time of the server.")
    keys: bool = Field(description="Whether requests need a key.")
    is_admin: bool = Field(description="Whether the caller can access the memories of all users.")
    user_id: str = Field(description="User of the caller; for an administrator, the user of the settings.")
    assistant_id: str = Field(description="Assistant of the settings.")
    analyst: str
    embedder: str
    has_llm: bool
    llm_context_tokens: int = Field(description="Context size of the LLM: tokens read and written in one call.")
    short_term_capacity: int
    mid_term_capacity: int
    retrieval_queue_capacity: int
    heat_threshold: float = Field(description="Long-term memory is updated from segments with a higher heat.")
    heat: HeatWeights
    ranking: RankingWeights
    dimensions: list[TraitDimension]


@setup_routes.get("/v1/setup")
def get_setup(server: CurrentServer, caller: AnyCaller) -> Setup:
    """Returns the data that the inspector needs at its start: the caller and some settings of the server."""
    engine = server.engine()
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
