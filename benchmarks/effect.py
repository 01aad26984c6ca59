"""Measures whether "did it help?" can be believed, and what asking costs.

Four questions, each with what a simpler way gives beside it:

- how often do the 95 % limits hold the truth, when the same people come again and again?
- how often do two groups alike ever seem to differ, to somebody who looks each day of a quarter?
- after how many days is a real effect seen?
- how long does a page wait, and a day's sums, with so many notices in the ledger?

Run ``python -m benchmarks.effect``; ``--notices 10000000`` for the large ledger, ``--url`` for another database.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select, text

from console.output import table
from incidents.ledger.schema import contacts, notices
from incidents.ledger.store import Ledger
from notifiers.effect.intervals import Share, cluster_effect, normal_z, share_difference
from notifiers.effect.measures import ALPHA, service
from notifiers.effect.roll_up import BUCKETS, roll_up
from notifiers.effect.verdicts import Outcome, compare_shares

Array = NDArray[np.float64]
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RUNS, QUARTER = 1000, 90
PEOPLE_A_DAY, HELD_SHARE, RATE = 900, 0.02, 0.1
SMALLEST = 0.02
CHUNK = 50_000


def repeated(rng: np.random.Generator, people: int) -> tuple[Array, Array]:
    """Return contacts and days by bucket of people who differ in how readily they call, and come again and again."""
    rate, days = rng.beta(0.5, 4.5, people), 1 + rng.poisson(5, people)
    bucket = rng.integers(0, BUCKETS, people)
    some = np.bincount(bucket, rng.binomial(days, rate), BUCKETS).astype(float)
    return some, np.bincount(bucket, days, BUCKETS).astype(float)


def coverage(rng: np.random.Generator) -> tuple[float, float]:
    """Return how often limits hold the truth: plain Newcombe's, and those that know that people come again."""
    held = [0, 0]
    for _ in range(RUNS):
        arms = [repeated(rng, people) for people in (5000, 250)]
        plain = [Share(some.sum(), every.sum()) for some, every in arms]
        ours = [
            Share(it.some, it.all, cluster_effect(some, every, it.value * (1 - it.value)))
            for it, (some, every) in zip(plain, arms, strict=True)
        ]
        for index, pair in enumerate((plain, ours)):
            low, high = share_difference(pair[0], pair[1], normal_z())
            held[index] += low <= 0 <= high
    return held[0] / RUNS, held[1] / RUNS


def looks(rng: np.random.Generator, told_rate: float) -> Iterator[tuple[int, bool, Outcome]]:
    """Look each day of a quarter: the day, whether fixed limits leave out 0, and our verdict."""
    held_people = round(PEOPLE_A_DAY * HELD_SHARE)
    told = rng.binomial(PEOPLE_A_DAY, told_rate, QUARTER).cumsum()
    held = rng.binomial(held_people, RATE, QUARTER).cumsum()
    for day in range(1, QUARTER + 1):
        pair = Share(told[day - 1], PEOPLE_A_DAY * day), Share(held[day - 1], held_people * day)
        found = compare_shares(*pair, better=-1, smallest=SMALLEST, days=day, alpha=ALPHA)
        yield day, found.low is not None and not found.low <= 0 <= (found.high or 0), found.outcome


def wolves(rng: np.random.Generator, runs: int) -> tuple[float, float]:
    """Return how often two groups alike ever seem to differ: by fixed limits, and by our verdict."""
    naive = cried = 0
    for _ in range(runs):
        seen = list(looks(rng, RATE))
        naive += any(differs for _, differs, _ in seen)
        cried += any(outcome in (Outcome.HELPS, Outcome.HARMS) for _, _, outcome in seen)
    return naive / runs, cried / runs


def days_until_seen(rng: np.random.Generator, told_rate: float, runs: int) -> tuple[float, float]:
    """Return the share of quarters in which a real effect is seen to help, and the median of days until then."""
    first = [next((day for day, _, it in looks(rng, told_rate) if it is Outcome.HELPS), None) for _ in range(runs)]
    seen = [day for day in first if day is not None]
    return len(seen) / runs, float(np.median(seen)) if seen else float("nan")


