"""Cards in the subscriber's inbox, which the app shows."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Engine

from incidents.ledger.schema import inbox
from notifiers.channels.contract import Receipt
from notifiers.insert import insert_new
from notifiers.outbox import Message


class InApp:
    """Puts a card into the ledger's inbox, once for each notice however often it is sent.

    Parameters
    ----------
    engine
        Of the ledger.
    """

    repeatable: ClassVar[bool] = True

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def send(self, message: Message) -> Receipt:
        """Insert the card unless it is there."""
        card = {
            "card_id": message.notice_id,
            "subscriber_id": message.subscriber_id,
            "card": dict(message.card),
            "created_time": message.queued_time,
        }
        with self.engine.begin() as connection:
            insert_new(connection, inbox, [card])
        return Receipt()

    def finish(self) -> None:
        """Nothing to tidy up."""
