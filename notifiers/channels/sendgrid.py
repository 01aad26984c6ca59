"""SendGrid's mail-send API: its own helpers build the message, one shared `httpx.Client` posts it.

The API has no idempotency key, so a request that may have been accepted is never repeated. Source: "Mail
Send", Twilio SendGrid API reference v3, 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ClassVar

import httpx
from sendgrid.helpers.mail import (
    ClickTracking,
    CustomArg,
    From,
    Header,
    HtmlContent,
    Mail,
    MailSettings,
    OpenTracking,
    PlainTextContent,
    ReplyTo,
    SandBoxMode,
    SubscriptionTracking,
    To,
    TrackingSettings,
)

from notifiers.address import is_deliverable
from notifiers.channels.contract import Receipt
from notifiers.errors import (
    ChannelError,
    ChannelPaused,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Retryable,
)
from notifiers.links import with_query
from notifiers.outbox import Message

GLOBAL_URL = "https://api.sendgrid.com"
EU_URL = "https://api.eu.sendgrid.com"
SEND_PATH = "/v3/mail/send"
ACCEPTED = (HTTPStatus.ACCEPTED, HTTPStatus.OK)
"""202; 200 is what sandbox mode answers."""
NEEDS_A_PERSON = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
)
"""A wrong key, sender or host: every message would fail alike, so none is given up."""
NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Failures before the request could have been read."""
_ADDRESS_LIKE = re.compile(r"\S*@\S*")


@dataclass(frozen=True)
class SendGridSettings:
    """How this account sends.

    Parameters
    ----------
    api_key
        Secret; in no repr and no log.
    sender, sender_name
        A verified sender.
    reply_to
        An address that people read.
    unsubscribe_url
        Where a click or a mail program's button stops notices; ``notice=<notice_id>`` is added to its query.
    sandbox
        SendGrid checks each request and sends nothing.
    url
        `GLOBAL_URL`, or `EU_URL` for accounts whose data stays in the EU.
    connect_timeout_s, read_timeout_s
        Patience with the network and with SendGrid.
    """

    api_key: str = field(repr=False)
    sender: str
    sender_name: str
    reply_to: str
    unsubscribe_url: str | None = None
    sandbox: bool = False
    url: str = GLOBAL_URL
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0

    def open_client(self) -> httpx.Client:
        """Open the client to share among sends; the caller closes it."""
        timeout = httpx.Timeout(self.read_timeout_s, connect=self.connect_timeout_s)
        return httpx.Client(base_url=self.url, timeout=timeout)


class SendGrid:
    """Posts mails to SendGrid.

    Parameters
    ----------
    settings
        Of the account.
    client
        From `SendGridSettings.open_client`.
    """

    repeatable: ClassVar[bool] = False

    def __init__(self, settings: SendGridSettings, client: httpx.Client) -> None:
        self.settings = settings
        self.client = client

    def send(self, message: Message) -> Receipt:
        """Post one mail."""
        if not is_deliverable(message.address):
            raise Refused("The address is not one that mail can go to.")
        headers = {"Authorization": f"Bearer {self.settings.api_key}"}
        try:
            response = self.client.post(SEND_PATH, json=request_body(message, self.settings), headers=headers)
        except NOTHING_SENT as error:
            raise Retryable(f"SendGrid was not reached ({type(error).__name__}).") from error
        except httpx.TransportError as error:
            raise OutcomeUnknown(f"SendGrid did not answer ({type(error).__name__}).") from error
        if response.status_code not in ACCEPTED:
            raise failure(response)
        return Receipt(response.headers.get("X-Message-Id"))

    def finish(self) -> None:
        """Nothing to tidy up: the client belongs to whoever opened it."""


def request_body(message: Message, settings: SendGridSettings) -> dict[str, Any]:
    """Return the JSON that SendGrid is sent for a message."""
    mail = Mail(
        from_email=From(settings.sender, settings.sender_name),
        to_emails=To(message.address),
        subject=message.subject,
        plain_text_content=PlainTextContent(message.text),
        html_content=HtmlContent(message.html),
    )
    mail.reply_to = ReplyTo(settings.reply_to)
    mail.custom_arg = CustomArg("notice_id", message.notice_id)
    mail.tracking_settings = _no_tracking()
    mail.mail_settings = MailSettings(sandbox_mode=SandBoxMode(settings.sandbox))
    for name, value in _unsubscribe_headers(message, settings).items():
        mail.header = Header(name, value)
    body: dict[str, Any] = mail.get()
    return body


def _no_tracking() -> TrackingSettings:
    return TrackingSettings(
        click_tracking=ClickTracking(enable=False, enable_text=False),
        open_tracking=OpenTracking(enable=False),
        subscription_tracking=SubscriptionTracking(enable=False),
    )


def _unsubscribe_headers(message: Message, settings: SendGridSettings) -> Mapping[str, str]:
    """RFC 2369 and, for one click, RFC 8058."""
    if settings.unsubscribe_url is None:
        return {}
    return {
        "List-Unsubscribe": f"<{with_query(settings.unsubscribe_url, notice=message.notice_id)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def failure(response: httpx.Response) -> ChannelError:
    """Return what a refusing answer means: who can mend it, and when to try again."""
    status = response.status_code
    text = f"SendGrid answered {status}{_complaints(response)}."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(text, _retry_after(response))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return Retryable(text)
    if status in NEEDS_A_PERSON or status < HTTPStatus.BAD_REQUEST:
        return ChannelPaused(text)
    return Refused(text)


def _complaints(response: httpx.Response) -> str:
    """What SendGrid says is wrong, without anything that looks like an address."""
    try:
        errors = response.json()["errors"]
        found = [f"{error.get('field') or 'request'}: {error.get('message')}" for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return _ADDRESS_LIKE.sub("[address]", " (" + "; ".join(found) + ")") if found else ""


def _retry_after(response: httpx.Response) -> timedelta | None:
    """When the limit is lifted, counted from the moment that the answer itself names."""
    try:
        reset = float(response.headers["X-RateLimit-Reset"])
        answered = parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None
    return timedelta(seconds=max(reset - answered, 1.0))
