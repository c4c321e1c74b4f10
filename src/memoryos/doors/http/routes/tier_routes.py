"""Routes for the data that MemoryOS derives from pages: the profile, knowledge (facts) and segments."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.routes.route_base import USER, Body, Limit, cut_to_limit, router
from memoryos.model import About

__all__ = ["routes"]

routes = router("tiers")

After = Annotated[str | None, Query(max_length=100, description="`next_after` of the previous response.")]


class ProfileVersion(shapes.Profile):
    """One version of the user's profile."""

    recorded_at: shapes.Time | None
    origin: shapes.Origin | None


class ProfileHistory(shapes.Shape):
    """All versions of the user's profile, oldest first."""

    versions: list[ProfileVersion]


class KnowledgeList(shapes.Shape):
    """One part of the paginated list of facts, oldest first."""

    knowledge: list[shapes.Knowledge]
    next_after: str | None = Field(description="`after` of the next request; null at the end.")


class KnowledgeHistory(shapes.Shape):
    """All versions of a fact, oldest first. Each version replaced the version before it."""

    knowledge: list[shapes.Knowledge]


class Correction(Body):
    """The corrected text of a fact."""

    text: str = Field(examples=["Lives in Utrecht."])


class SegmentList(shapes.Shape):
    """One part of the paginated list of segments, oldest first."""

    segments: list[shapes.Segment]
    next_after: str | None = Field(description="`after` of the next request; null at the end.")


@routes.get(f"{USER}/profile")
def get_profile(memory: ScopedMemory, audit: Audit) -> ProfileVersion:
    """Returns the user's profile: attributes, and traits with the pages that show them."""
    profile = memory.profile
    audit.record("read", memory, count=len(profile.attributes) + len(profile.traits))
    return ProfileVersion.model_validate(profile)


@routes.get(f"{USER}/profile/history")
def get_profile_history(memory: ScopedMemory, audit: Audit) -> ProfileHistory:
    """Returns all versions of the user's profile, oldest first."""
    versions = memory.profile_history()
    audit.record("read", memory, count=len(versions))
    return ProfileHistory(versions=[ProfileVersion.model_validate(each) for each in versions])


@routes.get(f"{USER}/knowledge")
def list_knowledge(
    memory: ScopedMemory,
    audit: Audit,
    *,
    about: Annotated[About | None, Query(description="Whom the facts describe; default: both.")] = None,
    history: Annotated[bool, Query(description="Whether to include superseded and archived facts.")] = False,
    limit: Limit = 100,
    after: After = None,
) -> KnowledgeList:
    """Lists facts, oldest first. Each fact contains the ids of its source pages."""
    entries = memory.knowledge(about, history=history)
    if after is not None:
        places = {each.knowledge_id: place for place, each in enumerate(memory.knowledge(None, history=True))}
        start = places.get(after, -1)
        entries = [each for each in entries if places.get(each.knowledge_id, -1) > start]
    shown, last = cut_to_limit(entries, limit)
    audit.record("read", memory, count=len(shown))
    return KnowledgeList(
        knowledge=[shapes.Knowledge.model_validate(entry) for entry in shown],
        next_after=None if last is None else last.knowledge_id,
    )


@routes.get(f"{USER}/knowledge/{{knowledge_id:id}}/history")
def get_knowledge_history(memory: ScopedMemory, knowledge_id: str, audit: Audit) -> KnowledgeHistory:
    """Returns all versions of a fact, oldest first. Each version replaced the version before it."""
    entries = memory.history(knowledge_id)
    audit.record("read", memory, count=len(entries))
    return KnowledgeHistory(knowledge=[shapes.Knowledge.model_validate(entry) for entry in entries])


@routes.put(f"{USER}/knowledge/{{knowledge_id:id}}")
def correct_knowledge(memory: ScopedMemory, knowledge_id: str, body: Correction, audit: Audit) -> shapes.Knowledge:
    """Replaces the text of a fact and returns the corrected fact.

    The old text stays in the history, and is not derived from the pages again.
    """
    corrected = memory.correct(knowledge_id, body.text)
    audit.record("correct", memory, count=1)
    return shapes.Knowledge.model_validate(corrected)


@routes.get(f"{USER}/segments")
def list_segments(
    memory: ScopedMemory,
    audit: Audit,
    *,
    archived: Annotated[bool, Query(description="Whether to list archived segments instead.")] = False,
    limit: Limit = 100,
    after: After = None,
) -> SegmentList:
    """Lists segments (pages of one topic) with their current heat, oldest first."""
    segments = sorted(memory.heat(archived=archived), key=lambda each: each[0].segment_id)
    shown, last = cut_to_limit([each for each in segments if after is None or each[0].segment_id > after], limit)
    audit.record("read", memory, count=len(shown))
    return SegmentList(
        segments=[shapes.Segment.of(*each) for each in shown],
        next_after=None if last is None else last[0].segment_id,
    )


@routes.get(f"{USER}/segments/{{segment_id:id}}")
def get_segment(memory: ScopedMemory, segment_id: str, audit: Audit) -> shapes.SegmentDetail:
    """Returns one segment with its pages and their chains (pages that continue the same dialogue)."""
    content = memory.segment(segment_id)
    audit.record("read", memory, count=len(content.pages))
    return shapes.SegmentDetail.of_content(content)
