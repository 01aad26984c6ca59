"""When a provider says that something happened: seconds since 1970, if it makes sense."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before there was any provider; as for telemetry, an earlier time is a broken one."""


def provider_time(value: object, now: datetime) -> datetime | None:
    """Return a provider's time, or None where it is nonsense: no number, true or false, or before 2000.

    Parameters
    ----------
    value
        A number of seconds or its digits, or anything else.
    now
        When we heard of it, aware UTC: nothing that we hear of is later, whatever the provider's clock says.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        moment = datetime.fromtimestamp(int(value), UTC)
    except (ValueError, OverflowError, OSError):
        return now if isinstance(value, int | float) and value > 0 else None
    return min(moment, now) if moment >= EARLIEST else None
