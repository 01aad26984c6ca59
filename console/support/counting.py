"""Counts that may take long: made aside, waited for a moment, and kept, so that no page waits for a million rows."""

from __future__ import annotations

import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from incidents.ledger.store import Ledger

log = logging.getLogger("prebuffer.console")

PATIENCE_S = 0.08
"""How long a page waits for a count: with all else it must be there within a fifth of a second."""
COUNTERS = 4
"""How many count at once: a million people behind one page must not keep the counts of another waiting."""
NICENESS = 5
KEPT = 512
LEAST_AGE_S, AGE_BY_COST = 1.0, 20.0
"""A count is made anew when it is older than 20 times what it took: counting takes a twentieth of the time at most."""

T = TypeVar("T")
Count = Callable[[Connection], T]


@dataclass(frozen=True)
class Counted(Generic[T]):
    """What is known of a count.

    Parameters
    ----------
    value
        None until it was made for the first time.
    age_s
        How long ago it was made.
    """

    value: T | None
    age_s: float = 0.0


@dataclass
class _Known:
    value: object
    made: float
    cost_s: float

    def is_fresh(self, now: float) -> bool:
        return now - self.made < max(LEAST_AGE_S, AGE_BY_COST * self.cost_s)


class Counts:
    """Counts by key, made by threads of their own, each in a short reading transaction.

    Parameters
    ----------
    ledger
        What is counted in.
    patience_s
        How long `of` and `each` wait.
    """

    def __init__(self, ledger: Ledger, patience_s: float = PATIENCE_S) -> None:
        self.ledger = ledger
        self.patience_s = patience_s
        self._threads = ThreadPoolExecutor(COUNTERS, thread_name_prefix="counting", initializer=_step_aside)
        self._lock = Lock()
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._running: dict[Hashable, Future[None]] = {}

    def of(self, key: Hashable, count: Count[T]) -> Counted[T]:
        """Return a count that is fresh, or the latest that is known if making it anew takes longer than we wait.

        Parameters
        ----------
        key
            What is counted.
        count
            Counts it.
        """
        return self.each({key: count})[0]

    def each(self, counts: Mapping[Hashable, Count[Any]]) -> list[Counted[Any]]:
        """Return several counts, as `of` does, and wait for all of them no longer than for one."""
        running = [it for it in (self._begin(key, count) for key, count in counts.items()) if it is not None]
        if wait(running, self.patience_s).not_done:
            log.info("A count takes longer than a page waits.")
        with self._lock:
            known = [self._known.get(key) for key in counts]
        return [Counted(None) if it is None else Counted(it.value, monotonic() - it.made) for it in known]

    def forget(self) -> None:
        """Forget every count: something was changed by whoever looks, and they must see it."""
        with self._lock:
            self._known.clear()

    def close(self) -> None:
        """Stop counting."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: Hashable, count: Count[T]) -> Future[None] | None:
        with self._lock:
            known = self._known.get(key)
            if known is not None and known.is_fresh(monotonic()):
                return None
            if key not in self._running:
                self._running[key] = self._threads.submit(self._make, key, count)
            return self._running[key]

    def _make(self, key: Hashable, count: Count[T]) -> None:
        start = monotonic()
        try:
            with self.ledger.read() as connection:
                value = count(connection)
            with self._lock:
                self._known[key] = _Known(value, monotonic(), monotonic() - start)
                self._known.move_to_end(key)
                if len(self._known) > KEPT:
                    self._known.popitem(last=False)
        except SQLAlchemyError as error:
            log.warning("A count failed: %s", type(error).__name__)
        finally:
            with self._lock:
                self._running.pop(key, None)


def _step_aside() -> None:
    """Let pages go first where a machine is busy; only on Linux a thread may do so for itself alone."""
    if sys.platform == "linux":
        os.nice(NICENESS)
