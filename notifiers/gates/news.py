"""Is it news? Gates about the problem: whether it still is one, and whether this person needs to be told of it."""

from __future__ import annotations

from incidents.model import Cause, TroubleKind
from notifiers.gates.case import STRANGER, Case, Channels, Closed, Passage
from notifiers.model import PastNotice, WithheldReason

ABOUT_PLAYBACK = frozenset({"buffering", "startup", "playback_failure", "access"})
ABOUT_THE_ACCOUNT = ABOUT_PLAYBACK | {"billing"}
"""Reasons of support contacts after which a notice would tell people what they have just heard."""


def unknown_subscriber(case: Case, channels: Channels) -> Passage:
    """Somebody whom the subscriber list does not have cannot be told."""
    return Closed(WithheldReason.UNKNOWN_SUBSCRIBER) if case.recipient is STRANGER else channels


def not_told(case: Case, channels: Channels) -> Passage:
    """An all-clear goes the way its problem notice went, and only to those who got that, or may still get it."""
    if case.is_problem:
        return channels
    problem = _problem_notice(case)
    if problem is None:
        return Closed(WithheldReason.NOT_TOLD)
    if problem.told or problem.is_held:
        return (problem.channel,)
    return Closed(problem.withheld_reason or WithheldReason.NOT_TOLD)


def problem_held(case: Case, channels: Channels) -> Passage:
    """An all-clear whose problem notice still waits, waits with it and follows what becomes of it."""
    problem = None if case.is_problem else _problem_notice(case)
    if problem is None or problem.withheld_reason is None:
        return channels
    return Closed(problem.withheld_reason, case.now)


def _problem_notice(case: Case) -> PastNotice | None:
    episode = case.trouble.episode
    return next((p for p in case.heard if p.episode == episode and p.kind is TroubleKind.PROBLEM), None)


def expired(case: Case, channels: Channels) -> Passage:
    """A problem whose last bad session is long ago is no news."""
    stale = case.is_problem and case.now - case.trouble.last_bad_time > case.policy.stale_after
    return Closed(WithheldReason.EXPIRED) if stale else channels


def recovered(case: Case, channels: Channels) -> Passage:
    """A problem that is over for everyone, or that this person has not had for a while, needs no notice."""
    over = case.trouble.incident_resolved or _all_clear_decided(case) or _watching_well(case)
    return Closed(WithheldReason.RECOVERED) if case.is_problem and over else channels


def _all_clear_decided(case: Case) -> bool:
    episode = case.trouble.episode
    return any(past.episode == episode and past.kind is TroubleKind.ALL_CLEAR for past in case.heard)


def _watching_well(case: Case) -> bool:
    good, bad = case.trouble.last_good_time, case.trouble.last_bad_time
    return good is not None and good > bad and case.now - bad > case.policy.recovered_after


def contacted_support(case: Case, channels: Channels) -> Passage:
    """Who asked support about it since it began, and was not left without an answer, has been told."""
    if not case.is_problem:
        return channels
    about = ABOUT_THE_ACCOUNT if case.trouble.verdict.cause is Cause.ACCOUNT else ABOUT_PLAYBACK
    told = any(
        contact.answered is not False
        and contact.reason in about
        and case.trouble.since <= contact.contacted_time <= case.now
        for contact in case.history.contacts.get(case.trouble.subscriber_id, ())
    )
    return Closed(WithheldReason.CONTACTED_SUPPORT) if told else channels
