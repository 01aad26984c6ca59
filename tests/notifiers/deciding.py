"""Deciding as the pipeline does, and a channel that counts: what tests of deciding and sending start from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from notifiers.channels import Receipt
from notifiers.channels.contract import one_by_one
from notifiers.compose import Rendered
from notifiers.errors import Retryable
from notifiers.model import ChannelName, Policy

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EMAIL, IN_APP = ChannelName.EMAIL, ChannelName.IN_APP
WORDS = Rendered("A subject", "<p>page</p>", "text", {"title": "A subject"})
POLICY = Policy(holdout_share=0.0, release_over=timedelta(0), flood_people=None)
LARGE = replace(POLICY, staged_people=3, stages=(0.4, 0.7))


class Counting:
    """A channel that counts whom it reached; it fails as often as it is told to."""

    repeatable: ClassVar[bool] = False

    def __init__(self, failures: int = 0, before=lambda: None) -> None:
        self.sent: list[str] = []
        self.failures = failures
        self.before = before

    def bundle(self, messages) -> list[list]:
        return one_by_one(messages)

    def send(self, message) -> Receipt:
        self.before()
        if self.failures:
            self.failures -= 1
            raise Retryable("not now")
        self.sent.append(message.message_id)
        return Receipt()

    def finish(self) -> None:
        """Nothing to do."""


def crowd(trouble, number=8, **changes):
    return [trouble(subscriber_id=f"u-{n}", **changes) for n in range(number)]
