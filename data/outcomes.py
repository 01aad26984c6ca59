"""What has happened, as arrays: the fate of sessions, the stretches they played, the harm that faults did."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from data.arrays import Bools, Columns, Floats, Ints
from data.attempts import Attempts
from telemetry.contract import DENIAL_CLASSES, FAILURE_CLASSES

ERROR_CLASSES = FAILURE_CLASSES + DENIAL_CLASSES
NOTHING = -1
"""In arrays of codes: nobody's fault, no error, NULL."""


class Outcome(IntEnum):
    """How an attempt ends."""

    ENDED = 0
    FAILED_AT_START = 1
    DENIED = 2
    GIVEN_UP = 3
    FAILED_LATER = 4


@dataclass(frozen=True)
class Sessions(Columns):
    """The fate of attempts, one entry each; filled in as the world is played.

    Parameters
    ----------
    outcome, error
        How it ended, and the code of its error class.
    blame
        The strike behind its failure or refusal.
    startup_ms, expected_startup_ms
        Time to the first frame, and what it would have been without any strike.
    startup_blame
        The strike that slowed its start.
    end_ms
        Time of its last event.
    normal_stall_ratio
        The share of time that this subscriber's sessions stall without any strike.
    """

    outcome: Ints
    error: Ints
    blame: Ints
    startup_ms: Ints
    expected_startup_ms: Ints
    startup_blame: Ints
    end_ms: Ints
    normal_stall_ratio: Floats

    @property
    def is_started(self) -> Bools:
        """Which sessions showed a first frame."""
        started: Bools = (self.outcome == Outcome.ENDED) | (self.outcome == Outcome.FAILED_LATER)
        return started


@dataclass(frozen=True)
class Stretches(Columns):
    """Stretches of play between two events of a session, in order, one session after another."""

    session: Ints
    start_ms: Ints
    length_ms: Ints
    stalled_ms: Ints
    stall_count: Ints
    is_last: Bools

    @property
    def end_ms(self) -> Ints:
        """Where each stretch ends."""
        end: Ints = self.start_ms + self.length_ms
        return end


@dataclass(frozen=True)
class Harm(Columns):
    """Stalling of a session while a strike reached it, one entry a pair: the material of the truth.

    Parameters
    ----------
    session, strike
        The pair.
    exposed_ms, stalled_ms, added_ms
        Time under the strike, of that stalled, and of that stalled because of it.
    bad_ms
        When the strike's stalls had added up to something felt.
    """

    session: Ints
    strike: Ints
    exposed_ms: Ints
    stalled_ms: Ints
    added_ms: Ints
    bad_ms: Ints


@dataclass(frozen=True)
class Played:
    """Attempts and all that happened to them."""

    attempts: Attempts
    sessions: Sessions
    stretches: Stretches
    harm: Harm
