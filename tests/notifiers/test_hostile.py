"""Names, addresses, zones and titles from outside, through the whole path: decided, composed, stored, sent."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.header import decode_header, make_header

import pytest

from notifiers.attempts import due
from notifiers.channels import SendGrid, SendGridSettings
from notifiers.channels.mailbox import eml
from notifiers.compose import NoticeContext
from notifiers.context import Brand
from notifiers.decide import decide
from notifiers.model import ChannelName, History, Note
from notifiers.outbox import enqueue
from notifiers.sharing import Sharing

SETTINGS = SendGridSettings("key", "notices@lumen.example", "Lumen", "help@lumen.example")
OVERRIDE, MARK, ISOLATE = "\u202e", "\u200f", "\u2067"
NAMES = {
    "markup": "<script>alert(1)</script>",
    "an attribute": '" onmouseover="x',
    "lines": "Ada\r\nBcc: all@example.net\r\n\r\n<b>hi</b>",
    "a header": "Subject: you have won",
    "template": "{{ 7 * 7 }}{% include 'x' %}",
    "a token": "[[reference]] -name- prebuffernoticex",
    "a stand-in": "Prebuffername",
    "right to left": f"{OVERRIDE}adA{MARK}{ISOLATE}",
    "long": "A" * 10_000,
    "long words": "Ada " * 2_500,
    "control": "A\x00d\x1ba\u2028\u2029\x85",
    "a link": "https://evil.example/login",
    "nothing": "",
    "blank": " \t\u00a0 ",
    "absent": None,
}


@pytest.fixture
def sent(ledger, add_incident, trouble, person, composer, policy, noon):
    """Take people through the whole path; return the decisions and the messages that a sender would get."""
    add_incident()

    def run(*people, brand=Brand(service_name="Lumen")):
        found = [trouble(subscriber_id=it.subscriber_id) for it in people]
        known = {it.subscriber_id: it for it in people}
        decisions = decide(found, known, History(), policy, noon)
        contexts = [NoticeContext.of(d, known[d.trouble.subscriber_id], brand) for d in decisions if d.needs_words]
        words = Sharing(composer).compose_all(contexts)
        with ledger.write() as connection:
            addresses = {it.subscriber_id: it.email for it in people if it.email}
            enqueue(connection, decisions, words, addresses, noon)
            return decisions, due(connection, noon, list(ChannelName), 100).messages

    return run


def mail_of(message):
    mail = message_from_bytes(eml(message.filled()))
    parts = [part.get_payload(decode=True).decode() for part in mail.get_payload()]
    return mail, *parts


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_whatever_the_name_the_mail_is_good(name, sent, person):
    (decision,), (message,) = sent(person(display_name=name))
    assert decision.withheld_reason is None
    mail, text, html = mail_of(message)
    assert mail.keys() == ["Content-Type", "MIME-Version", "From", "To", "Subject", "Date", "Message-ID"]
    subject = str(make_header(decode_header(mail["Subject"])))
    assert 0 < len(subject) < 100
    assert "\n" not in subject
    for page in (text, html):
        assert not set(page) & {OVERRIDE, MARK, ISOLATE, "\x00", "\x1b", "\u2028", "\u2029"}
        assert "prebuffernoticex" not in page
        assert "49" not in page.split("--")[0] or "7 * 7" not in str(name)
    assert "<script" not in html
    assert "onmouseover=" not in html.replace("&#34; onmouseover=", "").replace("&quot; onmouseover=", "")
    assert "Bcc:" not in text.splitlines()
    assert len(text) < 6_000


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_and_so_is_what_the_provider_is_sent(name, sent, person):
    _, (message,) = sent(person(display_name=name))
    body = json.loads(SendGrid(SETTINGS, None).encoded(message))
    (to,) = body["personalizations"]
    assert to["to"] == [{"email": "ada@example.net"}]
    assert set(to["custom_args"]) == {"message_id"}
    assert "\n" not in body["subject"] + "".join(to.get("headers", {}).values())
    values = "".join(to.get("substitutions", {}).values())
    assert len(values) < 2_000
    assert "<script" not in values + body["content"][1]["value"]
    if name:
        assert name not in json.dumps(to["custom_args"])


NOT_WRITTEN_TO = ["", "nobody", "a@b@c.example", "a b@example.net", "a@x.example\nBcc: b@x.example", "@x.example"]


@pytest.mark.parametrize("address", [*NOT_WRITTEN_TO, "x" * 400 + "@x.example"])
def test_an_address_that_cannot_be_written_to_is_a_card_or_a_reason(address, sent, person):
    (by_card, nothing), messages = sent(
        person(email=address), person(subscriber_id="u-2", email=address, in_app_opt_in=False)
    )
    assert (by_card.channel, by_card.withheld_reason) == ("in_app", None)
    assert nothing.withheld_reason == "no_address"
    assert [it.channel for it in messages] == ["in_app"]


def test_two_accounts_with_one_address_both_get_theirs_each_in_a_request_of_its_own(sent, person):
    addresses = ["Ada@Example.net", "ada@example.net", " ada@example.net ".strip(), "eve@example.net"]
    people = [person(subscriber_id=f"u-{n}", email=it) for n, it in enumerate(addresses)]
    decisions, messages = sent(*people)
    assert [d.withheld_reason for d in decisions] == [None] * 4
    requests = SendGrid(SETTINGS, None).bundle(messages)
    assert sorted(it.subscriber_id for request in requests for it in request) == ["u-0", "u-1", "u-2", "u-3"]
    for request in requests:
        written = [it.address.lower() for it in request]
        assert len(written) == len(set(written))
    assert len(requests) == 3


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "Europe/Berlin\n", "x" * 5000, None])
@pytest.mark.parametrize("locale", ["tlh", "", "xx-YY-zz", "../de", "de_DE.UTF-8", "e" * 5000, None])
def test_an_unknown_zone_or_locale_still_gets_good_words(zone, locale, sent, person):
    (decision,), (message,) = sent(person(timezone=zone, locale=locale))
    assert decision.withheld_reason is None
    assert decision.notes == ((Note.UNKNOWN_TIMEZONE,) if decision.timezone is None else ())
    _, text, html = mail_of(message)
    assert len(text) > 200
    assert "<html" in html


@pytest.mark.parametrize("title", ["Bcc: all@example.net", "A\r\nBcc: all@example.net", "\nX-Injected: 1"])
def test_a_title_that_looks_like_a_header_is_text(title, sent, person):
    _, (message,) = sent(person(), brand=Brand(service_name=title))
    mail, *_ = mail_of(message)
    assert not {"Bcc", "X-Injected"} & set(mail.keys())
    settings = SendGridSettings("key", "notices@lumen.example", title, "help@lumen.example")
    body = json.loads(SendGrid(settings, None).encoded(message))
    assert "\n" not in body["subject"]
    assert set(body) >= {"personalizations", "content", "subject"}
    assert "headers" not in body
