"""What happened in an incident, in order: onset, detection, notices, complaints, words of leads, the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.report.words import duration, number
from console.support.reading.course import Course
from console.support.reading.people import Tally
from console.support.words import verdict
from incidents.model import Incident, TroubleKind
from incidents.publications import Publication
from incidents.reviews import Review


@dataclass(frozen=True)
class Event:
    """One thing that happened: when, what, and of a word of a person whose it is and what they noted."""

    time: datetime
    text: str
    who: str | None = None
    note: str | None = None


def timeline(
    incident: Incident,
    said: Sequence[Review],
    publication: Publication | None,
    tally: Tally | None,
    course: Course | None,
) -> list[Event]:
    """Return what happened, earliest first; what is still being counted is left out."""
    found = [*_of(incident), *_told(tally), *_complaints(course), *_published(publication)]
    found += [Event(it.reviewed_time, f"{verdict(it.verdict)}.", it.author, it.note) for it in said]
    return sorted(found, key=lambda it: it.time)


def _of(incident: Incident) -> Iterator[Event]:
    lead = duration(incident.detected_time - incident.onset_time)
    yield Event(incident.onset_time, "The trouble began (estimated).")
    yield Event(incident.detected_time, f"The incident was opened, {lead} after its onset.")
    if incident.resolved_time is not None:
        yield Event(incident.resolved_time, "The incident was declared over.")
    else:
        yield Event(incident.updated_time, "It goes on; last judged then.")


def _told(tally: Tally | None) -> Iterator[Event]:
    names = {
        TroubleKind.PROBLEM: "The first notice was decided on.",
        TroubleKind.ALL_CLEAR: "The first all-clear was decided on.",
        TroubleKind.CORRECTION: "The first correction was decided on.",
        TroubleKind.RETRACTION: "The first word that nothing was wrong was decided on.",
    }
    for kind, text in names.items():
        first = None if tally is None else tally.first_time(kind)
        if first is not None:
            yield Event(first, text)


def _complaints(course: Course | None) -> Iterator[Event]:
    heard = None if course is None else course.complaints
    if heard is None or heard.first_time is None or heard.last_time is None:
        return
    early, late = number(heard.early), number(heard.late)
    people = f"{early} contacted support before we had decided on them, {late} after"
    yield Event(heard.first_time, f"The first of those hit contacted support. In all, {people}.")
    if heard.last_time != heard.first_time:
        yield Event(heard.last_time, "The latest of them contacted support.")


def _published(publication: Publication | None) -> Iterator[Event]:
    if publication is not None:
        yield Event(publication.published_time, "It was published on the status page.")
