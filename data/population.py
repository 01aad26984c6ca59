"""Who watches: subscribers, their devices and networks, and how the outside world knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from data.arrays import DAY_MS, Floats, Ints, chances, epoch_ms
from data.market import Country
from data.recipe import Recipe
from data.vocabulary import Vocabulary
from telemetry.contract import DEVICE_TYPES, DIMENSIONS

DEVICE_SHARES = {
    "smart_tv": 0.3,
    "streaming_stick": 0.2,
    "console": 0.09,
    "web": 0.12,
    "ios": 0.14,
    "android": 0.15,
}
HOME_DIMENSIONS = ("country", "region", "isp")
MAX_DEVICES = 3
FIRST_WORDS = ("Amber", "Basil", "Coral", "Dylan", "Esme", "Fern", "Gaspard", "Hazel", "Ivy", "Juniper")
SECOND_WORDS = ("Ashgrove", "Brookmoss", "Clovermead", "Dunelark", "Elderfen", "Fernhollow", "Gorsewick", "Heronsby",
                "Larkmere", "Reedwater")  # fmt: skip
HOSTILE_NAMES = (
    "",
    "   ",
    "<img src=x onerror=alert(1)>",
    '"><script>alert("hi")</script>',
    "{{ 7 * 7 }}{% raw %}",
    "O'\"Brien & Søn <b>",
    "first line\nsecond line\r\nBcc: someone@example.org",
    "بيت القمر",
    "\u202egnirts",
    "w" * 4000,
)
"""Names as people and attackers type them; nothing that shows one may break."""


@dataclass(frozen=True)
class Population:
    """Subscribers as arrays, one entry each; values of dimensions are codes of the vocabulary.

    Parameters
    ----------
    ids, timezones, locales
        Pseudonym, IANA zone and BCP 47 tag.
    country, region, isp
        Where they live, and their access network at home.
    rate
        Sessions a day on an average day.
    stall_x, startup_x
        The quality of their home relative to the average one.
    devices
        Up to three device types each, the commonest first; -1 fills.
    is_wired
        Whether the television is on a cable.
    """

    ids: tuple[str, ...]
    timezones: tuple[str, ...]
    locales: tuple[str, ...]
    country: Ints
    region: Ints
    isp: Ints
    rate: Floats
    stall_x: Floats
    startup_x: Floats
    devices: Ints
    is_wired: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def homes(self) -> Ints:
        """Where each subscriber lives, as a table of codes with a column a dimension; -1 where it varies."""
        table = np.full((len(self), len(DIMENSIONS)), -1, dtype=np.int64)
        for name in HOME_DIMENSIONS:
            table[:, DIMENSIONS.index(name)] = getattr(self, name)
        return table

    def home_part(self, cohort: Mapping[str, str]) -> dict[str, str]:
        """Return the part of a cohort that is decided by where someone lives."""
        return {name: value for name, value in cohort.items() if name in HOME_DIMENSIONS}

    def local_offset_ms(self, recipe: Recipe) -> Ints:
        """Return each subscriber's offset from UTC by day of the world, shape (subscribers, days + 1)."""
        zones = sorted(set(self.timezones))
        days = [recipe.start + timedelta(days=day, hours=12) for day in range(recipe.days + 1)]
        table = np.array([[offset_ms(zone, day) for day in days] for zone in zones], dtype=np.int64)
        offsets: Ints = table[np.array([zones.index(zone) for zone in self.timezones])]
        return offsets


def offset_ms(zone: str, moment: datetime) -> int:
    """Return how far a zone's clocks are ahead of UTC, in milliseconds."""
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def populate(recipe: Recipe, vocabulary: Vocabulary, rng: np.random.Generator) -> Population:
    """Draw the subscribers of a world."""
    count = recipe.subscribers
    countries = recipe.market.countries
    country = rng.choice(len(countries), count, p=chances(it.share for it in countries))
    choose = _chooser(countries, country, rng)
    regions = choose(lambda it: {region.code: region.share for region in it.regions})
    isps = choose(lambda it: it.isps)
    zone_of = {region.code: region.timezone for it in countries for region in it.regions}
    return Population(
        ids=tuple(f"sub-{number:08x}" for number in rng.choice(2**32, count, replace=False)),
        timezones=tuple(zone_of[region] for region in regions),
        locales=tuple(choose(lambda it: it.locales)),
        country=country,
        region=np.array([vocabulary.code("region", region) for region in regions]),
        isp=np.array([vocabulary.code("isp", isp) for isp in isps]),
        rate=recipe.sessions_per_day * rng.gamma(0.75, 1 / 0.75, count) + 0.05,
        stall_x=rng.lognormal(-0.25, 0.7, count),
        startup_x=rng.lognormal(0.0, 0.22, count),
        devices=_devices(count, rng),
        is_wired=(rng.random(count) < 0.27).astype(np.int64),
    )


def _chooser(
    countries: tuple[Country, ...], country: Ints, rng: np.random.Generator
) -> Callable[[Callable[[Country], dict[str, float]]], list[str]]:
    def choose(shares_of: Callable[[Country], dict[str, float]]) -> list[str]:
        shares = [shares_of(it) for it in countries]
        return [str(rng.choice(list(shares[c]), p=chances(shares[c].values()))) for c in country]

    return choose


def _devices(count: int, rng: np.random.Generator) -> Ints:
    shares = chances(DEVICE_SHARES[device] for device in DEVICE_TYPES)
    order = np.argsort(-np.log(rng.random((count, len(shares)))) / shares, axis=1)[:, :MAX_DEVICES]
    owned = rng.choice(np.arange(1, MAX_DEVICES + 1), count, p=[0.45, 0.35, 0.2])
    return np.where(np.arange(MAX_DEVICES) < owned[:, None], order, -1)


def subscribers_table(
    population: Population, recipe: Recipe, vocabulary: Vocabulary, rng: np.random.Generator
) -> pa.Table:
    """Return the contract's ``subscribers`` table."""
    count = len(population)
    age_ms = (rng.gamma(1.5, 400, count) * DAY_MS).astype(np.int64)
    created = [
        datetime.fromtimestamp((epoch_ms(recipe.start) - age) / 1000, UTC).replace(tzinfo=None) for age in age_ms
    ]
    return pa.table(
        {
            "subscriber_id": list(population.ids),
            "email": [f"{subscriber}@example.net" for subscriber in population.ids],
            "display_name": _names(count, recipe.dirt.hostile_name_share, rng),
            "locale": list(population.locales),
            "timezone": list(population.timezones),
            "country": [vocabulary.values["country"][code] for code in population.country],
            "region": [vocabulary.values["region"][code] for code in population.region],
            "email_opt_in": rng.random(count) < 0.83,
            "in_app_opt_in": rng.random(count) < 0.7,
            "no_phone": rng.random(count) < 0.04,
            "created_at": pa.array(created, pa.timestamp("us")),
        }
    )


def _names(count: int, hostile_share: float, rng: np.random.Generator) -> list[str]:
    first, second = rng.choice(FIRST_WORDS, count), rng.choice(SECOND_WORDS, count)
    is_short = rng.integers(1, 999, count) % 2 == 0
    plain = [a if short else f"{a} {b}" for a, b, short in zip(first, second, is_short, strict=True)]
    hostile = cycle(HOSTILE_NAMES)
    return [
        next(hostile) if is_hostile else name
        for name, is_hostile in zip(plain, rng.random(count) < hostile_share, strict=True)
    ]
