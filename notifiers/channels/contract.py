"""What every channel does: translate messages and post them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from notifiers.outbox import Message
from notifiers.provider import Allowance


@dataclass(frozen=True)
class Receipt:
    """The channel took what it was sent.

    Parameters
    ----------
    provider_message_id
        Its name for it, if it has one.
    allowance
        What it said of its limit, if it did.
    """

    provider_message_id: str | None = None
    allowance: Allowance | None = None


class Channel(Protocol):
    """One way to reach people.

    `repeatable` says whether sending the same message twice has the effect of once, so that a message lost
    in a crash may simply be sent again.
    """

    repeatable: ClassVar[bool]

    def bundle(self, messages: Sequence[Message]) -> list[list[Message]]:
        """Divide messages into what one request each can carry."""
        ...

    def send(self, *messages: Message) -> Receipt:
        """Post one bundle; raise a `notifiers.errors.ChannelError` unless it was certainly accepted, all of it."""
        ...

    def finish(self) -> None:
        """Tidy up after a run of sends; raise a `ChannelError` if that cannot be done."""
        ...


def one_by_one(messages: Sequence[Message]) -> list[list[Message]]:
    """Give each message a request of its own."""
    return [[message] for message in messages]
