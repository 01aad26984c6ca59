"""The report's words for signals, causes, dimensions and reasons; they speak to support leads."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta

from console.report.contacts import Aftermath
from console.report.facts import Answers
from detectors.finding import Cohort
from incidents.lessons import Lesson, LessonKind
from incidents.model import Cause, Incident, Severity
from incidents.reviews import ReviewVerdict
from incidents.silences import Silence, SilenceKind
from notifiers.model import ChannelName
from notifiers.outbox import State
from notifiers.reasons import REASONS
from telemetry.contract import Signal

SIGNALS: Mapping[Signal, str] = {
    Signal.BUFFERING: "Buffering",
    Signal.STARTUP: "Slow starts",
    Signal.FAILURE: "Playback failures",
    Signal.ACCESS: "Refused access",
}
IMPAIRED: Mapping[Signal, str] = {
    Signal.BUFFERING: "sessions that stalled too much",
    Signal.STARTUP: "sessions that started too slowly",
    Signal.FAILURE: "sessions that failed",
    Signal.ACCESS: "sessions that were refused",
}
CAUSES: Mapping[Cause, str] = {
    Cause.SERVICE: "Our own service",
    Cause.ISP: "An access network",
    Cause.APP: "An app version or a device type",
    Cause.HOUSEHOLD: "The subscriber's own network or device",
    Cause.ACCOUNT: "The subscriber's account",
}
SIDES: Mapping[Cause, str] = {
    Cause.SERVICE: "Our service",
    Cause.ISP: "Access network",
    Cause.APP: "App or device type",
    Cause.HOUSEHOLD: "Household",
    Cause.ACCOUNT: "Account",
}
SEVERITIES: Mapping[Severity, str] = {
    Severity.MINOR: "Minor",
    Severity.MAJOR: "Major",
    Severity.CRITICAL: "Critical",
}
DIMENSIONS: Mapping[str, str] = {
    "country": "country",
    "region": "region",
    "isp": "access network",
    "cdn": "delivery network",
    "device_type": "device type",
    "app_version": "app version",
    "connection_type": "connection",
    "content_type": "content",
    "title_id": "title",
}
VALUES: Mapping[str, str] = {
    "smart_tv": "smart TV",
    "streaming_stick": "streaming stick",
    "console": "games console",
    "web": "web browser",
    "ios": "iOS",
    "android": "Android",
    "wifi": "Wi-Fi",
    "vod": "on demand",
}
CHANNELS: Mapping[ChannelName, str] = {ChannelName.EMAIL: "E-mail", ChannelName.IN_APP: "In the app"}
STATES: Mapping[State, str] = {
    State.QUEUED: "waiting to go out",
    State.SENDING: "going out",
    State.SENT: "sent",
    State.FAILED: "could not be sent",
    State.UNKNOWN: "may have been sent; to be settled",
    State.CANCELLED: "cancelled before sending",
}
VERDICTS: Mapping[ReviewVerdict, str] = {
    ReviewVerdict.CONFIRM: "Confirmed",
    ReviewVerdict.FALSE_ALARM: "A false alarm",
    ReviewVerdict.EXPECTED_EVENT: "An expected event",
    ReviewVerdict.WRONG_CAUSE: "The cause was wrong",
    ReviewVerdict.WRONG_SEVERITY: "The severity was wrong",
    ReviewVerdict.SPLIT: "More than one incident",
    ReviewVerdict.MERGE: "Part of another incident",
    ReviewVerdict.NOTE: "Note",
}
SILENCES: Mapping[SilenceKind, str] = {
    SilenceKind.MAINTENANCE: "Planned maintenance.",
    SilenceKind.PREMIERE: "A premiere, as planned.",
    SilenceKind.PRICE_CHANGE: "A change of prices, as planned.",
    SilenceKind.OTHER: "Expected.",
}
QUESTIONS: Mapping[str, str] = {
    "helped": "said whether the notice helped",
    "no_problem": "said that they had no such problem",
    "csat": "rated us",
    "nps": "said whether they would recommend us",
}
LONGEST_VALUE = 48
"""Longer names are cut: a heading must stay a heading."""
LONGEST_SENTENCE = 400
INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
DRILL = "DRILL"
"""Stands wherever something is invented, for practice."""
NO_CAUSE_YET = "No evidence was recorded."


def dimension(name: str) -> str:
    """Name a dimension."""
    return DIMENSIONS.get(name, name)


def value(text: str) -> str:
    """Name a dimension's value; names of networks, places and titles stay as they are, if short enough."""
    return VALUES.get(text, clean(text, LONGEST_VALUE))


def named(name: str, text: str) -> str:
    """Name a value where its dimension does not stand beside it."""
    return f"version {value(text)}" if name == "app_version" else value(text)


