"""May we, and how? Gates about the person's choices and address."""

from __future__ import annotations

from notifiers.address import is_deliverable, normalised
from notifiers.gates.case import Case, Channels, Closed, Passage, without
from notifiers.model import ChannelName, WithheldReason
from notifiers.preferences import category_of, wants


def no_consent(case: Case, channels: Channels) -> Passage:
    """Only channels that the person wants this category by: their own choice, else the subscriber list's opt-in."""
    category = category_of(case.trouble.verdict.cause)
    choices = case.history.choices.get(case.trouble.subscriber_id, {})
    wanted = tuple(channel for channel in channels if wants(case.recipient, choices, (category, channel)))
    return wanted or Closed(WithheldReason.NO_CONSENT)


def no_address(case: Case, channels: Channels) -> Passage:
    """Mail needs an address that it can go to."""
    if ChannelName.EMAIL not in channels or is_deliverable(case.recipient.email):
        return channels
    return without(channels, ChannelName.EMAIL) or Closed(WithheldReason.NO_ADDRESS)


def suppressed(case: Case, channels: Channels) -> Passage:
    """No mail to an address that bounced, complained or unsubscribed."""
    address = case.recipient.email
    if address is None or normalised(address) not in case.history.suppressed:
        return channels
    return without(channels, ChannelName.EMAIL) or Closed(WithheldReason.SUPPRESSED)
