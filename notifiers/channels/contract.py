"""What every channel does: translate a message and post it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from notifiers.outbox import Message


@dataclass(frozen=True)
class Receipt:
    """The channel took the message; `provider_message_id` is its name for it, if it has one."""

    provider_message_id: str | None = None


class Channel(Protocol):
    """One way to reach people.

    `repeatable` says whether sending the same message twice has the effect of once, so that a message lost
    in a crash may simply be sent again.
    """

    repeatable: ClassVar[bool]

    def send(self, message: Message) -> Receipt:
        """Post one message; raise a `notifiers.errors.ChannelError` unless it was certainly accepted."""
        ...

    def finish(self) -> None:
        """Tidy up after a run of sends; raise a `ChannelError` if that cannot be done."""
        ...
