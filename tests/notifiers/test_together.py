"""Many people in one request, many senders on one ledger, and a provider that sets limits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sendgrid.helpers.mail import CustomArg, Header, Mail, Personalization, Substitution, To
from sqlalchemy import select

from incidents.ledger.schema import provider_limits, sending_stops
from incidents.ledger.store import writing
from notifiers.address import normalised
from notifiers.attempts import begin_kept, due, keep, let_go
from notifiers.channels import Receipt, SendGrid, SendGridSettings
from notifiers.channels.sendgrid import MOST_TOGETHER, request_parts
from notifiers.compose import Rendered
from notifiers.deliver import deliver
from notifiers.errors import ChannelPaused, OutcomeUnknown, RateLimited, Refused
from notifiers.model import ChannelName
from notifiers.outbox import Lease, Message, enqueue, reword
from notifiers.provider import Allowance

EMAIL = ChannelName.EMAIL
HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
SETTINGS = SendGridSettings(
    "SG.x", "a@lumen.example", "Lumen", "r@lumen.example", unsubscribe_url="https://lumen.example/stop"
)
SHARED = Rendered("A subject", "<p>-who-</p>", "-who-", {}, "body-1")
ONE = Message("m-1", "m-1", "u-1", EMAIL, "u-1@example.net", "A subject", "<p>-who-</p>", "-who-", {}, NOON, None, 1,
              "body-1", {"-who-": "Ada"})  # fmt: skip


def answering(answer) -> httpx.Client:
    """A client whose every request gets this answer."""
    return httpx.Client(transport=httpx.MockTransport(lambda _: answer), base_url="https://x.example")


class Bundles:
    """A channel that takes everything at once, and refuses or fails as told."""

    repeatable: ClassVar[bool] = False

    def __init__(self, *, bad=(), failure=None, receipt=None) -> None:
        self.bad, self.failure, self.receipt = set(bad), failure, receipt or Receipt("p-1")
        self.taken: list[list[str]] = []

    def bundle(self, messages) -> list[list]:
        return [list(messages)] if messages else []

    def send(self, *messages) -> Receipt:
        if self.failure is not None:
            raise self.failure
        if self.bad & {message.subscriber_id for message in messages}:
            raise Refused("no")
        self.taken.append([message.subscriber_id for message in messages])
        return self.receipt

    def finish(self) -> None:
        """Nothing."""


@pytest.fixture
def put(engine, add_incident, decide_one, trouble, noon):
    add_incident()

    def store(count) -> list[str]:
        people = [f"u-{n}" for n in range(count)]
        decisions = [decide_one(trouble(subscriber_id=who)) for who in people]
        rendered = {d.notice_id: replace(SHARED, personal={"-who-": d.trouble.subscriber_id}) for d in decisions}
        with engine.begin() as connection:
            enqueue(connection, decisions, rendered, {who: f"{who}@example.net" for who in people}, noon)
        return people

    return store


def test_a_leased_message_carries_its_own_person(put, engine, noon):
    people = put(30)
    with engine.begin() as connection:
        taken = due(connection, noon, [EMAIL], 100).messages
    assert sorted(message.subscriber_id for message in taken) == sorted(people)
    assert all(m.address == f"{m.subscriber_id}@example.net" for m in taken)
    assert all(m.filled().html == f"<p>{m.subscriber_id}</p>" for m in taken)


def test_one_refused_address_does_not_keep_the_others_from_their_mail(put, engine, noon, states):
    put(33)
    channel = Bundles(bad=["u-7", "u-20"])
    deliver(engine, {EMAIL: channel}, noon)
    assert states() == {"sent": 31, "failed": 2}
    told = [who for taken in channel.taken for who in taken]
    assert len(told) == len(set(told)) == 31


def test_what_is_unknown_of_one_request_is_unknown_of_all_in_it(put, engine, noon, states):
    put(5)
    deliver(engine, {EMAIL: Bundles(failure=OutcomeUnknown("no answer"))}, noon)
    assert states() == {"unknown": 5}
    channel = Bundles()
    deliver(engine, {EMAIL: channel}, noon + HOUR)
    assert channel.taken == []


def test_all_senders_heed_what_one_was_told_of_the_limit(put, engine, noon, states):
    put(3)
    deliver(engine, {EMAIL: Bundles(failure=RateLimited("too fast", timedelta(seconds=90)))}, noon)
    other = Bundles()
    deliver(engine, {EMAIL: other}, noon + timedelta(seconds=89))
    assert (other.taken, states()) == ([], {"queued": 3})
    deliver(engine, {EMAIL: other}, noon + timedelta(seconds=90))
    assert states() == {"sent": 3}


def test_what_is_left_of_the_limit_is_shared(put, engine, noon):
    put(1)
    deliver(engine, {EMAIL: Bundles(receipt=Receipt("p", Allowance(4, HOUR)))}, noon)
    with engine.connect() as connection:
        row = connection.execute(select(provider_limits)).one()
    assert (row.remaining, row.reset_time) == (4, noon + HOUR)


def test_a_refused_key_stops_the_channel_until_one_try_succeeds(put, engine, noon, states):
    put(3)
    report = deliver(engine, {EMAIL: Bundles(failure=ChannelPaused("key revoked"))}, noon)
    assert report.refused == {EMAIL}
    channel = Bundles()
    deliver(engine, {EMAIL: channel}, noon + timedelta(minutes=14))
    assert channel.taken == []
    deliver(engine, {EMAIL: channel}, noon + timedelta(minutes=15))
    assert states() == {"sent": 3}
    with engine.connect() as connection:
        assert set(connection.scalars(select(sending_stops.c.kind))) == {"refused"}


def test_a_sender_that_is_told_to_stop_gives_back_what_it_leased(put, engine, noon, states):
    put(9)
    with engine.begin() as connection:
        taken = due(connection, noon, [EMAIL], 9).messages
        keep(connection, taken, noon, Lease("me"))
        assert due(connection, noon, [EMAIL], 9).messages == []
        begun = begin_kept(connection, taken[:2], noon, Lease("me"))
        assert (len(begun), let_go(connection, taken, Lease("me"))) == (2, 7)
        assert len(due(connection, noon, [EMAIL], 9).messages) == 7
    assert states() == {"queued": 7, "sending": 2}


def test_a_lease_that_ran_out_while_waiting_is_no_longer_ours(put, engine, noon):
    put(2)
    with engine.begin() as connection:
        mine = due(connection, noon, [EMAIL], 2).messages
        keep(connection, mine, noon, Lease("me"))
        theirs = due(connection, noon + HOUR, [EMAIL], 2).messages
        keep(connection, theirs, noon + HOUR, Lease("other"))
        assert begin_kept(connection, mine, noon + HOUR, Lease("me")) == []
        assert let_go(connection, mine, Lease("me")) == 0
        assert len(begin_kept(connection, theirs, noon + HOUR, Lease("other"))) == 2


def test_what_is_reworded_is_not_begun_with_its_old_words(put, engine, noon):
    put(2)
    with engine.begin() as connection:
        mine = due(connection, noon, [EMAIL], 2).messages
        keep(connection, mine, noon, Lease("me"))
    words = Rendered("Another subject", "<p>page</p>", "text", {})
    with writing(engine).begin() as connection:
        assert reword(connection, {mine[0].notice_id: words}) == {mine[0].notice_id}
    with engine.begin() as connection:
        assert begin_kept(connection, mine, noon, Lease("me")) == [mine[1]]
        assert [it.subject for it in due(connection, noon, [EMAIL], 2).messages] == ["Another subject"]
        assert reword(connection, {mine[1].notice_id: words}) == set()


class TestSendGrid:
    """Requests of many."""

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.sampled_from([None, "b1", "b2"]), st.sampled_from("abcDEF"), st.booleans())))
    def test_each_message_goes_once_with_its_like_and_each_address_once_a_request(self, people):
        messages = [
            ONE._replace(message_id=f"m-{n}", body_key=body, address=f"{who}@example.net" if valid else "nobody")
            for n, (body, who, valid) in enumerate(people)
        ]
        requests = SendGrid(SETTINGS, httpx.Client()).bundle(messages)
        assert sorted(m.message_id for r in requests for m in r) == sorted(m.message_id for m in messages)
        for request in requests:
            assert len({m.body_key for m in request}) == 1
            assert len({normalised(m.address) for m in request}) == len(request)
            assert len(request) == 1 or request[0].body_key is not None

    def test_no_more_than_a_thousand(self):
        messages = [
            ONE._replace(message_id=f"m-{n}", address=f"u{n}@example.net") for n in range(2 * MOST_TOGETHER + 1)
        ]
        assert [len(request) for request in SendGrid(SETTINGS, httpx.Client()).bundle(messages)] == [1000, 1000, 1]

    def test_what_is_written_out_is_what_sendgrids_helpers_would_write(self):
        personalization = Personalization()
        personalization.add_to(To(ONE.address))
        personalization.add_custom_arg(CustomArg("message_id", "m-1"))
        personalization.add_header(Header("List-Unsubscribe", "<https://lumen.example/stop?notice=m-1>"))
        personalization.add_header(Header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        personalization.add_substitution(Substitution("-who-", "Ada"))
        mail = Mail(subject=ONE.subject, plain_text_content=ONE.text, html_content=ONE.html)
        mail.add_personalization(personalization)
        assert request_parts([ONE], SETTINGS) == mail.get()

    def test_our_own_signed_link_and_the_group_go_before(self):
        settings = replace(
            SETTINGS, unsubscribe_link=lambda n, who: f"https://x.example/{n}/{who}", unsubscribe_group=7
        )
        body = json.loads(SendGrid(settings, httpx.Client()).encoded(ONE))
        assert body["asm"] == {"group_id": 7}
        assert body["personalizations"][0]["headers"]["List-Unsubscribe"] == "<https://x.example/m-1/u-1>"

    @pytest.mark.parametrize(
        ("headers", "wait"),
        [
            ({"Retry-After": "7"}, 7),
            ({"Retry-After": "0"}, 1),
            ({"Retry-After": "Mon, 09 Mar 2026 12:01:00 GMT"}, 60),
            ({"X-RateLimit-Reset": "1773057630"}, 30),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "9" * 40}, None),
        ],
    )
    def test_how_long_to_wait_is_read_however_it_is_said(self, headers, wait):
        answer = httpx.Response(429, headers={"Date": "Mon, 09 Mar 2026 12:00:00 GMT", **headers})
        with pytest.raises(RateLimited) as caught:
            SendGrid(SETTINGS, answering(answer)).send(ONE)
        assert caught.value.retry_after == (None if wait is None else timedelta(seconds=wait))

    def test_what_is_left_is_read_from_every_answer(self):
        headers = {
            "Date": "Mon, 09 Mar 2026 12:00:00 GMT",
            "X-RateLimit-Remaining": "9",
            "X-RateLimit-Reset": "1773057630",
        }
        answer = httpx.Response(202, headers=headers)
        with httpx.Client(transport=httpx.MockTransport(lambda _: answer), base_url="https://x.example") as client:
            assert SendGrid(SETTINGS, client).send(ONE).allowance == Allowance(9, timedelta(seconds=30))
