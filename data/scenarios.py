"""Named scenarios: recipes drawn by seed, so that an evaluation never sees the same faults twice.

Each function draws places, times and strengths from `rng`; what makes the scenario hard stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from data.arrays import chances
from data.demo import RECIPE as DEMO
from data.market import MARKETS, Country, Market
from data.population import offset_ms
from data.recipe import Effect, Fault, Harmless, LookAlike, Profile, Recipe, Release
from data.vocabulary import ESTABLISHED_VERSIONS
from incidents.model import Cause
from telemetry.contract import Signal

FIRST_MONDAYS = (
    datetime(2026, 1, 12, tzinfo=UTC),
    datetime(2026, 6, 15, tzinfo=UTC),
    datetime(2026, 9, 7, tzinfo=UTC),
)
TELEVISIONS = ("smart_tv", "streaming_stick", "console")
PHONES_AND_WEB = ("ios", "android", "web")


@dataclass(frozen=True)
class Draw:
    """Draws the parts of a recipe: where, when and how badly."""

    base: Recipe
    rng: np.random.Generator

    @property
    def market(self) -> Market:
        """The market that the world is set in."""
        return self.base.market

    def country(self) -> Country:
        """Draw a country, large ones more often."""
        shares = chances(it.share for it in self.market.countries)
        return self.market.countries[int(self.rng.choice(len(shares), p=shares))]

    def one(self, names: tuple[str, ...] | list[str]) -> str:
        """Draw one of some names."""
        return names[int(self.rng.integers(len(names)))]

    def evening(self, country: Country, *, day: int | None = None) -> datetime:
        """Draw a moment of a country's evening on one of the days after history."""
        last = self.base.days - self.base.quiet_days
        chosen = int(self.rng.integers(last)) if day is None else day
        midnight = self.base.evaluate_from + timedelta(days=chosen)
        shift = offset_ms(country.regions[0].timezone, midnight)
        hours = float(self.rng.uniform(18.0, 20.5)) - shift / 3_600_000
        return midnight + timedelta(minutes=round(60 * (hours % 24)))

    def span(self, start: datetime, low_hours: float, high_hours: float) -> tuple[datetime, datetime]:
        """Return `start` and an end some hours later, within the world."""
        hours = float(self.rng.uniform(low_hours, high_hours))
        return start, min(start + timedelta(minutes=round(60 * hours)), self.base.end)

    def degraded(self, strength: float = 1.0) -> Effect:
        """Draw a delivery that stalls; strength 1 is plain to see."""
        return Effect(
            stall_x=1 + strength * float(self.rng.uniform(6, 11)),
            stalls_per_hour=strength * float(self.rng.uniform(10, 26)),
            stall_length_x=1 + strength * float(self.rng.uniform(0.4, 1.1)),
            startup_x=1 + strength * float(self.rng.uniform(0.6, 1.4)),
            failures_per_hour=strength * 0.17,
            error_class="cdn",
        )

    def broken(self, error_class: str) -> Effect:
        """Draw a delivery that fails outright and stalls where it does not."""
        return replace(
            self.degraded(0.6),
            fail_p=float(self.rng.uniform(0.35, 0.65)),
            failures_per_hour=float(self.rng.uniform(0.9, 2.2)),
            error_class=error_class,
        )

    def refused(self, error_class: str) -> Effect:
        """Draw a refusal of most attempts."""
        return Effect(deny_p=float(self.rng.uniform(0.78, 0.95)), error_class=error_class)

    # Faults, one function a kind.

    def cdn_region(self, strength: float = 1.0) -> Fault:
        """One delivery network stalls in one region."""
        country = self.country()
        cohort = {"cdn": self.one(list(self.market.cdns)[:2]), "region": country.regions[0].code}
        start, end = self.span(self.evening(country), 2, 5)
        return Fault("cdn_region", Signal.BUFFERING, cohort, start, end, self.degraded(strength))

    def cdn_country(self) -> Fault:
        """One delivery network fails in a whole country, sharply and shortly."""
        country = self.country()
        cohort = {"cdn": self.one(list(self.market.cdns)), "country": country.code}
        start, end = self.span(self.evening(country), 0.4, 1.0)
        return Fault("short_sharp", Signal.FAILURE, cohort, start, end, self.broken("cdn"))

    def isp_outage(self) -> Fault:
        """One access network loses connections."""
        country = self.country()
        cohort = {"isp": self.one(list(country.isps))}
        start, end = self.span(self.evening(country), 1.2, 2.5)
        return Fault("isp_outage", Signal.FAILURE, cohort, start, end, self.broken("network"), Cause.ISP)

    def isp_congestion(self) -> Fault:
        """One access network is too narrow for the evening."""
        country = self.country()
        start, end = self.span(self.evening(country), 3, 5)
        effect = replace(self.degraded(0.45), failures_per_hour=0.0, bitrate_x=0.65)
        cohort = {"isp": self.one(list(country.isps))}
        return Fault("isp_congestion", Signal.BUFFERING, cohort, start, end, effect, Cause.ISP)

    def drm_outage(self) -> Fault:
        """Licences are refused on one device type."""
        start, end = self.span(self.evening(self.country()), 0.8, 2)
        cohort = {"device_type": self.one(TELEVISIONS)}
        return Fault("drm_outage", Signal.ACCESS, cohort, start, end, self.refused("drm"))

    def auth_outage(self) -> Fault:
        """Nobody can sign in in one country."""
        country = self.country()
        start, end = self.span(self.evening(country), 0.6, 1.5)
        return Fault("auth_outage", Signal.ACCESS, {"country": country.code}, start, end, self.refused("auth"))

    def geo_isp(self) -> Fault:
        """The addresses of one network are taken for another country's."""
        country = self.country()
        start, end = self.span(self.evening(country), 1.5, 3)
        cohort = {"isp": self.one(list(country.isps))}
        return Fault("geo_isp", Signal.ACCESS, cohort, start, end, self.refused("geo"))

    def three_dimensions(self) -> Fault:
        """One device type fails on one network through one delivery network."""
        country = self.country()
        cohort = {
            "isp": self.one(list(country.isps)),
            "cdn": self.one(list(self.market.cdns)[:2]),
            "device_type": self.one(TELEVISIONS[:2]),
        }
        start, end = self.span(self.evening(country), 8, 11)
        return Fault("three_dim", Signal.FAILURE, cohort, start, end, self.broken("cdn"))

    def slow_burn(self) -> Fault:
        """One delivery network gets worse over half a day in one region."""
        country = self.country()
        cohort = {"cdn": self.one(list(self.market.cdns)[:2]), "region": country.regions[0].code}
        start, end = self.span(self.evening(country) - timedelta(hours=6), 11, 15)
        effect = replace(self.degraded(0.35), failures_per_hour=0.0, profile=Profile.RAMP)
        return Fault("slow_burn", Signal.BUFFERING, cohort, start, end, effect)

    def faint(self) -> Fault:
        """A network stalls two to four times as often as usual, and no worse."""
        country = self.country()
        effect = Effect(stall_x=float(self.rng.uniform(2, 4)), stall_length_x=1.15, stalls_per_hour=2)
        start, end = self.span(self.evening(country), 4, 6)
        return Fault("faint", Signal.BUFFERING, {"isp": next(iter(country.isps))}, start, end, effect, Cause.ISP)

    def households(self, count: int) -> Fault:
        """Some homes have bad Wi-Fi."""
        start, end = self.span(self.base.evaluate_from, 20, 24 * (self.base.days - self.base.quiet_days))
        effect = Effect(stall_x=10, stalls_per_hour=40, stall_length_x=1.6, failures_per_hour=0.1)
        cohort = {"connection_type": "wifi"}
        return Fault("bad_wifi", Signal.BUFFERING, cohort, start, end, effect, Cause.HOUSEHOLD, households=count)

    def accounts(self, count: int) -> Fault:
        """Some accounts are refused for a reason of their own."""
        start, end = self.span(self.base.evaluate_from, 20, 24 * (self.base.days - self.base.quiet_days))
        effect = Effect(deny_p=0.75, error_class=self.one(("device_limit", "payment", "entitlement")))
        return Fault("account", Signal.ACCESS, {}, start, end, effect, Cause.ACCOUNT, households=count)

    def release(self) -> Release:
        """A new version on one device type, out in the morning."""
        device = self.one(PHONES_AND_WEB)
        time = self.base.evaluate_from + timedelta(hours=float(self.rng.uniform(6, 12)))
        version = ESTABLISHED_VERSIONS[device][-1].split(".")
        return Release(device, f"{version[0]}.{int(version[1]) + 1}.0", time, timedelta(hours=5))

    def app_bug(self, release: Release) -> Fault:
        """A release crashes the decoder."""
        cohort = {"device_type": release.device_type, "app_version": release.app_version}
        start, end = self.span(release.time, 24, 40)
        effect = Effect(fail_p=float(self.rng.uniform(0.1, 0.35)), failures_per_hour=0.4, error_class="decoder")
        return Fault("app_bug", Signal.FAILURE, cohort, start, end, effect, Cause.APP)

    # Look-alikes.

    def crowd(self, *, day: int | None = None) -> LookAlike:
        """A live event that a country watches."""
        country = self.country()
        start, end = self.span(self.evening(country, day=day), 2, 3)
        where = {"country": country.code, "title_id": f"live-special-{int(self.rng.integers(100)):02d}"}
        return LookAlike(Harmless.FLASH_CROWD, where, start, end, float(self.rng.uniform(0.25, 0.5)))

    def collector_gap(self) -> LookAlike:
        """A country's events are lost for a while, and some come late in a burst."""
        country = self.country()
        start, end = self.span(self.evening(country), 1.5, 2.5)
        return LookAlike(Harmless.COLLECTOR_OUTAGE, {"country": country.code}, start, end, 0.7)

    def whole(self, kind: Harmless, cohort: Mapping[str, str], amount: float) -> LookAlike:
        """An oddity that lasts from the end of history to the end of the world."""
        return LookAlike(kind, cohort, self.base.evaluate_from, self.base.end, amount)


