"""Not too much at once: gates about how many are told, by a channel and about one incident."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from notifiers.gates.case import Case, Channels, Closed, Passage
from notifiers.model import ChannelName, RolloutState, WithheldReason


def provider_budget(case: Case, channels: Channels) -> Passage:
    """At most so many notices by a channel in a day of UTC; beyond, another channel, else the next day."""
    left = tuple(channel for channel in channels if not _is_spent(case, channel))
    return left or Closed(WithheldReason.PROVIDER_BUDGET, next_day(case.now))


def _is_spent(case: Case, channel: ChannelName) -> bool:
    budget = case.policy.budget(channel)
    return budget is not None and case.spent[channel] >= budget


def next_day(now: datetime) -> datetime:
    """Return the start of the next day of UTC."""
    return datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)


def rollout(case: Case, channels: Channels) -> Passage:
    """A large audience is told in stages, each with a person's word; an all-clear follows those who were told."""
    stages = case.history.rollouts.get(case.trouble.episode)
    if stages is None or not case.is_problem or stages.allows(case.trouble.subscriber_id):
        return channels
    if stages.state is RolloutState.REFUSED:
        return Closed(WithheldReason.ROLLOUT_REFUSED)
    return Closed(WithheldReason.AWAITING_APPROVAL, case.now)
