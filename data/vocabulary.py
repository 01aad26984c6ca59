"""Dimension values as small integers, so that millions of sessions are filtered and written as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data.arrays import Bools, Ints
from data.recipe import Harmless, Recipe
from telemetry.contract import CONNECTION_TYPES, CONTENT_TYPES, DEVICE_TYPES, DIMENSIONS

ESTABLISHED_VERSIONS = {
    "smart_tv": ("7.2.4", "7.3.1", "7.4.0"),
    "streaming_stick": ("4.0.9", "4.1.2", "4.2.0"),
    "console": ("2.17.0", "2.18.3", "2.19.1"),
    "web": ("2026.4.2", "2026.5.1", "2026.6.0"),
    "ios": ("11.6.0", "11.7.2", "11.8.0"),
    "android": ("11.5.3", "11.7.0", "11.8.1"),
}
"""Versions in use when a world begins, oldest first."""


@dataclass(frozen=True)
class Vocabulary:
    """The values of every dimension, in the order of their codes; code -1 is NULL."""

    values: Mapping[str, tuple[str, ...]]

    def code(self, dimension: str, value: str) -> int:
        """Return a value's code.

        Raises
        ------
        ValueError
            If the world has no such value: a recipe that names it is wrong.
        """
        if value not in self.values[dimension]:
            raise ValueError(f"This world has no {dimension} {value!r}.")
        return self.values[dimension].index(value)

    def mask(self, dims: Ints, cohort: Mapping[str, str]) -> Bools:
        """Return which rows of a table of codes, a column a dimension, lie in a cohort."""
        inside = np.ones(len(dims), dtype=bool)
        for dimension, value in cohort.items():
            inside &= dims[:, DIMENSIONS.index(dimension)] == self.code(dimension, value)
        return inside


def vocabulary_of(recipe: Recipe) -> Vocabulary:
    """Collect every value that a recipe's world can show."""
    market = recipe.market
    named = {
        "isp": [isp for country in market.countries for isp in country.isps],
        "title_id": titles_of(recipe),
    }
    named["isp"] += [it.cohort["isp"] for it in recipe.on(Harmless.NEW_ISP)]
    versions = [version for group in ESTABLISHED_VERSIONS.values() for version in group]
    values = {
        "country": [country.code for country in market.countries],
        "region": [region.code for country in market.countries for region in country.regions],
        **named,
        "cdn": list(market.cdns),
        "device_type": list(DEVICE_TYPES),
        "app_version": versions + [release.app_version for release in recipe.releases],
        "connection_type": list(CONNECTION_TYPES),
        "content_type": list(CONTENT_TYPES),
    }
    return Vocabulary({dimension: tuple(dict.fromkeys(values[dimension])) for dimension in DIMENSIONS})


def titles_of(recipe: Recipe) -> list[str]:
    """Name the titles: on-demand ones by popularity first, then live channels, then live events."""
    series = recipe.market.series
    on_demand = [f"{series[i % len(series)]}-{i // len(series) + 1:03d}" for i in range(recipe.market.titles)]
    channels = [f"channel-{i + 1:02d}" for i in range(recipe.market.channels)]
    return on_demand + channels + [it.cohort["title_id"] for it in recipe.on(Harmless.FLASH_CROWD)]
