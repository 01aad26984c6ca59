"""Notices, recipients and what people were told before: the words of deciding and sending."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum

from incidents.model import Cause, Trouble, TroubleKind
from telemetry.contract import Signal


class ChannelName(StrEnum):
    """How a notice reaches a person. Which provider carries e-mail is a setting, not a decision."""

    EMAIL = "email"
    IN_APP = "in_app"


class WithheldReason(StrEnum):
    """Why somebody is not told, in the order in which the gates ask."""

    UNKNOWN_SUBSCRIBER = "unknown_subscriber"
    NOT_TOLD = "not_told"
    EXPIRED = "expired"
    RECOVERED = "recovered"
    NO_CONSENT = "no_consent"
    NO_ADDRESS = "no_address"
    SUPPRESSED = "suppressed"
    HOLDOUT = "holdout"
    TOLD_RECENTLY = "told_recently"
    FREQUENCY_CAP = "frequency_cap"
    QUIET_HOURS = "quiet_hours"


class Note(StrEnum):
    """Something odd about a recipient that did not stop the decision, kept so that it can be counted."""

    UNKNOWN_TIMEZONE = "unknown_timezone"


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
    stale_after
        A problem whose last bad session is older than this is `expired`. Twelve hours: events may come
        hours late.
    recovered_after
        A person who has watched well since, and whose last bad session is older than this, is `recovered`.
    problem_lifetime, all_clear_lifetime
        How long after the decision a notice may still be sent. Longer than a night of quiet hours.
    holdout_share, holdout_salt
        Share of people (0 to 1) who are never told, so that the effect can be measured; the salt picks them.
    max_per_day, max_per_week
        Problem notices in one person's own calendar day and in their week from Monday.
    incident_gap, own_gap
        After a notice about the same cause, say nothing more for this long: for wider incidents, and for
        troubles of one household or account.
    quiet_from, quiet_until
        Local time in which no e-mail goes out; equal times mean never quiet.
    """

    channels: tuple[ChannelName, ...] = (ChannelName.EMAIL, ChannelName.IN_APP)
    stale_after: timedelta = timedelta(hours=12)
    recovered_after: timedelta = timedelta(hours=2)
    problem_lifetime: timedelta = timedelta(hours=16)
    all_clear_lifetime: timedelta = timedelta(hours=24)
    holdout_share: float = 0.02
    holdout_salt: str = "prebuffer"
    max_per_day: int = 3
    max_per_week: int = 8
    incident_gap: timedelta = timedelta(hours=3)
    own_gap: timedelta = timedelta(hours=24)
    quiet_from: time = time(22)
    quiet_until: time = time(8)

    def lifetime(self, kind: TroubleKind) -> timedelta:
        """How long after its decision a notice of this kind may still be sent."""
        return self.problem_lifetime if kind is TroubleKind.PROBLEM else self.all_clear_lifetime


_COUNTED = (None, WithheldReason.QUIET_HOURS, WithheldReason.HOLDOUT)


@dataclass(frozen=True)
class PastNotice:
    """One row of an earlier decision: told, or withheld for a reason.

    `lost` is True when it was to be sent and nobody got it: it failed, was cancelled on its way, or quiet
    hours outlasted the problem.
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

    @property
    def told(self) -> bool:
        """Whether the person heard it, as far as we know."""
        return self.withheld_reason is None and not self.lost

    @property
    def counts(self) -> bool:
        """Whether it uses up patience: told, due in the morning, or held out (who must look alike)."""
        return not self.lost and self.withheld_reason in _COUNTED


@dataclass(frozen=True)
class History:
    """What was decided before about the people in question, and which addresses must not be written to.

    Parameters
    ----------
    notices
        Earlier rows by subscriber_id.
    suppressed
        Addresses, in the form of `notifiers.address.normalised`.
    """

    notices: Mapping[str, tuple[PastNotice, ...]] = field(default_factory=dict)
    suppressed: frozenset[str] = frozenset()

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
        When quiet hours end, where they are the reason.
    notes
        Oddities to count.
    """

    notice_id: str
    trouble: Trouble
    channel: ChannelName
    decided_time: datetime
    expires_time: datetime
    withheld_reason: WithheldReason | None = None
    release_time: datetime | None = None
    notes: tuple[Note, ...] = ()

    @property
    def needs_words(self) -> bool:
        """Whether it is to be composed: it goes out now or when quiet hours end."""
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
