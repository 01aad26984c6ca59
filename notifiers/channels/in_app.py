"""Cards in the subscriber's inbox, which the app shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import Connection, Engine

from incidents.ledger.store import writing
from notifiers.cards import put_card, update_card
from notifiers.channels.contract import Receipt
from notifiers.outbox import Message

TOGETHER = 200
"""Cards in one transaction."""


class InApp:
    """Puts cards into the ledger's inbox, once for each notice however often it is sent.

    Parameters
    ----------
    engine
        Of the ledger.
    """

    repeatable: ClassVar[bool] = True

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def bundle(self, messages: Sequence[Message]) -> list[list[Message]]:
        """Any cards go together, always in the order of their subscribers, so that two senders do not deadlock."""
        ordered = sorted(messages, key=lambda message: message.subscriber_id)
        return [ordered[start : start + TOGETHER] for start in range(0, len(ordered), TOGETHER)]

    def send(self, *messages: Message) -> Receipt:
        """Insert the cards that are not there, and change those that messages are about: an end is no second card."""
        with writing(self.engine).begin() as connection:
            for message in messages:
                keep(connection, message.filled())
        return Receipt()

    def finish(self) -> None:
        """Nothing to tidy up."""


def keep(connection: Connection, message: Message) -> str:
    """Insert a card that is not there, or change the one that its message is about; return the card's id.

    The same message again changes nothing.
    """
    whose, card_id = message.subscriber_id, message.card_id or message.notice_id
    is_new = put_card(connection, whose, card_id, message.card, message.queued_time)
    if not is_new and message.card_id is not None:
        update_card(connection, whose, card_id, message.card, message.queued_time)
    return card_id
