"""Counts the pages, segments and facts of a scope."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from memoryos.language.passages import vector_model
from memoryos.updating.language_support import PAGES_READ, LanguageSupport

if TYPE_CHECKING:
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.seams import Embedder
    from memoryos.storage.store import Store

__all__ = ["count_tiers"]


def count_tiers(store: Store, scope_id: str, embedder: Embedder, config: Config, now: datetime) -> dict[str, Any]:
    """Returns counts of the pages, segments and facts of one scope, all from one snapshot.

    Args:
        store: The store.
        scope_id: Id of the scope. For ``NULL_SCOPE_ID`` all counts are zero.
        embedder: The embedder.
        config: The settings.
        now: The current time.
    """
    with store.snapshot(scope_id):
        state = store.scopes.state(scope_id)
        view = store.long_term.view(scope_id, now)
        about = Counter(entry.about for entry in view.current)
        profile = store.long_term.traits(scope_id).of("user")
        pages = store.log.count(scope_id)
        calls, tokens = store.costs.totals(scope_id)
        return {
            "pages": pages,
            "short_term_pages": min(pages, config.short_term_capacity),
            "pages_due": store.log.count_due(scope_id),
            "pages_without_vector": store.log.count_unembedded(scope_id, vector_model(embedder.name)),
            "segments": store.mid_term.count(scope_id),
            "segments_archived": store.mid_term.count(scope_id, archived=True),
            "pages_learned": store.log.count_learned(scope_id),
            "knowledge_about_user": about["user"],
            "knowledge_about_assistant": about["assistant"],
            "knowledge_no_longer_current": len(view.history) - len(view.current),
            "profile_version": profile.version,
            "traits": len(profile.traits),
            "pages_provisional": store.log.count_provisional(scope_id),
            "llm_calls": calls,
            "llm_tokens": tokens,
            "analyst_failures": state.attempts,
            "last_error": state.last_error,
            "language_note": LanguageSupport(embedder, config).note(store.log.newest(scope_id, PAGES_READ)),
        }
