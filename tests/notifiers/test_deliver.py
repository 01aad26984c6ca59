"""Sending what the outbox holds: once, again where that is right, never blindly."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import func, insert, select, update

from incidents.ledger.schema import deliveries, inbox, incidents, notices, outbox, suppressions
from notifiers.attempts import begin, due
from notifiers.channels import InApp, Mailbox, Receipt
from notifiers.channels.contract import one_by_one
from notifiers.compose import Rendered
from notifiers.deliver import DeliveryReport, RetryPolicy, deliver
from notifiers.errors import ChannelPaused, OutcomeUnknown, RateLimited, Refused, Retryable
from notifiers.model import ChannelName
from notifiers.outbox import Lease, enqueue

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
EMAIL, IN_APP = ChannelName.EMAIL, ChannelName.IN_APP
WORDS = Rendered("A subject", "<p>page</p>", "text", {"title": "A subject"})


class Crash(BaseException):
    """The process is gone."""


class Untidy:
    """A channel that sends and cannot tidy up."""

    repeatable: ClassVar[bool] = False

    def bundle(self, messages) -> list[list]:
        return one_by_one(messages)

    def send(self, message) -> Receipt:
        return Receipt()

    def finish(self) -> None:
        raise ChannelPaused("no room")


class Scripted:
    """A channel that plays a script: None is sent, anything else is raised."""

    repeatable: ClassVar[bool] = False

    def __init__(self, *script) -> None:
        self.script = list(script)
        self.sent: list[str] = []
        self.finished = 0

    def bundle(self, messages) -> list[list]:
        return one_by_one(messages)

    def send(self, message) -> Receipt:
        failure = self.script.pop(0) if self.script else None
        if failure is not None:
            raise failure
        self.sent.append(message.notice_id)
        return Receipt(f"provider-{message.notice_id}")

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def put(engine, add_incident, decide_one, trouble, person, noon):
    """Queue a problem notice for each of some people; return their notice ids."""
    add_incident()

    def store(*people, now=noon, **changes) -> list[str]:
        decisions = [decide_one(trouble(subscriber_id=who), person(**changes), now=now) for who in people]
        rendered = {d.notice_id: WORDS for d in decisions}
        with engine.begin() as connection:
            enqueue(connection, decisions, rendered, dict.fromkeys(people, "ada@example.net"), now)
        return [d.notice_id for d in decisions]

    return store


def begun(engine, now, channel) -> list:
    """What a sender that dies now leaves behind: everything marked as being sent."""
    lease = Lease("dead")
    with engine.begin() as connection:
        found = due(connection, now, [channel], 100).messages
        begin(connection, found, now, lease)
    return found


def attempts(engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(deliveries.c.outcome).order_by(deliveries.c.attempt)))


def test_what_is_due_is_sent_once(put, engine, noon, states):
    ids = put("u-1", "u-2", "u-3")
    channel = Scripted()
    report = deliver(engine, {EMAIL: channel}, noon)
    assert sorted(channel.sent) == sorted(ids)
    assert report == DeliveryReport({"sent": 3})
    assert deliver(engine, {EMAIL: channel}, noon + HOUR) == DeliveryReport()
    assert channel.finished == 2
    with engine.connect() as connection:
        row = connection.execute(select(deliveries).join(outbox).where(outbox.c.message_id == ids[0])).one()
    assert (row.outcome, row.provider_message_id) == ("sent", f"provider-{ids[0]}")


def test_nothing_due_does_nothing(engine, noon):
    assert deliver(engine, {EMAIL: Scripted()}, noon) == DeliveryReport()


def test_what_was_sent_is_sent_even_if_tidying_up_fails(put, engine, noon):
    put("u-1")
    report = deliver(engine, {EMAIL: Untidy()}, noon)
    assert report == DeliveryReport({"sent": 1}, stopped={"email": "no room"})


def test_the_limit_holds(put, engine, noon, states):
    put("u-1", "u-2", "u-3")
    deliver(engine, {EMAIL: Scripted()}, noon, limit=2)
    assert states() == {"sent": 2, "queued": 1}


def test_a_way_without_a_channel_waits(put, engine, noon, states):
    put("u-1")
    deliver(engine, {IN_APP: Scripted()}, noon)
    assert states() == {"queued": 1}


def test_a_clock_may_be_given_instead_of_a_moment(put, engine, noon):
    put("u-1")
    ticks = iter(noon + n * MINUTE for n in range(100))
    assert deliver(engine, {EMAIL: Scripted()}, lambda: next(ticks)).states["sent"] == 1


class TestFailures:
    """Each kind of failure leads where its name says."""

    @pytest.mark.parametrize(
        ("failure", "state"),
        [
            (Refused("no"), "failed"),
            (Retryable("busy"), "queued"),
            (RateLimited("too fast"), "queued"),
            (ChannelPaused("key revoked"), "queued"),
            (OutcomeUnknown("no answer"), "unknown"),
        ],
    )
    def test_by_kind(self, failure, state, put, engine, noon, states):
        put("u-1")
        report = deliver(engine, {EMAIL: Scripted(failure)}, noon)
        assert states() == {state: 1}
        assert report.states[state] == 1

    def test_a_passing_failure_is_tried_again_later_each_time(self, put, engine, noon, states):
        put("u-1")
        channel = Scripted(*[Retryable("busy")] * 3)
        moments = []
        for hour in range(6):
            now = noon + hour * HOUR
            deliver(engine, {EMAIL: channel}, now, retry=RetryPolicy(jitter=0.5))
            with engine.connect() as connection:
                moments.append(connection.scalar(select(outbox.c.next_attempt_time)) - now)
        assert moments[0] < moments[1] < moments[2]
        assert states() == {"sent": 1}
        assert attempts(engine) == ["retry", "retry", "retry", "sent"]

    def test_it_is_given_up_in_the_end(self, put, engine, noon, states):
        put("u-1")
        channel = Scripted(*[Retryable("busy")] * 10)
        for hour in range(8):
            deliver(engine, {EMAIL: channel}, noon + hour * HOUR)
        assert states() == {"failed": 1}
        assert attempts(engine) == ["retry"] * 5 + ["failed"]

    @pytest.mark.parametrize("failure", [ChannelPaused("key revoked"), RateLimited("too fast")])
    def test_a_stopped_channel_keeps_its_messages(self, failure, put, engine, noon, states):
        put("u-1", "u-2")
        channel = Scripted(*[failure] * 8)
        for hour in range(8):
            report = deliver(engine, {EMAIL: channel}, noon + hour * HOUR)
            assert report.stopped == {"email": str(failure)}
        assert states() == {"queued": 2}
        deliver(engine, {EMAIL: channel}, noon + 9 * HOUR)
        assert states() == {"sent": 2}

    def test_a_stopped_channel_stops_no_other(self, put, engine, noon, states):
        put("u-1")
        put("u-2", email_opt_in=False)
        deliver(engine, {EMAIL: Scripted(ChannelPaused("no key")), IN_APP: Scripted()}, noon)
        assert states() == {"queued": 1, "sent": 1}

    def test_the_provider_says_how_long_to_wait(self, put, engine, noon):
        put("u-1")
        deliver(engine, {EMAIL: Scripted(RateLimited("too fast", timedelta(seconds=7)))}, noon)
        with engine.connect() as connection:
            assert connection.scalar(select(outbox.c.next_attempt_time)) == noon + timedelta(seconds=7)

    def test_waits_double_up_to_a_limit_and_are_spread_but_the_same_again(self):
        policy = RetryPolicy(base=MINUTE, longest=10 * MINUTE, jitter=0.5)
        for attempt, full in enumerate((1, 2, 4, 8, 10, 10), start=1):
            waits = {policy.wait(f"n-{n}", attempt) for n in range(50)}
            assert full / 2 * MINUTE <= min(waits) < max(waits) <= full * MINUTE
        assert policy.wait("n-1", 3) == policy.wait("n-1", 3)
        assert RetryPolicy(jitter=0).wait("n-1", 1000) == HOUR


class TestSecondThoughts:
    """The gates once more, just before sending."""

    def test_a_problem_that_is_over_is_not_told(self, put, engine, noon, states):
        put("u-1")
        with engine.begin() as connection:
            connection.execute(update(incidents).values(resolved_time=noon))
        self.check(engine, noon, states, "recovered")

    @pytest.mark.parametrize(("target_over", "told"), [(False, True), (True, False)])
    def test_a_merged_incident_lives_on(self, target_over, told, put, engine, noon, add_incident):
        (notice_id,) = put("u-1")
        add_incident("i-2", resolved_time=noon if target_over else None)
        merged = update(incidents).where(incidents.c.incident_id == "i-1")
        with engine.begin() as connection:
            connection.execute(merged.values(merged_into="i-2", resolved_time=noon))
        channel = Scripted()
        deliver(engine, {EMAIL: channel}, noon)
        assert (channel.sent == [notice_id]) is told

    def test_nor_one_that_is_too_old(self, put, engine, noon, states):
        put("u-1")
        self.check(engine, noon + 16 * HOUR, states, "expired")

    def test_nor_is_an_address_written_to_that_was_suppressed(self, put, engine, noon, states):
        put("u-1")
        row = {"address": "ada@example.net", "reason": "spam_report", "since": noon}
        with engine.begin() as connection:
            connection.execute(insert(suppressions).values(row))
        self.check(engine, noon, states, "suppressed")

    def test_nor_somebody_who_no_longer_agrees(self, put, engine, noon, states):
        put("u-1")
        self.check(engine, noon, states, "no_consent", consents=lambda who, channel: who != "u-1")

    def check(self, engine, now, states, reason, **options) -> None:
        channel = Scripted()
        report = deliver(engine, {EMAIL: channel}, now, **options)
        assert (channel.sent, states()) == ([], {"cancelled": 1})
        assert report.cancelled == {reason: 1}
        with engine.connect() as connection:
            assert connection.scalar(select(notices.c.withheld_reason)) == reason

    @pytest.mark.parametrize(("outcome", "told"), [(None, True), (OutcomeUnknown("?"), True), (Refused("no"), False)])
    def test_an_all_clear_follows_only_what_arrived(
        self, outcome, told, put, engine, noon, states, decide_one, trouble, all_clear
    ):
        put("u-1")
        over = decide_one(all_clear(), heard=[decide_one(trouble()).past])
        with engine.begin() as connection:
            enqueue(connection, [over], {over.notice_id: WORDS}, {"u-1": "ada@example.net"}, noon + MINUTE)
        channel = Scripted(outcome)
        deliver(engine, {EMAIL: channel}, noon, limit=1)
        deliver(engine, {EMAIL: channel}, noon + MINUTE)
        assert (over.notice_id in channel.sent) is told


class TestCrashes:
    """Whatever moment the process dies in, nobody is told twice and nobody is forgotten."""

    def test_a_mail_in_flight_is_unknown_and_not_repeated(self, put, engine, noon, states):
        put("u-1")
        with pytest.raises(Crash):
            deliver(engine, {EMAIL: Scripted(Crash())}, noon)
        assert states() == {"sending": 1}
        channel = Scripted()
        report = deliver(engine, {EMAIL: channel}, noon + HOUR)
        assert (channel.sent, states()) == ([], {"unknown": 1})
        assert report.states["unknown"] == 1

    def test_a_card_in_flight_is_repeated_without_effect(self, put, engine, noon, states):
        put("u-1", email_opt_in=False)
        (message,) = begun(engine, noon, IN_APP)
        InApp(engine).send(message)
        deliver(engine, {IN_APP: InApp(engine)}, noon + HOUR)
        assert states() == {"sent": 1}
        assert attempts(engine) == ["lost", "sent"]
        with engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(inbox)) == 1

    def test_who_slept_past_a_lease_before_posting_does_not_post(self, put, engine, noon, states):
        """A machine that slept just after messages were marked wakes when others have taken them for lost."""
        put("u-1")
        slept = []

        def clock():
            slept.extend(states().get("sending", 0) * [True])
            return noon + HOUR if slept else noon

        channel = Scripted()
        deliver(engine, {EMAIL: channel}, clock)
        assert (len(channel.sent), attempts(engine)) == (1, ["paused", "sent"])

    def test_a_mailbox_after_a_crash_is_as_after_none(self, put, engine, noon, root, tmp_path, states):
        ids = put("u-1", "u-2", "u-3")
        calm, shaken = tmp_path / "calm", tmp_path / "shaken"
        messages = begun(engine, noon, EMAIL)
        for message in messages:
            Mailbox(calm, root / "templates").send(message)
        Mailbox(calm, root / "templates").finish()
        Mailbox(shaken, root / "templates").send(messages[0])
        (shaken / f".{ids[1]}.eml.part").write_bytes(b"half a")
        deliver(engine, {EMAIL: Mailbox(shaken, root / "templates")}, noon + HOUR)
        assert states() == {"sent": 3}
        assert contents(shaken) == contents(calm)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
