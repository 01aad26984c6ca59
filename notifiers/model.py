"""Notices, recipients and what people were told before: the words of deciding and sending."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Protocol

from incidents.model import Cause, Severity, Trouble, TroubleKind
from notifiers.spread import share_of
from telemetry.contract import Signal


class ChannelName(StrEnum):
    """How a notice reaches a person. Which provider carries e-mail is a setting, not a decision."""

    EMAIL = "email"
    IN_APP = "in_app"


class Category(StrEnum):
    """What a notice is about, as far as people choose between them."""

    SHARED = "shared"
    OWN = "own"


Topic = tuple[Category, ChannelName]
Choices = Mapping[Topic, bool]
"""What one person chose: whether they want a category by a channel. What is absent was not chosen."""


class WithheldReason(StrEnum):
    """Why somebody is not told, in the order in which the gates ask; `seen` is of a mail that follows a card."""

    UNKNOWN_SUBSCRIBER = "unknown_subscriber"
    NOT_TOLD = "not_told"
    EXPIRED = "expired"
    RECOVERED = "recovered"
    CONTACTED_SUPPORT = "contacted_support"
    NO_CONSENT = "no_consent"
    NO_ADDRESS = "no_address"
    SUPPRESSED = "suppressed"
    HOLDOUT = "holdout"
    TOLD_RECENTLY = "told_recently"
    FREQUENCY_CAP = "frequency_cap"
    SILENCED = "silenced"
    QUIET_HOURS = "quiet_hours"
    PROVIDER_BUDGET = "provider_budget"
    AWAITING_APPROVAL = "awaiting_approval"
    ROLLOUT_REFUSED = "rollout_refused"
    SEEN = "seen"


HOLDING = frozenset(
    {
        WithheldReason.SILENCED,
        WithheldReason.QUIET_HOURS,
        WithheldReason.PROVIDER_BUDGET,
        WithheldReason.AWAITING_APPROVAL,
    }
)
"""Reasons that only put off: the notice is rendered and waits, and its `release_time` is set while it does."""


class Note(StrEnum):
    """Something odd about a recipient or a verdict that did not stop the decision, kept so that it can be counted."""

    UNKNOWN_TIMEZONE = "unknown_timezone"
    UNKNOWN_LOCALE = "unknown_locale"
    UNKNOWN_VERDICT = "unknown_verdict"


@dataclass(frozen=True)
class Recipient:
    """Whom we may tell, and how. Every text is untrusted.

    Parameters
    ----------
    subscriber_id, email, display_name, locale, timezone, country
        As in the contract's subscribers table; None where it was absent.
    email_opt_in, in_app_opt_in
        Consent; absent is no.
    no_phone
        Cannot or will not use a telephone.
    """

    subscriber_id: str
    email: str | None = None
    display_name: str | None = None
    locale: str | None = None
    timezone: str | None = None
    country: str | None = None
    email_opt_in: bool = False
    in_app_opt_in: bool = False
    no_phone: bool = False


@dataclass(frozen=True)
class Policy:
    """How often, when and whom we tell.

    Parameters
    ----------
    channels
        Preferred first.
    active_within
        Who watched within so long gets a card in the app first, if they take cards; nothing is never.
    follow_up_after
        A mail follows a card that was not seen for so long, while its person is still in trouble; None is never.
    stale_after
        A problem whose last bad session is older than this is `expired`. Twelve hours: events may come
        hours late.
    recovered_after
        A person who has watched well since, and whose last bad session is older than this, is `recovered`.
    problem_lifetime, all_clear_lifetime
        How long after the decision a notice may still be sent. Longer than a night of quiet hours.
    holdout_share, holdout_salt, holdout_exempt
        Share of people (0 to 1) who are never told, so that the effect can be measured; the salt picks them.
        Problems of the exempt severities are told to them all the same.
    max_per_incident, max_per_day, max_per_week
        Notices about one incident, whatever it was merged into; problem notices in one person's own calendar
        day and in their week from Monday.
    incident_gap, own_gap
        After a notice about the same cause, say nothing more for this long: for wider incidents, and for
        troubles of one household or account.
    quiet_from, quiet_until
        Local time in which no e-mail goes out; equal times mean never quiet.
    release_over
        What waited for the morning goes out spread over so long after it.
    pass_caps, pass_quiet
        Severities whose problems pass the frequency caps, and quiet hours. None by default.
    email_budget, in_app_budget
        Most notices by a channel in a day of UTC; None is no limit.
    staged_people, staged_share
        From so many people on, or so large a share (0 to 1) of all subscribers, an incident's notices go in stages.
    stages
        Shares (0 to 1) that are told before a person has to say yes to the next; after the last comes everybody.
        Without stages nothing waits for approval.
    flood_people
        More notices than this in one window halt everything until somebody has looked; None is never.
    flood_factor, flood_least
        So do more than so many times what windows with notices had in the last week, if they are this many at least.
    """

    channels: tuple[ChannelName, ...] = (ChannelName.EMAIL, ChannelName.IN_APP)
    active_within: timedelta = timedelta(0)
    follow_up_after: timedelta | None = timedelta(minutes=30)
    stale_after: timedelta = timedelta(hours=12)
    recovered_after: timedelta = timedelta(hours=2)
    problem_lifetime: timedelta = timedelta(hours=16)
    all_clear_lifetime: timedelta = timedelta(hours=24)
    holdout_share: float = 0.02
    holdout_salt: str = "prebuffer"
    holdout_exempt: tuple[Severity, ...] = ()
    max_per_incident: int = 3
    max_per_day: int = 3
    max_per_week: int = 8
    incident_gap: timedelta = timedelta(hours=3)
    own_gap: timedelta = timedelta(hours=24)
    quiet_from: time = time(22)
    quiet_until: time = time(8)
    release_over: timedelta = timedelta(minutes=30)
    pass_caps: tuple[Severity, ...] = ()
    pass_quiet: tuple[Severity, ...] = ()
    email_budget: int | None = None
    in_app_budget: int | None = None
    staged_people: int = 2000
    staged_share: float = 0.1
    stages: tuple[float, ...] = (0.01, 0.1)
    flood_people: int | None = 20_000
    flood_factor: float = 20.0
    flood_least: int = 1000

    def lifetime(self, kind: TroubleKind) -> timedelta:
        """How long after its decision a notice of this kind may still be sent."""
        return self.problem_lifetime if kind is TroubleKind.PROBLEM else self.all_clear_lifetime

    @property
    def has_budget(self) -> bool:
        """Whether any channel has a limit a day."""
        return any(self.budget(channel) is not None for channel in ChannelName)

    def budget(self, channel: ChannelName) -> int | None:
        """Return the most notices by a channel in a day of UTC, if there is a limit."""
        return self.email_budget if channel is ChannelName.EMAIL else self.in_app_budget


_COUNTED = frozenset({None, WithheldReason.HOLDOUT, *HOLDING})


@dataclass(frozen=True)
class PastNotice:
    """One row of an earlier decision: told, or withheld for a reason.

    `lost` is True when it was to be sent and nobody got it: it failed, was cancelled on its way, or waited
    until it was too late. `whole` is the incident that its own was merged into, if it was. `told_time` is when it
    went out, where that is known.
    """

    episode: str
    kind: TroubleKind
    problem: Signal
    cause: Cause
    incident_id: str | None
    channel: ChannelName
    decided_time: datetime
    withheld_reason: WithheldReason | None = None
    lost: bool = False
    whole: str | None = None
    told_time: datetime | None = None

    @property
    def time(self) -> datetime:
        """When the person heard it, as far as we know, else when it was decided."""
        return self.told_time or self.decided_time

    @property
    def is_held(self) -> bool:
        """Whether it still waits for what holds it."""
        return self.withheld_reason in HOLDING and not self.lost

    @property
    def told(self) -> bool:
        """Whether the person heard it, as far as we know."""
        return self.withheld_reason is None and not self.lost

    @property
    def counts(self) -> bool:
        """Whether it uses up patience: told, waiting to be, or held out (who must look alike)."""
        return not self.lost and self.withheld_reason in _COUNTED


class RolloutState(StrEnum):
    """How far a rollout is; `over` needs no answer any more."""

    GOING = "going"
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    OVER = "over"


@dataclass(frozen=True)
class Rollout:
    """How far an episode's large audience is told: one row of `rollouts`; see `notifiers.rollout`.

    Parameters
    ----------
    episode
        Whose audience it is.
    audience
        How many people it reaches, as far as they are known.
    allowed_share
        Which share of them (0 to 1), by the stable hash, may be told by now.
    state, asked_time, decided_time, decided_by, note
        How far it is, since when it asks, and who said what.
    """

    episode: str
    audience: int
    allowed_share: float
    state: RolloutState
    asked_time: datetime
    decided_time: datetime | None = None
    decided_by: str | None = None
    note: str | None = None

    def allows(self, subscriber_id: str) -> bool:
        """Whether a person may be told by now."""
        return self.state is not RolloutState.REFUSED and self.place(subscriber_id) < self.allowed_share

    def place(self, subscriber_id: str) -> float:
        """Return a person's place in the audience, from 0 to 1: the same each time, another in each episode."""
        return share_of("rollout", self.episode, subscriber_id)


