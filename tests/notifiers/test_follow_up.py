"""A card that nobody saw is followed by a mail, once, while the trouble goes on; the end changes the same card."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from incidents.ledger.schema import deliveries, inbox, incidents, notices, outbox, suppressions
from incidents.ledger.store import writing
from incidents.model import Cause
from notifiers.cards import Mark, mark_cards
from notifiers.channels import InApp, Mailbox
from notifiers.compose import Rendered
from notifiers.decide import decide
from notifiers.deliver import deliver
from notifiers.follow_up import follow_up, unseen
from notifiers.history import load_history
from notifiers.model import ChannelName, Policy
from notifiers.outbox import enqueue
from notifiers.preferences import Source, choose

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
EMAIL, IN_APP = ChannelName.EMAIL, ChannelName.IN_APP
POLICY = Policy(holdout_share=0.0, release_over=timedelta(0), active_within=timedelta(hours=1))


class Desk:
    """One person, who takes cards first, and the channels that reach them."""

    def __init__(self, ledger, person, folder, root) -> None:
        self.ledger, self.person = ledger, person
        self.mailbox = Mailbox(folder, root / "templates")
        self.channels = {EMAIL: self.mailbox, IN_APP: InApp(ledger.engine)}

    def tell(self, trouble, now):
        people = {trouble.subscriber_id: self.person}
        with self.ledger.write() as connection:
            self.ledger.save_troubles(connection, [trouble], now)
            history = load_history(connection, [trouble], people, now, POLICY)
            (decision,) = decide([trouble], people, history, POLICY, now)
            words = Rendered(f"A {trouble.kind}", "<p>page</p>", "text", {"title": trouble.kind.value})
            enqueue(connection, [decision], {decision.notice_id: words}, {"u-1": "ada@example.net"}, now)
        self.deliver(now)
        return decision

    def deliver(self, now):
        return deliver(self.ledger.engine, self.channels, now, policy=POLICY)

    def follow(self, now, policy=POLICY):
        """What the pipeline does at a window's end, and then a sender."""
        with self.ledger.write() as connection:
            new = follow_up(connection, unseen(connection, policy, now), {"u-1": self.person}, now)
        self.deliver(now)
        return new

    def see(self, card_id, now):
        with writing(self.ledger.engine).begin() as connection:
            mark_cards(connection, "u-1", [card_id], Mark.SEEN, now)

    def do(self, statement):
        with self.ledger.write() as connection:
            connection.execute(statement)

    def mails(self):
        return sorted(path.stem for path in self.mailbox.folder.glob("*.eml"))

    def cards(self):
        with self.ledger.read() as connection:
            return [(row.card_id, row.card["title"], row.version) for row in connection.execute(select(inbox))]


@pytest.fixture
def desk(ledger, person, add_incident, tmp_path, root):
    add_incident()
    return Desk(ledger, person(), tmp_path / "mails", root)


@pytest.fixture
def card(desk, trouble, noon):
    decision = desk.tell(trouble(), noon)
    assert (decision.channel, desk.mails()) == ("in_app", [])
    return decision.notice_id


def test_a_mail_follows_once_and_counts_once(desk, card, trouble, noon):
    assert desk.follow(noon + 29 * MINUTE) == 0
    assert desk.follow(noon + 30 * MINUTE) == 1
    assert [desk.follow(noon + n * HOUR) for n in (1, 2)] == [0, 0]
    assert desk.mails() == [f"{card}.2"]
    with desk.ledger.read() as connection:
        past = load_history(connection, [trouble()], {"u-1": desk.person}, noon + HOUR, POLICY).of("u-1")
        assert connection.scalar(select(func.count()).select_from(outbox)) == 2
    assert len(past) == 1


@pytest.mark.parametrize(
    "why", ["seen", "over", "expired", "refused", "suppressed", "no address", "never", "a stranger"]
)
def test_no_mail_follows_where_none_should(why, desk, card, person, noon):
    later, policy = noon + HOUR, POLICY
    match why:
        case "seen":
            desk.see(card, noon + MINUTE)
        case "over":
            desk.do(update(incidents).values(resolved_time=noon))
        case "expired":
            later = noon + 16 * HOUR
        case "refused":
            with desk.ledger.write() as connection:
                choose(connection, "u-1", False, Source.ONE_CLICK, noon, channels=[EMAIL])
        case "suppressed":
            desk.do(insert(suppressions).values(address="ada@example.net", reason="bounce", since=noon))
        case "no address":
            desk.person = person(email="nobody")
        case "never":
            policy = replace(POLICY, follow_up_after=None)
        case "a stranger":
            desk.person = person(email_opt_in=False)
    assert (desk.follow(later, policy), desk.mails()) == (0, [])


def test_it_waits_for_the_morning_and_is_dropped_if_the_card_is_seen_first(desk, trouble, noon):
    night = noon + 11 * HOUR
    card = desk.tell(trouble(last_bad_time=night), night).notice_id
    assert (desk.follow(night + HOUR), desk.mails()) == (1, [])
    desk.see(card, night + 2 * HOUR)
    report = desk.deliver(night + 10 * HOUR)
    assert (report.cancelled, desk.mails()) == ({"seen": 1}, [])
    with desk.ledger.read() as connection:
        assert connection.scalar(select(notices.c.withheld_reason)) is None
        columns = (outbox.c.message_id, deliveries.c.outcome, deliveries.c.detail)
        rows = connection.execute(select(*columns).select_from(deliveries.join(outbox))).all()
    assert (f"{card}.2", "cancelled", "seen") in rows


@pytest.mark.parametrize("well", [True, False])
def test_of_a_trouble_of_ones_own_only_while_it_lasts(well, desk, trouble, noon):
    own = trouble(Cause.HOUSEHOLD, last_bad_time=noon, last_good_time=noon + MINUTE if well else None)
    desk.tell(own, noon + MINUTE)
    assert desk.follow(noon + HOUR) == (not well)
    assert len(desk.mails()) == (not well)


def test_the_end_changes_the_same_card_and_follows_the_mail(desk, card, all_clear, noon):
    desk.follow(noon + HOUR)
    desk.do(update(incidents).values(resolved_time=noon + 2 * HOUR))
    over = desk.tell(all_clear(last_bad_time=noon + 2 * HOUR), noon + 2 * HOUR)
    assert desk.cards() == [(card, "all_clear", 2)]
    assert [desk.follow(noon + n * HOUR) for n in (2, 3)] == [1, 0]
    assert desk.mails() == sorted([f"{card}.2", f"{over.notice_id}.2"])


def test_without_a_mail_the_end_is_on_the_card_alone(desk, card, all_clear, noon):
    desk.do(update(incidents).values(resolved_time=noon + MINUTE))
    desk.tell(all_clear(), noon + MINUTE)
    assert (desk.follow(noon + HOUR), desk.mails(), desk.cards()) == (0, [], [(card, "all_clear", 2)])
    desk.do(update(outbox).values(state="queued", next_attempt_time=noon))
    desk.deliver(noon + 2 * MINUTE)
    assert desk.cards() == [(card, "all_clear", 2)]
