"""Every code has words, and numbers are written so that they are read rightly."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.report import words
from incidents.model import Cause, Severity
from notifiers.model import ChannelName, WithheldReason
from notifiers.outbox import State
from notifiers.reasons import REASONS
from telemetry.contract import DIMENSIONS, Signal


def test_every_code_has_words() -> None:
    pairs = (
        (words.SIGNALS, Signal),
        (words.IMPAIRED, Signal),
        (words.CAUSES, Cause),
        (words.SIDES, Cause),
        (words.SEVERITIES, Severity),
        (words.CHANNELS, ChannelName),
        (words.STATES, State),
        (REASONS, WithheldReason),
        (words.DIMENSIONS, DIMENSIONS),
    )
    assert [set(known) - set(said) for said, known in pairs] == [set()] * len(pairs)


@pytest.mark.parametrize(
    ("minutes", "written"),
    [
        (0, "0 min"),
        (59.6, "1 h 00 min"),
        (125, "2 h 05 min"),
        (1439, "23 h 59 min"),
        (1560, "1 d 2 h"),
        (-5, "0 min"),
    ],
)
def test_durations(minutes: float, written: str) -> None:
    assert words.duration(timedelta(minutes=minutes)) == written


@pytest.mark.parametrize(
    ("fraction", "written"),
    [(0, "0 %"), (0.004, "less than 1 %"), (0.5, "50 %"), (0.9991, "more than 99 %"), (1, "100 %")],
)
def test_shares(fraction: float, written: str) -> None:
    assert words.share(fraction) == written


@pytest.mark.parametrize(
    ("amount", "written"), [(0, "0"), (9.3, "9.3"), (12.4, "12"), (1234567, "1\u202f234\u202f567")]
)
def test_numbers(amount: float, written: str) -> None:
    assert words.number(amount) == written


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("cdn-a", "cdn-a"),
        ("a\r\nb\u202ec\x00", "a b c"),
        ("بيت القمر", "بيت القمر"),
        ("x" * 60, "x" * 47 + "…"),
    ],
)
def test_values_are_one_short_visible_line(text: str, seen: str) -> None:
    assert words.value(text) == seen
