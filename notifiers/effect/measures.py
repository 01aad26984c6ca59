"""The service's measures, told against held out, and by region, language and device; from the daily sums alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
from scipy import special
from sqlalchemy import Connection, func, select

from incidents.ledger.casework import SUMS, rolled_days, service_days
from notifiers.effect.intervals import (
    LEVEL,
    Array,
    Mean,
    Share,
    cluster_effect,
    normal_z,
    ratio,
    share_difference,
    wilson,
)
from notifiers.effect.roll_up import BUCKETS, EVERYONE, HELD_OUT, OTHER, TOLD, TRAITS
from notifiers.effect.verdicts import LEAST_PEOPLE, Comparison, compare_means, compare_shares, sentence

PERCENT, STARS, POINTS, SECONDS = "percent", "stars", "points", "seconds"


class Measure(StrEnum):
    """What a service is judged by."""

    CONTACT_RATE = "contact_rate"
    CONTACTS_SOON = "contacts_soon"
    FIRST_CONTACT_RESOLUTION = "first_contact_resolution"
    CSAT = "csat"
    NPS = "nps"
    HANDLE_TIME = "handle_time"


@dataclass(frozen=True)
class _Made:
    """How a measure is made of sums.

    `some` and `all` name the sums of a share, or `of` what is averaged; `better` is 1 where more is better; `smallest`
    is the smallest difference that a lead would act on, and `smallest_words` says it; `factor` turns sums into `unit`.
    """

    unit: str
    better: int
    smallest: float
    smallest_words: str
    some: str = ""
    all: str = ""
    of: str = ""
    factor: float = 1.0


MADE: Mapping[Measure, _Made] = {
    Measure.CONTACT_RATE: _Made(PERCENT, -1, 0.02, "2 points", some="contacting", all="people"),
    Measure.CONTACTS_SOON: _Made(PERCENT, -1, 0.01, "1 point", some="soon", all="people"),
    Measure.FIRST_CONTACT_RESOLUTION: _Made(PERCENT, 1, 0.05, "5 points", some="resolved_sum", all="resolved_n"),
    Measure.CSAT: _Made(STARS, 1, 0.2, "0.2 of 5", of="csat"),
    Measure.NPS: _Made(POINTS, 1, 10.0, "10 points", of="nps", factor=100.0),
    Measure.HANDLE_TIME: _Made(SECONDS, -1, 60.0, "a minute", of="handle"),
}
ALPHA = (1 - LEVEL) / len(MADE)
"""Of one measure, so that over all of them wolf is cried in vain once in twenty services, ever."""


@dataclass(frozen=True)
class Judged:
    """One measure: its comparison, the verdict in words, and in which unit and direction it is read."""

    measure: Measure
    unit: str
    better: int
    comparison: Comparison
    verdict: str


@dataclass(frozen=True)
class Limited:
    """A number with its 95 % limits."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Served:
    """How people of one region, language or device fare.

    Parameters
    ----------
    trait, value
        Who they are.
    people
        In trouble; None, as all the rest, where they are fewer than `LEAST_PEOPLE`.
    reached
        The share of them who were told.
    contact_rate
        Of those told, or kept from it only by a cap or the night.
    against_others
        Their contact rate less that of all others, with limits that allow for how many groups are looked at.
    csat
        Mean, of those who said.
    worse
        Whether they contact support more than others by more than chance, or are reached less.
    """

    trait: str
    value: str
    people: int | None
    reached: Limited | None = None
    contact_rate: Limited | None = None
    against_others: Limited | None = None
    csat: float | None = None
    worse: bool = False

    @property
    def hidden(self) -> bool:
        """Whether they are too few to be shown."""
        return self.people is None


