"""Time zones: the zone of times that are given without one, and the UTC offset of a given time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from memoryos.errors import ConfigError

__all__ = ["MAX_OFFSET_MINUTES", "NO_ZONE", "local_time", "read_zone", "utc_offset_minutes"]

NO_ZONE = timezone(timedelta(0), "no zone")
"""UTC, as the zone of times that are given without a zone while no zone is configured. Their offset is not known."""
MAX_OFFSET_MINUTES = 24 * 60 - 1
"""A UTC offset must be smaller than 24 hours, in both directions."""


def read_zone(name: str | None) -> tzinfo:
    """Returns the time zone with an IANA name such as "Europe/Amsterdam"; ``NO_ZONE`` for None.

    Raises:
        ConfigError: If the zone is not in the time zone database.
    """
    if name is None:
        return NO_ZONE
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ConfigError(
            f"time_zone: {name!r} is not in the time zone database; use an IANA name such as Europe/Amsterdam, or "
            "install the package tzdata if this computer has no database"
        ) from error


def utc_offset_minutes(moment: datetime) -> int | None:
    """Returns the UTC offset of an aware time, rounded to minutes; None if its time zone is ``NO_ZONE``.

    Raises:
        ValueError: If the offset is not smaller than 24 hours.
    """
    if moment.tzinfo is NO_ZONE:
        return None
    minutes = round((moment.utcoffset() or timedelta(0)) / timedelta(minutes=1))
    return max(-MAX_OFFSET_MINUTES, min(MAX_OFFSET_MINUTES, minutes))


def local_time(at: datetime, offset_minutes: int | None) -> datetime:
    """Returns an aware time in the zone with a UTC offset. None means UTC."""
    return at.astimezone(timezone(timedelta(minutes=offset_minutes or 0)))
