"""Cards in the subscriber's inbox, which the app shows."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Engine

from notifiers.cards import put_card
from notifiers.channels.contract import Receipt
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
        with self.engine.begin() as connection:
            put_card(connection, message.subscriber_id, message.notice_id, message.card, message.queued_time)
        return Receipt()

    def finish(self) -> None:
        """Nothing to tidy up."""
