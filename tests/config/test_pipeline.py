"""Each stage runs once for each window, forwards, and a run cut off anywhere goes on where it stopped."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from config.pipeline import Stage, WindowHeldError
from config.recipients import load_recipients
from detectors.finding import Cohort
from incidents.ledger import leases, schema
from incidents.ledger.leases import Lease
from incidents.model import Cause
from incidents.quality import Measure, QualityKind, QualityNotice
from incidents.reviews import Particulars, ReviewVerdict, review
from incidents.watch import Detection
from notifiers.model import ChannelName, Policy
from notifiers.outbox import State

T = timedelta(minutes=1)


def contents(ledger):
    """Every row of every table, but for when it was done."""
    with ledger.read() as connection:
        return {
            table.name: [
                tuple(value for column, value in row.items() if column not in {"finished_time", "lease_until"})
                for row in connection.execute(table.select().order_by(*table.primary_key)).mappings()
            ]
            for table in schema.metadata.sorted_tables
        }


def count(ledger, table):
    with ledger.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def trouble(desk, windows, fails, subscriber):
    """Three people fail in the first window, two of them can be told."""
    events = [event for who in ("ann", "bob", "eve") for event in fails(who, windows[0].start + 2 * T)]
    desk.put(
        events,
        [subscriber("ann"), subscriber("bob"), subscriber("eve", email_opt_in=False, in_app_opt_in=False)],
    )
    return desk


def test_a_window_goes_from_events_to_queued_notices_and_then_to_mails(trouble, windows):
    with trouble.pipeline() as pipeline:
        merged, detected, notified = pipeline.run(windows[0])
        assert merged.counts == {"slices": 3}
        assert detected.counts == {"incidents": 1, "troubles": 3}
        assert notified.counts == {"sent": 2, "no_consent": 1, "released": 0}
        assert pipeline.deliver().states[State.SENT] == 2
    assert len(trouble.mails()) == 2
    with trouble.ledger.read() as connection:
        assert set(connection.scalars(select(schema.notices.c.decided_time))) == {windows[0].end}


def test_what_a_lead_says_while_people_are_looked_up_holds(trouble, windows, monkeypatch):
    def look_up(*args):
        incident = trouble.ledger.incidents()[0]
        if incident.verdict.cause is Cause.SERVICE:
            right = Particulars(cause=Cause.ISP)
            with trouble.ledger.write() as connection:
                review(
                    connection,
                    incident.incident_id,
                    ReviewVerdict.WRONG_CAUSE,
                    "lea",
                    windows[0].end,
                    seen=0,
                    particulars=right,
                )
        return load_recipients(*args)

    monkeypatch.setattr("config.pipeline.load_recipients", look_up)
    with trouble.pipeline() as pipeline:
        assert pipeline.run(windows[0])[-1].counts["sent"] == 2
    with trouble.ledger.read() as connection:
        assert set(connection.scalars(select(schema.notices.c.cause))) == {"isp"}


def test_a_window_run_twice_changes_nothing(trouble, windows):
    with trouble.pipeline() as pipeline:
        first = pipeline.run(windows[0])
        pipeline.deliver()
    before, mails = contents(trouble.ledger), trouble.mails()
    trouble.time += timedelta(hours=1)
    with trouble.pipeline() as pipeline:
        again = pipeline.run(windows[0])
        assert not pipeline.deliver().states.get(State.SENT)
    assert [report.lease for report in again] == [Lease.FINISHED] * 3
    assert [report.counts for report in again] == [report.counts for report in first]
    assert contents(trouble.ledger) == before
    assert trouble.mails() == mails


def test_a_window_before_a_finished_one_is_left_out_and_its_events_are_not_lost(trouble, windows):
    with trouble.pipeline() as pipeline:
        assert [report.ran for report in pipeline.run(windows[1])] == [True] * 3
        assert [report.lease for report in pipeline.run(windows[0])] == [Lease.SUPERSEDED] * 3
    assert count(trouble.ledger, schema.notices) == 3


def test_a_late_event_comes_with_the_next_window(trouble, windows, fails, subscriber):
    with trouble.pipeline() as pipeline:
        pipeline.run(windows[0])
    trouble.put(fails("joe", windows[0].start + T), [subscriber("joe")], name="late")
    with trouble.pipeline() as pipeline:
        pipeline.run(windows[0])
        assert count(trouble.ledger, schema.notices) == 3
        pipeline.run(windows[1])
    assert count(trouble.ledger, schema.notices) == 4


def test_a_stage_in_other_hands_is_refused_until_they_let_go(trouble, windows):
    with trouble.ledger.write() as connection:
        leases.lease(
            connection,
            Stage.DETECT,
            windows[0],
            owner="elsewhere:1",
            now=trouble.time,
            duration=timedelta(minutes=30),
        )
    with trouble.pipeline() as pipeline:
        with pytest.raises(WindowHeldError, match="Another process is running detect; window 20260309T1400Z"):
            pipeline.run(windows[0])
        trouble.time += timedelta(minutes=30)
        assert [report.ran for report in pipeline.run(windows[0])] == [False, True, True]


def test_a_failure_inside_a_stage_leaves_nothing_of_it(trouble, windows):
    class Failing:
        def detect(self, *_):
            raise RuntimeError("the detector broke")

    with trouble.pipeline(make_detector=lambda _: Failing()) as pipeline:
        with pytest.raises(RuntimeError):
            pipeline.run(windows[0])
        assert pipeline.backlog(windows[0], 9) == [windows[0]]
    assert count(trouble.ledger, schema.incidents) == 0
    with trouble.pipeline() as pipeline:
        assert [report.ran for report in pipeline.run(windows[0])] == [False, True, True]


def test_without_words_notices_are_decided_and_nothing_is_queued(trouble, windows):
    with trouble.pipeline(writing=None) as pipeline:
        pipeline.run(windows[0])
    assert count(trouble.ledger, schema.notices) == 3
    assert count(trouble.ledger, schema.outbox) == 0


def test_consent_withdrawn_after_the_decision_stops_the_mail(trouble, windows, subscriber):
    with trouble.pipeline() as pipeline:
        pipeline.run(windows[0])
    trouble.put([], [subscriber("ann", email_opt_in=False)], name="withdrawn")
    with trouble.pipeline() as pipeline:
        states = pipeline.deliver().states
    assert (states[State.SENT], states[State.CANCELLED]) == (1, 1)


def test_quiet_hours_end_and_the_mail_goes_out_once(desk, windows, fails, subscriber):
    desk.put(fails("ann", windows[0].start + T), [subscriber("ann", in_app_opt_in=False)])
    until = (windows[1].end).time()
    at_once = timedelta(0)
    policy = Policy(holdout_share=0.0, quiet_from=windows[0].start.time(), quiet_until=until, release_over=at_once)
    with desk.pipeline(policy=policy) as pipeline:
        assert pipeline.run(windows[0])[-1].counts["quiet_hours"] == 1
        desk.time = windows[0].end
        pipeline.deliver()
        assert desk.mails() == []
        assert pipeline.run(windows[1])[-1].counts["released"] == 1
        desk.time = windows[1].end
        pipeline.deliver()
        pipeline.run(windows[2])
        pipeline.deliver()
    assert len(desk.mails()) == 1


def test_a_notice_held_by_quiet_hours_is_decided_once(desk, windows, fails, subscriber):
    desk.put(fails("ann", windows[0].start + T), [subscriber("ann", in_app_opt_in=False)])
    policy = Policy(holdout_share=0.0, quiet_from=windows[0].start.time(), quiet_until=windows[3].end.time())
    with desk.pipeline(policy=policy) as pipeline:
        for window in windows:
            pipeline.run(window)
    assert count(desk.ledger, schema.notices) == 1


def test_the_backlog_is_every_window_since_the_last_one(trouble, windows):
    with trouble.pipeline() as pipeline:
        assert pipeline.backlog(windows[3], 9) == [windows[3]]
        pipeline.run(windows[0])
        assert pipeline.backlog(windows[0], 9) == [windows[0]]
        assert pipeline.backlog(windows[1], 9) == [windows[1]]
        assert pipeline.backlog(windows[3], 9) == windows[1:]


def test_a_long_backlog_begins_with_one_long_window(trouble, windows):
    with trouble.pipeline() as pipeline:
        pipeline.run(windows[0])
        first, second = pipeline.backlog(windows[3], 2)
        assert (first.start, first.end) == (windows[1].start, windows[2].end)
        assert second == windows[3]
        (only,) = pipeline.backlog(windows[3], 1)
        assert (only.start, only.end) == (windows[1].start, windows[3].end)


def test_the_warehouse_is_closed_while_mails_are_sent(trouble, windows):
    with trouble.pipeline() as pipeline:
        pipeline.run(windows[0])
        pipeline.deliver()
        assert "warehouse" not in vars(pipeline)


def test_a_warehouse_that_is_ours_alone_stays_open_while_mails_are_sent(trouble, windows):
    with trouble.pipeline(exclusive=True) as pipeline:
        pipeline.run(windows[0])
        pipeline.deliver()
        assert "warehouse" in vars(pipeline)


def test_history_is_taken_in_without_being_detected_in(trouble, windows):
    with trouble.pipeline() as pipeline:
        pipeline.take_history(windows[0].end)
        pipeline.run(windows[1])
    assert count(trouble.ledger, schema.troubles) == 0


def test_received_says_from_when_to_when(desk, trouble, windows):
    with trouble.pipeline() as pipeline:
        span = pipeline.received()
    assert span.start == windows[0].start + 2 * T + timedelta(seconds=5)
    assert span.start < span.end < span.start + timedelta(seconds=1)


def test_an_empty_warehouse_received_nothing(desk):
    with desk.pipeline() as pipeline:
        assert pipeline.received() is None


def test_a_card_goes_into_the_inbox_of_who_wants_cards(desk, windows, fails, subscriber):
    desk.put(fails("ann", windows[0].start + T), [subscriber("ann", email_opt_in=False)])
    with desk.pipeline() as pipeline:
        pipeline.run(windows[0])
        pipeline.deliver()
    with desk.ledger.read() as connection:
        assert connection.scalars(select(schema.inbox.c.subscriber_id)).all() == ["ann"]
        assert connection.scalars(select(schema.notices.c.channel)).all() == [ChannelName.IN_APP]


class Deaf:
    """Finds that a country is silent, and brings the same notice up to date ever after."""

    def __init__(self):
        self.told = []

    def detect(self, window, _known, _troubled, quality=()):
        self.told.append(list(quality))
        notice = QualityNotice(
            notice_id="dq-1",
            kind=QualityKind.MISSING_TELEMETRY,
            cohort=Cohort.of({"country": "SE"}),
            measure=Measure.PRESENCE,
            since=window.start,
            detected_time=window.end,
            until=None,
            expected=50.0,
            observed=0.0,
            late=0.0,
            surprise=20.0,
            reasons=("Everything stopped at once.",),
            updated_time=window.end,
        )
        return Detection(quality=(replace(quality[0], updated_time=window.end) if quality else notice,))


def test_quality_notices_are_kept_with_their_stage_and_tell_no_subscriber(trouble, windows):
    deaf = Deaf()
    with trouble.pipeline(make_detector=lambda _: deaf) as pipeline:
        reports = [pipeline.run(window) for window in (windows[0], windows[1], windows[1])]
        assert not pipeline.deliver().states
    (notice,) = trouble.ledger.quality_notices()
    assert deaf.told == [[], [replace(notice, updated_time=windows[0].end)]]
    assert notice.updated_time == windows[1].end
    assert [stages[1].counts.get("quality notices") for stages in reports] == [1, 1, 1]
    assert [count(trouble.ledger, table) for table in (schema.incidents, schema.troubles, schema.notices)] == [0, 0, 0]


def test_a_quality_notice_of_a_stage_that_fails_is_not_kept(trouble, windows, monkeypatch):
    with trouble.pipeline(make_detector=lambda _: Deaf()) as pipeline:
        monkeypatch.setattr(leases, "finish", lambda *_args, **_options: 1 / 0)
        pipeline.merge = lambda _window: None
        with pytest.raises(ZeroDivisionError):
            pipeline.detect(windows[0])
    assert trouble.ledger.quality_notices() == []
