"""What holds for every channel, and what each one writes."""

from __future__ import annotations

import email
import pickle
from email.policy import SMTP
from html.parser import HTMLParser

import httpx
import pytest
from sqlalchemy import select

from incidents.ledger.schema import inbox
from notifiers.channels import REGISTRY, InApp, Mailbox, Receipt, SendGrid, SendGridSettings, Webhook, WebhookSettings
from notifiers.decide import decide
from notifiers.errors import ChannelPaused
from notifiers.model import ChannelName, History
from notifiers.outbox import Message, enqueue


@pytest.fixture
def message(engine, add_incident, composer, context, trouble, person, policy, noon) -> Message:
    """A message whose notice is in the ledger."""
    add_incident()
    (decision,) = decide([trouble()], {"u-1": person()}, History(), policy, noon)
    words = composer.compose(context(notice_id=decision.notice_id))
    with engine.begin() as connection:
        enqueue(connection, [decision], {decision.notice_id: words}, {"u-1": "ada@example.net"}, noon)
    return Message(
        message_id=decision.notice_id,
        notice_id=decision.notice_id,
        subscriber_id="u-1",
        channel=ChannelName.EMAIL,
        address="ada@example.net",
        subject=words.subject,
        html=words.html,
        text=words.text,
        card=words.card,
        queued_time=noon,
        expires_time=decision.expires_time,
        attempt=1,
    )


@pytest.fixture
def received():
    """What a receiver that heeds ids keeps of webhooks."""
    return {}


@pytest.fixture(params=sorted(REGISTRY))
def channel(request, engine, mailbox_folder, root, received):
    settings = SendGridSettings(api_key="SG.secret", sender="a@b.example", sender_name="B", reply_to="r@b.example")

    def accept(request):
        if "webhook-id" in request.headers:
            received[request.headers["webhook-id"]] = request.content
        return httpx.Response(202, headers={"X-Message-Id": "m-1"})

    accepting = httpx.MockTransport(accept)
    with httpx.Client(transport=accepting, base_url=settings.url) as client:
        yield {
            "in_app": lambda: InApp(engine),
            "mailbox": lambda: Mailbox(mailbox_folder, root / "templates"),
            "sendgrid": lambda: SendGrid(settings, client),
            "webhook": lambda: Webhook(WebhookSettings("https://company.example/cards", ("d" * 32,)), client, engine),
        }[request.param]()


def test_a_channel_sends_without_changing_the_message(channel, message):
    before = pickle.dumps(message)
    assert isinstance(channel.send(message), Receipt)
    channel.finish()
    assert pickle.dumps(message) == before


def test_finishing_without_sending_is_fine(channel):
    channel.finish()


REPEATABLE = sorted(name for name, kind in REGISTRY.items() if kind.repeatable)


@pytest.mark.parametrize("channel", REPEATABLE, indirect=True)
def test_a_repeatable_channel_has_the_effect_of_once(channel, message, engine, mailbox_folder, received):
    def effect():
        files = mailbox_folder.iterdir() if mailbox_folder.exists() else ()
        with engine.connect() as connection:
            cards = connection.execute(select(inbox)).all()
        return {path.name: path.read_bytes() for path in files}, cards, dict(received)

    channel.send(message)
    once = effect()
    assert any(once)
    channel.send(message._replace(attempt=2))
    assert effect() == once


def test_every_channel_is_registered_under_the_name_of_its_file():
    assert {name: kind.__module__ for name, kind in REGISTRY.items()} == {
        name: f"notifiers.channels.{name}" for name in REGISTRY
    }


def test_a_card_lies_in_the_inbox(engine, message, noon):
    InApp(engine).send(message)
    with engine.connect() as connection:
        (row,) = connection.execute(select(inbox)).all()
    assert (row.card_id, row.subscriber_id, row.created_time) == (message.notice_id, "u-1", noon)
    assert row.card == message.card
    assert (row.seen_time, row.read_time, row.archived_time) == (None, None, None)


class TestMailbox:
    """Mails to look at."""

    @pytest.fixture
    def mailbox(self, mailbox_folder, root):
        return Mailbox(mailbox_folder, root / "templates")

    def test_a_mail_file_says_what_was_composed(self, mailbox, message):
        mailbox.send(message)
        mail = email.message_from_bytes((mailbox.folder / f"{message.notice_id}.eml").read_bytes(), policy=SMTP)
        assert (mail["To"], mail["Subject"]) == ("ada@example.net", message.subject)
        assert mail["Date"].datetime == message.queued_time
        assert mail.get_body(["plain"]).get_content().replace("\r\n", "\n").strip() == message.text.strip()
        assert mail.get_body(["html"]).get_content().replace("\r\n", "\n").strip() == message.html.strip()
        assert (mailbox.folder / f"{message.notice_id}.html").read_text() == message.html

    def test_the_index_lists_every_mail_and_can_be_read_aloud(self, mailbox, message):
        mailbox.send(message)
        mailbox.send(message._replace(message_id="zzz", subject="<b>5 < 6</b> & più"))
        mailbox.finish()
        page = mailbox.index.read_text()
        HTMLParser().feed(page)
        assert "&lt;b&gt;5 &lt; 6&lt;/b&gt; &amp; più" in page
        assert f'href="{message.notice_id}.html"' in page
        assert '<html lang="en">' in page
        assert "<caption>2 notices" in page
        assert page.count('scope="col"') == 3
        assert "ada@example.net" not in page

    def test_an_empty_mailbox_says_so(self, mailbox):
        mailbox.finish()
        assert "No mails yet." in mailbox.index.read_text()

    def test_a_folder_that_cannot_be_written_to_pauses_the_channel(self, mailbox, message):
        mailbox.folder.write_text("a file is in the way")
        with pytest.raises(ChannelPaused):
            mailbox.send(message)
        with pytest.raises(ChannelPaused):
            mailbox.finish()

    def test_no_half_file_is_left(self, mailbox, message):
        mailbox.send(message)
        mailbox.finish()
        assert not [path for path in mailbox.folder.iterdir() if path.suffix == ".part"]
