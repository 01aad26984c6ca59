"""The invented markets that worlds are set in: real places, made-up networks, services and titles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """A part of a country: ISO 3166-2 code, IANA time zone, and share of the country's subscribers."""

    code: str
    timezone: str
    share: float


@dataclass(frozen=True)
class Country:
    """A country: its share of subscribers, its regions, its access networks and locales with their shares."""

    code: str
    share: float
    regions: tuple[Region, ...]
    isps: dict[str, float]
    locales: dict[str, float]


@dataclass(frozen=True)
class Market:
    """Where a service streams, over which delivery networks, and what is on.

    Parameters
    ----------
    countries
        Places with subscribers.
    cdns
        Delivery networks and their share of sessions, before each region's own preference.
    series
        Names from which on-demand titles are numbered.
    titles, channels
        How many on-demand titles and live channels there are.
    """

    countries: tuple[Country, ...]
    cdns: dict[str, float]
    series: tuple[str, ...]
    titles: int = 1500
    channels: int = 12


MERIDIAN = Market(
    countries=(
        Country(
            "US",
            0.46,
            (
                Region("US-IL", "America/Chicago", 0.44),
                Region("US-FL", "America/New_York", 0.32),
                Region("US-WA", "America/Los_Angeles", 0.24),
            ),
            {"Harborlight Fiber": 0.4, "Quillwave Cable": 0.35, "Tallgrass Online": 0.25},
            {"en-US": 0.85, "es-US": 0.15},
        ),
        Country(
            "FR",
            0.25,
            (Region("FR-IDF", "Europe/Paris", 0.6), Region("FR-OCC", "Europe/Paris", 0.4)),
            {"Fibre Bleuet": 0.55, "Câble Orme": 0.45},
            {"fr-FR": 0.92, "en-FR": 0.08},
        ),
        Country(
            "MX",
            0.19,
            (Region("MX-CMX", "America/Mexico_City", 0.75), Region("MX-BCN", "America/Tijuana", 0.25)),
            {"Red Zafiro": 0.6, "Enlace Nopal": 0.4},
            {"es-MX": 1.0},
        ),
        Country(
            "NZ",
            0.10,
            (Region("NZ-AUK", "Pacific/Auckland", 0.8), Region("NZ-OTA", "Pacific/Auckland", 0.2)),
            {"Kowhai Net": 0.65, "Southern Loop": 0.35},
            {"en-NZ": 1.0},
        ),
    ),
    cdns={"cdn-amber": 0.4, "cdn-basalt": 0.35, "cdn-cobalt": 0.25},
    series=("glass-harbour", "the-ninth-tram", "salt-road", "paper-moons", "low-tide", "night-bakery"),
)
"""The market of the demo: evenings come at four different times of the day."""

BOREAL = Market(
    countries=(
        Country(
            "CA",
            0.4,
            (
                Region("CA-ON", "America/Toronto", 0.5),
                Region("CA-BC", "America/Vancouver", 0.3),
                Region("CA-NL", "America/St_Johns", 0.2),
            ),
            {"Loonlake Telecom": 0.5, "Sprucewire": 0.3, "Foghorn Cable": 0.2},
            {"en-CA": 0.8, "fr-CA": 0.2},
        ),
        Country(
            "SE",
            0.3,
            (Region("SE-AB", "Europe/Stockholm", 0.7), Region("SE-BD", "Europe/Stockholm", 0.3)),
            {"Norrskensnät": 0.6, "Tallkotte Bredband": 0.4},
            {"sv-SE": 0.9, "en-SE": 0.1},
        ),
        Country(
            "EG",
            0.12,
            (Region("EG-C", "Africa/Cairo", 1.0),),
            {"Lotus Link": 0.7, "Delta Wave": 0.3},
            {"ar-EG": 1.0},
        ),
        Country(
            "JP",
            0.18,
            (Region("JP-13", "Asia/Tokyo", 0.65), Region("JP-01", "Asia/Tokyo", 0.35)),
            {"Hikari Kawa": 0.55, "Yukimichi Net": 0.45},
            {"ja-JP": 1.0},
        ),
    ),
    cdns={"cdn-umber": 0.5, "cdn-viridian": 0.3, "cdn-wheat": 0.2},
    series=("long-winter", "ferry-nine", "the-cartographer", "red-kettle"),
    titles=800,
    channels=8,
)
"""A second market with other names, time zones and proportions, so that nothing is fitted to the first."""

MARKETS = {"meridian": MERIDIAN, "boreal": BOREAL}
