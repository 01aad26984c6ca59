"""Not too often, and not at night: gates about what this person heard before and about their clock."""

from __future__ import annotations

from datetime import date, datetime

from incidents.model import Cause, Severity, TroubleKind
from notifiers.gates.case import Case, Channels, Closed, Passage, without
from notifiers.local_time import is_quiet, quiet_end, week_start
from notifiers.model import ChannelName, PastNotice, Policy, WithheldReason
from notifiers.preferences import SHARED_CAUSES
from notifiers.spread import share_of


def holdout(case: Case, channels: Channels) -> Passage:
    """A stable share of people is not told; an all-clear follows its problem notice instead."""
    held = case.is_problem and is_held_out(case.trouble.subscriber_id, case.trouble.severity, case.policy)
    return Closed(WithheldReason.HOLDOUT) if held else channels


def is_held_out(subscriber_id: str, severity: Severity, policy: Policy) -> bool:
    """Whether a person is not told of a problem of this severity, so that the effect can be measured."""
    return severity not in policy.holdout_exempt and in_holdout(subscriber_id, policy)


def in_holdout(subscriber_id: str, policy: Policy) -> bool:
    """Whether a person is in the held-out share. A larger share keeps everybody who was in a smaller one."""
    return policy.holdout_share > 0 and share_of(policy.holdout_salt, subscriber_id) < policy.holdout_share


def told_recently(case: Case, channels: Channels) -> Passage:
    """Who knows of the same cause, and has not heard that it is over, hears no more of it for a while."""
    if not case.is_problem:
        return channels
    over = {past.episode for past in case.heard if past.kind is TroubleKind.ALL_CLEAR and past.told}
    known = (past for past in case.heard if past.kind is TroubleKind.PROBLEM and past.episode not in over)
    repeats = any(past.counts and _repeats(case, past) for past in known)
    return Closed(WithheldReason.TOLD_RECENTLY) if repeats else channels


def _repeats(case: Case, past: PastNotice) -> bool:
    """Whether a notice says what `past` said, or blames the home of those who just heard of a wide fault."""
    cause, age = case.trouble.verdict.cause, case.now - past.time
    if past.cause in SHARED_CAUSES and cause is Cause.HOUSEHOLD:
        return age < case.policy.incident_gap
    gap = case.policy.incident_gap if cause in SHARED_CAUSES else case.policy.own_gap
    return past.cause is cause and age < gap


def frequency_cap(case: Case, channels: Channels) -> Passage:
    """At most so many notices about an incident, in the person's own day, and week; an all-clear is never capped."""
    if not case.is_problem or not case.heard or case.trouble.severity in case.policy.pass_caps:
        return channels
    return Closed(WithheldReason.FREQUENCY_CAP) if _full_days(case) or _full_incident(case) else channels


def _full_days(case: Case) -> bool:
    days = [_local_day(case, past) for past in case.heard if past.counts and past.kind is TroubleKind.PROBLEM]
    today = case.local.date()
    this_week = sum(week_start(day) == week_start(today) for day in days)
    return days.count(today) >= case.policy.max_per_day or this_week >= case.policy.max_per_week


def _full_incident(case: Case) -> bool:
    incident_id = case.trouble.incident_id
    if incident_id is None:
        return False
    about_it = sum(past.counts and incident_id in (past.incident_id, past.whole) for past in case.heard)
    return about_it >= case.policy.max_per_incident


def _local_day(case: Case, past: PastNotice) -> date:
    return past.time.astimezone(case.local.tzinfo).date()


def quiet_hours(case: Case, channels: Channels) -> Passage:
    """No mail at night where the person is; a card in the app may come at any time."""
    if ChannelName.EMAIL not in channels or case.trouble.severity in case.policy.pass_quiet:
        return channels
    morning = release_after_quiet(case.local, case.trouble.subscriber_id, case.policy)
    if morning is None:
        return channels
    return without(channels, ChannelName.EMAIL) or Closed(WithheldReason.QUIET_HOURS, morning)


def release_after_quiet(local: datetime, subscriber_id: str, policy: Policy) -> datetime | None:
    """Return when mail may go to a person, in UTC; None if it may at once.

    A crowd that waited for the same morning goes out spread over `release_over`, each by a stable hash.

    Parameters
    ----------
    local
        The time on the person's clock.
    subscriber_id
        Who.
    policy
        With the quiet hours.
    """
    if not is_quiet(local, policy.quiet_from, policy.quiet_until):
        return None
    spread = policy.release_over * share_of("release", subscriber_id)
    return quiet_end(local, policy.quiet_until) + spread
