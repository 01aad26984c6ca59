"""The service's measures as rows and sentences for people."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from console.report.words import duration, share
from incidents.ledger.store import Ledger
from notifiers.effect.measures import PERCENT, SECONDS, Judged, Limited, Measure, Served, Service, service
from notifiers.effect.roll_up import roll_up

NAMES = {
    Measure.CONTACT_RATE: "contact support within a day",
    Measure.CONTACTS_SOON: "contact support within two hours",
    Measure.FIRST_CONTACT_RESOLUTION: "answered at the first contact",
    Measure.CSAT: "satisfaction (CSAT, of 5)",
    Measure.NPS: "recommend us (NPS)",
    Measure.HANDLE_TIME: "time an agent needs",
}
TRAITS = {"region": "region", "language": "language", "device_type": "device"}
NOTHING = "-"


def rolled_up(ledger: Ledger, first: date, last: date, now: datetime) -> Service:
    """Bring the daily sums up to date and return the measures of some days."""
    with ledger.write() as connection:
        roll_up(connection, now)
    with ledger.read() as connection:
        return service(connection, first, last)


def amount(value: float | None, unit: str, *, signed: bool = False) -> str:
    """Write a measure in its unit; a dash where it is not known or hidden."""
    if value is None:
        return NOTHING
    sign = "+" if signed and value > 0 else ""
    if unit == PERCENT:
        return f"{sign}{100 * value:.1f} {'points' if signed else '%'}"
    if unit == SECONDS:
        return f"{sign}{value:.0f} s"
    return f"{sign}{value:.1f}"


def judged_row(it: Judged) -> tuple[str, ...]:
    """Return a measure's row: name, told, held out, difference, limits, verdict."""
    found = it.comparison
    limits = NOTHING
    if found.low is not None and found.high is not None:
        limits = f"{amount(found.low, it.unit, signed=True)} to {amount(found.high, it.unit, signed=True)}"
    shaky = " (few people)" if found.shaky and not found.hidden else ""
    return (
        NAMES[it.measure],
        amount(found.told, it.unit),
        amount(found.held_out, it.unit),
        amount(found.difference, it.unit, signed=True),
        limits,
        it.verdict + shaky,
    )


def served_row(it: Served) -> tuple[str, ...]:
    """Return a group's row: who, people, share told, contact rate, against others, whether they fare worse."""
    who = f"{TRAITS[it.trait]} {it.value}"
    if it.hidden:
        return who, "a few", NOTHING, NOTHING, NOTHING, "too few to show"
    return (
        who,
        str(it.people),
        _share(it.reached),
        _share(it.contact_rate),
        amount(it.against_others.value if it.against_others else None, PERCENT, signed=True),
        "served worse" if it.worse else "",
    )


def summary(found: Service) -> list[str]:
    """Return what else there is to say, in sentences; what is not known is left out."""
    sentences = []
    if found.preempted is not None:
        sentences.append(f"Of the complaints to be expected, notices spared {_limits(found.preempted)}.")
    if found.caused is not None:
        low, high = found.caused.low, found.caused.high
        sentences.append(
            f"Contacts soon after a notice, beyond those of the held out: between {low:.0f} and {high:.0f}."
        )
    if found.in_time is not None:
        sentences.append(f"Of those told who complained at all, {_limits(found.in_time)} had the notice first.")
    if found.lead_seconds is not None:
        lead = duration(timedelta(seconds=found.lead_seconds))
        sentences.append(f"A notice comes {lead} before a complaint, by those held out.")
    if found.notices_per_incident is not None:
        sentences.append(f"People told by shared incident: {found.notices_per_incident:.1f}.")
    return sentences


def _share(it: Limited | None) -> str:
    return NOTHING if it is None else share(it.value)


def _limits(it: Limited) -> str:
    return f"{100 * it.value:.0f} % (between {100 * it.low:.0f} and {100 * it.high:.0f})"
