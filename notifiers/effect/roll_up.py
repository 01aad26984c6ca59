"""Sums of each day's notices and of the contacts after them: what the measures are worked out from.

A day's notices are read once or, while contacts may still come, a few times; never again after that. Ten million
notices cost a page no more than the days that it shows.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import Connection, func, or_, select

from incidents.ledger.casework import SUMS, expected_incidents, notice_traits, rolled_days, service_days
from incidents.ledger.schema import contacts, notices
from incidents.model import TroubleKind
from notifiers.model import WithheldReason
from telemetry.time import naive_utc, utc

AFTER = timedelta(hours=24)
"""A contact this long after a notice was decided on may be about what it said."""
SOON = timedelta(hours=2)
"""And one this soon may be because of it."""
BEFORE = timedelta(hours=6)
"""A contact this long before it came first: the notice was too late for it."""
LATE = timedelta(days=2)
"""Contacts reach us this late; then a day's sums are final."""
BUCKETS = 32
"""Enough for the spread between them to be known, few enough to add up in a moment."""
TRAIT_BUCKETS = 8
"""Of the people of one region, language or device: they are fewer, and there are many such groups."""
TRAITS = ("region", "language", "device_type")
EVERYONE = "all"
UNKNOWN = "unknown"
LONGEST_VALUE = 64
TOLD, HELD_OUT, OTHER = "told", "held_out", "other"
_DAY = timedelta(days=1)


def _after_holdout() -> frozenset[str]:
    """Return the reasons of gates that ask after the holdout: their people would have been held out likewise."""
    order = [reason.value for reason in WithheldReason]
    return frozenset(order[order.index(WithheldReason.HOLDOUT.value) + 1 :])


AFTER_HOLDOUT = _after_holdout()


def arm_of(reason: str | None) -> str:
    """Return the arm that a notice with this withheld reason counts for.

    The holdout is drawn before caps and quiet hours. So that like is compared with like, people whom a later gate kept
    from being told count as told: the effect is that of the whole policy, not of a letter.
    """
    if reason == WithheldReason.HOLDOUT.value:
        return HELD_OUT
    return TOLD if reason is None or reason in AFTER_HOLDOUT else OTHER


def bucket_of(subscriber_id: str) -> int:
    """Return a person's bucket, by a hash that has nothing to do with the holdout's."""
    digest = hashlib.blake2b(subscriber_id.encode(), digest_size=8, person=b"bucket").digest()
    return int.from_bytes(digest, "big") % BUCKETS


def roll_up(connection: Connection, now: datetime) -> list[date]:
    """Bring the daily sums up to now, and return the days that were summed.

    Parameters
    ----------
    connection
        In a transaction that may write to the ledger. Run twice it changes nothing.
    now
        Aware UTC. Days that are over since `AFTER` and `LATE` become final.
    """
    days = _open_days(connection, now)
    for day in days:
        _sum_day(connection, day, now)
    return days


def _open_days(connection: Connection, now: datetime) -> list[date]:
    first = connection.scalar(select(func.min(notices.c.decided_time)))
    if first is None:
        return []
    known = set(connection.scalars(select(rolled_days.c.day).where(rolled_days.c.final)))
    count = (now.date() - first.date()).days + 1
    return [day for number in range(count) if (day := first.date() + number * _DAY) not in known]


def _sum_day(connection: Connection, day: date, now: datetime) -> None:
    start = utc(datetime(day.year, day.month, day.day))  # noqa: DTZ001 - made aware at once
    people = _people(connection, start)
    rows = _rows(_with_contacts(people, _contacts(connection, start)), day) if len(people) else []
    connection.execute(service_days.delete().where(service_days.c.day == day))
    connection.execute(rolled_days.delete().where(rolled_days.c.day == day))
    if rows:
        connection.execute(service_days.insert(), rows)
    told = people[people["withheld_reason"].isna() & people["incident_id"].notna()]
    connection.execute(
        rolled_days.insert().values(
            day=day,
            rolled_time=now,
            final=now >= start + _DAY + AFTER + LATE,
            notices=len(told),
            incidents=int(told["incident_id"].nunique()),
        )
    )


