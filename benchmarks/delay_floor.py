"""How early a fault could be found at all, by counting its victims: ``python -m benchmarks.delay_floor DIR [DIR ...]``.

Whoever knew the guilty cohort, and needed no proof, could speak at the step after the n-th different person was struck.
That is a bound for anyone who waits for n, however clever, and it tells a slow detector from a faint fault. Only the
truth is read; nothing is replayed. The last line is JSON: for each n the median and the nine-in-ten, in minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import report, table
from benchmarks.scoring.reading import Truth, read_span, read_truth
from config.settings import Settings

VICTIMS = (4, 6, 8)
"""Below four nothing is an incident; see `incidents.watch.WatchRule.least_subscribers`."""
LEAST_SESSIONS, LEAST_SUBSCRIBERS = 15, 5
"""Of a fault that is asked for, as in `benchmarks.scoring`."""


def floors(truth: Truth, step: timedelta) -> pd.DataFrame:
    """Return for each fault the minutes from its start to the step that sees its n-th victim; NaN if there is none.

    Parameters
    ----------
    truth
        Of one world.
    step
        Length of a step; steps begin at full hours.
    """
    bad = truth.sessions[truth.sessions["impaired"].to_numpy(bool) & truth.sessions["truth_id"].notna()]
    first = bad.groupby(["truth_id", "subscriber_id"])["bad_time"].min().dt.ceil(pd.Timedelta(step))
    rows = []
    for fault in truth.incidents:
        if fault.is_benign or not _is_asked_for(fault.impaired_sessions, fault.impaired_subscribers):
            continue
        struck = np.sort(first[fault.truth_id].to_numpy())
        ago = [(pd.Timestamp(struck[n - 1]) - fault.start) if n <= len(struck) else None for n in VICTIMS]
        minutes = [float("nan") if it is None else it / pd.Timedelta(minutes=1) for it in ago]
        rows.append((fault.truth_id, fault.kind, *minutes))
    return pd.DataFrame(rows, columns=["fault", "kind", *VICTIMS])


def _is_asked_for(sessions: int, subscribers: int) -> bool:
    return sessions >= LEAST_SESSIONS and subscribers >= LEAST_SUBSCRIBERS


def facts_of(found: pd.DataFrame) -> Mapping[str, float]:
    """Return the median and the nine-in-ten by name."""
    facts: dict[str, float] = {"faults": float(len(found))}
    for n in VICTIMS:
        minutes = found[n].dropna()
        facts[f"victim_{n}_min_median"] = float(minutes.median()) if len(minutes) else 0.0
        facts[f"victim_{n}_min_p90"] = float(minutes.quantile(0.9)) if len(minutes) else 0.0
    return facts


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the truth of worlds and print."""
    it = argparse.ArgumentParser(prog="python -m benchmarks.delay_floor", description=__doc__)
    it.add_argument("worlds", nargs="+", type=Path, help="folders in the contract's form, with their truth")
    options = it.parse_args(arguments)
    step, parts = Settings().schedules.step, []
    for world in options.worlds:
        found = floors(read_truth(world), step)
        span = read_span(world)
        columns = ("fault", "kind", *(f"to victim {n}, min" for n in VICTIMS))
        rows = [(row[0], row[1], *(f"{minutes:.0f}" for minutes in row[2:])) for row in found.itertuples(index=False)]
        table(f"{world.name}, {span.days:.0f} days", columns, rows)
        parts.append(found)
    facts = facts_of(pd.concat(parts))
    report("All of them", ("figure", "value"), [(name, f"{value:g}") for name, value in facts.items()], facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
