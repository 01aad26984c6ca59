"""Slices as arrays: codes and texts, and who is freshly impaired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.observations import (
    MISSING,
    SIGNALS,
    ImpairmentRule,
    Observations,
    Vocabulary,
    moment_of,
    slot_of,
    slot_start,
)

NOON = 5_900_000
few = settings(max_examples=40, deadline=None)
texts = st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=12)


@few
@given(st.lists(texts, max_size=4))
def test_texts_come_back_from_their_codes(columns: list[list[str | None]]) -> None:
    words = Vocabulary()
    codes = [words.encode(pa.chunked_array([column], pa.string())) for column in columns]
    assert [words.decode(it).to_pylist() for it in codes] == columns
    assert len(words) == len({text for column in columns for text in column if text is not None})


@few
@given(texts, texts)
def test_a_text_keeps_its_code(first: list[str | None], second: list[str | None]) -> None:
    words = Vocabulary()
    before = words.encode(pa.chunked_array([first], pa.string()))
    words.encode(pa.chunked_array([second], pa.string()))
    np.testing.assert_array_equal(words.encode(pa.chunked_array([first], pa.string())), before)
    assert [words.find(t) for t in first if t is not None] == [c for c in before if c != MISSING]


def test_null_and_the_unknown_have_no_code() -> None:
    words = Vocabulary()
    np.testing.assert_array_equal(words.encode(pa.chunked_array([[None, "a", None]])), [MISSING, 0, MISSING])
    assert words.find("b") == MISSING
    assert words.text(0) == "a"


def test_columns_in_several_chunks_are_one_column() -> None:
    words = Vocabulary()
    chunks = pa.chunked_array([["a", "b"], [], ["b", None]], pa.string())
    np.testing.assert_array_equal(words.encode(chunks), [0, 1, 1, MISSING])


def test_slots_are_five_minutes_of_utc() -> None:
    moment = datetime(2026, 3, 9, 14, 7, 59, tzinfo=UTC)
    assert slot_start(slot_of(moment)) == datetime(2026, 3, 9, 14, 5, tzinfo=UTC)
    assert slot_of(moment + timedelta(minutes=5)) == slot_of(moment) + 1
    assert moment_of(int(moment.timestamp()) * 1_000_000) == moment


def test_the_rule_hands_on_what_the_queries_name() -> None:
    rule = ImpairmentRule(min_stalled_ms=7, memory_hours=2)
    assert rule.parameters["min_stalled_ms"] == 7
    assert set(rule.session_parameters) == {"min_session_ms", "min_ratio", "own_factor"}
    assert rule.memory_slots == 24


def brute_fresh(rows: Observations, memory_slots: int) -> tuple[np.ndarray, np.ndarray]:
    """The same by looking at every pair of rows; of one slot, the lower session comes first."""
    at_risk, fresh = np.zeros_like(rows.bad), np.zeros_like(rows.bad)
    for i in range(len(rows)):
        for signal in range(len(SIGNALS)):
            rested = not any(
                rows.subscriber[j] == rows.subscriber[i]
                and rows.bad[j, signal]
                and (rows.slot[j], rows.session[j]) < (rows.slot[i], rows.session[i])
                and rows.slot[i] - rows.slot[j] <= memory_slots
                for j in range(len(rows))
            )
            at_risk[i, signal] = rested and (rows.exposed[i, signal] or rows.bad[i, signal])
            fresh[i, signal] = rested and rows.bad[i, signal]
    return at_risk, fresh


flags = hnp.arrays(bool, (10, 4))


@few
@given(
    hnp.arrays(np.int32, 10, elements=st.integers(0, 2)),
    hnp.arrays(np.int64, 10, elements=st.integers(0, 12)),
    flags,
    flags,
    st.integers(0, 6),
    st.randoms(use_true_random=False),
)
def test_only_the_first_impairment_of_a_while_is_fresh(
    make_observed, subscriber, slot, exposed, bad, memory, random
) -> None:
    session = np.array(random.sample(range(50), 10), np.int32)
    rows = make_observed(10, subscriber=subscriber, slot=NOON + slot, exposed=exposed, bad=bad, session=session)
    marked = rows.with_fresh(memory)
    at_risk, fresh = brute_fresh(rows, memory)
    np.testing.assert_array_equal(marked.at_risk, at_risk)
    np.testing.assert_array_equal(marked.fresh, fresh)


def test_one_subscriber_of_a_thousand_sessions_is_one_piece_of_evidence(make_observed) -> None:
    rows = make_observed(1000, subscriber=np.zeros(1000, np.int32), bad=np.ones((1000, 4), bool))
    np.testing.assert_array_equal(rows.with_fresh(144).fresh.sum(axis=0), [1, 1, 1, 1])


def test_nothing_is_fresh_in_nothing() -> None:
    assert len(Observations.empty().with_fresh(144)) == 0
    assert len(Observations.concat([Observations.empty(), Observations.empty()])) == 0