def _calm(draw: Draw) -> Recipe:
    """No fault at all: every incident and every notice is one too many."""
    country = draw.country()
    oddities = (
        draw.crowd(),
        draw.collector_gap(),
        draw.whole(Harmless.HOLIDAY, {"country": country.code}, 1.7),
        draw.whole(Harmless.HEAVY_HOUSEHOLD, {"region": country.regions[-1].code}, 6.0),
        draw.whole(Harmless.SMALL_REGION, {"region": draw.market.countries[-1].regions[-1].code}, 0.0),
    )
    return replace(draw.base, look_alikes=oddities)


def _everyday(draw: Draw) -> Recipe:
    """The usual mix: one of each plain fault, a few households and accounts, two look-alikes."""
    release = draw.release()
    faults = (
        draw.cdn_region(),
        draw.isp_outage(),
        draw.drm_outage(),
        draw.app_bug(release),
        draw.households(4),
        draw.accounts(3),
    )
    return replace(draw.base, releases=(release,), faults=faults, look_alikes=(draw.crowd(), draw.collector_gap()))


def _nested(draw: Draw) -> Recipe:
    """A fault of one region inside a fault of its whole country, at the same time."""
    outer = draw.cdn_country()
    country = next(it for it in draw.market.countries if it.code == outer.cohort["country"])
    start, end = draw.span(outer.start - timedelta(minutes=30), 3, 4)
    inner = Fault(
        "isp_outage",
        Signal.FAILURE,
        {"isp": next(iter(country.isps))},
        start,
        end,
        draw.broken("network"),
        Cause.ISP,
    )
    return replace(draw.base, faults=(replace(outer, end=outer.start + timedelta(hours=2)), inner, draw.households(3)))


