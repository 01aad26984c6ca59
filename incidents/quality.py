"""Notices of missing telemetry and of missing viewers, for ops: opened once, kept up to date, closed.

They are no incidents. A collector that loses events says nothing about what viewers see, and an outage so complete that
players cannot report has no evidence of the usual kind. Subscribers never hear of either by these notices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from detectors.finding import Cohort
from detectors.observations import Observations, Vocabularies, slot_of, slot_start
from detectors.silence import Silence, SilenceRule, SilentCohort
from detectors.tally import Course, Part
from detectors.volume import PLAYS, PRESENCE, VOLUME_DIMENSIONS, VOLUME_PLACES, SeasonalVolume

CUT = 0.3
"""Share of running sessions seen again below which they were cut; four in five go on for a quarter of an hour."""
TOGETHER = 0.8
"""Share of the networks, and of the CDNs, that must be silent for it to be all of them: small ones flicker."""
BACK = 0.6
"""Share of what is expected from which traffic is back."""
PROOF = 0.15
"""Share of what was missing that, come late, proves that viewers were there."""
LATE_FOR = timedelta(hours=6)
"""How long after its end a notice still takes note of late rows."""
STALE_AFTER = timedelta(hours=24)
"""A silence that lasts longer is taken to be the new level: the memory of what came before it ends."""
HELD_BACK = "Much of what was missing came late: viewers were there, and their telemetry was held back."
NOBODY = -2
"""The code of a value that has not been seen."""


class QualityKind(StrEnum):
    """What is missing."""

    MISSING_TELEMETRY = "missing_telemetry"
    MISSING_VIEWERS = "missing_viewers"


class Measure(StrEnum):
    """What was counted: slices of sessions that are there, or plays begun."""

    PRESENCE = "presence"
    PLAYS = "plays"


NUMBERS = {Measure.PRESENCE: PRESENCE, Measure.PLAYS: PLAYS}
MEASURE_WORDS = {Measure.PRESENCE: "five-minute slices of viewing", Measure.PLAYS: "plays"}


@dataclass(frozen=True)
class QualityNotice:
    """One silence of one cohort, for ops.

    Parameters
    ----------
    notice_id
        Made of the cohort and the window that found it, so a window that is run twice opens the same notice.
    kind, cohort, measure
        What is missing, from whom, and by which count.
    since, detected_time, until, updated_time
        When it began, was found, ended (None while it goes on) and was looked at last.
    expected, observed
        Counts between `since` and `until`, or now.
    late
        Counts of that time that came after it had been looked at.
    surprise
        Of the most surprising window when it was found, in nats.
    reasons
        Sentences: why it is of this kind, and what happened to it.
    """

    notice_id: str
    kind: QualityKind
    cohort: Cohort
    measure: Measure
    since: datetime
    detected_time: datetime
    until: datetime | None
    expected: float
    observed: float
    late: float
    surprise: float
    reasons: tuple[str, ...]
    updated_time: datetime

    @property
    def is_open(self) -> bool:
        """Whether the silence goes on."""
        return self.until is None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What ops should read."""
        begun = f"{self.since:%H:%M}"
        when = f"since {begun} UTC" if self.until is None else f"from {begun} until {self.until:%H:%M} UTC"
        counts = f"{self.observed - self.late:,.0f} of about {self.expected:,.0f} {MEASURE_WORDS[self.measure]}"
        came = f"came in time {when}, and {self.late:,.0f} late" if self.late else f"came {when}"
        return (f"From {self.cohort}, {counts} {came}.", *self.reasons)


def kind_of(silent: SilentCohort) -> QualityKind:
    """Return what is missing from a silent cohort.

    It is telemetry if everything stops at once: the cohort is no single network or CDN, nearly all of its networks (two
    at least) and CDNs are silent together, and the sessions that were running are cut and not seen again. No outage on
    the viewers' side does that: networks fail one by one, and without a CDN a player still reports its failures.

    It is viewers in all other cases: one network or CDN is silent while the rest of its country goes on, sessions run
    out while no new ones begin, or only plays are missing.

    Limits: a power cut or a cable that takes a whole region off looks like missing telemetry until it is over; so does
    an outage of everything. Rows that come late afterwards settle it: they turn missing viewers into missing telemetry,
    and only they do. A collector of its own for one network looks like that network's outage.
    """
    alone = silent.part.dimension in (VOLUME_DIMENSIONS.index("isp"), VOLUME_DIMENSIONS.index("cdn"))
    if alone or silent.measure == PLAYS:
        return QualityKind.MISSING_VIEWERS
    networks = silent.silent_networks >= max(2.0, TOGETHER * silent.networks)
    cdns = silent.silent_cdns >= max(1.0, TOGETHER * silent.cdns)
    cut = silent.continued <= CUT
    return QualityKind.MISSING_TELEMETRY if networks and cdns and cut else QualityKind.MISSING_VIEWERS


