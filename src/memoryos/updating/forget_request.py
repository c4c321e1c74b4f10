"""``ForgetRequest``: the arguments of ``Memory.forget``, their validation and execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from memoryos.updating.forgetter import Forgetter, Forgotten

__all__ = ["ForgetRequest", "check_forget_request", "run_forget_request"]


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """The selection of pages and facts to forget. Exactly one kind of selection is allowed.

    Attributes:
        page_ids: Ids of the pages. May be combined with ``knowledge_ids``.
        knowledge_ids: Ids of the facts.
        before: Selects every page older than this time.
        query_preview: Selects the pages that a search for this query finds. Only for a dry run.
        everything: Selects all pages and facts of the scope.
    """

    page_ids: Sequence[str] = ()
    knowledge_ids: Sequence[str] = ()
    before: datetime | None = None
    query_preview: str | None = None
    everything: bool = False


def check_forget_request(request: ForgetRequest) -> None:
    """Checks that a request uses exactly one kind of selection: ids, time, query or ``everything``.

    Raises:
        InputError: If the request uses none of these or more than one.
    """
    has_ids = bool(request.page_ids or request.knowledge_ids)
    if sum((has_ids, request.before is not None, request.query_preview is not None, request.everything)) != 1:
        raise InputError(
            "forget",
            "requires exactly one selection: ids (`page_ids`, `knowledge_ids` or both), `before`, `query_preview` or "
            "`everything`",
        )


def run_forget_request(
    forgetter: Forgetter, scope_id: str, request: ForgetRequest, *, dry_run: bool, erase: bool | None
) -> Forgotten:
    """Forgets the selected pages and facts.

    ``dry_run`` and ``erase`` have the same meaning as in ``Forgetter.forget``. A request with ``query_preview`` must be
    converted first: the caller runs the search and passes the ids of the pages found as ``page_ids``.
    """
    if request.before is not None:
        return forgetter.forget_before(scope_id, request.before, dry_run=dry_run, erase=erase)
    if request.everything:
        return forgetter.forget_everything(scope_id, dry_run=dry_run, erase=erase)
    return forgetter.forget(scope_id, request.page_ids, request.knowledge_ids, dry_run=dry_run, erase=erase)
