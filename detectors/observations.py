"""Slices as arrays: who was exposed to what, and what went wrong, each judged against the viewer's own normal."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache, reduce
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.refusals import RefusalKind, refusal_kind
from telemetry.contract import DIMENSIONS, Signal
from telemetry.time import SLOT, naive_utc

SIGNALS = tuple(Signal)
"""The order of the last axis of every array of flags: buffering, startup, failure, access."""
PLAYBACK_SIGNALS = (Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE)
EXPOSURES = ("played", "started", "present", "attempt")
"""What exposes a viewer to each of `SIGNALS`: playing, starting, being there at all, asking to play."""

MISSING = -1
"""The code of a NULL dimension: it belongs to no cohort that names the dimension."""

SLOT_US = int(SLOT / timedelta(microseconds=1))
_SQL = Path(__file__).with_name("sql")

Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Times = NDArray[np.int64]


@cache
def read_sql(name: str) -> str:
    """Return the text of one of this folder's ``.sql`` files."""
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def slot_of(moment: datetime) -> int:
    """Return the number of the five-minute slot that holds `moment`, counted from 1970."""
    return int(naive_utc(moment).replace(tzinfo=UTC).timestamp() * 1_000_000) // SLOT_US


def slot_start(slot: int) -> datetime:
    """Return when a slot begins."""
    return datetime.fromtimestamp(slot * SLOT_US / 1_000_000, tz=UTC)


def moment_of(microseconds: int) -> datetime:
    """Return an aware datetime from microseconds since 1970."""
    return datetime.fromtimestamp(microseconds / 1_000_000, tz=UTC)


@dataclass(frozen=True)
class ImpairmentRule:
    """When a slice or a session counts as materially bad.

    Parameters
    ----------
    min_stalled_ms
        Least stall time in a five-minute slice; 6 s is 2 % of it.
    min_session_ms
        Least stall time in a session.
    min_ratio
        Least rebuffering ratio (0 to 1); viewers begin to leave at 1 to 2 % (Dobrian et al. 2011).
    own_factor
        How many times the viewer's own usual ratio it must exceed: what was always so is not news.
    slow_factor, slow_ms
        A start is slow when it takes this many times what is usual and this many milliseconds longer.
    memory_hours
        A person's second impairment within this time is no new evidence about their cohort.
    """

    min_stalled_ms: int = 6_000
    min_session_ms: int = 5_000
    min_ratio: float = 0.02
    own_factor: float = 3.0
    slow_factor: float = 2.0
    slow_ms: int = 3_000
    memory_hours: int = 12

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as ``observations.sql`` names them."""
        names = ("min_stalled_ms", "min_ratio", "own_factor", "slow_factor", "slow_ms")
        return {name: getattr(self, name) for name in names}

    @property
    def memory_slots(self) -> int:
        """The memory in slots."""
        return int(timedelta(hours=self.memory_hours) / SLOT)

    @property
    def session_parameters(self) -> dict[str, Any]:
        """The parameters as ``learn_subscribers.sql`` names them."""
        return {name: getattr(self, name) for name in ("min_session_ms", "min_ratio", "own_factor")}


class Vocabulary:
    """Gives each text a small integer, the same one for as long as the vocabulary lives."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._texts: list[str] = []

    def __len__(self) -> int:
        return len(self._texts)

    def encode(self, column: pa.ChunkedArray) -> Codes:
        """Return the code of each text of an Arrow column, adding those not seen before; NULL is `MISSING`."""
        encoded = column.combine_chunks().dictionary_encode()
        known = [MISSING if text is None else self._code(text) for text in encoded.dictionary.to_pylist()]
        places = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        codes: Codes = np.array([*known, MISSING], np.int32)[places]
        return codes

    def decode(self, codes: Codes) -> pa.Array:
        """Return an Arrow column of the texts of codes; `MISSING` is NULL."""
        places = pa.array(codes, mask=codes == MISSING)
        return pa.DictionaryArray.from_arrays(places, pa.array(self._texts, pa.string())).cast(pa.string())

    def find(self, text: str) -> int:
        """Return a text's code, or `MISSING` if it has never been seen."""
        return self._codes.get(text, MISSING)

    def text(self, code: int) -> str:
        """Return the text of a code."""
        return self._texts[code]

    def _code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return code


class Vocabularies:
    """One vocabulary for each dimension, and for subscribers, sessions and error classes."""

    def __init__(self) -> None:
        self.dimensions = tuple(Vocabulary() for _ in DIMENSIONS)
        self.subscribers = Vocabulary()
        self.sessions = Vocabulary()
        self.error_classes = Vocabulary()


