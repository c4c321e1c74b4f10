"""Counts of the pages, segments and facts of a scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memoryos.language.passages import vector_model
from memoryos.updating.language_support import PAGES_READ, LanguageSupport

if TYPE_CHECKING:
    from memoryos.config import Config
    from memoryos.seams import Embedder
    from memoryos.storage.store import Store

__all__ = ["count_tiers"]


def count_tiers(store: Store, scope_id: str, embedder: Embedder, config: Config) -> dict[str, Any]:
    """Returns the counts of one scope, from one snapshot.

    Args:
        store: The store.
        scope_id: The scope; zeros for ``NULL_SCOPE_ID``.
        embedder: The embedder.
        config: The settings.
    """
    with store.snapshot(scope_id):
        state = store.scopes.state(scope_id)
        current = store.long_term.count(scope_id)
        profile = store.long_term.profile(scope_id)
        pages = store.log.count(scope_id)
        calls, tokens = store.costs.totals(scope_id)
        return {
            "pages": pages,
            "short_term_pages": min(pages, config.short_term_capacity),
            "pages_due": store.log.count_due(
                scope_id, store.log.last_seq_outside_window(scope_id, config.short_term_capacity)
            ),
            "pages_without_vector": store.log.count_unembedded(scope_id, vector_model(embedder.name)),
            "segments": store.mid_term.count(scope_id),
            "segments_archived": store.mid_term.count(scope_id, archived=True),
            "pages_learned": store.log.count_learned(scope_id),
            "knowledge_about_user": current.get("user", 0),
            "knowledge_about_assistant": current.get("assistant", 0),
            "knowledge_no_longer_current": store.long_term.count_past(scope_id),
            "profile_version": profile.version,
            "traits": len(profile.traits),
            "pages_provisional": store.log.count_provisional(scope_id),
            "llm_calls": calls,
            "llm_tokens": tokens,
            "analyst_failures": state.attempts,
            "last_error": state.last_error,
            "language_note": LanguageSupport(embedder, config).note(store.log.newest(scope_id, PAGES_READ)),
        }
