"""Generated histories: whatever happens in whatever order, nobody gets what they must not get, and nothing is lost.

A history decides, lets go and sends on a real ledger while people choose, addresses bounce, sending is stopped,
audiences are approved or refused, events are planned, clocks change and the provider fails in every way. Who is told at
once is judged when it is decided, and what reaches a channel at the moment of sending, by a plain model of what people
said: not by the gates. In the end every trouble has one notice, and each notice one reason or one message that came to
its end. That the judge sees what each gate is for is shown by switching them off, one at a time.

The seeds of the suite are fixed. ``PREBUFFER_HISTORIES=2000`` runs so many others besides; a failure names its seed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from incidents.ledger.store import Ledger
from tests.notifiers.histories import History

MORE = int(os.environ.get("PREBUFFER_HISTORIES", "0"))
Fresh = Callable[[], AbstractContextManager[Ledger]]


@pytest.fixture
def on_sqlite(blank_ledger, tmp_path) -> Fresh:
    """Opens a ledger with nothing in it."""

    @contextmanager
    def fresh() -> Iterator[Ledger]:
        file = shutil.copy(blank_ledger, tmp_path / "ledger.db")
        with Ledger(f"sqlite:///{file}", durable=False) as ledger:
            yield ledger
        for left in tmp_path.glob("ledger.db*"):
            left.unlink()

    return fresh


@pytest.fixture
def on_postgres(postgres, postgres_url) -> Fresh:
    """Likewise, on PostgreSQL."""

    @contextmanager
    def fresh() -> Iterator[Ledger]:
        postgres.empty(postgres_url)
        with Ledger(postgres_url) as ledger:
            yield ledger

    return fresh


def run(fresh: Fresh, seed: int) -> None:
    with fresh() as ledger:
        history = History(ledger, seed)
        try:
            history.run()
        except Exception as error:
            error.add_note(f"The seed is {seed}; the policy is {history.policy}.")
            raise


SEEDS = [range(start, start + 5) for start in (0, 5)]
OTHERS = [range(start, min(start + 5, 100 + MORE)) for start in range(100, 100 + MORE, 5)]


@pytest.mark.parametrize("seeds", [*SEEDS, *OTHERS], ids=str)
def test_whatever_happens_nobody_gets_what_they_must_not_and_nothing_is_lost(seeds, on_sqlite) -> None:
    for seed in seeds:
        run(on_sqlite, seed)


@pytest.mark.postgres
@pytest.mark.parametrize("seeds", [range(2), *OTHERS], ids=str)
def test_so_it_is_on_postgresql(seeds, on_postgres) -> None:
    for seed in seeds:
        run(on_postgres, seed)
