"""What the inbox says of a card, in JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from notifiers.cards import Counts, is_unread


def card_document(card: Row[Any]) -> dict[str, Any]:
    """Return a card for the app."""
    return {
        "card_id": card.card_id,
        "version": card.version,
        "change": card.change,
        "created_time": _moment(card.created_time),
        "updated_time": _moment(card.updated_time),
        "seen_time": _moment(card.seen_time),
        "read_time": _moment(card.read_time),
        "archived_time": _moment(card.archived_time),
        "unread": is_unread(card),
        "card": card.card,
    }


def counts_document(counts: Counts, change: int) -> dict[str, int]:
    """Return how many cards are unread and unseen, and the latest change that this takes in."""
    return {"unread": counts.unread, "unseen": counts.unseen, "change": change}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
