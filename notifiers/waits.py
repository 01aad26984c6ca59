"""How long to wait before the next try: twice as long each time, up to a limit, and spread for a crowd."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from notifiers.spread import share_of

_MOST_DOUBLINGS = 30
"""Beyond any limit, and far from an overflow."""


@dataclass(frozen=True)
class Waits:
    """One rule of waits.

    Parameters
    ----------
    first, longest
        The wait after the first failure, and the longest.
    jitter
        Share (0 to 1) of each wait that is spread by a hash of key and try, so that a crowd does not come back at once
        and a test sees the same waits. All of it, "full jitter", clears a crowd soonest (Brooker, "Exponential Backoff
        And Jitter", 2015). None by default: one process alone is no crowd.
    """

    first: timedelta
    longest: timedelta
    jitter: float = 0.0

    def after(self, tries: int, key: str = "") -> timedelta:
        """Return how long to wait after so many tries, at least one: ``first * 2**(tries - 1)``, limited, then spread.

        Parameters
        ----------
        tries
            That failed.
        key
            Of what is tried; only where waits are spread.
        """
        full: timedelta = min(self.first * 2 ** min(tries - 1, _MOST_DOUBLINGS), self.longest)
        return full * (1 - self.jitter * share_of(f"{key}:{tries}"))