def fill(connection: Connection, count: int, days: int, rng: np.random.Generator) -> None:
    """Fill a ledger with notices over some days, a fifth of whose people contact support."""
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        times = [START + days * DAY * (number / count) for number in numbers]
        held = rng.random(len(numbers)) < HELD_SHARE
        rows = [
            {
                "notice_id": f"n{number}",
                "subscriber_id": f"s{number % (count // 3 + 1)}",
                "episode": f"e{number}",
                "kind": "problem",
                "decided_time": time,
                "problem": "buffering",
                "cause": "service",
                "channel": "email",
                "withheld_reason": "holdout" if is_held else None,
            }
            for number, time, is_held in zip(numbers, times, held, strict=True)
        ]
        connection.execute(notices.insert(), rows)
        traits = [{"n": f"n{it}", "r": f"r{it % 20}", "l": f"l{it % 8}", "d": f"d{it % 6}"} for it in numbers]
        connection.execute(text("INSERT INTO notice_traits VALUES (:n, :r, :l, :d)"), traits)
        calls = [
            {
                "contact_id": f"c{it['notice_id']}",
                "subscriber_id": it["subscriber_id"],
                "contacted_time": it["decided_time"],
            }
            for it in rows[::5]
        ]
        connection.execute(contacts.insert(), calls)


def cost(url: str, count: int, days: int, rng: np.random.Generator) -> dict[str, float]:
    """Return the seconds to sum a day, to answer a page from the sums, and to answer it from the notices."""
    with Ledger(url, durable=False) as ledger:
        ledger.upgrade()
        with ledger.write() as connection:
            fill(connection, count, days, rng)
        started = perf_counter()
        with ledger.write() as connection:
            rolled = roll_up(connection, START + (days + 5) * DAY)
        rolling = (perf_counter() - started) / len(rolled)
        last = (START + (days - 1) * DAY).date()
        pages = []
        for _ in range(20):
            started = perf_counter()
            with ledger.read() as connection:
                service(connection, last - 27 * DAY, last)
            pages.append(perf_counter() - started)
        started = perf_counter()
        with ledger.read() as connection:
            directly(connection, START + (days - 28) * DAY)
        direct = perf_counter() - started
    return {
        "roll_up_s_a_day": rolling,
        "page_p95_ms": 1000 * float(np.quantile(pages, 0.95)),
        "direct_ms": 1000 * direct,
    }


def directly(connection: Connection, since: datetime) -> None:
    """Ask for no more than the contact rate by arm, from the notices themselves."""
    called = contacts.c.subscriber_id == notices.c.subscriber_id
    query = (
        select(notices.c.withheld_reason, func.count(notices.c.notice_id.distinct()), func.count(contacts.c.contact_id))
        .outerjoin(contacts, called & (contacts.c.contacted_time >= notices.c.decided_time))
        .where(notices.c.decided_time >= since)
        .group_by(notices.c.withheld_reason)
    )
    connection.execute(query).all()


def main() -> None:
    """Measure, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.effect")
    parser.add_argument("--notices", type=int, default=300_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--url")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    plain, ours = coverage(rng)
    naive, cried = wolves(rng, options.runs)
    seen, days = days_until_seen(rng, RATE * 0.5, options.runs)
    with tempfile.TemporaryDirectory() as folder:
        costs = cost(options.url or f"sqlite:///{folder}/ledger.db", options.notices, options.days, rng)
    result: dict[str, Any] = {
        "coverage_newcombe": plain,
        "coverage": ours,
        "ever_wrong_fixed": naive,
        "ever_wrong": cried,
        "halved_contacts_seen": seen,
        "days_until_seen": days,
        "notices": options.notices,
        **costs,
    }
    table(
        "Did it help?",
        ("question", "simpler", "ours"),
        [
            ("95 % limits hold the truth", f"{plain:.1%}", f"{ours:.1%}"),
            ("two groups alike ever seem to differ in a quarter", f"{naive:.1%}", f"{cried:.1%}"),
            ("halved contacts are seen within a quarter", "", f"{seen:.0%}, after {days:.0f} days"),
            (
                f"a page of 28 days, {options.notices:,} notices",
                f"{costs['direct_ms']:.0f} ms",
                f"{costs['page_p95_ms']:.0f} ms",
            ),
            ("to sum a day", "", f"{costs['roll_up_s_a_day']:.2f} s"),
        ],
    )
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


if __name__ == "__main__":
    main()