@dataclass(frozen=True)
class Observations:
    """Slices as columns; every array has one row a slice.

    Attributes
    ----------
    session, subscriber, error_class
        Codes of `Vocabularies`, shape (n,).
    slot
        Five-minute slot number, shape (n,).
    codes
        Dimension codes in the order of `DIMENSIONS`, shape (n, 9).
    exposed, bad
        Flags in the order of `SIGNALS`, shape (n, 4): exposed to the signal, and impaired by it.
    account
        Refused for a reason that lies with the account, which is not in `bad`, shape (n,); see `detectors.refusals`.
    at_risk, fresh
        The same where the person had not been impaired for a while (see `ImpairmentRule.memory_hours`): only then
        can an impairment be fresh.
    playing_ms, stalled_ms
        Time in the slice, shape (n,).
    own_ratio, stalling_factor
        The viewer's usual rebuffering ratio, and how many times more of their sessions stall badly than of others',
        shape (n,).
    startup_ratio
        How many times the usual start-up time it took; NaN if nothing started, shape (n,).
    first_us, last_us
        First and last event of the slice, microseconds since 1970, shape (n,).
    """

    session: Codes
    subscriber: Codes
    slot: NDArray[np.int64]
    codes: Codes
    exposed: Flags
    bad: Flags
    account: Flags
    at_risk: Flags
    fresh: Flags
    playing_ms: NDArray[np.int64]
    stalled_ms: NDArray[np.int64]
    own_ratio: NDArray[np.float64]
    stalling_factor: NDArray[np.float64]
    startup_ratio: NDArray[np.float64]
    first_us: Times
    last_us: Times
    error_class: Codes

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def key(self) -> NDArray[np.int64]:
        """One number per session and slot, shape (n,)."""
        return (self.session.astype(np.int64) << 32) | self.slot

    def key_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the keys of some rows."""
        return (self.session[rows].astype(np.int64) << 32) | self.slot[rows]

    def with_fresh(self, memory_slots: int) -> Observations:
        """Mark where the subscriber had not been impaired by a signal for `memory_slots`, and impairments there.

        One person's repeated trouble is one piece of evidence about their cohort.
        """
        order = np.lexsort((self.session, self.slot, self.subscriber))
        who, slot = self.subscriber[order], self.slot[order]
        start = np.r_[True, who[1:] != who[:-1]] if len(who) else np.zeros(0, bool)
        rested = np.zeros_like(self.bad)
        for signal in range(len(SIGNALS)):
            rested[order, signal] = slot - _previous(self.bad[order, signal], slot, start) > memory_slots
        return replace(self, at_risk=rested & (self.exposed | self.bad), fresh=rested & self.bad)

    def take(self, rows: NDArray[Any]) -> Observations:
        """Return the rows that a mask or an index array selects."""
        places = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Observations(**{f.name: np.take(getattr(self, f.name), places, axis=0) for f in fields(self)})

    def followed_by(self, mine: NDArray[np.int64], others: Observations, theirs: NDArray[np.int64]) -> Observations:
        """Return some rows and after them some of others, each copied once."""
        columns = {}
        for name in (f.name for f in fields(self)):
            one, other = getattr(self, name), getattr(others, name)
            both = columns[name] = np.empty((len(mine) + len(theirs), *one.shape[1:]), one.dtype)
            np.take(one, mine, axis=0, out=both[: len(mine)], mode="clip")
            np.take(other, theirs, axis=0, out=both[len(mine) :], mode="clip")
        return Observations(**columns)

    @classmethod
    def concat(cls, parts: Sequence[Observations]) -> Observations:
        """Put several together, in order."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    @classmethod
    def empty(cls) -> Observations:
        """Return no observations."""
        code, number, share = np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0)
        dims, flags = np.zeros((0, len(DIMENSIONS)), np.int32), np.zeros((0, len(SIGNALS)), bool)
        return cls(
            session=code,
            subscriber=code,
            slot=number,
            codes=dims,
            exposed=flags,
            bad=flags,
            account=flags[:, 0],
            at_risk=flags,
            fresh=flags,
            playing_ms=number,
            stalled_ms=number,
            own_ratio=share,
            stalling_factor=share,
            startup_ratio=share,
            first_us=number,
            last_us=number,
            error_class=code,
        )


def any_signal(flags: Flags) -> NDArray[np.bool_]:
    """Return whether any flag of a row is set, shape (n,): column by column, ten times as fast as row by row."""
    return reduce(np.logical_or, flags.T)