@dataclass(frozen=True)
class QualityWatch:
    """Opens, follows and closes quality notices.

    Parameters
    ----------
    volume
        How much is usual.
    words
        The vocabularies of all codes.
    rule
        When less is silence.
    """

    volume: SeasonalVolume
    words: Vocabularies
    rule: SilenceRule = field(default_factory=SilenceRule)

    def step(self, rows: Observations, known: Sequence[QualityNotice], now: datetime) -> list[QualityNotice]:
        """Return the notices that are new or have changed.

        Parameters
        ----------
        rows
            The recent slices, those of the window that ends now included.
        known
            The open notices, and those closed within `LATE_FOR`.
        now
            The end of the window.
        """
        followed = [self._follow(notice, rows, now) for notice in known if notice.is_open]
        closed = [self._late(notice, rows, now) for notice in known if _may_fill(notice, now)]
        parts = [self._part(notice.cohort) for notice in followed if notice.is_open]
        silent = Silence(self.volume, self.rule).find(rows, slot_of(now), parts)
        return [
            *followed,
            *(notice for notice in closed if notice not in known),
            *(self._opened(s, now) for s in silent),
        ]

    def _opened(self, silent: SilentCohort, now: datetime) -> QualityNotice:
        cohort, kind = self._cohort(silent.part), kind_of(silent)
        return QualityNotice(
            notice_id=f"dq-{hashlib.sha256(f'{cohort.json} {now:%Y%m%dT%H%M%S}'.encode()).hexdigest()[:12]}",
            kind=kind,
            cohort=cohort,
            measure=Measure.PLAYS if silent.measure == PLAYS else Measure.PRESENCE,
            since=slot_start(silent.since_slot),
            detected_time=now,
            until=None,
            expected=silent.expected,
            observed=silent.observed,
            late=0.0,
            surprise=silent.surprise,
            reasons=_why(silent, kind),
            updated_time=now,
        )

    def _follow(self, notice: QualityNotice, rows: Observations, now: datetime) -> QualityNotice:
        """Bring an open notice up to date, and close it where traffic is back or it has become the usual."""
        course = self._course(notice, rows, slot_of(now) - self.rule.settling)
        number = NUMBERS[notice.measure]
        judged = slot_of(notice.updated_time) - self.rule.settling
        notice = _counted(_with_late(notice, course.until(judged)), course)
        notice = replace(notice, updated_time=now)
        if self._is_back(course, number):
            back = course.since(max(judged - 1, slot_of(notice.since)))
            until = slot_start(back.turn(number, self.rule.most_left / 3, back=True))
            notice = _counted(notice, course.until(slot_of(until)))
            return replace(notice, until=until, reasons=(*notice.reasons, f"Traffic is back since {until:%H:%M} UTC."))
        if now - notice.since >= STALE_AFTER:
            reason = "Nothing has come back in a day: this is taken to be the new level."
            return replace(notice, until=now, reasons=(*notice.reasons, reason))
        return notice

    def _is_back(self, course: Course, number: int) -> bool:
        """Whether in any window most of what is expected has come, and enough is expected to tell."""
        end = int(course.slots[-1]) + 1
        sums = [course.since(end - window).sums(number) for window in self.rule.windows if window <= len(course.slots)]
        return any(due >= self.rule.least[number] / 4 and seen >= BACK * due for seen, due in sums)

    def _late(self, notice: QualityNotice, rows: Observations, now: datetime) -> QualityNotice:
        """Take note of rows that came late to a gap that is over."""
        course = self._course(notice, rows, slot_of(notice.until or now))
        filled = _with_late(notice, course)
        if filled.late - notice.late < PROOF * notice.expected:
            return notice
        return replace(_counted(filled, course), updated_time=now)

    def _course(self, notice: QualityNotice, rows: Observations, end: int) -> Course:
        since = slot_of(notice.since)
        silence = Silence(self.volume, self.rule)
        return silence.course(rows, self._part(notice.cohort), since, max(end, since + 1))

    def _cohort(self, part: Part) -> Cohort:
        if part.dimension < 0:
            return Cohort()
        text = self.words.dimensions[VOLUME_PLACES[part.dimension]].text(part.code)
        return Cohort.of({VOLUME_DIMENSIONS[part.dimension]: text})

    def _part(self, cohort: Cohort) -> Part:
        if not cohort.values:
            return Part()
        ((name, value),) = cohort.values
        dimension = VOLUME_DIMENSIONS.index(name)
        code = self.words.dimensions[VOLUME_PLACES[dimension]].find(value)
        return Part(dimension, code if code >= 0 else NOBODY)


def _may_fill(notice: QualityNotice, now: datetime) -> bool:
    return notice.until is not None and now - notice.until <= LATE_FOR


def _with_late(notice: QualityNotice, judged: Course) -> QualityNotice:
    """Return a notice with what came late to the time that had been judged; enough of it proves missing telemetry."""
    seen, _ = judged.sums(NUMBERS[notice.measure])
    late = notice.late + max(seen - notice.observed, 0.0)
    if HELD_BACK in notice.reasons or late < PROOF * notice.expected:
        return replace(notice, late=late)
    return replace(notice, late=late, kind=QualityKind.MISSING_TELEMETRY, reasons=(*notice.reasons, HELD_BACK))


def _counted(notice: QualityNotice, course: Course) -> QualityNotice:
    seen, due = course.sums(NUMBERS[notice.measure])
    return replace(notice, observed=seen, expected=due, late=min(notice.late, seen))


def _why(silent: SilentCohort, kind: QualityKind) -> tuple[str, ...]:
    of = f"{silent.silent_networks} of {silent.networks} networks and {silent.silent_cdns} of {silent.cdns} CDNs in it"
    if kind is QualityKind.MISSING_TELEMETRY:
        again = f"{silent.continued:.0%} of the sessions that were running were seen again"
        return (
            f"Everything stopped at once: {of} are silent, and {again}.",
            "Missing telemetry: look at the collector first. Nothing is said to subscribers.",
        )
    if silent.measure == PLAYS:
        return ("Sessions go on, but hardly any begins.", "Suspected outage: players cannot start or cannot report it.")
    return (
        f"The rest of the service goes on; {of} are silent.",
        "Suspected outage: players cannot report.",
    )
