"""A planned event silences what lies inside it while it lasts, and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from detectors.finding import Cohort
from incidents.cases import EditedMeanwhileError, ReviewError
from incidents.ledger import audit, schema
from incidents.ledger.store import Ledger
from incidents.model import TroubleKind
from incidents.silences import (
    Silence,
    SilenceKind,
    acts_on,
    end,
    expected,
    extend,
    mark_expected,
    plan,
    planned,
    silence_of,
    silenced,
)
from telemetry.contract import Signal
from tests.ledger.conftest import INCIDENT, OWN_TROUBLE, T0, TROUBLE

HOUR = timedelta(hours=1)
BEGIN, UNTIL = T0 - HOUR, T0 + 3 * HOUR


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        yield ledger


def silence_with(**values):
    plain = {
        "silence_id": "s",
        "kind": SilenceKind.MAINTENANCE,
        "cohort": Cohort.of({"cdn": "cdn-b"}),
        "signals": (Signal.BUFFERING,),
        "from_time": BEGIN,
        "until_time": UNTIL,
        "author": "ann",
        "reason": "New routers.",
        "created_time": BEGIN,
    }
    return Silence(**(plain | values))


def planned_one(connection, cohort=None, kind=SilenceKind.MAINTENANCE, begin=BEGIN, until=UNTIL, reason="Why.", **more):
    return plan(connection, kind, cohort or {"cdn": "cdn-b"}, begin, until, "ann", reason, T0, **more)


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"cohort": Cohort.of({"region": "US-TX"})}, False),
        ({"cohort": Cohort.of({"cdn": "cdn-a", "region": "US-TX"})}, False),
        ({"cohort": Cohort()}, False),
        ({"signal": Signal.FAILURE}, False),
        ({"onset_time": BEGIN - timedelta(minutes=10)}, True),
        ({"onset_time": BEGIN - timedelta(minutes=20)}, False),
        ({"onset_time": UNTIL}, False),
    ],
)
def test_a_silence_covers_what_lies_inside_it(changes, covered):
    assert silence_with().covers(replace(INCIDENT, **changes)) is covered


def test_an_incident_wider_than_the_plan_is_shown_beside_it_and_told_of():
    wider = replace(INCIDENT, cohort=Cohort.of({"region": "US-TX"}))
    assert silence_with().overlaps(wider)
    assert not silence_with().covers_trouble(TROUBLE, wider)
    assert not silence_with().overlaps(replace(INCIDENT, cohort=Cohort.of({"cdn": "cdn-a"})))


def test_trouble_that_outlasts_the_event_is_told_of():
    silence = silence_with()
    assert silence.covers_trouble(TROUBLE, INCIDENT)
    assert not silence.covers_trouble(replace(TROUBLE, last_bad_time=UNTIL), INCIDENT)
    assert not replace(silence, ended_time=T0 - timedelta(minutes=5)).covers_trouble(TROUBLE, INCIDENT)


def test_an_all_clear_is_never_silenced():
    assert not silence_with().covers_trouble(replace(TROUBLE, kind=TroubleKind.ALL_CLEAR), INCIDENT)


def test_a_price_change_silences_refused_payments_and_no_other_refusal():
    silence = silence_with(kind=SilenceKind.PRICE_CHANGE, cohort=Cohort.of({"country": "GB"}), signals=(Signal.ACCESS,))
    refused = replace(OWN_TROUBLE, problem=Signal.ACCESS, error_class="payment")
    assert silence.covers_trouble(refused, None, "GB")
    assert not silence.covers_trouble(refused, None, "SE")
    assert not silence.covers_trouble(refused, None, None)
    assert not silence.covers_trouble(replace(refused, error_class="drm"), None, "GB")


def test_a_trouble_of_ones_own_is_silenced_only_where_all_that_is_named_is_known():
    assert not silence_with().covers_trouble(OWN_TROUBLE, None, "GB")
    assert silence_with(cohort=Cohort()).covers_trouble(OWN_TROUBLE, None, None)
    assert silence_with(cohort=Cohort.of({"device_type": "smart_tv"})).covers_trouble(OWN_TROUBLE, None)


names = st.sampled_from(["cdn", "region", "isp"])
cohorts = st.dictionaries(names, st.sampled_from(["a", "b"]), max_size=3).map(Cohort.of)


@given(plan=cohorts, struck=cohorts, more=cohorts)
@settings(deadline=None)
def test_narrower_incidents_stay_covered_and_what_is_covered_overlaps(plan, struck, more):
    silence, incident = silence_with(cohort=plan), replace(INCIDENT, cohort=struck)
    if silence.covers(incident):
        assert silence.overlaps(incident)
        narrower = Cohort.of({**dict(more.values), **dict(struck.values)})
        assert silence.covers(replace(incident, cohort=narrower))


def test_incidents_found_before_and_after_are_marked_with_the_silence_that_covers_them(ledger):
    with ledger.write() as connection:
        ledger.save_incidents(connection, [INCIDENT])
        silence = planned_one(connection)
        ledger.save_incidents(connection, [replace(INCIDENT, incident_id="inc-2")])
        assert mark_expected(connection, T0) == 1
        assert mark_expected(connection, T0) == 0
        assert acts_on(connection, silence.silence_id) == ["inc-1", "inc-2"]
        assert expected(connection, ["inc-1", "other"]) == {"inc-1": silence}


def test_a_silence_is_moved_and_ended_once_and_by_one_at_a_time(ledger):
    with ledger.write() as connection:
        silence = planned_one(connection)
        moved = extend(connection, silence.silence_id, UNTIL + HOUR, "ann", T0, seen=0)
        assert moved.end == UNTIL + HOUR
        with pytest.raises(EditedMeanwhileError, match="ann changed this silence"):
            end(connection, silence.silence_id, "ben", T0, seen=0)
        assert silence_of(connection, silence.silence_id) == moved
        ended = end(connection, silence.silence_id, "ben", T0, seen=1)
        assert ended.is_in_force(T0 - HOUR / 2)
        assert not ended.is_in_force(T0)
        with pytest.raises(ReviewError, match="over already"):
            end(connection, silence.silence_id, "ben", T0, seen=2)
        assert planned(connection, T0 + HOUR) == []
        actions = [entry.action for entry in audit.history(connection)]
    assert sorted(actions) == ["silence.ended", "silence.moved", "silence.planned"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"reason": " "}, "The reason is missing"),
        ({"begin": UNTIL}, "end after it begins"),
        ({"begin": BEGIN - HOUR, "until": BEGIN}, "does nothing"),
        ({"until": BEGIN + timedelta(days=40)}, "31 days at most"),
        ({"cohort": {"planet": "Mars"}}, "known dimension"),
        ({"cohort": {"isp": "x" * 300}}, "256 characters"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(ledger, arguments, sentence):
    with ledger.write() as connection:
        with pytest.raises(ReviewError, match=sentence):
            planned_one(connection, **arguments)
        assert planned(connection, BEGIN) == []


def test_each_kind_is_about_its_own_signals(ledger):
    with ledger.write() as connection:
        assert planned_one(connection, kind=SilenceKind.PRICE_CHANGE).signals == (Signal.ACCESS,)
        assert Signal.ACCESS not in planned_one(connection, kind=SilenceKind.PREMIERE).signals
        assert planned_one(connection, signals=[Signal.STARTUP]).signals == (Signal.STARTUP,)


def test_people_of_a_planned_event_wait_for_its_end_and_no_longer(ledger):
    with ledger.write() as connection:
        ledger.save_incidents(connection, [INCIDENT])
        silence = planned_one(connection)
        key = (TROUBLE.subscriber_id, TROUBLE.episode)
        assert silenced(connection, [TROUBLE], {}, T0) == {key: UNTIL}
        assert silenced(connection, [TROUBLE], {}, UNTIL + HOUR) == {key: None}
        assert silenced(connection, [replace(TROUBLE, last_bad_time=UNTIL)], {}, UNTIL + HOUR) == {}
        row = {
            "notice_id": "n1",
            "subscriber_id": TROUBLE.subscriber_id,
            "episode": TROUBLE.episode,
            "kind": "problem",
            "decided_time": T0,
            "problem": "buffering",
            "cause": "service",
            "incident_id": "inc-1",
            "channel": "email",
            "withheld_reason": "silenced",
            "release_time": UNTIL,
        }
        connection.execute(schema.notices.insert().values(row))
        released = select(schema.notices.c.release_time)
        moved = extend(connection, silence.silence_id, UNTIL + HOUR, "ann", T0, seen=0)
        assert connection.scalar(released) == UNTIL + HOUR
        end(connection, silence.silence_id, "ann", T0, seen=moved.revision)
        assert connection.scalar(released) == T0
