"""The console's own words: for verdicts of leads, states, the audit trail, and what was just done."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from console.report.words import LESSONS as LESSON_KINDS
from console.report.words import short_moment
from incidents.reviews import ReviewVerdict
from incidents.silences import SilenceKind

VERDICTS: Mapping[str, str] = {
    ReviewVerdict.CONFIRM: "Confirmed",
    ReviewVerdict.FALSE_ALARM: "False alarm",
    ReviewVerdict.EXPECTED_EVENT: "Expected event",
    ReviewVerdict.WRONG_CAUSE: "Wrong cause",
    ReviewVerdict.WRONG_SEVERITY: "Wrong severity",
    ReviewVerdict.SPLIT: "Split",
    ReviewVerdict.MERGE: "Part of another",
    ReviewVerdict.NOTE: "Note",
}
VERDICT_MEANS: Mapping[str, str] = {
    ReviewVerdict.CONFIRM: "It was what it says.",
    ReviewVerdict.FALSE_ALARM: "Nothing was wrong. It is closed, and who was told may be put right after approval.",
    ReviewVerdict.EXPECTED_EVENT: "Planned or known. Nobody of this group is told until it is over.",
    ReviewVerdict.WRONG_CAUSE: "It was real, but on another side. New notices name the right one.",
    ReviewVerdict.WRONG_SEVERITY: "It was real, but larger or smaller.",
    ReviewVerdict.MERGE: "It is one with another incident.",
    ReviewVerdict.SPLIT: "Two or more things happened at once.",
    ReviewVerdict.NOTE: "Nothing changes; your words are kept.",
}
SILENCE_KINDS: Mapping[str, str] = {
    SilenceKind.MAINTENANCE: "Maintenance",
    SilenceKind.PREMIERE: "Premiere",
    SilenceKind.PRICE_CHANGE: "Price change",
    SilenceKind.OTHER: "Something else",
}
STOP_KINDS: Mapping[str, str] = {
    "person": "stopped by a person",
    "flood": "more notices than usual were about to go out",
    "refused": "the provider refuses us",
    "rate": "the provider asks us to go slower",
}
QUALITY_KINDS: Mapping[str, str] = {
    "telemetry_missing": "Telemetry is missing",
    "viewers_missing": "Viewers are missing",
}
SCENARIOS: Mapping[str, str] = {
    "delivery": "A delivery network falters",
    "network": "An internet provider fails",
    "rights": "Playback is refused",
}
TASKS: Mapping[str, str] = {
    "acknowledge": "Say who looks after it, or a first word",
    "approve": "Decide on what waits for approval",
    "publish": "Publish it on the status page",
    "review": "Say what it was",
    "verdict": "The right verdict",
}
QUESTIONS: Mapping[str, str] = {
    "helped": "Did this help?",
    "no_problem": "I did not have a problem",
    "csat": "Satisfaction, 1 to 5",
    "nps": "Would recommend us, 0 to 10",
    "note": "In their words",
}
DONE: Mapping[str, str] = {
    "reviewed": "Your review was saved.",
    "owner": "The owner was changed.",
    "stopped": "Sending has stopped. What waits stays in the outbox.",
    "resumed": "Sending goes on.",
    "approved": "Approved: the notices go out.",
    "refused": "Refused: nobody else is told of this.",
    "planned": "The silence was planned.",
    "ended": "The silence was ended.",
    "published": "It is on the status page.",
    "updated": "The status page says so now.",
    "withdrawn": "It was taken off the status page.",
    "report": "The report was made.",
    "signed-out": "Their sessions were ended.",
    "learned": "It was kept.",
    "done": "Done.",
    "drill": "The drill is being made: it takes about half a minute.",
    "drill-over": "The drill is over.",
}
"""What a page says after a change, by the code in its address: no text of a caller's is ever shown."""
ACTIONS: Mapping[str, str] = {
    "case.reviewed": "reviewed",
    "case.handed_over": "changed the owner of",
    "sending.stopped": "stopped sending",
    "sending.resumed": "resumed sending",
    "rollout.approved": "approved telling the audience of",
    "rollout.refused": "refused telling the audience of",
    "silence.planned": "planned",
    "silence.ended": "ended",
    "silence.moved": "moved the end of",
    "lesson.written": "wrote down what was learned of",
    "lesson.done": "did what was learned of",
    "case.looked_at": "looked at the case of",
    "case.handed_out": "downloaded the case of",
    "correction.withdrawn": "withdrew the correction for",
    "drill.started": "started",
    "drill.ended": "ended",
    "session.began": "signed in to",
    "session.ended": "signed out of",
    "session.ended_for": "signed somebody out of",
    "status.published": "put on the status page",
    "status.updated": "posted an update on",
    "status.withdrawn": "took off the status page",
    "report.made": "made a report of",
    "digest.sent": "mailed the digest",
    "message.settled": "settled",
    "preference.chosen": "recorded the choice of",
    "preference.taken_back": "took back the choice of",
}


def scope(code: str) -> str:
    """Name what a stop covers."""
    kind, _, what = code.partition(":")
    if kind == "incident":
        return f"incident {what}"
    return {"all": "all notices", "channel:email": "e-mail", "channel:in_app": "cards in the app"}.get(code, code)


def action(code: str) -> str:
    """Name what somebody did."""
    return ACTIONS.get(code, code.replace(".", " ").replace("_", " "))


def particular(value: object) -> str:
    """Say a value of the audit trail: a time as people write it, a group by its values."""
    if isinstance(value, Mapping):
        return ", ".join(str(it) for it in value.values())
    if isinstance(value, str) and len(value) > len("2026-05-13"):
        with suppress(ValueError):
            return short_moment(datetime.fromisoformat(value))
    return str(value)


def verdict(code: str) -> str:
    """Name a lead's verdict."""
    return VERDICTS.get(code, code.replace("_", " ").capitalize())


def ago(then: datetime, now: datetime) -> str:
    """Say how long ago something was, e.g. ``3 h 05 min ago``."""
    from console.report.words import duration  # noqa: PLC0415 - keeps this file free of the report's names

    return "just now" if now - then < timedelta(minutes=1) else f"{duration(now - then)} ago"


def reference(notice_id: str) -> str:
    """Return what a person reads out to support."""
    return "-".join(notice_id[start : start + 4] for start in (0, 4, 8)).upper()


def masked(address: str | None) -> str:
    """Return an address of which enough is left to be recognised by whoever knows it."""
    if not address:
        return ""
    name, _, host = address.partition("@")
    return f"{name[:1]}…@{host}"


def lesson_kind(code: str) -> str:
    """Name what a lesson is."""
    return LESSON_KINDS.get(code, "Note of a review")


def question(code: str) -> str:
    """Name what a reader was asked."""
    return QUESTIONS.get(code, code.replace("_", " ").capitalize())


def answer(code: str, value: int | None) -> str:
    """Say what a reader answered."""
    if value is None:
        return ""
    return ("no", "yes")[bool(value)] if code in ("helped", "no_problem") else str(value)
