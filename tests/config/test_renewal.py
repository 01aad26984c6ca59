"""A card is one thing that changes: its incident grows, gets another verdict, is over, or was a false alarm."""

import base64
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook as Verifier

from config.pipeline import Sending
from incidents.afterwards import CORRECTION_PREFIX, propose_correction
from incidents.ledger.rows import trouble_from
from incidents.ledger.schema import inbox, incidents, notices, outbox, renewals, troubles
from incidents.model import Cause, Severity, TroubleKind, Verdict
from notifiers import rollout
from notifiers.cards import is_unread
from notifiers.channels import Webhook, WebhookSettings
from notifiers.model import ChannelName, Policy
from notifiers.outbox import load
from notifiers.said import said_to

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


def test_many_cards_are_renewed_a_portion_at_a_time(desk, windows, fails, subscriber, monkeypatch):
    monkeypatch.setattr("config.pipeline.RENEWED_AT_ONCE", 2)
    people = [f"u-{number}" for number in range(5)]
    events = [event for who in people for event in fails(who, windows[0].start + T)]
    desk.put(events, [subscriber(who, email_opt_in=False) for who in people])
    run(desk, windows[0])
    change(desk, verdict=Verdict(Cause.ISP, 0.9))
    assert run(desk, windows[1])["renewed"] == 2, "in the transaction that decides"
    with desk.ledger.read() as connection:
        assert {row.card["cause"] for row in connection.execute(select(inbox))} == {"isp"}
        assert set(connection.scalars(select(inbox.c.version))) == {2}


def test_a_card_that_a_sender_held_meanwhile_is_found_by_a_second_look_and_then_nobody_looks(by_card, windows):
    before = card(by_card)
    change(by_card, verdict=Verdict(Cause.ISP, 0.9))
    assert run(by_card, windows[1])["renewed"] == 1
    with by_card.ledger.write() as connection:
        connection.execute(inbox.update().values(card=before.card))
    assert run(by_card, windows[2])["renewed"] == 1
    with by_card.ledger.write() as connection:
        connection.execute(inbox.update().values(card=before.card, version=1))
    assert "renewed" not in run(by_card, windows[3])
    with by_card.ledger.read() as connection:
        assert [tuple(row) for row in connection.execute(select(renewals.c.cause, renewals.c.looks))] == [("isp", 2)]


def test_what_a_verdict_was_in_doubt_about_meanwhile_is_looked_at_again(by_card, windows):
    before = card(by_card)
    for window, verdict in zip(windows[1:3], (Verdict(Cause.ISP, 0.5), Verdict(Cause.SERVICE, 0.9)), strict=True):
        change(by_card, verdict=verdict)
        assert "renewed" not in run(by_card, window)
    with by_card.ledger.write() as connection:  # as if it had been told while the other cause was likelier
        connection.execute(inbox.update().values(card={**before.card, "cause": "isp"}))
    assert run(by_card, windows[3])["renewed"] == 1
    assert card(by_card).card["cause"] == "service"


@dataclass
class Receiver:
    """A company's own centre: believes what is signed, takes each id once, and keeps the highest version of a card."""

    secret: str
    shown: dict = field(default_factory=dict)
    types: list = field(default_factory=list)
    ids: set = field(default_factory=set)
    down: int = 0

    def __call__(self, request):
        said = Verifier(self.secret).verify(request.content, dict(request.headers))
        self.ids.add(request.headers["webhook-id"])
        if self.down:
            self.down -= 1
            return httpx.Response(503)
        self.types.append(said["type"])
        data = said["data"]
        if data["version"] > self.shown.get(data["card_id"], (0,))[0]:
            self.shown[data["card_id"]] = (data["version"], data["card"]["kind"], data["card"]["cause"])
        return httpx.Response(204)


@pytest.fixture
def posted(desk, windows, fails, subscriber):
    """Somebody takes cards, which are posted: gives the receiver, and what runs a window."""
    desk.put(fails("ann", windows[0].start + T), [subscriber("ann", email_opt_in=False)])
    receiver = Receiver("whsec_" + base64.b64encode(bytes(32)).decode())
    with httpx.Client(transport=httpx.MockTransport(receiver)) as client:
        settings = WebhookSettings("https://company.example/cards", (receiver.secret,))
        cards = Webhook(settings, client, desk.ledger.engine)
        options = {"channels": {**desk.channels, ChannelName.IN_APP: cards}, "sending": Sending(by_webhook=True)}
        yield receiver, lambda window: run(desk, window, **options)


def test_by_webhook_the_same_card_follows_a_new_verdict_and_its_end(desk, posted, windows):
    receiver, go_on = posted
    go_on(windows[0])
    (first,) = receiver.shown.items()
    assert (receiver.types, first[1]) == (["notice.created"], (1, "problem", "service"))
    change(desk, verdict=Verdict(Cause.ISP, 0.9))
    receiver.down = 1
    assert go_on(windows[1])["renewed"] == 1
    assert receiver.shown == dict([first]), "it was down"
    go_on(windows[2])
    assert receiver.shown == {first[0]: (2, "problem", "isp")}
    with desk.ledger.write() as connection:
        row = connection.execute(select(troubles, incidents.c.resolved_time).join(incidents)).mappings().one()
        clear = replace(trouble_from(row), kind=TroubleKind.ALL_CLEAR, verdict=incident(desk).verdict)
        desk.ledger.save_troubles(connection, [clear], windows[3].end)
    change(desk, resolved_time=windows[3].start)
    go_on(windows[3])
    assert receiver.shown == {first[0]: (3, "all_clear", "isp")}
    assert receiver.types == ["notice.created", "notice.updated", "notice.updated"]
    assert len(receiver.ids) == 3, "a repetition has the id of the first try"
    with desk.ledger.read() as connection:
        assert len(said_to(connection, "ann", windows[0].start)) == 2, "an update is no notice of its own"


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
