"""A first draft of what the public may read of an incident: plain words, and no names of what is inside."""

from __future__ import annotations

from dataclasses import dataclass

from babel import Locale

from console.report import words
from incidents.model import Incident
from incidents.publications import INTERNAL
from telemetry.contract import Signal

TITLES = {
    Signal.BUFFERING: "Videos stop to load",
    Signal.STARTUP: "Videos are slow to start",
    Signal.FAILURE: "Some videos do not play",
    Signal.ACCESS: "Some people cannot start videos",
}
FIRST_WORDS = "We are aware of this and are looking into it. You need not do anything. We will post an update here."
WITH_ARTICLE = ("United ", "Netherlands", "Philippines", "Bahamas", "Maldives")
_ENGLISH = Locale("en")


@dataclass(frozen=True)
class Draft:
    """What a lead may change and then publish."""

    title: str
    scope: str
    words: str = FIRST_WORDS


def draft_of(incident: Incident, *, names_allowed: bool = False) -> Draft:
    """Draft a publication of an incident.

    Parameters
    ----------
    incident
        Which incident.
    names_allowed
        Whether networks, versions and titles may be named.
    """
    values = dict(incident.cohort.values)
    country = values.pop("country", None) or values.get("region", "")[:2]
    parts = [] if values.pop("region", None) is None else ["in one region of " + _country(country)]
    if not parts and country:
        parts = [f"in {_country(country)}"]
    shown = [words.named(name, value) for name, value in values.items() if names_allowed or name not in INTERNAL]
    who = "Some viewers" if not shown else f"Some viewers ({', '.join(shown)})"
    return Draft(TITLES[incident.signal], f"{who} {' '.join(parts)}".strip() + ".")


def _country(code: str) -> str:
    name = str(_ENGLISH.territories.get(code, code))
    return f"the {name}" if name.startswith(WITH_ARTICLE) else name
