"""What people chose, what was stopped, and what waits for approval: rows of the ledger, each change on record."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from incidents.ledger import audit
from incidents.ledger.schema import notices, outbox, preferences
from incidents.model import Cause
from notifiers import rollout, stops
from notifiers.insert import insert_new, upsert
from notifiers.model import Category, ChannelName, RolloutState
from notifiers.preferences import Source, category_of, choices_of, choose, wants
from notifiers.rollout import RolloutError
from notifiers.spread import share_of
from notifiers.stops import StopError, StopKind, channel_scope, unstopped

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SHARED_MAIL = (Category.SHARED, ChannelName.EMAIL)


class TestPreferences:
    """The latest explicit choice holds; without one, the subscriber list does."""

    @pytest.mark.parametrize("listed", [True, False])
    @pytest.mark.parametrize("chosen", [True, False, None])
    def test_a_choice_outweighs_the_list_both_ways(self, listed, chosen, person):
        choices = {} if chosen is None else {SHARED_MAIL: chosen}
        recipient = person(email_opt_in=listed, in_app_opt_in=listed)
        assert wants(recipient, choices, SHARED_MAIL) is (listed if chosen is None else chosen)
        assert wants(recipient, choices, (Category.OWN, ChannelName.EMAIL)) is listed
        assert wants(recipient, choices, (Category.SHARED, ChannelName.IN_APP)) is listed

    def test_one_click_is_about_mail_of_every_category(self, engine, noon):
        with engine.begin() as connection:
            choose(connection, "u-1", False, Source.ONE_CLICK, noon, channels=[ChannelName.EMAIL])
            found = choices_of(connection, ["u-1", "u-2"])
        assert found == {"u-1": {(category, ChannelName.EMAIL): False for category in Category}}

    def test_a_late_arrival_of_an_earlier_choice_changes_nothing(self, engine, noon):
        with engine.begin() as connection:
            assert choose(connection, "u-1", True, Source.PAGE, noon) == 4
            assert choose(connection, "u-1", False, Source.PROVIDER, noon - MINUTE) == 0
            assert set(choices_of(connection, ["u-1"])["u-1"].values()) == {True}
            assert choose(connection, "u-1", False, Source.PROVIDER, noon + MINUTE) == 4
            assert set(choices_of(connection, ["u-1"])["u-1"].values()) == {False}
            assert set(connection.scalars(select(preferences.c.source))) == {"provider"}

    def test_each_choice_is_on_record(self, engine, noon):
        with engine.begin() as connection:
            choose(connection, "u-1", False, Source.SUPPORT, noon, categories=[Category.OWN], actor="lea")
            (entry,) = audit.history(connection, "subscriber:u-1")
        assert (entry.actor, entry.action) == ("lea", "preference.chosen")
        assert entry.detail == {"source": "support", "choices": {"own/email": False, "own/in_app": False}}

    def test_every_cause_has_a_category(self):
        assert {cause: category_of(cause).value for cause in Cause} == {
            "service": "shared",
            "isp": "shared",
            "app": "shared",
            "household": "own",
            "account": "own",
        }


class TestStops:
    """A stop holds what it covers until it ends."""

    def test_it_is_in_force_until_it_ends(self, engine, noon):
        with engine.begin() as connection:
            stop = stops.start(connection, "all", StopKind.PERSON, "Wrong words.", noon, by="ops")
            assert stops.in_force(connection, noon) == [stop]
            assert stops.in_force(connection, noon - MINUTE) == []
            (ended,) = stops.end(connection, noon + HOUR, by="ops")
            assert ended.stop_id == stop.stop_id
            assert stops.in_force(connection, noon + HOUR) == []
            assert [entry.action for entry in audit.history(connection, "all")] == [
                "sending.resumed",
                "sending.stopped",
            ]

    def test_one_with_an_end_ends_by_itself_and_may_be_prolonged(self, engine, noon):
        email = channel_scope(ChannelName.EMAIL)
        with engine.begin() as connection:
            first = stops.start(connection, email, StopKind.RATE, "429", noon, until=noon + MINUTE)
            again = stops.start(connection, email, StopKind.RATE, "429", noon, until=noon + HOUR)
            assert (again.stop_id, again.until_time) == (first.stop_id, noon + HOUR)
            assert len(stops.in_force(connection, noon + 59 * MINUTE)) == 1
            assert stops.in_force(connection, noon + HOUR) == []

    def test_ending_one_kind_leaves_the_others(self, engine, noon):
        with engine.begin() as connection:
            stops.start(connection, "all", StopKind.FLOOD, "Too many.", noon)
            stops.start(connection, "channel:email", StopKind.REFUSED, "401", noon)
            stops.end(connection, noon, kinds=[StopKind.REFUSED])
            assert [stop.kind for stop in stops.in_force(connection, noon)] == ["flood"]
            assert stops.end(connection, noon, scope="channel:email") == []

    @pytest.mark.parametrize("scope", ["", "everything", "channel:pigeon", "incident:", "incident:a b", "all "])
    def test_a_scope_that_there_is_not_is_refused(self, scope, engine, noon):
        with engine.begin() as connection, pytest.raises(StopError, match="There is no scope"):
            stops.start(connection, scope, StopKind.PERSON, "x", noon)

    @pytest.mark.parametrize(
        ("scope", "held"),
        [
            ("all", {"mail", "card"}),
            ("channel:email", {"mail"}),
            ("channel:in_app", {"card"}),
            ("incident:i-1", {"mail"}),
            ("incident:i-9", set()),
        ],
    )
    def test_the_condition_and_the_object_agree(self, scope, held, engine, add_incident, noon):
        add_incident("i-1")
        with engine.begin() as connection:
            for name, channel, incident_id in (("mail", "email", "i-1"), ("card", "in_app", None)):
                add_message(connection, name, channel, incident_id, noon)
            stop = stops.start(connection, scope, StopKind.PERSON, "x", noon, until=noon + HOUR)
            joined = select(outbox.c.message_id).join(notices).where(unstopped())
            assert set(connection.scalars(joined, {"now": noon})) == {"mail", "card"} - held
            assert set(connection.scalars(joined, {"now": noon + HOUR})) == {"mail", "card"}
        covered = {"mail": stop.covers(ChannelName.EMAIL, "i-1"), "card": stop.covers(ChannelName.IN_APP, None)}
        assert {name for name, is_covered in covered.items() if is_covered} == held


def add_message(connection, name, channel, incident_id, now):
    about = {"subscriber_id": f"u-{name}", "episode": "e", "kind": "problem", "decided_time": now}
    what = {"problem": "buffering", "cause": "service", "incident_id": incident_id, "channel": channel}
    connection.execute(insert(notices).values(notice_id=name, **about, **what))
    words = {"subject": "", "html": "", "text": "", "card": {}}
    times = {"queued_time": now, "next_attempt_time": now}
    row = {"message_id": name, "notice_id": name, "stage": "first", "channel": channel, "state": "queued"}
    connection.execute(insert(outbox).values(**row, **words, **times))


class TestRollout:
    """Stages by a stable hash, each with a person's word."""

    def test_stages_widen_and_keep_whom_they_had(self, engine, noon):
        people = [f"u-{n}" for n in range(2000)]
        with engine.begin() as connection:
            first = rollout.ask(connection, "i-1", 2000, 0.01, noon)
            assert rollout.waiting(connection) == [first]
            second = rollout.approve(connection, "i-1", "lea", noon, stages=(0.01, 0.1, 1.0))
            assert (second.state, second.allowed_share, second.decided_by) == ("going", 0.1, "lea")
            rollout.ask(connection, "i-1", 2000, 0.1, noon)
            third = rollout.approve(connection, "i-1", "lea", noon, stages=(0.01, 0.1, 1.0))
            assert rollout.read(connection, ["i-1", "i-2"]) == {"i-1": third}
        told = [{who for who in people if it.allows(who)} for it in (first, second, third)]
        assert told[0] < told[1] < told[2] == set(people)
        assert 10 <= len(told[0]) <= 32
        assert 160 <= len(told[1]) <= 240

    def test_after_a_no_nobody_is_told(self, engine, noon):
        with engine.begin() as connection:
            rollout.ask(connection, "i-1", 10, 0.5, noon)
            refused = rollout.refuse(connection, "i-1", "lea", noon, note="A false alarm.")
            assert not any(refused.allows(f"u-{n}") for n in range(50))
            assert refused.state is RolloutState.REFUSED
            (entry,) = audit.history(connection, "rollout:i-1")
            assert (entry.actor, entry.action, entry.detail["note"]) == ("lea", "rollout.refused", "A false alarm.")
            with pytest.raises(RolloutError, match="Nothing waits"):
                rollout.approve(connection, "i-1", "lea", noon)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_place_is_stable_and_within_its_bounds(key):
    assert 0 <= share_of(*key) < 1
    assert share_of(*key) == share_of(*key)


def test_places_are_spread_evenly():
    places = [share_of("salt", f"u-{n}") for n in range(10_000)]
    assert all(900 < sum(n / 10 <= place < (n + 1) / 10 for place in places) < 1100 for n in range(10))


def test_insert_leaves_alone_and_upsert_brings_up_to_date(engine, noon):
    row = {"subscriber_id": "u-1", "category": "own", "channel": "email", "changed_time": noon, "source": "page"}
    with engine.begin() as connection:
        assert insert_new(connection, preferences, [{**row, "allowed": True}]) == 1
        assert insert_new(connection, preferences, [{**row, "allowed": False}]) == 0
        assert connection.scalar(select(preferences.c.allowed)) is True
        assert upsert(connection, preferences, [{**row, "allowed": False}]) == 1
        assert connection.scalar(select(preferences.c.allowed)) is False
        assert upsert(connection, preferences, []) == 0