@dataclass(frozen=True)
class Service:
    """How the service did over some days.

    Parameters
    ----------
    first, last
        The days, both included; days on which nothing was decided count.
    judged
        Each measure, told against held out.
    preempted
        The share of complaints that notices spared: one less the ratio of contact rates; None before anybody who was
        held out complained.
    caused
        Contacts soon after a notice beyond those of the held-out: what our notices caused; below 0, spared.
    in_time
        Of those told who complained at all, the share whom the notice reached first.
    lead_seconds
        From a notice to the first contact after it, on average over those held out: how long before a complaint we
        would have written; None if nobody complained.
    notices_per_incident
        People told, by shared incident.
    served
        By region, language and device.
    """

    first: date
    last: date
    judged: tuple[Judged, ...]
    preempted: Limited | None
    caused: Limited | None
    in_time: Limited | None
    lead_seconds: float | None
    notices_per_incident: float | None
    served: tuple[Served, ...]

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1


def service(connection: Connection, first: date, last: date) -> Service:
    """Work out the measures of some days.

    Parameters
    ----------
    connection
        The ledger's; only the daily sums of `notifiers.effect.roll_up` are read.
    first, last
        The days, both included.
    """
    everyone = _sums(connection, first, last, (EVERYONE,), SUMS)
    told, held = (everyone.get((EVERYONE, EVERYONE, arm), _NOBODY) for arm in (TOLD, HELD_OUT))
    days = (last - first) / timedelta(days=1) + 1
    z = normal_z()
    contacting, soon = _share(told, "contacting", "people"), _share(told, "soon", "people")
    held_contacting, held_soon = _share(held, "contacting", "people"), _share(held, "soon", "people")
    return Service(
        first,
        last,
        tuple(_judged(measure, told, held, days) for measure in Measure),
        _preempted(contacting, held_contacting, z),
        _caused(soon, held_soon, z),
        _in_time(told, z),
        _lead(held),
        _notices_per_incident(connection, first, last),
        tuple(_served(_sums(connection, first, last, TRAITS, SERVED_SUMS))),
    )


Sums = dict[str, Array]
"""What people of one group and arm came to, by the name of the sum, an element for each bucket."""
_NOBODY: Sums = {name: np.zeros(1) for name in SUMS}
SERVED_SUMS = ("people", "reached", "contacting", "csat_n", "csat_sum", "csat_squares")


def _sums(
    connection: Connection, first: date, last: date, traits: Sequence[str], names: Sequence[str]
) -> dict[tuple[str, str, str], Sums]:
    """Return the sums of days by trait, value and arm."""
    keys = [service_days.c[name] for name in ("trait", "value", "arm", "bucket")]
    query = (
        select(*keys, *(func.sum(service_days.c[name]) for name in names))
        .where(service_days.c.day >= first, service_days.c.day <= last, service_days.c.trait.in_(traits))
        .group_by(*keys)
    )
    found: dict[tuple[str, str, str], Sums] = {}
    for trait, value, arm, bucket, *sums in connection.execute(query):
        group = found.setdefault((trait, value, arm), {name: np.zeros(BUCKETS) for name in names})
        for name, amount in zip(names, sums, strict=True):
            group[name][bucket] = amount
    return found


def _added(groups: Iterable[Sums]) -> Sums:
    added: Sums = {}
    for group in groups:
        added = {name: added.get(name, 0.0) + amounts for name, amounts in group.items()}
    return added or _NOBODY


def _share(sums: Sums, some: str, all_: str) -> Share | None:
    total, cases = float(sums[all_].sum()), float(sums[some].sum())
    if not total:
        return None
    value = cases / total
    effect = cluster_effect(sums[some], sums[all_], value * (1 - value))
    return Share(cases, total, effect)


def _mean(sums: Sums, of: str, factor: float) -> Mean | None:
    count, total = float(sums[f"{of}_n"].sum()), float(sums[f"{of}_sum"].sum())
    if count < 2:
        return None
    value = total / count
    variance = max(float(sums[f"{of}_squares"].sum()) / count - value**2, 0.0) * count / (count - 1)
    effect = cluster_effect(sums[f"{of}_sum"], sums[f"{of}_n"], variance)
    return Mean(value * factor, variance * factor**2, count, effect)