def is_among(codes: Codes, chosen: Codes) -> NDArray[np.bool_]:
    """Return which of some codes, none of them `MISSING`, are among the chosen ones: by a table, not by sorting."""
    table = np.zeros(max(int(codes.max(initial=-1)), int(chosen.max(initial=-1))) + 1, bool)
    table[chosen] = True
    return table[codes]


def _previous(bad: NDArray[np.bool_], slot: NDArray[np.int64], start: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the slot of the last bad row before each one of the same person; long ago if there is none."""
    long_ago = -(1 << 40)
    person = np.cumsum(start)
    place = np.where(bad, np.arange(len(bad)), -1)
    last = np.r_[-1, np.maximum.accumulate(place)[:-1]] if len(bad) else place
    same = (last >= 0) & (person[last] == person)
    return np.where(same, slot[last], long_ago)


def load_observations(
    connection: duckdb.DuckDBPyConnection,
    vocabularies: Vocabularies,
    rule: ImpairmentRule,
    start: datetime,
    end: datetime,
    *,
    changed_at: datetime | None = None,
) -> Observations:
    """Read the slices of ``[start, end)`` from the warehouse and judge them.

    Parameters
    ----------
    connection
        The warehouse's connection; it must hold `slices`, `subscriber_normals` and `device_normals`.
    vocabularies
        Filled with what is new.
    rule
        When a slice counts as bad.
    start, end
        Aware datetimes, compared with the slice's slot.
    changed_at
        If given, only the slices that the merge of the window ending then changed.

    Returns
    -------
    Observations
        `at_risk` and `fresh` are not known yet; see `with_fresh`.
    """
    parameters = {
        **rule.parameters,
        "from": naive_utc(start),
        "to": naive_utc(end),
        "changed": None if changed_at is None else naive_utc(changed_at),
    }
    query = read_sql("observations")
    if changed_at is None:
        return from_arrow(connection.sql(query, params=parameters).to_arrow_table(), vocabularies)
    with warnings.catch_warnings():  # that it copies the rows: of a few that costs less than planning the query twice
        warnings.simplefilter("ignore", UserWarning)
        return from_arrow(connection.execute(query, parameters).to_arrow_table(), vocabularies)


def from_arrow(table: pa.Table, vocabularies: Vocabularies) -> Observations:
    """Turn the result of ``observations.sql``, an Arrow table, into arrays."""
    column = {name: table.column(name) for name in table.column_names}
    dims = [v.encode(column[d]) for d, v in zip(DIMENSIONS, vocabularies.dimensions, strict=True)]

    def numbers(name: str, kind: type = np.int64) -> NDArray[Any]:
        return np.asarray(column[name].to_numpy()).astype(kind)

    def times(name: str) -> Times:
        return np.asarray(column[name].to_numpy()).astype("datetime64[us]").astype(np.int64)

    def flags(names: Iterable[str]) -> Flags:
        return np.column_stack([numbers(name, bool) for name in names])

    refused, account = numbers("refused", bool), _business(column)
    return Observations(
        session=vocabularies.sessions.encode(column["session_id"]),
        subscriber=vocabularies.subscribers.encode(column["subscriber_id"]),
        slot=times("slot") // SLOT_US,
        codes=np.column_stack(dims).astype(np.int32),
        exposed=flags(EXPOSURES),
        bad=np.column_stack([flags(PLAYBACK_SIGNALS), refused & ~account]),
        account=account,
        at_risk=np.zeros((table.num_rows, len(SIGNALS)), bool),
        fresh=np.zeros((table.num_rows, len(SIGNALS)), bool),
        playing_ms=numbers("playing_ms"),
        stalled_ms=numbers("stalled_ms"),
        own_ratio=numbers("own_ratio", float),
        stalling_factor=numbers("stalling_factor", float),
        startup_ratio=numbers("startup_ratio", float),
        first_us=times("first_time"),
        last_us=times("last_time"),
        error_class=vocabularies.error_classes.encode(column["error_class"]),
    )


def _business(column: Mapping[str, pa.ChunkedArray]) -> Flags:
    """Which rows were refused for a reason that lies with the account; each class and code is judged once."""
    account = np.zeros(len(column["refused"]), bool)
    places = np.flatnonzero(column["refused"].to_numpy())
    seen: dict[tuple[str | None, str | None], bool] = {}
    classes = column["error_class"].take(pa.array(places)).to_pylist()
    codes = column["refusal_code"].take(pa.array(places)).to_pylist()
    for place, refusal in zip(places, zip(classes, codes, strict=True), strict=True):
        if refusal not in seen:
            seen[refusal] = refusal_kind(*refusal) is RefusalKind.BUSINESS
        account[place] = seen[refusal]
    return account
