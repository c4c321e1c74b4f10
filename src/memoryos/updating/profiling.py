"""The profiling step: an analyst infers traits from the pages of a hot segment (§3.3 of Kang et al. 2025).

A hot segment was recalled often or recently, or has many new pages. Profiling also makes its facts lasting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memoryos.errors import InvalidReplyError
from memoryos.model import Profile
from memoryos.seams import Material
from memoryos.storage.long_term_table import NewProfile, SegmentProfiled

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.model import Origin, Page, Segment
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst, Profiling
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["PROFILE", "Profiler", "check_profiling", "merge_traits", "without_pages"]

PROFILE = "profile"
"""Name of this step in logs and in the usage ledger."""

PAGES_PER_PROFILING = 50
"""Maximum number of pages that the analyst receives in one call.

A segment with more unprofiled pages needs several calls, and stays due until all pages are profiled.
"""
TOKENS_PER_PAGE = 160
"""Number of tokens of the model's context reserved for each page.

With a small context, the analyst receives fewer pages in one call.
"""


class Profiler:
    """Infers traits from pages with an analyst, and stores them as a new version of the profile.

    Args:
        store: The store.
        analyst: Infers the traits.
        working_sets: Searchable copies of scopes in memory; they supply the current facts.
        config: Supplies the context size of the model.
        ledger: Records token usage.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(
        self,
        store: Store,
        analyst: Analyst,
        working_sets: WorkingSets,
        config: Config,
        ledger: UsageLedger,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._analyst = analyst
        self._working_sets = working_sets
        self._ledger = ledger
        self._pages_per_call = max(1, min(PAGES_PER_PROFILING, config.llm_context_tokens // TOKENS_PER_PAGE))
        self._clock = clock

    def profile(self, lease: Lease, segment: Segment) -> None:
        """Infers traits from the oldest unprofiled pages of a segment, with one call of the analyst.

        Raises:
            AnalystError: If the analyst failed or returned an invalid result; nothing was written.
            StoreConflictError: If another worker took the lease; nothing was written.
        """
        limit = self._pages_per_call
        unprofiled = self._store.log.unprofiled(lease.scope_id, segment.segment_id, limit + 1)
        remaining_pages = max(0, segment.length - limit) if len(unprofiled) > limit else 0
        self._profile(lease, tuple(unprofiled[:limit]), SegmentProfiled(segment.segment_id, remaining_pages))

    def profile_again(self, lease: Lease) -> bool:
        """Infers traits again from pages that the fallback analyst has profiled.

        The new traits replace the traits that have only these pages as evidence, in one transaction. One call uses the
        oldest of these pages, all of one segment.

        Returns:
            False if there are no such pages.

        Raises:
            AnalystError: If the analyst failed or returned an invalid result; nothing was written.
            StoreConflictError: If another worker took the lease; nothing was written.
        """
        pages = tuple(self._store.log.profiled_provisionally(lease.scope_id, self._pages_per_call))
        if pages:
            self._profile(lease, pages, None)
        return bool(pages)

    def _profile(self, lease: Lease, pages: tuple[Page, ...], segment: SegmentProfiled | None) -> None:
        """Infers traits from pages with one call of the analyst, and stores them.

        Args:
            lease: The lease on the scope.
            pages: The pages.
            segment: The new counters of their segment; None if the pages were profiled before.
        """
        now = self._clock()
        page_ids = frozenset(page.page_id for page in pages)
        stored = self._store.long_term.traits(lease.scope_id)
        kept = without_pages(stored, page_ids if segment is None else frozenset())
        new = NewProfile(segment, tuple(page.page_id for page in pages), None)
        if pages:
            known = self._working_sets.get(lease.scope_id).long_term
            facts = tuple(each for each in known.knowledge if not page_ids.isdisjoint(each.source_page_ids))
            names = self._store.log.first_names(lease.scope_id)
            material = Material(pages, facts, replace(kept, attributes=known.profile.attributes), *names)
            profiling = self._analyst.profile(material, self._ledger.meter(lease.scope_id, PROFILE))
            check_profiling(material, profiling)
            origin = profiling.origin or self._analyst.origin
            profile = merge_traits(stored, kept, profiling, now, origin)
            new = replace(new, profile=profile, provisional=origin != self._analyst.origin)
        self._store.long_term.save_profile(lease, new)


def check_profiling(material: Material, profiling: Profiling) -> None:
    """Checks a profiling against the rules of ``seams.Profiling``.

    Raises:
        InvalidReplyError: If a trait has no evidence, or cites a page that the analyst did not receive.
    """
    citable_ids = {page.page_id for page in material.pages}
    citable_ids.update(page_id for trait in material.profile.traits for page_id in trait.evidence_page_ids)
    for trait in profiling.traits:
        if not trait.evidence_page_ids or not citable_ids.issuperset(trait.evidence_page_ids):
            raise InvalidReplyError(
                f"trait {trait.dimension} of the analyst has no evidence, or cites a page that it did not receive"
            )


def without_pages(profile: Profile, page_ids: AbstractSet[str]) -> Profile:
    """Returns the profile without the traits that have only these pages as evidence."""
    return replace(
        profile, traits=tuple(each for each in profile.traits if not page_ids >= set(each.evidence_page_ids))
    )


def merge_traits(stored: Profile, kept: Profile, profiling: Profiling, now: datetime, origin: Origin) -> Profile | None:
    """Merges new traits into the profile. A new trait replaces the one of the same subject and dimension.

    Args:
        stored: The newest stored version of the profile.
        kept: That version without the traits to remove.
        profiling: The new traits.
        now: Recording time of the new version.
        origin: The analyst that inferred the traits.

    Returns:
        The next version of the profile, without attributes; None if no trait changes.
    """
    traits = {(each.subject, each.category, each.dimension): each for each in (*kept.traits, *profiling.traits)}
    if set(traits.values()) == set(stored.traits):
        return None
    return Profile(
        version=stored.version + 1,
        traits=tuple(traits[key] for key in sorted(traits)),
        recorded_at=now,
        origin=origin,
    )