def _judged(measure: Measure, told: Sums, held: Sums, days: float) -> Judged:
    made = MADE[measure]
    if made.of:
        comparison = compare_means(
            _mean(told, made.of, made.factor),
            _mean(held, made.of, made.factor),
            better=made.better,
            smallest=made.smallest,
            days=days,
            alpha=ALPHA,
        )
    else:
        comparison = compare_shares(
            _share(told, made.some, made.all),
            _share(held, made.some, made.all),
            better=made.better,
            smallest=made.smallest,
            days=days,
            alpha=ALPHA,
        )
    return Judged(measure, made.unit, made.better, comparison, sentence(comparison, made.smallest_words))


def _is_shown(*shares: Share | None) -> bool:
    return all(share is not None and share.all >= LEAST_PEOPLE for share in shares)


def _preempted(told: Share | None, held: Share | None, z: float) -> Limited | None:
    if told is None or held is None or not _is_shown(told, held):
        return None
    found = ratio(told, held, z)
    return None if found is None else Limited(1 - found[0], 1 - found[2], 1 - found[1])


def _caused(told: Share | None, held: Share | None, z: float) -> Limited | None:
    if told is None or held is None or not _is_shown(told, held):
        return None
    low, high = share_difference(told, held, z)
    return Limited((told.value - held.value) * told.all, low * told.all, high * told.all)


def _in_time(told: Sums, z: float) -> Limited | None:
    after, before = float(told["contacting"].sum()), float(told["before"].sum())
    return _limited(Share(after, after + before), z) if after + before >= LEAST_PEOPLE else None


def _lead(held: Sums) -> float | None:
    count = float(held["lead_n"].sum())
    return float(held["lead_sum"].sum()) / count if count else None


def _limited(share: Share, z: float) -> Limited:
    return Limited(share.value, *wilson(share, z))


def _notices_per_incident(connection: Connection, first: date, last: date) -> float | None:
    query = select(func.sum(rolled_days.c.notices), func.sum(rolled_days.c.incidents)).where(
        rolled_days.c.day >= first, rolled_days.c.day <= last
    )
    notices, incidents = connection.execute(query).one()
    return notices / incidents if incidents else None


def _served(sums: dict[tuple[str, str, str], Sums]) -> Iterable[Served]:
    groups = sorted({(trait, value) for trait, value, _ in sums})
    z = float(special.ndtri(1 - (1 - LEVEL) / 2 / max(2 * len(groups), 1)))
    for trait in TRAITS:
        for value in (value for of, value in groups if of == trait):
            some = {arm: it for (of, name, arm), it in sums.items() if of == trait and name == value}
            rest = [(arm, it) for (of, name, arm), it in sums.items() if of == trait and name != value]
            others = {arm: _added(it for of, it in rest if of == arm) for arm in (TOLD, OTHER)}
            yield _served_group(trait, value, some, others, z)


def _served_group(trait: str, value: str, some: dict[str, Sums], others: dict[str, Sums], z: float) -> Served:
    people = _reached(some)
    if people is None or people.all < LEAST_PEOPLE:
        return Served(trait, value, None)
    told, rest, rest_reached = _told(some), _told(others), _reached(others)
    less = rest_reached is not None and share_difference(people, rest_reached, z)[1] < 0
    against = None
    if told is not None and rest is not None and min(told.all, rest.all) >= LEAST_PEOPLE:
        against = Limited(told.value - rest.value, *share_difference(told, rest, z))
    csat = _mean(some.get(TOLD, _NOBODY), "csat", 1.0)
    return Served(
        trait,
        value,
        round(people.all),
        _limited(people, normal_z()),
        None if told is None or told.all < LEAST_PEOPLE else _limited(told, normal_z()),
        against,
        csat.value if csat is not None and csat.count >= LEAST_PEOPLE else None,
        worse=less or (against is not None and against.low > 0),
    )


def _reached(arms: dict[str, Sums]) -> Share | None:
    """Return the share told of those who may be: the held-out are left out."""
    return _share(_added(it for arm, it in arms.items() if arm != HELD_OUT), "reached", "people")


def _told(arms: dict[str, Sums]) -> Share | None:
    return _share(arms.get(TOLD, _NOBODY), "contacting", "people")
