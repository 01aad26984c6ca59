"""Who is told what, and why the others are not: gates in a fixed order, each with a named reason.

A gate gets one case and the channels still open to it, and returns the channels that it leaves open, or the
reason why nobody is told. The first reason wins. The order, and what each one asks:

1. *already told* (no row at all): is there a row for this person, this episode and this kind?
2. `unknown_subscriber`: do we know the person?
3. `not_told`: an all-clear follows its problem notice: same channel, or withheld for the same reason. If the problem
   notice still waits, the all-clear waits with it and follows what becomes of it.
4. `expired`: is the problem too old to be worth a message?
5. `recovered`: is the incident over, or has the person been watching well for a while?
6. `contacted_support`: did they ask support since it began, and get an answer?
7. `no_consent`: which channels does the person want this category of notice by?
8. `no_address`: is there an address that mail can go to?
9. `suppressed`: has the address bounced, complained or unsubscribed?
10. `holdout`: is the person among those never told, so that the effect can be measured?
11. `told_recently`: did they hear of the same cause a short while ago, and was it not over since?
12. `frequency_cap`: have they had enough about this incident, or for their own day or week?
13. `silenced`: is it part of a planned event that goes on? Who has trouble still when that is over is told then.
14. `quiet_hours`: is it night where they are? Mail waits until morning. A card in the app wakes nobody, so who takes
    cards gets one at once instead.
15. `provider_budget`: has the channel carried all that it may today? The notice waits for the next day.
16. `awaiting_approval`: is the audience large, and is it not yet this person's turn? `rollout_refused` if somebody
    said no to the rest.

`notifiers.recheck` asks again, before anything is let go and before anything is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from incidents.model import Severity, Trouble, TroubleKind
from notifiers.gates.case import STRANGER, Case, Channels, Closed, Gate
from notifiers.gates.news import contacted_support, expired, not_told, problem_held, recovered, unknown_subscriber
from notifiers.gates.patience import frequency_cap, holdout, in_holdout, quiet_hours, told_recently
from notifiers.gates.planned import silenced
from notifiers.gates.reach import no_address, no_consent, suppressed
from notifiers.gates.volume import provider_budget, rollout
from notifiers.model import ChannelName, Decision, History, Note, PastNotice, Policy, Recipient, notice_id

__all__ = ["GATES", "decide", "in_holdout"]

GATES: tuple[Gate, ...] = (
    unknown_subscriber,
    not_told,
    expired,
    recovered,
    contacted_support,
    no_consent,
    no_address,
    suppressed,
    holdout,
    told_recently,
    frequency_cap,
    problem_held,
    silenced,
    quiet_hours,
    provider_budget,
    rollout,
)
"""In order. Before them, who was already told gives no decision at all."""
_MOST_SEVERE_FIRST = {Severity.CRITICAL: 0, Severity.MAJOR: 1, Severity.MINOR: 2}


def decide(
    troubles: Sequence[Trouble],
    recipients: Mapping[str, Recipient],
    history: History,
    policy: Policy,
    now: datetime,
) -> list[Decision]:
    """Decide for each trouble whether its person is told, and if not, why.

    Pure: the same arguments give the same decisions, whatever the order of `troubles`. Wider incidents are
    decided before troubles of one's own, and graver ones first, because what a person hears first counts
    against the rest; all-clears come before everything, so that a new fault after an old one is news.

    Parameters
    ----------
    troubles
        What detection found, all-clears included.
    recipients
        The people by subscriber_id.
    history
        From `notifiers.history.load_history`.
    policy
        Limits and preferences.
    now
        The end of the window; aware UTC.

    Returns
    -------
    list of Decision
        One for each trouble, except those whose person already has a row for this episode and kind: these
        give none.
    """
    heard = {trouble.subscriber_id: list(history.of(trouble.subscriber_id)) for trouble in troubles}
    spent = Counter(history.spent)
    decisions = []
    for trouble in sorted(troubles, key=_order):
        past = heard[trouble.subscriber_id]
        if _already_told(trouble, past):
            continue
        recipient = recipients.get(trouble.subscriber_id, STRANGER)
        decision = _pass_gates(Case(trouble, recipient, past, history, spent, policy, now))
        past.append(decision.past)
        if decision.withheld_reason is None:
            spent[decision.channel] += 1
        decisions.append(decision)
    return decisions


def _order(trouble: Trouble) -> tuple[object, ...]:
    return (
        trouble.kind is TroubleKind.PROBLEM,
        trouble.incident_id is None,
        _MOST_SEVERE_FIRST[trouble.severity],
        trouble.since,
        trouble.subscriber_id,
        trouble.episode,
        trouble.kind,
    )


def _already_told(trouble: Trouble, heard: Sequence[PastNotice]) -> bool:
    return any(past.episode == trouble.episode and past.kind is trouble.kind for past in heard)


def _pass_gates(case: Case) -> Decision:
    channels = _preferred(case)
    for gate in GATES:
        passage = gate(case, channels)
        if isinstance(passage, Closed):
            return replace(_sent(case, channels), withheld_reason=passage.reason, release_time=passage.release_time)
        channels = passage
    return _sent(case, channels)


def _preferred(case: Case) -> Channels:
    """Return the channels, preferred first: a card for who is watching now and will see it."""
    channels = case.policy.channels
    if ChannelName.IN_APP not in channels or not _is_active(case):
        return channels
    return tuple(sorted(channels, key=lambda channel: channel is not ChannelName.IN_APP))


def _is_active(case: Case) -> bool:
    good, bad = case.trouble.last_good_time, case.trouble.last_bad_time
    return case.now - (bad if good is None else max(good, bad)) < case.policy.active_within


def _sent(case: Case, channels: Channels) -> Decision:
    trouble = case.trouble
    return Decision(
        notice_id=notice_id(trouble.subscriber_id, trouble.episode, trouble.kind),
        trouble=trouble,
        channel=channels[0],
        decided_time=case.now,
        expires_time=case.now + case.policy.lifetime(trouble.kind),
        notes=() if case.zone else (Note.UNKNOWN_TIMEZONE,),
        timezone=case.recipient.timezone if case.zone else None,
    )