def _crowded(draw: Draw) -> Recipe:
    """A live title breaks in the middle of its own flash crowd; another crowd is fine."""
    crowd = draw.crowd(day=0)
    start = crowd.start + timedelta(minutes=15)
    effect = Effect(fail_p=0.6, failures_per_hour=2.5, error_class="manifest")
    cohort = {"title_id": crowd.cohort["title_id"]}
    broken = Fault("manifest_live", Signal.FAILURE, cohort, start, start + timedelta(minutes=80), effect)
    return replace(draw.base, faults=(broken,), look_alikes=(crowd, draw.crowd(day=1)))


def _slow(draw: Draw) -> Recipe:
    """Slow burns and congestion: nothing jumps."""
    return replace(draw.base, faults=(draw.slow_burn(), draw.isp_congestion()))


def _faint(draw: Draw) -> Recipe:
    """Effects only two to four times the background."""
    return replace(draw.base, faults=(draw.faint(), draw.cdn_region(0.3)))


def _deep(draw: Draw) -> Recipe:
    """Faults that need three dimensions to be named, beside refusals by network and by country."""
    return replace(draw.base, faults=(draw.three_dimensions(), draw.geo_isp(), draw.auth_outage()))


def _shifted(draw: Draw) -> Recipe:
    """Normal itself moves for good: slower starts on one device type, a new network, a clean release."""
    country, release = draw.country(), draw.release()
    device = {"device_type": draw.one(TELEVISIONS)}
    clean = {"device_type": release.device_type, "app_version": release.app_version}
    oddities = (
        draw.whole(Harmless.LEVEL_SHIFT, device, 1.25),
        draw.whole(Harmless.NEW_ISP, {"country": country.code, "isp": "Newcomer Networks"}, 0.2),
        draw.whole(Harmless.ROLLOUT_CLEAN, clean, 0.0),
    )
    return replace(draw.base, releases=(release,), look_alikes=oddities, faults=(draw.isp_outage(),))


