"""``ForgetRequest``: the validated arguments of ``Memory.forget``."""

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
    """The pages and facts to forget.

    Attributes:
        page_ids: Pages.
        knowledge_ids: Facts.
        before: Every page older than this time, instead of ids.
        query_preview: The pages that a query finds, instead of ids; only for a dry run.
        everything: All pages and facts of the scope, instead of ids.
    """

    page_ids: Sequence[str] = ()
    knowledge_ids: Sequence[str] = ()
    before: datetime | None = None
    query_preview: str | None = None
    everything: bool = False


def check_forget_request(request: ForgetRequest) -> None:
    """Checks that exactly one of ids, time, query and ``everything`` is given.

    Raises:
        InputError: If none or more than one is given.
    """
    has_ids = bool(request.page_ids or request.knowledge_ids)
    if sum((has_ids, request.before is not None, request.query_preview is not None, request.everything)) != 1:
        raise InputError("forget", "takes exactly one of: ids, before, query_preview, everything")


def run_forget_request(
    forgetter: Forgetter, scope_id: str, request: ForgetRequest, *, dry_run: bool, erase: bool | None
) -> Forgotten:
    """Forgets the pages and facts of a request; ``dry_run`` and ``erase`` as for ``Forgetter.forget``.

    The caller runs a ``query_preview`` first and passes the pages that it found as ``page_ids``.
    """
    if request.before is not None:
        return forgetter.forget_before(scope_id, request.before, dry_run=dry_run, erase=erase)
    if request.everything:
        return forgetter.forget_everything(scope_id, dry_run=dry_run, erase=erase)
    return forgetter.forget(scope_id, request.page_ids, request.knowledge_ids, dry_run=dry_run, erase=erase)