@dataclass(frozen=True)
class SupportContact:
    """One time that a person asked support about playback; `answered` is None where nobody noted whether it helped."""

    contacted_time: datetime
    reason: str | None
    answered: bool | None


@dataclass(frozen=True)
class History:
    """What was decided before about the people in question, what they chose, and what limits all of them.

    Parameters
    ----------
    notices
        Earlier rows by subscriber_id.
    suppressed
        Addresses, in the form of `notifiers.address.normalised`.
    choices
        What people chose, by subscriber_id; see `notifiers.preferences`.
    contacts
        When they asked support, by subscriber_id.
    spent
        Notices by channel that were sent, or let go, on this day of UTC.
    rollouts
        Of the episodes that go in stages.
    silenced
        Whose trouble is part of a planned event, by subscriber_id and episode: until when, or None where nothing will
        be said at all.
    """

    notices: Mapping[str, tuple[PastNotice, ...]] = field(default_factory=dict)
    suppressed: frozenset[str] = frozenset()
    choices: Mapping[str, Choices] = field(default_factory=dict)
    contacts: Mapping[str, tuple[SupportContact, ...]] = field(default_factory=dict)
    spent: Mapping[ChannelName, int] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    silenced: Mapping[tuple[str, str], datetime | None] = field(default_factory=dict)

    def of(self, subscriber_id: str) -> tuple[PastNotice, ...]:
        """Earlier rows about one person."""
        return self.notices.get(subscriber_id, ())


