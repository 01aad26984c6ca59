"""The hour of day where people live: evenings come at their own time, and summer time moves them.

A region's time zone is that of most of its subscribers; a region without any has its country's commonest, and a
country without any is taken to live by UTC. What a zone's clocks show at any hour, ``zoneinfo`` knows, changes to and
from summer time included.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.observations import MISSING, Vocabularies, read_sql
from telemetry.contract import DIMENSIONS

HOURS_A_DAY = 24
COUNTRY, REGION = DIMENSIONS.index("country"), DIMENSIONS.index("region")

Ints = NDArray[np.int64]


class LocalHours:
    """The local hours of countries and regions, by their codes.

    Parameters
    ----------
    words
        Of the codes.
    lived_in
        ``(country, region, time zone, people)``; a zone that does not exist is passed over.
    """

    def __init__(self, words: Vocabularies, lived_in: Iterable[tuple[str, str | None, str, int]] = ()) -> None:
        self._zones: list[ZoneInfo | None] = [None]
        self._offsets: dict[tuple[int, int], int] = {}
        by_region, by_country = _commonest(lived_in)
        countries = _codes(words, COUNTRY, by_country)
        regions = _codes(words, REGION, (region for _, region in by_region))
        shape = max(countries.values(), default=MISSING) + 2, max(regions.values(), default=MISSING) + 2
        self._place: Ints = np.zeros(shape, np.int64)
        numbers: dict[ZoneInfo, int] = {}
        for country, zone in by_country.items():
            self._place[countries[country]] = self._number(numbers, zone)
        for (country, region), zone in by_region.items():
            self._place[countries[country], regions[region]] = self._number(numbers, zone)

    @classmethod
    def learnt(cls, connection: duckdb.DuckDBPyConnection, words: Vocabularies) -> LocalHours:
        """Return those of the subscribers that a warehouse knows."""
        return cls(words, connection.execute(read_sql("zones")).fetchall())

    def of(self, codes: NDArray[np.int32], hour: Ints) -> Ints:
        """Return the local hour of day (0 to 23) of dimension codes in hours since 1970, UTC, shape (n,).

        Of a zone that is half an hour off, the hour in which the UTC hour begins.
        """
        return np.asarray((hour + self.ahead(self.zones(codes), hour)) % HOURS_A_DAY)

    def zones(self, codes: NDArray[np.int32]) -> Ints:
        """Return the number of the time zone of dimension codes, shape (n,); 0 is UTC."""
        rows, columns = self._place.shape
        return self._place[_known(codes[:, COUNTRY], rows), _known(codes[:, REGION], columns)]

    def ahead(self, zone: Ints, hour: Ints) -> Ints:
        """Return how many whole hours the clocks of zones are ahead of UTC in hours since 1970, shape (n,)."""
        hours, which = np.unique(hour, return_inverse=True)
        needed, place = np.unique(zone * len(hours) + which.ravel(), return_inverse=True)
        numbers, at = np.divmod(needed, max(len(hours), 1))
        offsets = [self._offset(*it) for it in zip(numbers.tolist(), hours[at].tolist(), strict=True)]
        return np.asarray(np.array(offsets, np.int64)[place.ravel()] // 60)

    def _number(self, numbers: dict[ZoneInfo, int], zone: ZoneInfo) -> int:
        if zone not in numbers:
            numbers[zone] = len(self._zones)
            self._zones.append(zone)
        return numbers[zone]

    def _offset(self, number: int, hour: int) -> int:
        """Minutes that a zone's clocks are ahead of UTC in an hour."""
        key = number, hour
        if key not in self._offsets:
            self._offsets[key] = _minutes_ahead(self._zones[number], hour)
        return self._offsets[key]


def _minutes_ahead(zone: ZoneInfo | None, hour: int) -> int:
    ahead = None if zone is None else datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds() // 60)


def _commonest(
    lived_in: Iterable[tuple[str, str | None, str, int]],
) -> tuple[dict[tuple[str, str], ZoneInfo], dict[str, ZoneInfo]]:
    """Return the zone of most people in each region, and in each country."""
    in_region: dict[tuple[str, str], dict[str, int]] = {}
    in_country: dict[str, dict[str, int]] = {}
    for country, region, zone, people in lived_in:
        if _zone(zone) is None:
            continue
        counts = [in_country.setdefault(country, {})]
        if region is not None:
            counts.append(in_region.setdefault((country, region), {}))
        for count in counts:
            count[zone] = count.get(zone, 0) + people
    return (
        {place: ZoneInfo(max(count, key=lambda it: (count[it], it))) for place, count in in_region.items()},
        {place: ZoneInfo(max(count, key=lambda it: (count[it], it))) for place, count in in_country.items()},
    )


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _codes(words: Vocabularies, dimension: int, texts: Iterable[str]) -> dict[str, int]:
    """Return the codes of texts, which are given one where they have none."""
    names = sorted(set(texts))
    codes = words.dimensions[dimension].encode(pa.chunked_array([pa.array(names, pa.string())]))
    return dict(zip(names, codes.tolist(), strict=True))


def _known(codes: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Return the codes where there is a place for them, else the last place."""
    return np.where((codes >= 0) & (codes < size - 1), codes, size - 1).astype(np.int32)