def _people(connection: Connection, start: datetime) -> pd.DataFrame:
    """Return the problem notices decided on in a day, earliest first; planned events tell nothing of notices."""
    planned = select(expected_incidents.c.incident_id)
    query = (
        select(
            notices.c.subscriber_id,
            notices.c.decided_time,
            notices.c.withheld_reason,
            notices.c.incident_id,
            *(notice_traits.c[name] for name in TRAITS),
        )
        .outerjoin(notice_traits, notice_traits.c.notice_id == notices.c.notice_id)
        .where(
            notices.c.decided_time >= start,
            notices.c.decided_time < start + _DAY,
            notices.c.kind == TroubleKind.PROBLEM.value,
            or_(notices.c.incident_id.is_(None), notices.c.incident_id.not_in(planned)),
        )
        .order_by(notices.c.decided_time, notices.c.notice_id)
    )
    return _frame(connection, query, "decided_time")


def _contacts(connection: Connection, start: datetime) -> pd.DataFrame:
    names = ("subscriber_id", "contacted_time", "handle_seconds", "resolved_first_contact", "csat", "nps")
    query = select(*(contacts.c[name] for name in names)).where(
        contacts.c.contacted_time >= start - BEFORE, contacts.c.contacted_time < start + _DAY + AFTER
    )
    return _frame(connection, query, "contacted_time")


def _frame(connection: Connection, query: object, time: str) -> pd.DataFrame:
    result = connection.execute(query)  # type: ignore[call-overload]
    frame = pd.DataFrame(result.fetchall(), columns=list(result.keys()))
    frame[time] = pd.to_datetime([naive_utc(moment) for moment in frame[time]]).astype("datetime64[us]")
    return frame


def _with_contacts(people: pd.DataFrame, reached_us: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each person of the day and arm: their first notice, and what they did about it."""
    arms = people.assign(
        arm=[arm_of(None if pd.isna(reason) else reason) for reason in people["withheld_reason"]],
        reached=people["withheld_reason"].isna().astype(float),
    )
    units = arms.drop_duplicates(["subscriber_id", "arm"]).reset_index(drop=True)
    units["reached"] = arms.groupby(["subscriber_id", "arm"], sort=False)["reached"].max().to_numpy()
    pairs = units.reset_index(names="unit")[["unit", "subscriber_id", "decided_time"]].merge(reached_us)
    gap = pairs["contacted_time"] - pairs["decided_time"]
    before = pairs[(gap < timedelta(0)) & (gap >= -BEFORE)]
    after = pairs[(gap >= timedelta(0)) & (gap < AFTER)].assign(gap=gap)
    units["people"] = 1.0
    units["before"] = units.index.isin(before["unit"]).astype(float)
    units["contacting"] = units.index.isin(after["unit"]).astype(float)
    units["soon"] = units.index.isin(after.loc[after["gap"] < SOON, "unit"]).astype(float)
    units["contacts"] = after.groupby("unit").size().reindex(units.index, fill_value=0).astype(float)
    return _measured(units, after)


def _measured(units: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Add to each person the count, sum and sum of squares of what is measured in their contacts."""
    nps = pd.to_numeric(after["nps"]).astype(float)
    values = {
        "handle": pd.to_numeric(after["handle_seconds"]).astype(float),
        "resolved": pd.to_numeric(after["resolved_first_contact"]).astype(float),
        "csat": pd.to_numeric(after["csat"]).astype(float),
        "nps": ((nps >= 9).astype(float) - (nps <= 6).astype(float)).where(nps.notna()),
        "lead": after["gap"].dt.total_seconds().where(~after.sort_values("gap").duplicated("unit")),
    }
    for name, value in values.items():
        parts = pd.DataFrame(
            {"n": value.notna().astype(float), "sum": value.fillna(0), "squares": value.fillna(0) ** 2}
        )
        sums = parts.groupby(after["unit"]).sum().reindex(units.index, fill_value=0.0)
        for part in parts:
            units[f"{name}_{part}"] = sums[part]
    return units


def _rows(units: pd.DataFrame, day: date) -> list[dict[str, object]]:
    units["bucket"] = np.fromiter((bucket_of(who) for who in units["subscriber_id"]), int, len(units))
    units[EVERYONE] = EVERYONE
    found: list[dict[str, object]] = []
    for trait in (EVERYONE, *TRAITS):
        value = units[trait].fillna(UNKNOWN).astype(str).str[:LONGEST_VALUE].rename("value")
        bucket = units["bucket"] if trait == EVERYONE else units["bucket"] % TRAIT_BUCKETS
        sums = units.groupby([value, "arm", bucket])[list(SUMS)].sum().reset_index()
        found.extend({"day": day, "trait": trait, **row} for row in sums.to_dict("records"))  # type: ignore[dict-item]
    return found