@dataclass(frozen=True)
class Decision:
    """Tell one person one thing, or not and why: one row of `notices`.

    Parameters
    ----------
    notice_id
        Derived from the person, the episode and the kind, so that a window run twice decides the same rows.
    trouble
        What it is about.
    channel
        How it goes, or would have gone.
    decided_time, expires_time
        When it was decided, and from when on it must not be sent.
    withheld_reason
        None if it is to be sent.
    release_time
        When it may go after all, where the reason only puts it off.
    notes
        Oddities to count.
    timezone
        Where its person lives, for quiet hours at sending.
    """

    notice_id: str
    trouble: Trouble
    channel: ChannelName
    decided_time: datetime
    expires_time: datetime
    withheld_reason: WithheldReason | None = None
    release_time: datetime | None = None
    notes: tuple[Note, ...] = ()
    timezone: str | None = None

    @property
    def needs_words(self) -> bool:
        """Whether it is to be composed: it goes out now, or when what holds it has passed."""
        return self.withheld_reason is None or self.release_time is not None

    @property
    def past(self) -> PastNotice:
        """The same row as the next decision will see it."""
        trouble = self.trouble
        return PastNotice(
            episode=trouble.episode,
            kind=trouble.kind,
            problem=trouble.problem,
            cause=trouble.verdict.cause,
            incident_id=trouble.incident_id,
            channel=self.channel,
            decided_time=self.decided_time,
            withheld_reason=self.withheld_reason,
        )


NOTICE_ID_BYTES = 10
"""Eighty bits: a thousand million notices collide once in two million such years."""


def notice_id(subscriber_id: str, episode: str, kind: TroubleKind) -> str:
    """Return the stable, opaque key of a notice: sixteen lower-case letters and digits."""
    digest = hashlib.blake2b(digest_size=NOTICE_ID_BYTES)
    digest.update("\x1f".join((subscriber_id, episode, kind)).encode())
    return base64.b32encode(digest.digest()).decode().lower()


def reference(notice_id: str) -> str:
    """Return what a person reads out to support: the first twelve characters of the key in groups of four."""
    return "-".join(notice_id[start : start + 4] for start in (0, 4, 8)).upper()


def reasons(decisions: Iterable[Decision]) -> dict[str, int]:
    """Count decisions by reason, ``sent`` first, for a table of notices."""
    counts: dict[str, int] = {}
    for decision in decisions:
        reason = decision.withheld_reason or "sent"
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (item[0] != "sent", item[0])))


class Noted(Protocol):
    """A decision or its words, with what was odd about them."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """Oddities to count."""
        ...


def oddities(noted: Iterable[Noted]) -> dict[str, int]:
    """Count what was odd about decisions and words, for ops: a locale that nobody wrote, an unknown time zone."""
    return dict(sorted(Counter(note.value for it in noted for note in it.notes).items()))
