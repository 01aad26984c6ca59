"""When people press play, on what, and over which network: attempts before anything has happened to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from data.arrays import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Bools,
    Columns,
    Floats,
    Ints,
    chances,
    epoch_ms,
    filled,
    zeros,
)
from data.attempts import Attempts
from data.population import Population
from data.recipe import Harmless, LookAlike, Recipe, Release
from data.setting import Setting
from data.vocabulary import ESTABLISHED_VERSIONS, Vocabulary
from telemetry.contract import CONNECTION_TYPES, CONTENT_TYPES, DEVICE_TYPES, DIMENSIONS

NIGHT = (0.5, 0.25, 0.15, 0.1, 0.08, 0.12)
MORNING = (0.25, 0.4, 0.45, 0.5, 0.55, 0.65)
AFTERNOON = (0.75, 0.7, 0.65, 0.75, 0.95, 1.25)
EVENING = (1.7, 2.3, 2.6, 2.4, 1.7, 1.0)
HOUR_WEIGHTS = chances(NIGHT + MORNING + AFTERNOON + EVENING)
"""Attempts by local hour: a small noon, a large evening."""
WEEKEND_X = 1.4
LIVE_SHARE = 0.16
CELLULAR_SHARE = 0.35
UNKNOWN_SHARE = 0.014
ESTABLISHED_SHARES = (0.08, 0.37, 0.55)
"""Shares of the established versions, oldest first: some devices never update."""
NEVER_UPDATES_SHARE = 0.12
PLAY_MEDIAN_MS = 17 * MINUTE_MS
PLAY_SIGMA = 1.0
SHORTEST_PLAY_MS = 5_000
LONGEST_PLAY_MS = 8 * HOUR_MS


@dataclass(frozen=True)
class Plans(Columns):
    """What people mean to watch, when, and for how long."""

    subscriber: Ints
    start_ms: Ints
    planned_ms: Ints
    title: Ints


@dataclass(frozen=True)
class Demand:
    """Draws attempts for one world; `rng` is consumed in a fixed order, so a seed gives the same world."""

    setting: Setting
    rng: np.random.Generator

    @property
    def recipe(self) -> Recipe:
        """The world's recipe."""
        return self.setting.recipe

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of its dimensions."""
        return self.setting.vocabulary

    @property
    def people(self) -> Population:
        """Its subscribers."""
        return self.setting.people

    def attempts(self) -> Attempts:
        """Return every attempt of the world, everyday ones and those of flash crowds, unsorted."""
        plans = [self._everyday(), *(self._crowd(it) for it in self.recipe.on(Harmless.FLASH_CROWD))]
        return self._described(Plans.joined(plans))

    def _everyday(self) -> Plans:
        offsets = self.people.local_offset_ms(self.recipe)
        counts = self.rng.poisson(self._daily_rates())
        who, day = np.nonzero(counts)
        who, day = np.repeat(who, counts[who, day]), np.repeat(day, counts[who, day])
        hour = self.rng.choice(24, len(who), p=HOUR_WEIGHTS)
        local_ms = day * DAY_MS + hour * HOUR_MS + self.rng.integers(0, HOUR_MS, len(who))
        shift = offsets[who, np.minimum(day, self.recipe.days)]
        start_ms = epoch_ms(self.recipe.start) - DAY_MS + local_ms - shift
        play_ms = self.rng.lognormal(np.log(PLAY_MEDIAN_MS), PLAY_SIGMA, len(who)).astype(np.int64)
        planned_ms = np.clip(play_ms, SHORTEST_PLAY_MS, LONGEST_PLAY_MS)
        inside = (start_ms >= epoch_ms(self.recipe.start)) & (start_ms < epoch_ms(self.recipe.end))
        return Plans(who, start_ms, planned_ms, self._titles(len(who))).take(inside)

    def _crowd(self, it: LookAlike) -> Plans:
        country = self.people.country == self.vocabulary.code("country", it.cohort["country"])
        who = np.flatnonzero(country & (self.rng.random(len(self.people)) < it.amount))
        length_ms = epoch_ms(it.end) - epoch_ms(it.start)
        late = np.minimum(self.rng.exponential(0.12, len(who)), 0.9)
        start_ms = epoch_ms(it.start) + (late * length_ms).astype(np.int64)
        stays_ms = (self.rng.beta(5, 1.5, len(who)) * (epoch_ms(it.end) - start_ms)).astype(np.int64)
        title = filled(len(who), self.vocabulary.code("title_id", it.cohort["title_id"]))
        return Plans(who, start_ms, np.maximum(stays_ms, SHORTEST_PLAY_MS), title)

    def _daily_rates(self) -> Floats:
        """Return sessions per subscriber and local day; the first local day began before the world."""
        days = [self.recipe.start + timedelta(days=day - 1) for day in range(self.recipe.days + 2)]
        weekend = np.array([WEEKEND_X if day.weekday() >= 5 else 1.0 for day in days])
        rates: Floats = self.people.rate[:, None] * weekend[None, :]
        for it in self.recipe.on(Harmless.HOLIDAY) + self.recipe.on(Harmless.HEAVY_HOUSEHOLD):
            rates = rates * np.where(self._guests(it)[:, None] & self._days_of(it, days), it.amount, 1.0)
        return rates

    def _days_of(self, it: LookAlike, days: list[datetime]) -> Bools:
        chosen: Bools = np.array([it.start <= day + timedelta(hours=12) < it.end for day in days])
        return chosen[None, :]

    def _guests(self, it: LookAlike) -> Bools:
        chosen = self.vocabulary.mask(self.people.homes, it.cohort)
        if it.kind is Harmless.HEAVY_HOUSEHOLD:
            chosen &= np.cumsum(chosen) == 1
        return chosen

    def _titles(self, count: int) -> Ints:
        market = self.recipe.market
        on_demand = _popularity(market.titles, 0.9)
        channels = market.titles + self.rng.choice(market.channels, count, p=_popularity(market.channels, 1.0))
        is_live = self.rng.random(count) < LIVE_SHARE
        return np.where(is_live, channels, self.rng.choice(market.titles, count, p=on_demand))

    def _described(self, plans: Plans) -> Attempts:
        who, title = plans.subscriber, plans.title
        device = self._device(who)
        is_live = title >= self.recipe.market.titles
        dims = {
            "country": self.people.country[who],
            "region": self.people.region[who],
            "isp": self._isp(who, plans.start_ms),
            "cdn": self._cdn(who),
            "device_type": device,
            "app_version": self._version(who, device, plans.start_ms),
            "connection_type": self._connection(who, device),
            "content_type": np.where(is_live, CONTENT_TYPES.index("live"), CONTENT_TYPES.index("vod")),
            "title_id": title,
        }
        columns = np.column_stack([dims[name] for name in DIMENSIONS])
        return Attempts(who, plans.start_ms, plans.planned_ms, zeros(len(who)), columns)

    def _device(self, who: Ints) -> Ints:
        place = self.rng.choice(3, len(who), p=[0.62, 0.26, 0.12])
        owned = (self.people.devices >= 0).sum(axis=1)
        device: Ints = self.people.devices[who, place % owned[who]]
        return device

    def _isp(self, who: Ints, start_ms: Ints) -> Ints:
        isp = self.people.isp[who].copy()
        for it in self.recipe.on(Harmless.NEW_ISP):
            home = self.people.country == self.vocabulary.code("country", it.cohort["country"])
            moves = home & (self.rng.random(len(self.people)) < it.amount)
            moved = moves[who] & (start_ms >= epoch_ms(it.start))
            isp[moved] = self.vocabulary.code("isp", it.cohort["isp"])
        return isp

    def _cdn(self, who: Ints) -> Ints:
        """Each region prefers some delivery networks, each session draws by that preference."""
        names = self.vocabulary.values
        base = np.log(chances(self.recipe.market.cdns.values()))
        taste = base + self.rng.normal(0, 0.4, (len(names["region"]), len(base)))
        noise = self.rng.gumbel(size=(len(who), len(base)))
        chosen: Ints = np.argmax(taste[self.people.region[who]] + noise, axis=1)
        return chosen

    def _connection(self, who: Ints, device: Ints) -> Ints:
        is_mobile = np.isin(device, [DEVICE_TYPES.index("ios"), DEVICE_TYPES.index("android")])
        draw = self.rng.random(len(who))
        names = np.select(
            [
                draw > 1 - UNKNOWN_SHARE,
                is_mobile & (draw < CELLULAR_SHARE),
                ~is_mobile & (self.people.is_wired[who] > 0),
            ],
            [CONNECTION_TYPES.index(name) for name in ("unknown", "cellular", "ethernet")],
            CONNECTION_TYPES.index("wifi"),
        )
        return names.astype(np.int64)

    def _version(self, who: Ints, device: Ints, start_ms: Ints) -> Ints:
        version = np.zeros(len(who), dtype=np.int64)
        for kind, name in enumerate(DEVICE_TYPES):
            level = self.rng.choice(len(ESTABLISHED_SHARES), len(self.people), p=ESTABLISHED_SHARES)
            codes = np.array([self.vocabulary.code("app_version", it) for it in ESTABLISHED_VERSIONS[name]])
            on_kind = device == kind
            version[on_kind] = codes[level[who[on_kind]]]
        for release in sorted(self.recipe.releases, key=lambda it: it.time):
            self._adopt(release, version, who, device, start_ms)
        return version

    def _adopt(self, release: Release, version: Ints, who: Ints, device: Ints, start_ms: Ints) -> None:
        scale_ms = release.half_life / timedelta(milliseconds=1) / np.log(2)
        wait_ms = self.rng.exponential(scale_ms, len(self.people))
        wait_ms[self.rng.random(len(self.people)) < NEVER_UPDATES_SHARE] = np.inf
        has_it = (device == DEVICE_TYPES.index(release.device_type)) & (
            start_ms >= epoch_ms(release.time) + wait_ms[who]
        )
        version[has_it] = self.vocabulary.code("app_version", release.app_version)


def _popularity(count: int, exponent: float) -> Floats:
    return chances(1.0 / np.arange(1, count + 1) ** exponent)
