"""Each reason for not telling somebody, as a heading and a sentence that anybody understands."""

from __future__ import annotations

from collections.abc import Mapping

from notifiers.model import WithheldReason

REASONS: Mapping[WithheldReason, tuple[str, str]] = {
    WithheldReason.UNKNOWN_SUBSCRIBER: (
        "Unknown subscriber",
        "We have no record of this account, so no way to write.",
    ),
    WithheldReason.NOT_TOLD: (
        "Never told of the problem",
        "An all-clear makes no sense to someone who heard nothing.",
    ),
    WithheldReason.EXPIRED: ("Too late", "The trouble was over for so long that a notice would only puzzle."),
    WithheldReason.RECOVERED: ("Playing well again", "They have watched without trouble since."),
    WithheldReason.CONTACTED_SUPPORT: ("Already helped", "They asked support about it, and were answered."),
    WithheldReason.NO_CONSENT: ("No consent", "They have not agreed to hear of such things in any channel."),
    WithheldReason.NO_ADDRESS: ("No usable address", "What we have as an address cannot be written to."),
    WithheldReason.SUPPRESSED: ("Suppressed", "They unsubscribed, bounced or complained before."),
    WithheldReason.HOLDOUT: ("Held out", "A small share is never told, so that the effect can be measured."),
    WithheldReason.TOLD_RECENTLY: ("Told recently", "They just heard about this same cause."),
    WithheldReason.FREQUENCY_CAP: ("Heard enough", "They have had as many notices as one person should get."),
    WithheldReason.SILENCED: (
        "Planned event",
        "Somebody planned it. Who has trouble still when it is over is told then.",
    ),
    WithheldReason.QUIET_HOURS: (
        "Night where they are",
        "It waits for their morning, and is dropped if it is over by then.",
    ),
    WithheldReason.PROVIDER_BUDGET: ("Budget used up", "The channel carried all that it may in a day; it waits."),
    WithheldReason.AWAITING_APPROVAL: ("Waiting for approval", "The audience is large, and nobody has said yes yet."),
    WithheldReason.ROLLOUT_REFUSED: ("Not approved", "Somebody decided that the rest of the audience is not told."),
    WithheldReason.SEEN: ("Seen in the app", "They saw the card, so no mail follows it."),
}