def clean(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """Return untrusted text on one line, without control and direction characters, cut if too long."""
    visible = "".join(" " if unicodedata.category(it) in INVISIBLE else it for it in text)
    line = " ".join(visible.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def cohort_name(cohort: Cohort) -> str:
    """Name a cohort in a few words, e.g. ``cdn-a, US-TX``."""
    return ", ".join(named(name, text) for name, text in cohort.values) or "everyone"


def title(incident: Incident) -> str:
    """Name an incident, e.g. ``Buffering: cdn-a, US-TX``."""
    return f"{SIGNALS[incident.signal]}: {cohort_name(incident.cohort)}"


def reason(code: str) -> tuple[str, str]:
    """Return a withheld reason's name and its meaning; an unknown code stands for itself."""
    known = {it.value: words for it, words in REASONS.items()}
    return known.get(code, (code.replace("_", " ").capitalize(), ""))


def verdict(said: ReviewVerdict) -> str:
    """Name what a lead said."""
    return VERDICTS[said]


def silence(planned: Silence) -> str:
    """Name a planned event."""
    return SILENCES[planned.kind]


def answers(given: Answers) -> str:
    """Say how many readers answered a question, and how."""
    who = f"{number(given.count)} {'reader' if given.count == 1 else 'readers'}"
    said = QUESTIONS.get(given.question, f"answered “{clean(given.question, LONGEST_VALUE)}”")
    if given.question == "helped":
        return f"{who} {said}: {share(min(max(given.mean, 0.0), 1.0))} said yes."
    return f"{who} {said}." if given.question == "no_problem" else f"{who} {said}: {given.mean:.1f} on average."


def stars(mean: float | None) -> str:
    """Write a satisfaction of 1 to 5, or a dash where nobody said."""
    return "-" if mean is None else f"{mean:.1f} of 5"


def told_against_held_out(after: Aftermath) -> str:
    """Say what the difference between told and held out comes to, and how sure that is."""
    limits = after.limits
    if limits is None:
        return "Too few people were held out to say whether the notice helped: see the service's measures instead."
    low, high = (f"{abs(100 * it):.0f}" for it in limits)
    if limits[1] < 0:
        return f"Of those told, fewer contacted support than of those held out: by {high} to {low} points of a hundred."
    if limits[0] > 0:
        return f"Of those told, more contacted support than of those held out: by {low} to {high} points of a hundred."
    return f"No difference between told and held out is sure: from {low} points fewer contacts to {high} points more."


def channel(code: str) -> str:
    """Name a channel."""
    return {it.value: words for it, words in CHANNELS.items()}.get(code, code)


def state(code: str) -> str:
    """Name what became of a notice on its way."""
    return {it.value: words for it, words in STATES.items()}.get(code, code)


def moment(time: datetime) -> str:
    """Write a time, e.g. ``9 March 2026, 18:40 UTC``."""
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def short_moment(time: datetime) -> str:
    """Write a time for a table, e.g. ``9 Mar 18:40``."""
    return f"{time.day} {time:%b %H:%M}"


def spread(start: datetime, end: datetime) -> str:
    """Say what the small pictures of regions show."""
    ends = f"{short_moment(start)} to {short_moment(end)} UTC"
    return f"People decided on from {ends}, each region to its own height: when it was reached, and when it passed."


def duration(length: timedelta) -> str:
    """Write a length of time to the minute, e.g. ``2 h 05 min``."""
    minutes = max(round(length.total_seconds() / 60), 0)
    hours, rest = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest:02d} min" if hours else f"{rest} min"


def share(fraction: float) -> str:
    """Write a share of 0 to 1 as per cent; what is nearly all or nearly nothing is never rounded to it."""
    if 0 < fraction < 0.01:
        return "less than 1 %"
    if 0.99 < fraction < 1:
        return "more than 99 %"
    return f"{fraction:.0%}".replace("%", " %")


def number(amount: float) -> str:
    """Write a count with thousands apart; one decimal where it is small and not whole."""
    if amount < 10 and amount != round(amount):
        return f"{amount:.1f}"
    return f"{amount:,.0f}".replace(",", "\u202f")


LESSONS: Mapping[str, str] = {
    "well": "What went well",
    "badly": "What went badly",
    "learned": "What we learned",
    "action": "What we will do",
}


def lesson(kind: str) -> str:
    """Name what a lesson is."""
    return LESSONS.get(kind, kind.capitalize())


def to_do(lesson: Lesson) -> str:
    """Say who does an action, or that it was done; nothing of another lesson."""
    if lesson.kind is not LessonKind.ACTION:
        return ""
    who = f", with {lesson.owner}" if lesson.owner else ""
    return "done" if lesson.done_time else f"to do{who}"
