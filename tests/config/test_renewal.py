"""A card is one thing that changes: its incident grows, gets another verdict, is over, or was a false alarm."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from incidents.afterwards import CORRECTION_PREFIX, propose_correction
from incidents.ledger.rows import trouble_from
from incidents.ledger.schema import inbox, incidents, notices, outbox, troubles
from incidents.model import Cause, Severity, TroubleKind, Verdict
from notifiers import rollout
from notifiers.cards import is_unread
from notifiers.model import Policy
from notifiers.outbox import load

T = timedelta(minutes=1)


@pytest.fixture
def by_card(desk, windows, fails, subscriber):
    """Somebody takes cards and no mail, and was told that it is our fault."""
    desk.put(fails("ann", windows[0].start + T), [subscriber("ann", email_opt_in=False)])
    run(desk, windows[0])
    assert card(desk).card["cause"] == "service"
    return desk


def run(desk, window, **options):
    """Run a window and send; return what notifying counted."""
    desk.time = window.end
    with desk.pipeline(**options) as pipeline:
        counts = pipeline.run(window)[-1].counts
        pipeline.deliver()
    return counts


def card(desk):
    """Return the only card."""
    with desk.ledger.read() as connection:
        return connection.execute(select(inbox)).one()


def incident(desk):
    return desk.ledger.incidents()[0]


def change(desk, **values):
    """Let detection know better."""
    with desk.ledger.write() as connection:
        desk.ledger.save_incidents(connection, [replace(incident(desk), **values)])


def test_a_card_follows_a_new_verdict_once_and_is_unread_again(by_card, windows):
    before = card(by_card)
    change(by_card, verdict=Verdict(Cause.ISP, 0.9))
    assert run(by_card, windows[1]) == {"released": 0, "renewed": 1}
    now = card(by_card)
    assert (now.card_id, now.version, now.change) == (before.card_id, 2, before.change + 1)
    assert now.card["cause"] == "isp"
    assert now.card["body"] != before.card["body"]
    assert (now.card["reference"], is_unread(now)) == (before.card["reference"], True)
    assert run(by_card, windows[2]) == {"released": 0}
    assert card(by_card) == now
    with by_card.ledger.read() as connection:
        assert connection.scalar(select(notices.c.cause)) == "service", "what was told stays on record"
        assert connection.scalar(select(func.count()).select_from(outbox)) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"severity": Severity.CRITICAL, "affected_subscribers": 5000},
        {"verdict": Verdict(Cause.ISP, 0.79)},
        {"verdict": Verdict(Cause.ISP, 0.9), "resolved_time": "now"},
    ],
    ids=["it grows", "it is not sure", "it is over"],
)
def test_a_card_stays_as_it_is_where_nothing_better_can_be_said(by_card, windows, values):
    before = card(by_card)
    change(by_card, **{name: windows[1].end if it == "now" else it for name, it in values.items()})
    run(by_card, windows[1])
    assert card(by_card) == before


def test_a_card_that_was_put_away_or_changed_often_enough_is_left_alone(by_card, windows):
    with by_card.ledger.write() as connection:
        connection.execute(inbox.update().values(archived_time=windows[0].end))
    change(by_card, verdict=Verdict(Cause.ISP, 0.9))
    assert "renewed" not in run(by_card, windows[1])
    with by_card.ledger.write() as connection:
        connection.execute(inbox.update().values(archived_time=None, version=4))
    assert "renewed" not in run(by_card, windows[2])


def test_what_a_lead_is_about_to_correct_waits_for_their_word_and_changes_the_same_card(by_card, windows):
    found = incident(by_card)
    with by_card.ledger.write() as connection:
        assert propose_correction(connection, found, Cause.ISP, "lea", windows[0].end) == 1
    change(by_card, verdict=Verdict(Cause.ISP, 1.0))
    assert "renewed" not in run(by_card, windows[1])
    assert card(by_card).card["cause"] == "service"
    approve(by_card, found, windows[1])
    run(by_card, windows[2])
    assert (card(by_card).card["kind"], card(by_card).card["cause"]) == ("correction", "isp")


def test_a_false_alarm_is_said_on_the_same_card(by_card, windows):
    found = incident(by_card)
    with by_card.ledger.write() as connection:
        propose_correction(connection, found, None, "lea", windows[0].end)
    approve(by_card, found, windows[0])
    run(by_card, windows[1])
    assert (card(by_card).card["kind"], card(by_card).version) == ("retraction", 2)


def test_the_end_is_said_on_the_same_card(by_card, windows):
    change(by_card, resolved_time=windows[1].start)
    with by_card.ledger.write() as connection:
        row = connection.execute(select(troubles, incidents.c.resolved_time).join(incidents)).mappings().one()
        clear = replace(trouble_from(row), kind=TroubleKind.ALL_CLEAR)
        by_card.ledger.save_troubles(connection, [clear], windows[1].end)
    run(by_card, windows[1])
    assert (card(by_card).card["kind"], card(by_card).version) == ("all_clear", 2)


def test_a_mail_that_waits_for_the_morning_is_written_anew(desk, windows, fails, subscriber):
    desk.put(
        [event for who in ("ann", "bob") for event in fails(who, windows[0].start + T)],
        [subscriber("ann", in_app_opt_in=False), subscriber("bob", in_app_opt_in=False)],
    )
    night = Policy(
        holdout_share=0.0,
        quiet_from=windows[0].start.time(),
        quiet_until=windows[2].end.time(),
        release_over=timedelta(0),
    )
    assert run(desk, windows[0], policy=night)["quiet_hours"] == 2
    with desk.ledger.read() as connection:
        ids = list(connection.scalars(select(outbox.c.message_id)))
        before = {it: load(connection, it) for it in ids}
    change(desk, verdict=Verdict(Cause.ISP, 0.9))
    assert run(desk, windows[1], policy=night)["renewed"] == 2
    with desk.ledger.read() as connection:
        assert set(connection.scalars(select(notices.c.cause))) == {"isp"}
        assert len(set(connection.scalars(select(outbox.c.body_key)))) == 1, "still one body for both"
        now = {it: load(connection, it) for it in ids}
    assert all(now[it].html != before[it].html and now[it].card["cause"] == "isp" for it in ids)
    assert "renewed" not in run(desk, windows[2], policy=night)
    desk.time = windows[3].end
    run(desk, windows[3], policy=night)
    assert len(desk.mails()) == 2


def approve(desk, found, window):
    with desk.ledger.write() as connection:
        rollout.approve(connection, CORRECTION_PREFIX + found.incident_id, "lea", window.end)
