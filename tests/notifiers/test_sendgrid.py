"""What each answer of SendGrid means, and that no secret or person is told to anybody else."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from notifiers.channels import SendGrid, SendGridSettings
from notifiers.channels.sendgrid import EU_URL, GLOBAL_URL, failure, request_body
from notifiers.errors import ChannelError, ChannelPaused, RateLimited, Refused, Retryable
from notifiers.model import ChannelName
from notifiers.outbox import Message
from tests.faults import FaultServer, faults

MESSAGE = Message(
    message_id="abcdefghijkl2345",
    notice_id="abcdefghijkl2345",
    subscriber_id="u-1",
    channel=ChannelName.EMAIL,
    address="ada@example.net",
    subject="Your video kept pausing",
    html="<p>page</p>",
    text="text",
    card={},
    queued_time=datetime(2026, 3, 9, tzinfo=UTC),
    expires_time=None,
    attempt=1,
)


@pytest.fixture
def settings() -> SendGridSettings:
    return SendGridSettings(
        api_key="SG.very-secret",
        sender="notices@lumen.example",
        sender_name="Lumen",
        reply_to="help@lumen.example",
        unsubscribe_url="https://lumen.example/stop",
    )


class TestRequest:
    """What is posted."""

    def test_a_service_without_a_name_writes_from_its_address_alone(self, settings):
        nameless = request_body(MESSAGE, replace(settings, sender_name=None))
        assert nameless["from"] == {"email": "notices@lumen.example"}

    def test_it_is_complete_and_says_no_more_than_it_must(self, settings):
        assert request_body(MESSAGE, settings) == {
            "from": {"email": "notices@lumen.example", "name": "Lumen"},
            "reply_to": {"email": "help@lumen.example"},
            "personalizations": [
                {
                    "to": [{"email": "ada@example.net"}],
                    "custom_args": {"message_id": "abcdefghijkl2345"},
                    "headers": {
                        "List-Unsubscribe": "<https://lumen.example/stop?notice=abcdefghijkl2345>",
                        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                    },
                }
            ],
            "subject": "Your video kept pausing",
            "content": [
                {"type": "text/plain", "value": "text"},
                {"type": "text/html", "value": "<p>page</p>"},
            ],
            "tracking_settings": {
                "click_tracking": {"enable": False, "enable_text": False},
                "open_tracking": {"enable": False},
                "subscription_tracking": {"enable": False},
            },
            "mail_settings": {"sandbox_mode": {"enable": False}},
        }

    def test_without_a_page_to_unsubscribe_there_is_no_header(self):
        settings = SendGridSettings("SG.x", "a@b.example", "B", "r@b.example", sandbox=True)
        body = request_body(MESSAGE, settings)
        assert "headers" not in body["personalizations"][0]
        assert body["mail_settings"] == {"sandbox_mode": {"enable": True}}

    @pytest.mark.parametrize(("url", "host"), [(GLOBAL_URL, "api.sendgrid.com"), (EU_URL, "api.eu.sendgrid.com")])
    def test_the_host_is_a_setting(self, url, host):
        with SendGridSettings("SG.x", "a@b.example", "B", "r@b.example", url=url).open_client() as client:
            assert client.base_url.host == host
            assert client.timeout.connect == 5
            assert client.timeout.read == 30


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ChannelPaused),
        (400, Refused),
        (401, ChannelPaused),
        (403, ChannelPaused),
        (404, ChannelPaused),
        (405, ChannelPaused),
        (408, Retryable),
        (413, Refused),
        (415, Refused),
        (429, RateLimited),
        (500, Retryable),
        (502, Retryable),
        (503, Retryable),
        (504, Retryable),
    ],
)
def test_each_status_has_its_meaning(status, kind):
    assert type(failure(httpx.Response(status))) is kind


@pytest.mark.parametrize("status", [200, 202])
def test_accepted_is_accepted(status, settings):
    answer = httpx.MockTransport(lambda _: httpx.Response(status, headers={"X-Message-Id": "m-1"}))
    with httpx.Client(transport=answer, base_url=settings.url) as client:
        assert SendGrid(settings, client).send(MESSAGE).provider_message_id == "m-1"


def test_a_rate_limit_says_when_it_ends_by_its_own_clock():
    headers = {"X-RateLimit-Reset": "1773057660", "Date": "Mon, 09 Mar 2026 12:00:00 GMT"}
    assert failure(httpx.Response(429, headers=headers)).retry_after == timedelta(seconds=60)
    past = headers | {"X-RateLimit-Reset": "1"}
    assert failure(httpx.Response(429, headers=past)).retry_after == timedelta(seconds=1)


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Reset": "soon", "Date": "x"}, {"X-RateLimit-Reset": "1"}])
def test_a_rate_limit_that_does_not_say_leaves_it_to_us(headers):
    assert failure(httpx.Response(429, headers=headers)).retry_after is None


def test_a_complaint_is_kept_without_the_address_in_it():
    body = {"errors": [{"field": "personalizations.0.to", "message": "ada@example.net is no address", "help": None}]}
    assert str(failure(httpx.Response(400, json=body))) == (
        "SendGrid answered 400 (personalizations.0.to: [address] is no address)."
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors": null}', b'{"errors": []}', b'{"errors": ["x"]}'])
def test_an_answer_that_makes_no_sense_is_still_an_answer(body):
    assert str(failure(httpx.Response(400, content=body))) == "SendGrid answered 400."


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with faults() as server:
        yield server


@pytest.fixture
def channel(server, settings) -> Iterator[SendGrid]:
    with httpx.Client(base_url=server.url, timeout=httpx.Timeout(0.3)) as client:
        yield SendGrid(settings, client)


def test_a_server_that_is_not_there_got_nothing(settings):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with httpx.Client(base_url=url) as client, pytest.raises(Retryable, match="was not reached"):
            SendGrid(settings, client).send(MESSAGE)


@pytest.mark.parametrize("address", [None, "", "nobody", "Ada <ada@example.net>"])
def test_an_address_that_is_none_is_never_posted(address, server, channel):
    with pytest.raises(Refused):
        channel.send(MESSAGE._replace(address=address))
    assert server.received == []


def test_neither_the_key_nor_the_person_is_told_to_anybody_else(server, channel, settings, caplog):
    server.script = [(202, {}), (503, {}), "reset after the body is read"]
    said = [repr(settings), repr(channel.client.headers)]
    with caplog.at_level(logging.DEBUG):
        channel.send(MESSAGE)
        for _ in range(2):
            with pytest.raises(ChannelError) as caught:
                channel.send(MESSAGE)
            said.append(f"{caught.value!r} {caught.value.__cause__!r}")
    said += [record.getMessage() for record in caplog.records]
    for secret in ("very-secret", "ada@example.net", "kept pausing"):
        assert not [text for text in said if secret in text]
