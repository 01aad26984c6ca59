"""What a gate is given, and what it answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property

from incidents.model import Trouble, TroubleKind
from notifiers.local_time import known_zone
from notifiers.model import ChannelName, History, PastNotice, Policy, Recipient, WithheldReason

Channels = tuple[ChannelName, ...]
STRANGER = Recipient(subscriber_id="", timezone="UTC")
"""Stands for people whom the subscriber list does not have."""


@dataclass(frozen=True)
class Case:
    """One trouble before the gates.

    Parameters
    ----------
    trouble, recipient
        What is wrong, and with whom.
    heard
        What this person was told or not told before, earlier decisions of the same call included.
    history
        What else is known of the past.
    spent
        Notices by channel on this day of UTC, those of the same call included.
    policy, now
        The limits, and the time.
    """

    trouble: Trouble
    recipient: Recipient
    heard: Sequence[PastNotice]
    history: History
    spent: Counter[ChannelName]
    policy: Policy
    now: datetime

    @cached_property
    def zone(self) -> tzinfo | None:
        """The person's time zone, if we know it."""
        return known_zone(self.recipient.timezone)

    @cached_property
    def local(self) -> datetime:
        """The time on the person's clock; UTC where we do not know their zone."""
        return self.now.astimezone(self.zone or UTC)

    @property
    def is_problem(self) -> bool:
        """Whether it is news of a problem, not of its end."""
        return self.trouble.kind is TroubleKind.PROBLEM


@dataclass(frozen=True)
class Closed:
    """No channel is left: why, and, where the reason only puts off, when it may go after all."""

    reason: WithheldReason
    release_time: datetime | None = None


Passage = Channels | Closed
Gate = Callable[[Case, Channels], Passage]


def without(channels: Channels, closed: ChannelName) -> Channels:
    """Return the channels that are left when one is closed."""
    return tuple(channel for channel in channels if channel is not closed)
