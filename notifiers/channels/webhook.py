"""Cards to a company's own systems, for its push, SMS or in-app centre: signed as Standard Webhooks.

The id of a request is the message's key and never changes, so a receiver that heeds it takes each message in once,
however often it comes; a request without an answer is therefore sent again. What a card says, and in which version, is
kept in the ledger as for our own inbox, before it is posted: a card that says something new comes again as an update
with the same `card_id` and a higher version. Source: "Standard Webhooks" specification, 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar

import httpx
import orjson
from sqlalchemy import Engine, Row, select
from standardwebhooks import Webhook as Signer

from incidents.ledger.schema import inbox
from incidents.ledger.store import writing
from notifiers.channels.contract import Receipt, one_by_one
from notifiers.channels.in_app import keep
from notifiers.channels.sendgrid import failure
from notifiers.errors import Retryable
from notifiers.outbox import Message

CREATED, UPDATED = "notice.created", "notice.updated"
RECEIVER = "The webhook"


def system_clock() -> datetime:
    """Return the time: the receiver compares a signature's with its own clock, so no other will do."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class WebhookSettings:
    """Where cards go.

    Parameters
    ----------
    url
        What is posted to.
    secrets
        Base64, perhaps after ``whsec_``; each signs, so that a receiver can change from one to the next.
    connect_timeout_s, read_timeout_s
        Patience with the network and with the receiver, which should answer first and work later.
    """

    url: str
    secrets: tuple[str, ...] = field(repr=False)
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 15.0

    def open_client(self) -> httpx.Client:
        """Open the client to share among sends; the caller closes it."""
        return httpx.Client(timeout=httpx.Timeout(self.read_timeout_s, connect=self.connect_timeout_s))


class Webhook:
    """Posts cards, one a request.

    Parameters
    ----------
    settings
        Where to, and what signs.
    client
        From `WebhookSettings.open_client`.
    engine
        Of the ledger, which knows what each card says.
    clock
        Now, aware UTC, for the signature.
    """

    repeatable: ClassVar[bool] = True

    def __init__(
        self,
        settings: WebhookSettings,
        client: httpx.Client,
        engine: Engine,
        clock: Callable[[], datetime] = system_clock,
    ) -> None:
        self.settings = settings
        self.client = client
        self.engine = engine
        self.clock = clock

    def bundle(self, messages: Sequence[Message]) -> list[list[Message]]:
        """Each card has a request of its own."""
        return one_by_one(messages)

    def send(self, *messages: Message) -> Receipt:
        """Post a card; anything but a 2xx in time is a failure."""
        (message,) = messages
        with writing(self.engine).begin() as connection:
            card_id = keep(connection, message.filled())
            card = connection.execute(select(inbox).where(inbox.c.card_id == card_id)).one()
        body = orjson.dumps(payload(message, card))
        try:
            response = self.client.post(self.settings.url, content=body, headers=self._headers(message, body))
        except httpx.TransportError as error:
            raise Retryable(f"{RECEIVER} did not answer ({type(error).__name__}).") from error
        if not response.is_success:
            raise failure(response, RECEIVER)
        return Receipt(message.message_id)

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        now = self.clock()
        signatures = (signer.sign(message.message_id, now, body.decode()) for signer in self._signers)
        return {
            "Content-Type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    @cached_property
    def _signers(self) -> list[Signer]:
        return [Signer(secret) for secret in self.settings.secrets]

    def finish(self) -> None:
        """Nothing to tidy up: the client belongs to whoever opened it."""


def payload(message: Message, card: Row[Any]) -> dict[str, Any]:
    """Return what is posted: the card and whose it is by pseudonym; no address and no name.

    Parameters
    ----------
    message
        What it is posted for.
    card
        The row of the ledger that holds the card as it is now.
    """
    return {
        "type": CREATED if message.message_id == card.card_id else UPDATED,
        "timestamp": message.queued_time.isoformat(),
        "data": {
            "notice_id": message.notice_id,
            "card_id": card.card_id,
            "version": card.version,
            "subscriber_id": message.subscriber_id,
            "expires_time": message.expires_time and message.expires_time.isoformat(),
            "card": card.card,
        },
    }