def _skewed(draw: Draw) -> Recipe:
    """The clocks of one device type run ahead for a day, and a fault happens meanwhile."""
    start = draw.base.evaluate_from + timedelta(hours=8)
    cohort = {"device_type": draw.one(PHONES_AND_WEB)}
    skew = LookAlike(Harmless.CLOCK_SKEW, cohort, start, start + timedelta(hours=18), 2.0)
    return replace(draw.base, look_alikes=(skew,), faults=(draw.cdn_region(),))


SCENARIOS: Mapping[str, Callable[[Draw], Recipe]] = {
    "calm": _calm,
    "everyday": _everyday,
    "nested": _nested,
    "crowded": _crowded,
    "slow": _slow,
    "faint": _faint,
    "deep": _deep,
    "shifted": _shifted,
    "skewed": _skewed,
    "demo": lambda _: DEMO,
}
"""Every scenario by name. All but `demo` draw another recipe for each seed."""


def recipe_of(scenario: str, *, seed: int, subscribers: int | None = None, days: int | None = None) -> Recipe:
    """Draw a scenario's recipe.

    Parameters
    ----------
    scenario
        One of `SCENARIOS`.
    seed
        Decides the market, the season, the places, times and strengths.
    subscribers, days
        Sizes other than the usual ones; a world has 7 days of history in any case.

    Raises
    ------
    ValueError
        If there is no such scenario.
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"There is no scenario {scenario!r}; there are {', '.join(SCENARIOS)}.")
    rng = np.random.default_rng([seed, len(scenario), *scenario.encode()])
    market = MARKETS[list(MARKETS)[int(rng.integers(len(MARKETS)))]]
    start = FIRST_MONDAYS[int(rng.integers(len(FIRST_MONDAYS)))]
    base = Recipe(f"{scenario}-{seed}", start, market=market, subscribers=subscribers or 3000, days=days or 9)
    return SCENARIOS[scenario](Draw(base, rng))
