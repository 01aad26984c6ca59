"""The newer gates one by one, clocks that change, and what holds over any history."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.model import Cause, Severity, TroubleKind
from notifiers.decide import decide, in_holdout
from notifiers.local_time import is_quiet, zone
from notifiers.model import (
    HOLDING,
    Category,
    ChannelName,
    History,
    Policy,
    Rollout,
    RolloutState,
    SupportContact,
)
from notifiers.preferences import category_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("reason", "minutes", "answered", "cause", "held"),
    [
        ("buffering", 5, True, Cause.SERVICE, True),
        ("buffering", 5, None, Cause.SERVICE, True),
        ("buffering", 5, False, Cause.SERVICE, False),
        ("buffering", 45, True, Cause.SERVICE, False),
        ("buffering", -5, True, Cause.SERVICE, False),
        ("billing", 5, True, Cause.SERVICE, False),
        ("billing", 5, True, Cause.ACCOUNT, True),
        (None, 5, True, Cause.SERVICE, False),
    ],
)
def test_who_was_helped_since_it_began_is_not_told(
    reason, minutes, answered, cause, held, trouble, person, policy, noon
):
    asked = SupportContact(noon - minutes * MINUTE, reason, answered)
    history = History(contacts={"u-1": (asked,)})
    (decision,) = decide([trouble(cause)], {"u-1": person()}, history, policy, noon)
    assert decision.withheld_reason == ("contacted_support" if held else None)


def test_a_budget_moves_on_to_the_next_channel_and_then_to_the_next_day(trouble, person, noon):
    policy = Policy(holdout_share=0, email_budget=3, in_app_budget=1)
    troubles = [trouble(subscriber_id=f"u-{n}") for n in range(4)]
    people = {it.subscriber_id: person(subscriber_id=it.subscriber_id) for it in troubles}
    decisions = decide(troubles, people, History(spent={ChannelName.EMAIL: 1}), policy, noon)
    assert [(d.channel, d.withheld_reason) for d in decisions] == [
        ("email", None),
        ("email", None),
        ("in_app", None),
        ("email", "provider_budget"),
    ]
    assert decisions[-1].release_time == datetime(2026, 3, 10, tzinfo=UTC)
    assert decisions[-1].needs_words


@pytest.mark.parametrize(
    ("state", "share", "reason"),
    [
        (RolloutState.WAITING, 0.0, "awaiting_approval"),
        (RolloutState.WAITING, 1.0, None),
        (RolloutState.APPROVED, 1.0, None),
        (RolloutState.REFUSED, 1.0, "rollout_refused"),
    ],
)
def test_a_large_audience_waits_for_a_word(state, share, reason, trouble, person, policy, noon):
    history = History(rollouts={"i-1": Rollout("i-1", 9000, share, state, noon)})
    (decision,) = decide([trouble()], {"u-1": person()}, history, policy, noon)
    assert decision.withheld_reason == reason
    assert decision.needs_words is (reason != "rollout_refused")


def test_severity_passes_only_where_the_policy_says_so(trouble, person, noon):
    night = noon + 11 * HOUR
    grave = trouble(severity=Severity.CRITICAL, last_bad_time=night)
    by_mail = {"u-1": person(in_app_opt_in=False)}
    strict = Policy(holdout_share=1)
    lenient = Policy(
        holdout_share=1,
        max_per_day=0,
        holdout_exempt=(Severity.CRITICAL,),
        pass_caps=(Severity.CRITICAL,),
        pass_quiet=(Severity.CRITICAL,),
    )
    assert decide([grave], by_mail, History(), strict, night)[0].withheld_reason == "holdout"
    assert decide([grave], by_mail, History(), lenient, night)[0].withheld_reason is None
    slight = trouble(severity=Severity.MAJOR, last_bad_time=night)
    assert decide([slight], by_mail, History(), lenient, night)[0].withheld_reason == "holdout"


def test_who_is_watching_gets_a_card_first(trouble, person, noon):
    policy = Policy(holdout_share=0, active_within=15 * MINUTE)
    for good, channel in ((noon - 5 * MINUTE, "in_app"), (None, "in_app")):
        (decision,) = decide([trouble(last_good_time=good)], {"u-1": person()}, History(), policy, noon)
        assert decision.channel == channel
    idle = trouble(last_bad_time=noon - HOUR)
    assert decide([idle], {"u-1": person()}, History(), policy, noon)[0].channel == "email"


def test_a_morning_is_no_stampede(trouble, person, noon):
    night = noon + 11 * HOUR
    troubles = [trouble(subscriber_id=f"u-{n}", last_bad_time=night) for n in range(300)]
    people = {it.subscriber_id: person(subscriber_id=it.subscriber_id, in_app_opt_in=False) for it in troubles}
    decisions = decide(troubles, people, History(), Policy(holdout_share=0), night)
    morning = datetime(2026, 3, 10, 8, tzinfo=UTC)
    minutes = Counter(int((d.release_time - morning) / MINUTE) for d in decisions)
    assert set(minutes) == set(range(30))
    assert max(minutes.values()) < 30


@pytest.mark.parametrize(
    ("name", "evening", "morning"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, 22, 30, tzinfo=UTC), datetime(2026, 3, 29, 6, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 24, 21, 30, tzinfo=UTC), datetime(2026, 10, 25, 7, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 8, 4, tzinfo=UTC), datetime(2026, 3, 8, 12, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 1, 13, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 12, tzinfo=UTC), datetime(2026, 4, 4, 21, 30, tzinfo=UTC)),
        ("Mars/Olympus", datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 8, tzinfo=UTC)),
    ],
)
def test_nights_in_which_the_clock_changes(name, evening, morning, trouble, person, policy):
    by_mail = {"u-1": person(timezone=name, in_app_opt_in=False)}
    (decision,) = decide([trouble(last_bad_time=evening)], by_mail, History(), policy, evening)
    assert (decision.withheld_reason, decision.release_time) == ("quiet_hours", morning)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "nowhere", None]
CHANGES = [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)]


@st.composite
def moments(draw):
    """Rising moments around a change of the clock."""
    start = draw(st.sampled_from(CHANGES)) - DAY
    gaps = draw(st.lists(st.integers(5, 20 * 60), min_size=1, max_size=8))
    return [start + sum(gaps[: n + 1]) * MINUTE for n in range(len(gaps))]


@settings(deadline=None, max_examples=150)
@given(data=st.data(), times=moments())
def test_over_any_history_nobody_is_told_who_must_not_be(data, times, trouble, person):
    policy = Policy(
        holdout_share=0.2, max_per_day=2, max_per_week=3, max_per_incident=2, incident_gap=HOUR, own_gap=2 * HOUR
    )
    heard: dict[str, tuple] = {"u-1": (), "u-2": ()}
    sent: list = []
    for now in times:
        people = {
            who: person(
                subscriber_id=who,
                timezone=data.draw(st.sampled_from(ZONES)),
                email=data.draw(st.sampled_from([f"{who}@example.net", "x\ny", None])),
                email_opt_in=data.draw(st.booleans()),
                in_app_opt_in=data.draw(st.booleans()),
            )
            for who in heard
        }
        topics = st.tuples(st.sampled_from(list(Category)), st.sampled_from(list(ChannelName)))
        choices = {who: data.draw(st.dictionaries(topics, st.booleans())) for who in heard}
        asked = {who: data.draw(st.sampled_from([(), (SupportContact(now, "buffering", True),)])) for who in heard}
        blocked = frozenset(data.draw(st.sets(st.sampled_from([f"{who}@example.net" for who in heard]))))
        state = data.draw(st.sampled_from(list(RolloutState)))
        stages = Rollout("i-1", 9000, data.draw(st.sampled_from([0.0, 0.5, 1.0])), state, now)
        facts = History(heard, blocked, choices, asked, {}, {"i-1": stages})
        troubles = [
            trouble(
                data.draw(st.sampled_from(list(Cause))),
                subscriber_id=who,
                incident_id=data.draw(st.sampled_from(["i-1", "i-2", "i-3", None])),
                kind=data.draw(st.sampled_from(list(TroubleKind)[:2])),
                severity=data.draw(st.sampled_from(list(Severity))),
                since=now - HOUR,
                last_bad_time=now - 10 * MINUTE,
            )
            for who in data.draw(st.lists(st.sampled_from(list(heard)), max_size=4))
        ]
        decisions = decide(troubles, people, facts, policy, now)
        wanted = {(t.subscriber_id, t.episode, t.kind) for t in troubles}
        known = {(who, past.episode, past.kind) for who, all_past in heard.items() for past in all_past}
        assert Counter((d.trouble.subscriber_id, d.trouble.episode, d.trouble.kind) for d in decisions) == Counter(
            wanted - known
        )
        for decision in decisions:
            assert (decision.release_time is not None) <= (decision.withheld_reason in HOLDING)
            if decision.withheld_reason is None:
                _may_be_told(decision, people, facts, policy, now)
                sent.append(decision)
        for decision in decisions:
            who = decision.trouble.subscriber_id
            heard = heard | {who: (*heard[who], decision.past)}
    _nobody_has_had_too_much(sent, heard, people, policy)


def _may_be_told(decision, people, facts, policy, now):
    who, is_problem = decision.trouble.subscriber_id, decision.trouble.kind is TroubleKind.PROBLEM
    recipient, topic = people[who], (category_of(decision.trouble.verdict.cause), decision.channel)
    by_list = recipient.email_opt_in if decision.channel is ChannelName.EMAIL else recipient.in_app_opt_in
    assert facts.choices[who].get(topic, by_list)
    if decision.channel is ChannelName.EMAIL:
        assert recipient.email == f"{who}@example.net"
        assert recipient.email not in facts.suppressed
        assert not is_quiet(now.astimezone(zone(recipient.timezone)), policy.quiet_from, policy.quiet_until)
    if is_problem:
        assert not in_holdout(who, policy)
        assert not facts.contacts[who]
        if decision.trouble.episode == "i-1":
            assert facts.rollouts["i-1"].allows(who)


def _nobody_has_had_too_much(sent, heard, people, policy):
    problems = [d for d in sent if d.trouble.kind is TroubleKind.PROBLEM]
    for who in heard:
        mine = [d.decided_time for d in problems if d.trouble.subscriber_id == who]
        for start in mine:
            assert sum(start <= it < start + 7 * HOUR for it in mine) <= 2 * policy.max_per_day
        by_incident = Counter(d.trouble.incident_id for d in problems if d.trouble.subscriber_id == who)
        assert all(count <= 1 for incident_id, count in by_incident.items() if incident_id)


def test_a_wall_clock_that_strikes_twice_is_quiet_by_what_it_shows():
    berlin = ZoneInfo("Europe/Berlin")
    twice = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC).astimezone(berlin) for hour in (0, 1)]
    assert [f"{it:%H:%M}" for it in twice] == ["02:30", "02:30"]
    assert all(is_quiet(it, time(22), time(8)) for it in twice)
