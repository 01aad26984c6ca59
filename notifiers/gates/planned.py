"""Is it planned? People are not told of what somebody planned, as long as it lasts."""

from __future__ import annotations

from notifiers.gates.case import Case, Channels, Closed, Passage
from notifiers.model import WithheldReason


def silenced(case: Case, channels: Channels) -> Passage:
    """Nobody is told of a planned event while it lasts; an incident that outlasts it is news when it is over."""
    key = (case.trouble.subscriber_id, case.trouble.episode)
    if not case.is_problem or key not in case.history.silenced:
        return channels
    return Closed(WithheldReason.SILENCED, case.history.silenced[key])
