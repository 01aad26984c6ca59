"""What a subscriber can check from their own sessions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detectors.finding import Cohort
from detectors.observations import Vocabularies, slot_start
from incidents.sentences import of_fault, of_run
from telemetry.contract import DIMENSIONS, Signal
from tests.incidents.slices import slices

CDN, REGION = DIMENSIONS.index("cdn"), DIMENSIONS.index("region")
PLAYBACK = (Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE)
ONSET = 1_000
FAULTY = Cohort.of({"cdn": "cdn-b"})


def session(number: int, cdn: int, *, bad: bool = False, slot: int = ONSET, region: int = 0) -> dict[str, Any]:
    codes = np.zeros(len(DIMENSIONS))
    codes[CDN], codes[REGION] = cdn, region
    return {"session": number, "slot": slot, "codes": codes, "bad": {Signal.BUFFERING} if bad else set()}


@pytest.fixture
def words() -> Vocabularies:
    it = Vocabularies()
    it.dimensions[CDN].encode(pa.chunked_array([["cdn-a", "cdn-b", "cdn-c", "cdn-d", "cdn-e"]]))
    it.dimensions[REGION].encode(pa.chunked_array([["BR-SP", "BR-RJ"]]))
    return it


def said(words: Vocabularies, *sessions: dict[str, Any], cohort: Cohort = FAULTY, counts: tuple[int, int] = (2, 3)):
    return of_fault(slices(*sessions), words, cohort, slot_start(ONSET), Signal.BUFFERING, PLAYBACK, *counts)


def test_bad_sessions_on_one_network_and_good_ones_on_another(words: Vocabularies) -> None:
    here = [session(1, 1, bad=True), session(2, 1, bad=True), session(3, 1)]
    there = [session(4, 0), session(4, 0, slot=ONSET + 1), session(5, 0, slot=ONSET - 50)]
    assert said(words, *here, *there) == (
        "2 of 3 sessions on CDN cdn-b stalled.",
        "None of 2 sessions on CDN cdn-a did.",
    )


def test_what_was_before_is_told_too_and_a_session_that_went_on_is_not_before(words: Vocabularies) -> None:
    rows = [session(1, 1, bad=True), session(1, 1, slot=ONSET - 1), session(2, 1, slot=ONSET - 40)]
    assert said(words, *rows, counts=(1, 1)) == (
        "1 of 1 session on CDN cdn-b stalled.",
        "None of 1 session before it began did.",
    )


def test_bad_sessions_elsewhere_are_not_hidden(words: Vocabularies) -> None:
    assert said(words, session(1, 1, bad=True), session(2, 2, bad=True), session(3, 0), session(4, 0))[1:] == (
        "1 of 3 sessions on CDN cdn-a or cdn-c did.",
    )


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([session(2, -1)], id="a network nobody knows"),
        pytest.param([session(n, cdn) for n, cdn in enumerate((0, 2, 3, 4), 2)], id="too many to name"),
    ],
)
def test_where_no_name_helps_it_is_elsewhere(words: Vocabularies, others: list[dict[str, Any]]) -> None:
    assert said(words, session(1, 1, bad=True), *others)[1].endswith("elsewhere did.")


def test_the_dimension_that_differs_is_named(words: Vocabularies) -> None:
    both = Cohort.of({"cdn": "cdn-b", "region": "BR-SP"})
    assert said(words, session(1, 1, bad=True), session(2, 1, region=1), cohort=both)[1:] == (
        "None of 1 session on region BR-RJ did.",
    )


def test_everyone_is_no_place(words: Vocabularies) -> None:
    assert said(words, session(1, 1, bad=True), cohort=Cohort(), counts=(1, 4)) == ("1 of 4 sessions stalled.",)


def test_a_run_of_ones_own_is_counted_and_of_others_only_what_is_known() -> None:
    counted, others = of_run(3, 4, Signal.FAILURE, others_suspected=False)
    assert counted == "3 of the last 4 sessions failed, and no known fault explains them."
    assert "no clear sign" in others
    assert "may have trouble too" in of_run(3, 4, Signal.FAILURE, others_suspected=True)[1]
