"""A plain model of what may be told to whom and when, by what people said and what happened: not by the gates.

It is asked twice: of who is told at once when it is decided, and of what reaches a channel when it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import select

from incidents.ledger.casework import expected_incidents, silences
from incidents.ledger.schema import notices, outbox, rollouts, sending_stops, troubles
from incidents.model import Cause, TroubleKind
from notifiers.model import Category, ChannelName, Decision
from notifiers.outbox import Message
from notifiers.spread import share_of
from notifiers.stops import EVERYTHING

if TYPE_CHECKING:
    from tests.notifiers.histories import History

EMAIL = ChannelName.EMAIL
OWN = (Cause.HOUSEHOLD, Cause.ACCOUNT)
NOT_HEARD = ("failed", "cancelled")


@dataclass(frozen=True)
class Telling:
    """Somebody is told something, by a channel, now."""

    notice_id: str
    who: str
    channel: ChannelName
    kind: str
    episode: str
    incident_id: str | None
    cause: Cause
    since: datetime
    last_bad_time: datetime


class Judge:
    """Complains about what must not be told.

    Parameters
    ----------
    history
        What happened so far.
    """

    def __init__(self, history: History) -> None:
        self.history = history

    def decided(self, decision: Decision, at_once: int) -> None:
        """Complain if somebody is told at once who must not be.

        Parameters
        ----------
        decision
            One of this window's.
        at_once
            Mails that were decided to go at once before it, in the same window.
        """
        trouble, now = decision.trouble, self.history.now
        telling = Telling(
            decision.notice_id,
            trouble.subscriber_id,
            decision.channel,
            trouble.kind.value,
            trouble.episode,
            trouble.incident_id,
            trouble.verdict.cause,
            trouble.since,
            trouble.last_bad_time,
        )
        self._anybody(telling)
        if telling.channel is EMAIL:
            self._mail(telling.who, at_once)
        if telling.kind == TroubleKind.PROBLEM:
            good = trouble.last_good_time
            assert now - trouble.last_bad_time <= self.history.policy.stale_after, "stale"
            assert good is None or now - trouble.last_bad_time <= self.history.policy.recovered_after, "watches well"
            self._problem(telling)
        else:
            problem = self._problem_of(telling)
            assert problem is not None, "an end without a beginning"
            assert problem.withheld_reason is None, "an end without a beginning"

    def sent(self, message: Message) -> None:
        """Complain if this message must not go to this person now."""
        history, now = self.history, self.history.now
        notice = history.row(notices, notices.c.notice_id == message.notice_id)
        of_it = (troubles.c.subscriber_id == notice.subscriber_id) & (troubles.c.episode == notice.episode)
        trouble = history.row(troubles, of_it & (troubles.c.kind == notice.kind))
        telling = Telling(
            notice.notice_id,
            message.subscriber_id,
            message.channel,
            notice.kind,
            notice.episode,
            notice.incident_id,
            Cause(notice.cause),
            trouble.since,
            trouble.last_bad_time,
        )
        assert message.message_id not in history.taken or message.channel is not EMAIL, "twice"
        assert notice.withheld_reason is None, "withheld"
        assert message.expires_time > now, "expired"
        assert not self._is_stopped(message.channel, notice.incident_id), "stopped"
        self._anybody(telling)
        if message.channel is EMAIL:
            assert message.address == history.addresses[message.subscriber_id], "somebody else's"
            assert message.message_id == message.notice_id or message.notice_id not in history.seen, "seen"
            self._mail(telling.who, 0)
        if notice.kind == TroubleKind.PROBLEM:
            self._problem(telling)
        else:
            assert self._problem_of(telling).notice_id in self._heard(telling.who), "an end without a beginning"
            whole = history.whole.get(notice.incident_id, notice.incident_id)
            assert whole in history.over, "an end before the end"

    def _anybody(self, telling: Telling) -> None:
        category = Category.OWN if telling.cause in OWN else Category.SHARED
        history, opted = self.history, self.history.opted.get((telling.who, telling.channel), False)
        assert telling.who in history.zones, "a stranger"
        assert history.chosen.get((telling.who, category, telling.channel), opted), "unwanted"

    def _mail(self, who: str, at_once: int) -> None:
        history = self.history
        address = history.addresses[who].strip().lower()
        assert "@" in address, "no address"
        assert address not in history.suppressed, "suppressed"
        assert 8 <= self._local(who, history.now).hour < 22, "quiet"
        carried = [key for key, (it, at) in history.taken.items() if it.channel is EMAIL and _same_day(at, history.now)]
        today = len(set(carried) - history.bounced) + at_once  # a mail that came back gives its place to another
        assert history.policy.email_budget is None or today < history.policy.email_budget, "budget"

    def _problem(self, telling: Telling) -> None:
        """Complain if this problem must not be told to this person now."""
        history, who = self.history, telling.who
        whole = history.whole.get(telling.incident_id, telling.incident_id)
        assert whole not in history.over, "over"
        helped = (at for at in history.helped.get(who, ()) if at >= telling.since)
        assert not any(helped), "was helped"
        assert share_of(history.policy.holdout_salt, who) >= history.policy.holdout_share, "held out"
        if whole is not None:
            assert not self._is_planned(telling), "planned"
            assert self._is_their_turn(who, whole), "not their turn"
        self._patience(telling)

    def _patience(self, telling: Telling) -> None:
        policy, who, now = self.history.policy, telling.who, self.history.now
        heard = [(row, at) for row, at in self._heard(who).values() if row.notice_id != telling.notice_id]
        known = [(row, at) for row, at in heard if row.kind == TroubleKind.PROBLEM]
        days = [self._local(who, at).date() for _, at in known]
        today = self._local(who, now).date()
        week = sum(day.isocalendar()[:2] == today.isocalendar()[:2] for day in days)
        assert days.count(today) < policy.max_per_day, "cap of the day"
        assert week < policy.max_per_week, "cap of the week"
        whole = self.history.whole.get(telling.incident_id, telling.incident_id)
        about_it = [row for row, _ in heard if whole in (row.incident_id, *self._wholes(row))]
        assert telling.incident_id is None or len(about_it) < policy.max_per_incident, "cap of the incident"
        for row, at in known:
            gap = policy.own_gap if telling.cause in OWN else policy.incident_gap
            same = row.cause == telling.cause
            if telling.cause is Cause.HOUSEHOLD and Cause(row.cause) not in OWN:
                same, gap = True, policy.incident_gap
            assert not same or now - at >= gap or self._knows_it_is_over(row), "told recently"

    def _wholes(self, row) -> list[str]:
        return [self.history.whole[row.incident_id]] if row.incident_id in self.history.whole else []

    def _knows_it_is_over(self, problem) -> bool:
        end = self._notice(problem.subscriber_id, problem.episode, TroubleKind.ALL_CLEAR)
        return end is not None and end.withheld_reason is None and end.state not in NOT_HEARD

    def _problem_of(self, telling: Telling):
        return self._notice(telling.who, telling.episode, TroubleKind.PROBLEM)

    def _notice(self, who, episode, kind):
        """Return a notice, with the state of its first message."""
        mine = (notices.c.subscriber_id == who) & (notices.c.episode == episode) & (notices.c.kind == kind.value)
        first = notices.outerjoin(outbox, outbox.c.message_id == notices.c.notice_id)
        with self.history.ledger.read() as connection:
            return connection.execute(select(notices, outbox.c.state).select_from(first).where(mine)).first()

    def _heard(self, who) -> dict[str, tuple]:
        """What a person heard, and when, by notice; what failed afterwards was not heard."""
        first = notices.join(outbox, outbox.c.message_id == notices.c.notice_id)
        mine = (notices.c.subscriber_id == who) & (outbox.c.state != "failed")
        with self.history.ledger.read() as connection:
            rows = connection.execute(select(notices).select_from(first).where(mine)).all()
        taken = self.history.taken
        return {row.notice_id: (row, taken[row.notice_id][1]) for row in rows if row.notice_id in taken}

    def _local(self, who, moment):
        return moment.astimezone(ZoneInfo(self.history.zones[who]))

    def _is_stopped(self, channel, incident_id) -> bool:
        scopes = {EVERYTHING, f"channel:{channel.value}", f"incident:{incident_id}"}
        with self.history.ledger.read() as connection:
            rows = connection.execute(select(sending_stops).where(sending_stops.c.ended_time.is_(None))).all()
        return any(it.scope in scopes and (it.until_time is None or it.until_time > self.history.now) for it in rows)

    def _is_planned(self, telling: Telling) -> bool:
        query = select(silences).join(expected_incidents).where(expected_incidents.c.incident_id == telling.incident_id)
        with self.history.ledger.read() as connection:
            rows = connection.execute(query).all()
        now, bad = self.history.now, telling.last_bad_time
        return any(it.from_time <= min(now, bad) and now < (it.ended_time or it.until_time) for it in rows)

    def _is_their_turn(self, who, whole) -> bool:
        row = self.history.row(rollouts, rollouts.c.episode == whole)
        if row is None or row.state == "over":
            return True
        return row.state != "refused" and share_of("rollout", whole, who) < row.allowed_share


def _same_day(one: datetime, other: datetime) -> bool:
    return one.date() == other.date()
