"""What can go wrong on the way to a person. `deliver` acts on the type; the message names no person.

::

    ChannelError
    ├── Refused            this message will never be accepted: give up on it
    ├── Retryable          nothing was accepted: try again later
    │   └── RateLimited    too fast: the whole channel waits
    ├── ChannelPaused      nothing is accepted until a person acts: the channel stops, messages wait
    └── OutcomeUnknown     it may have been accepted: never sent again blindly
"""

from __future__ import annotations

from datetime import timedelta


class ChannelError(Exception):
    """A message was not certainly accepted. The text goes to the ledger: no address, name or key in it."""


class Refused(ChannelError):  # noqa: N818  a tree of what happened, not of what broke
    """Never will this message be accepted."""


class Retryable(ChannelError):  # noqa: N818  a tree of what happened, not of what broke
    """Nothing was accepted; the same message may be tried again."""


class RateLimited(Retryable):
    """The provider asks to wait; `retry_after` says how long, if it was said."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ChannelPaused(ChannelError):  # noqa: N818  a tree of what happened, not of what broke
    """The channel accepts nothing until a person acts, e.g. on a revoked key."""


class OutcomeUnknown(ChannelError):  # noqa: N818  a tree of what happened, not of what broke
    """The message may have been accepted; only the provider's webhook or a person can tell."""
