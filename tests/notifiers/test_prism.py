"""Every request that we build is accepted by SendGrid's published description, and broken ones are not."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from incidents.model import Cause, TroubleKind
from notifiers.channels import SendGrid, SendGridSettings
from notifiers.channels.sendgrid import MOST_TOGETHER, SEND_PATH, request_body
from notifiers.compose import Rendered
from notifiers.errors import Refused
from notifiers.model import ChannelName
from notifiers.outbox import Message
from notifiers.sharing import NAME, Sharing
from telemetry.contract import Signal
from tests.prism import MOCK, playing

pytestmark = pytest.mark.prism

DESCRIPTIONS = ["vendored"] if os.environ.get("CI") == "true" else ["vendored", "published"]


@pytest.fixture(scope="module", params=DESCRIPTIONS)
def description(request, tmp_path_factory) -> Path:
    """The description that Prism plays: the one kept here, and, where it lies beside, the published one."""
    if request.param == "vendored":
        return MOCK / "mail_send.json"
    shared = request.getfixturevalue("shared")
    tightened = tmp_path_factory.mktemp("sendgrid") / "published.json"
    tool, published = shared / "tools" / "tighten_sendgrid_spec.py", shared / "sendgrid" / "tsg_mail_v3.json"
    subprocess.run([sys.executable, tool, published, tightened], check=True)
    return tightened


@pytest.fixture(scope="module")
def prism(description, tmp_path_factory) -> Iterator[str]:
    with playing(description, tmp_path_factory.mktemp("prism") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def settings(prism) -> SendGridSettings:
    return SendGridSettings(
        api_key="SG.test",
        sender="notices@lumen.example",
        sender_name="Lumen",
        reply_to="help@lumen.example",
        unsubscribe_url="https://lumen.example/stop",
        url=prism,
    )


@pytest.fixture(scope="module")
def client(settings) -> Iterator[httpx.Client]:
    with settings.open_client() as client:
        yield client


@pytest.fixture(scope="session")
def message(composer, context):
    return lambda **changes: message_of(composer.compose(context(**changes)))


def message_of(words: Rendered, key: str = "abcdefghijkl2345", address: str = "ada@example.net") -> Message:
    return Message(
        message_id=key,
        notice_id=key,
        subscriber_id="u-1",
        channel=ChannelName.EMAIL,
        address=address,
        subject=words.subject,
        html=words.html,
        text=words.text,
        card=words.card,
        queued_time=datetime(2026, 3, 9, tzinfo=UTC),
        expires_time=None,
        attempt=1,
        body_key=words.body_key,
        personal=words.personal,
    )


@pytest.mark.parametrize("kind", TroubleKind)
@pytest.mark.parametrize("problem", Signal)
@pytest.mark.parametrize("cause", Cause)
def test_every_notice_is_accepted(cause, problem, kind, client, settings, message):
    receipt = SendGrid(settings, client).send(message(cause=cause, problem=problem, kind=kind))
    assert receipt.provider_message_id


@pytest.mark.parametrize("name", ["<b>x</b>", "line\none", "عائلة", "x" * 10_000, "", "{{name}}", "\u202egnorw"])
def test_whatever_people_are_called(name, client, settings, message):
    assert SendGrid(settings, client).send(message(display_name=name))


@pytest.mark.parametrize("changes", [{"unsubscribe_url": None}, {"sandbox": True}, {"sender_name": 'A "B" <c>'}])
def test_however_it_is_set_up(changes, client, settings, message):
    assert SendGrid(replace(settings, **changes), client).send(message())


BREAKAGES = {
    "no recipient": lambda body: body["personalizations"][0].update(to=[]),
    "no personalization": lambda body: body.update(personalizations=[]),
    "no sender": lambda body: body.pop("from"),
    "no subject": lambda body: body.pop("subject"),
    "no content": lambda body: body.pop("content"),
    "an address that is none": lambda body: body["personalizations"][0]["to"][0].update(email="nobody"),
    "a number among the arguments": lambda body: body["personalizations"][0]["custom_args"].update(attempt=1),
    "a key that SendGrid does not know": lambda body: body.update(idempotency_key="x"),
    "tracking in words": lambda body: body["tracking_settings"]["open_tracking"].update(enable="no"),
    "a header that SendGrid sets itself": lambda body: body["personalizations"][0]["headers"].update(
        {"Reply-To": "x@example.net"}
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_request_is_refused(breakage, client, settings, message):
    body = copy.deepcopy(request_body(message(), settings))
    BREAKAGES[breakage](body)
    headers = {"Authorization": f"Bearer {settings.api_key}"}
    assert client.post(SEND_PATH, json=body, headers=headers).status_code in {400, 422}


def test_a_refusal_reaches_us_as_one(client, settings, message):
    with pytest.raises(Refused, match="answered 4"):
        SendGrid(replace(settings, sender="nobody"), client).send(message())


def test_without_a_key_nothing_is_accepted(client, settings, message):
    assert client.post(SEND_PATH, json=request_body(message(), settings)).status_code == 401


@pytest.mark.parametrize("people", [2, MOST_TOGETHER])
def test_many_people_share_a_request_each_with_what_is_their_own(people, client, settings, composer, context):
    sharing, names = Sharing(composer), ("Ada", "عائلة", "Dr. Ng-Müller")
    mails = []
    for number in range(people):
        key = f"{number:016d}"
        words = sharing.compose(context(notice_id=key, display_name=names[number % len(names)]))
        mails.append(message_of(words, key, f"u{number}@example.net"))
    (request,) = SendGrid(settings, client).bundle(mails)
    assert [mail.message_id for mail in request] == [mail.message_id for mail in mails]
    assert len({mail.personal.get(NAME) for mail in request}) == min(people, len(names))
    assert SendGrid(settings, client).send(*request).provider_message_id
