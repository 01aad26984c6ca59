"""What each fault on the wire means, for mail and for the webhook."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import Engine, insert
from standardwebhooks import Webhook as Verifier

from incidents.ledger import schema
from incidents.ledger.store import Ledger
from notifiers.channels import SendGrid, SendGridSettings, Webhook, WebhookSettings
from notifiers.errors import ChannelPaused, OutcomeUnknown, RateLimited, Refused, Retryable
from notifiers.model import ChannelName
from notifiers.outbox import Message
from tests.faults import FaultServer, faults, self_signed

MAIL = Message(
    message_id="abcdefghijkl2345",
    notice_id="abcdefghijkl2345",
    subscriber_id="u-1",
    channel=ChannelName.EMAIL,
    address="ada@example.net",
    subject="Your video kept pausing",
    html="<p>page</p>",
    text="text",
    card={"title": "Hello [[who]]"},
    queued_time=datetime(2026, 3, 9, tzinfo=UTC),
    expires_time=None,
    attempt=1,
    personal={"[[who]]": "you"},
)
CARD = MAIL._replace(channel=ChannelName.IN_APP)
OLD, NEW = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SOON = {"Date": "Mon, 09 Mar 2026 12:00:00 GMT"}
PATIENCE = httpx.Timeout(0.3)

FAULTS = [
    ((429, {}), "mail is", RateLimited, "the webhook is", RateLimited),
    ((429, {"Retry-After": "7"}), "mail is", RateLimited, "the webhook is", RateLimited),
    ((429, SOON | {"X-RateLimit-Reset": "1773057660"}), "mail is", RateLimited, "the webhook is", RateLimited),
    ((500, {}), "mail is", Retryable, "the webhook is", Retryable),
    ((503, {}), "mail is", Retryable, "the webhook is", Retryable),
    ((408, {}), "mail is", Retryable, "the webhook is", Retryable),
    ((301, {"Location": "http://127.0.0.1:1/"}), "mail is", ChannelPaused, "the webhook is", ChannelPaused),
    ((401, {}), "mail is", ChannelPaused, "the webhook is", ChannelPaused),
    ((403, {}), "mail is", ChannelPaused, "the webhook is", ChannelPaused),
    ((404, {}), "mail is", ChannelPaused, "the webhook is", ChannelPaused),
    ((410, {}), "mail is", ChannelPaused, "the webhook is", ChannelPaused),
    ((400, {}), "mail is", Refused, "the webhook is", Refused),
    ((422, {}), "mail is", Refused, "the webhook is", Refused),
    ("reset before the body is read", "mail is", OutcomeUnknown, "the webhook is", Retryable),
    ("reset after the body is read", "mail is", OutcomeUnknown, "the webhook is", Retryable),
    ("hang up after the body is read", "mail is", OutcomeUnknown, "the webhook is", Retryable),
    ("no answer after the body is read", "mail is", OutcomeUnknown, "the webhook is", Retryable),
    ("a body that comes too slowly", "mail is", OutcomeUnknown, "the webhook is", Retryable),
    ("no HTTP", "mail is", OutcomeUnknown, "the webhook is", Retryable),
]
WAITS = {"7": timedelta(seconds=7), "1773057660": timedelta(seconds=60)}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with faults() as server:
        yield server


@pytest.fixture
def mail(server) -> Iterator[SendGrid]:
    account = SendGridSettings("SG.very-secret", "notices@lumen.example", "Lumen", "help@lumen.example")
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        yield SendGrid(account, client)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Iterator[Engine]:
    """A ledger whose only notice is the one that is sent here."""
    folder = tmp_path_factory.mktemp("told")
    with Ledger(f"sqlite:///{folder}/ledger.db", durable=False) as ledger:
        schema.metadata.create_all(ledger.engine)
        about = {"kind": "problem", "problem": "buffering", "cause": "service", "channel": "in_app", "episode": "e"}
        row = {"notice_id": CARD.notice_id, "subscriber_id": CARD.subscriber_id, "decided_time": CARD.queued_time}
        with ledger.write() as connection:
            connection.execute(insert(schema.notices).values(row | about))
        yield ledger.engine


@pytest.fixture
def webhook(server, told) -> Iterator[Webhook]:
    with httpx.Client(timeout=PATIENCE) as client:
        yield Webhook(WebhookSettings(f"{server.url}/cards", (NEW, OLD)), client, told)


def sentence(value) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


@pytest.mark.parametrize(("fault", "_", "of_mail", "__", "of_webhook"), FAULTS, ids=sentence)
def test_each_fault_has_its_meaning_and_the_next_goes_through(fault, _, of_mail, __, of_webhook, server, mail, webhook):
    for channel, message, kind in ((mail, MAIL, of_mail), (webhook, CARD, of_webhook)):
        server.script = [fault, (202, {})]
        with pytest.raises(kind) as caught:
            channel.send(message)
        assert type(caught.value) is kind
        if kind is RateLimited:
            said = set(fault[1].values()) & WAITS.keys()
            assert caught.value.retry_after == (WAITS[said.pop()] if said else None)
        assert "ada@" not in str(caught.value)
        channel.send(message)


def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(tmp_path, mail, webhook):
    with faults(self_signed(tmp_path / "loopback.pem")) as server:
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            with pytest.raises(Retryable, match="not reached"):
                SendGrid(mail.settings, client).send(MAIL)
            with pytest.raises(Retryable, match="did not answer"):
                Webhook(replace(webhook.settings, url=server.url), client, webhook.engine).send(CARD)
        assert server.received == []


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_the_receiver_can_verify_with_either_secret_and_learns_no_address_or_name(secret, server, webhook):
    server.script = [(204, {})]
    assert webhook.send(CARD).provider_message_id == CARD.message_id
    body, headers = server.received[0], server.headers[0]
    assert Verifier(secret).verify(body, headers) == {
        "type": "notice.created",
        "timestamp": "2026-03-09T00:00:00+00:00",
        "data": {
            "notice_id": "abcdefghijkl2345",
            "card_id": "abcdefghijkl2345",
            "version": 1,
            "subscriber_id": "u-1",
            "expires_time": None,
            "card": {"title": "Hello you"},
        },
    }


def test_a_repetition_has_the_same_id_and_body(server, webhook):
    server.script = ["reset after the body is read", (200, {})]
    with pytest.raises(Retryable):
        webhook.send(CARD)
    webhook.send(CARD._replace(attempt=2))
    assert server.received[0] == server.received[1]
    assert {headers["webhook-id"] for headers in server.headers} == {CARD.message_id}


def test_a_card_has_no_name_in_it(composer, context):
    card = composer.compose(context(display_name="Ada Quillfeather")).card
    assert "Quillfeather" not in json.dumps(card)


def test_secrets_are_in_no_repr(webhook):
    assert OLD not in repr(webhook.settings)
