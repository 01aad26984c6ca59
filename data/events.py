"""What collectors receive: events, late, repeated, with wrong clocks and gaps, as the contract's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.arrays import DAY_MS, HOUR_MS, MINUTE_MS, Bools, Columns, Ints, epoch_ms, filled
from data.outcomes import ERROR_CLASSES, NOTHING, Outcome, Played
from data.recipe import Harmless, LookAlike
from data.setting import Setting
from telemetry.contract import DEVICE_TYPES, DIMENSIONS, EVENTS, PLAYBACK

REQUESTED, STARTED, HEARTBEAT, FAILED, ENDED, DENIED = range(len(EVENTS))
SILENT_END_SHARE = 0.03
"""Sessions whose player was switched off at the wall: their last event never comes."""
CODES = {
    "network": ("N-TIMEOUT", "N-RESET", "1101"),
    "cdn": ("C-503", "C-504", "C-CERT"),
    "manifest": ("M-404", "M-PARSE"),
    "decoder": ("D-0x21", "D-HEVC"),
    "app": ("A-OOM", "A-NULL"),
    "auth": ("401", "TOKEN-OLD"),
    "entitlement": ("403-PLAN",),
    "drm": ("L-500", "L-TIMEOUT"),
    "geo": ("451",),
    "device_limit": ("LIMIT",),
    "payment": ("402",),
}
DAYS_WRONG_SHARE = 0.03
"""Of the wrong clocks, those that are wrong by days and not by minutes."""
TIME_TYPE = pa.timestamp("us")
INT_COLUMNS = ("startup_ms", "playing_ms", "stalled_ms", "stall_count", "bitrate_kbps")
DIGITS = {
    "smart_tv": 7800,
    "streaming_stick": 6400,
    "console": 6800,
    "web": 4200,
    "ios": 2450,
    "android": 2300,
}
"""Bitrate by device type in kbps, on a good day."""


@dataclass(frozen=True)
class Rows(Columns):
    """Events as arrays; -1 is NULL."""

    session: Ints
    kind: Ints
    time_ms: Ints
    startup_ms: Ints
    playing_ms: Ints
    stalled_ms: Ints
    stall_count: Ints


def rows_of(played: Played, rng: np.random.Generator) -> Rows:
    """Return every event that the players sent, session by session in order of time."""
    parts = [_requests(played), _starts(played), _unstarted_ends(played), _beats(played, rng)]
    stacked = Rows.joined(parts)
    return stacked.take(np.lexsort((stacked.kind, stacked.time_ms, stacked.session)))


def _rows(session: Ints, kind: Ints | int, time_ms: Ints, **amounts: Ints) -> Rows:
    nothing = filled(len(session), NOTHING)
    names = ("startup_ms", "playing_ms", "stalled_ms", "stall_count")
    kinds = np.broadcast_to(np.asarray(kind, dtype=np.int64), session.shape)
    return Rows(session, kinds, time_ms, *(amounts.get(name, nothing) for name in names))


def _requests(played: Played) -> Rows:
    return _rows(np.arange(len(played.attempts)), REQUESTED, played.attempts.start_ms)


def _starts(played: Played) -> Rows:
    sessions = played.sessions
    who = np.flatnonzero(sessions.is_started)
    startup = sessions.startup_ms[who]
    return _rows(who, STARTED, played.attempts.start_ms[who] + startup, startup_ms=startup)


def _unstarted_ends(played: Played) -> Rows:
    sessions = played.sessions
    who = np.flatnonzero(~sessions.is_started)
    by_outcome = {Outcome.FAILED_AT_START: FAILED, Outcome.DENIED: DENIED, Outcome.GIVEN_UP: ENDED}
    kind = np.array([by_outcome[Outcome(outcome)] for outcome in sessions.outcome[who]], dtype=np.int64)
    amount = np.where(kind == DENIED, NOTHING, 0)
    return _rows(who, kind, sessions.end_ms[who], playing_ms=amount, stalled_ms=amount, stall_count=amount)


def _beats(played: Played, rng: np.random.Generator) -> Rows:
    sessions, stretches = played.sessions, played.stretches
    silent = rng.random(len(sessions)) < SILENT_END_SHARE
    failed = sessions.outcome[stretches.session] == Outcome.FAILED_LATER
    kind = np.where(stretches.is_last, np.where(failed, FAILED, ENDED), HEARTBEAT)
    sent = ~((kind == ENDED) & silent[stretches.session])
    rows = _rows(
        stretches.session,
        kind,
        stretches.start_ms + stretches.length_ms,
        playing_ms=stretches.length_ms - stretches.stalled_ms,
        stalled_ms=stretches.stalled_ms,
        stall_count=stretches.stall_count,
    )
    return rows.take(np.flatnonzero(sent))


@dataclass(frozen=True)
class Collector:
    """Receives events and writes the contract's ``playback`` table."""

    setting: Setting
    rng: np.random.Generator

    def table(self, played: Played, rows: Rows, session_ids: Sequence[str]) -> pa.Table:
        """Return the playback table in the order of arrival."""
        true_dims = played.attempts.dims
        received = rows.time_ms + self._delay_ms(len(rows.session))
        clock = rows.time_ms + self._clock_error_ms(played, rows)
        kept, received = self._outages(true_dims, rows, received)
        again = kept[self.rng.random(len(kept)) < self.setting.recipe.dirt.duplicate_share]
        sent = np.concatenate([kept, again])
        arrived = np.concatenate([received[kept], received[again] + self.rng.integers(0, 5 * MINUTE_MS, len(again))])
        order = np.argsort(arrived, kind="stable")
        columns = {
            "event_id": self._event_ids(rows, session_ids),
            "event_time": _times(clock),
            "session_id": pa.array(session_ids).take(pa.array(rows.session)),
            "subscriber_id": pa.array(self.setting.people.ids).take(pa.array(played.attempts.subscriber[rows.session])),
            "event": pa.array(EVENTS).take(pa.array(rows.kind)),
            **self._numbers(played, rows),
            **self._errors(played, rows),
            **self._dims(true_dims, rows),
        }
        table = pa.table(columns).take(pa.array(sent[order]))
        return table.append_column("received_time", _times(arrived[order])).select(list(PLAYBACK.names))

    def _delay_ms(self, count: int) -> Ints:
        usual = self.rng.lognormal(np.log(2_500), 0.75, count)
        late = self.rng.random(count) < self.setting.recipe.dirt.late_share
        long = np.clip(self.rng.lognormal(np.log(35 * MINUTE_MS), 1.2, count), MINUTE_MS, 26 * HOUR_MS)
        return np.where(late, long, usual).astype(np.int64)

    def _clock_error_ms(self, played: Played, rows: Rows) -> Ints:
        """Return how far each event's clock is off; a player is wrong as a whole, and stays so."""
        shape = (len(self.setting.people), len(DEVICE_TYPES))
        error = self.rng.normal(0, 400, shape)
        draw = self.rng.random(shape)
        share = self.setting.recipe.dirt.wrong_clock_share
        error[draw < share] = self.rng.uniform(-20 * MINUTE_MS, 20 * MINUTE_MS, int((draw < share).sum()))
        error[draw < share * DAYS_WRONG_SHARE] = -10 * DAY_MS
        attempts = played.attempts
        device = attempts.codes("device_type")
        total = error[attempts.subscriber, device][rows.session].astype(np.int64)
        for it in self.setting.recipe.on(Harmless.CLOCK_SKEW):
            total += np.where(self._during(it, attempts.dims, rows), int(it.amount * HOUR_MS), 0)
        return total

    def _during(self, it: LookAlike, dims: Ints, rows: Rows) -> Bools:
        inside = self.setting.vocabulary.mask(dims, it.cohort)[rows.session]
        return inside & (rows.time_ms >= epoch_ms(it.start)) & (rows.time_ms < epoch_ms(it.end))

    def _outages(self, dims: Ints, rows: Rows, received: Ints) -> tuple[Ints, Ints]:
        """Lose a share of what was sent in a collector outage; the rest arrives in a burst after it."""
        lost = np.zeros(len(received), dtype=bool)
        for it in self.setting.recipe.on(Harmless.COLLECTOR_OUTAGE):
            hit = self._during(it, dims, rows)
            lost |= hit & (self.rng.random(len(received)) < it.amount)
            burst = epoch_ms(it.end) + self.rng.exponential(3 * MINUTE_MS, len(received)).astype(np.int64)
            received = np.where(hit, np.maximum(received, burst), received)
        return np.flatnonzero(~lost), received

    def _event_ids(self, rows: Rows, session_ids: Sequence[str]) -> pa.Array:
        first = np.searchsorted(rows.session, rows.session)
        place = pa.array(np.arange(len(rows.session)) - first).cast(pa.string())
        return pc.binary_join_element_wise(pa.array(session_ids).take(pa.array(rows.session)), place, "-")

    def _numbers(self, played: Played, rows: Rows) -> dict[str, pa.Array]:
        bitrate = np.where(rows.playing_ms > 0, self._bitrate(played, rows), NOTHING)
        amounts: dict[str, Ints] = {name: getattr(rows, name) for name in INT_COLUMNS[:-1]}
        return {name: _numbers(values) for name, values in {**amounts, "bitrate_kbps": bitrate}.items()}

    def _bitrate(self, played: Played, rows: Rows) -> Ints:
        dims = played.attempts.dims
        usual = np.array([DIGITS[name] for name in DEVICE_TYPES])[played.attempts.codes("device_type")]
        is_cellular = played.attempts.codes("connection_type") == self.setting.vocabulary.code(
            "connection_type", "cellular"
        )
        usual = usual * np.where(is_cellular, 0.7, 1.0) * self.rng.lognormal(-0.1, 0.3, len(usual))
        noisy = usual[rows.session] * self.rng.normal(1, 0.05, len(rows.session))
        for fault in self.setting.recipe.faults:
            hit = self.setting.vocabulary.mask(dims, fault.cohort)[rows.session]
            hit &= (rows.time_ms >= epoch_ms(fault.start)) & (rows.time_ms < epoch_ms(fault.end))
            noisy = np.where(hit & (fault.households == 0), noisy * fault.effect.bitrate_x, noisy)
        return np.clip(noisy, 200, 25_000).astype(np.int64) // 10 * 10

    def _errors(self, played: Played, rows: Rows) -> dict[str, pa.Array]:
        is_error = (rows.kind == FAILED) | (rows.kind == DENIED)
        error = np.where(is_error, played.sessions.error[rows.session], NOTHING)
        codes = [CODES[name] for name in ERROR_CLASSES]
        flat = [code for group in codes for code in group]
        offsets = np.cumsum([0] + [len(group) for group in codes])
        chosen = offsets[error] + self.rng.integers(0, 12, len(error)) % np.array([len(it) for it in codes])[error]
        return {
            "error_class": _named(ERROR_CLASSES, error),
            "error_code": _named(flat, np.where(is_error, chosen, -1)),
        }

    def _dims(self, dims: Ints, rows: Rows) -> dict[str, pa.Array]:
        return {name: self._dim(name, dims[:, i], rows) for i, name in enumerate(DIMENSIONS)}

    def _dim(self, name: str, codes: Ints, rows: Rows) -> pa.Array:
        """Return one dimension's column, not known for a small share of sessions."""
        hidden = self.rng.random(len(codes)) < self.setting.recipe.dirt.missing_share
        seen = np.where(hidden & (name in ("region", "isp", "cdn", "app_version")), NOTHING, codes)
        return _named(self.setting.vocabulary.values[name], seen[rows.session])


def _named(names: Sequence[str], codes: Ints) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes, mask=codes < 0))


def _numbers(values: Ints) -> pa.Array:
    return pa.array(values, pa.int32(), mask=values < 0)


def _times(epoch: NDArray[Any]) -> pa.Array:
    return pa.array(epoch * 1000).cast(TIME_TYPE)
