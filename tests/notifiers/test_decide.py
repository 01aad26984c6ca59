"""Who is told what, and why the others are not."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import notifiers.decide as decide_module
from incidents.model import Cause, Severity, TroubleKind
from notifiers.decide import GATES, decide, in_holdout
from notifiers.gates.news import problem_held
from notifiers.model import ChannelName, History, Note, Policy, WithheldReason, notice_id, reasons, reference
from telemetry.contract import Signal

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_someone_with_a_fresh_problem_is_told_by_mail(trouble, decide_one, noon):
    decision = decide_one(trouble())
    assert decision.withheld_reason is None
    assert decision.channel is ChannelName.EMAIL
    assert decision.decided_time == noon
    assert decision.expires_time == noon + 16 * HOUR
    assert decision.needs_words


def test_an_episode_that_was_decided_on_gives_no_second_row(trouble, decide_one):
    first = decide_one(trouble())
    assert decide_one(trouble(), heard=[first.past]) is None


def test_a_withheld_episode_gives_no_second_row_either(trouble, decide_one, person):
    first = decide_one(trouble(), person(email_opt_in=False, in_app_opt_in=False))
    assert first.withheld_reason == "no_consent"
    assert decide_one(trouble(), heard=[first.past]) is None


def test_the_same_trouble_twice_in_one_call_is_decided_once(trouble, person, policy, noon):
    assert len(decide([trouble(), trouble()], {"u-1": person()}, History(), policy, noon)) == 1


def test_a_stranger_is_withheld_as_unknown(trouble, policy, noon):
    (decision,) = decide([trouble()], {}, History(), policy, noon)
    assert decision.withheld_reason == "unknown_subscriber"
    assert decision.notes == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"last_bad_time": -13 * HOUR}, "expired"),
        ({"last_bad_time": -11 * HOUR}, None),
        ({"incident_resolved": True}, "recovered"),
        ({"last_bad_time": -3 * HOUR, "last_good_time": -HOUR}, "recovered"),
        ({"last_bad_time": -HOUR, "last_good_time": -10 * MINUTE}, None),
        ({"last_bad_time": -3 * HOUR, "last_good_time": -4 * HOUR}, None),
        ({"last_bad_time": -3 * HOUR}, None),
    ],
)
def test_old_and_finished_problems_are_not_news(changes, reason, trouble, decide_one, noon):
    moments = {name: noon + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    assert decide_one(trouble(**moments)).withheld_reason == reason


@pytest.mark.parametrize(
    ("recipient", "suppressed", "channel", "reason"),
    [
        ({}, (), "email", None),
        ({"email_opt_in": False}, (), "in_app", None),
        ({"in_app_opt_in": False}, (), "email", None),
        ({"email_opt_in": False, "in_app_opt_in": False}, (), "email", "no_consent"),
        ({"email": None}, (), "in_app", None),
        ({"email": "not an address"}, (), "in_app", None),
        ({"email": None, "in_app_opt_in": False}, (), "email", "no_address"),
        ({"email": "a@b@c", "in_app_opt_in": False}, (), "email", "no_address"),
        ({}, ("ada@example.net",), "in_app", None),
        ({"email": "ADA@Example.net"}, ("ada@example.net",), "in_app", None),
        ({"in_app_opt_in": False}, ("ada@example.net",), "email", "suppressed"),
    ],
)
def test_consent_address_and_suppression_choose_the_channel(
    recipient, suppressed, channel, reason, trouble, person, decide_one
):
    decision = decide_one(trouble(), person(**recipient), suppressed=suppressed)
    assert (decision.channel, decision.withheld_reason) == (channel, reason)


def test_the_preferred_channel_is_a_setting(trouble, decide_one):
    cards_first = Policy(holdout_share=0, channels=(ChannelName.IN_APP, ChannelName.EMAIL))
    assert decide_one(trouble(), policy=cards_first).channel is ChannelName.IN_APP


def test_the_holdout_is_a_share_that_stays(trouble, decide_one):
    people = [f"u-{number}" for number in range(20_000)]
    small, large = Policy(holdout_share=0.02), Policy(holdout_share=0.05)
    held = {who for who in people if in_holdout(who, small)}
    assert 0.016 < len(held) / len(people) < 0.024
    assert held < {who for who in people if in_holdout(who, large)}
    assert held != {who for who in people if in_holdout(who, Policy(holdout_share=0.02, holdout_salt="other"))}
    decision = decide_one(trouble(subscriber_id=min(held)), policy=small)
    assert decision.withheld_reason == "holdout"


def test_no_share_holds_out_nobody_and_all_of_it_everybody():
    assert not in_holdout("u-1", Policy(holdout_share=0.0))
    assert in_holdout("u-1", Policy(holdout_share=1.0))


class TestToldRecently:
    """What somebody just heard is not said again in other words."""

    @pytest.mark.parametrize(
        ("first", "second", "later", "reason"),
        [
            ("service", "service", 2 * HOUR, "told_recently"),
            ("service", "service", 4 * HOUR, None),
            ("service", "isp", HOUR, None),
            ("service", "household", HOUR, "told_recently"),
            ("service", "household", 4 * HOUR, None),
            ("household", "service", HOUR, None),
            ("household", "household", 20 * HOUR, "told_recently"),
            ("household", "household", 25 * HOUR, None),
            ("service", "account", HOUR, None),
        ],
    )
    def test_by_cause_and_age(self, first, second, later, reason, trouble, decide_one, noon):
        past = decide_one(trouble(first, incident_id="i-0"), now=noon).past
        now = noon + later
        again = trouble(second, incident_id=None, since=now - HOUR, last_bad_time=now - MINUTE)
        awake = Policy(holdout_share=0, quiet_from=time(0), quiet_until=time(0))
        assert decide_one(again, heard=[past], now=now, policy=awake).withheld_reason == reason

    def test_a_new_fault_after_the_all_clear_is_news(self, trouble, all_clear, decide_one, noon):
        problem = decide_one(trouble()).past
        over = decide_one(all_clear(), heard=[problem]).past
        decision = decide_one(trouble(incident_id="i-2"), heard=[problem, over], now=noon + HOUR)
        assert decision.withheld_reason is None

    def test_what_was_withheld_without_consent_does_not_count(self, trouble, person, decide_one):
        past = decide_one(trouble(), person(email_opt_in=False, in_app_opt_in=False)).past
        assert decide_one(trouble(incident_id="i-2"), heard=[past]).withheld_reason is None

    def test_who_is_held_out_is_capped_like_the_others(self, trouble, decide_one):
        everybody = Policy(holdout_share=1.0)
        past = decide_one(trouble(), policy=everybody).past
        assert past.counts
        assert not past.told


OFTEN = Policy(holdout_share=0, incident_gap=timedelta(0), own_gap=timedelta(0), quiet_until=time(22))
"""Day and night, and again at once: only the caps hold anything back."""


class TestFrequencyCap:
    """So many notices in a person's own day and week, and no more."""

    def past_at(self, moments, trouble, decide_one):
        return [
            decide_one(trouble(incident_id=f"i-{n}", last_bad_time=at), now=at, policy=OFTEN).past
            for n, at in enumerate(moments, start=10)
        ]

    def test_the_fourth_of_a_day_is_capped(self, trouble, decide_one, noon):
        heard = self.past_at([noon - n * HOUR for n in (1, 2, 3)], trouble, decide_one)
        assert decide_one(trouble(), heard=heard, policy=OFTEN).withheld_reason == "frequency_cap"
        assert decide_one(trouble(), heard=heard[:2], policy=OFTEN).withheld_reason is None

    def test_a_day_is_the_persons_own(self, trouble, person, decide_one):
        tokyo = person(timezone="Asia/Tokyo")
        before_midnight = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)
        heard = self.past_at([before_midnight - n * MINUTE for n in (1, 2, 3)], trouble, decide_one)
        capped = decide_one(trouble(), tokyo, heard, before_midnight, OFTEN)
        next_day = decide_one(trouble(), tokyo, heard, before_midnight + HOUR, OFTEN)
        assert (capped.withheld_reason, next_day.withheld_reason) == ("frequency_cap", None)

    def test_the_ninth_of_a_week_is_capped_until_monday(self, trouble, decide_one):
        friday = datetime(2026, 3, 13, 12, tzinfo=UTC)
        heard = self.past_at([friday - n * 10 * HOUR for n in range(1, 9)], trouble, decide_one)
        fresh = {"last_bad_time": friday}
        assert decide_one(trouble(**fresh), heard=heard, now=friday, policy=OFTEN).withheld_reason == ("frequency_cap")
        monday = friday + 3 * DAY
        fresh = {"last_bad_time": monday}
        assert decide_one(trouble(**fresh), heard=heard, now=monday, policy=OFTEN).withheld_reason is None

    def test_decisions_of_the_same_call_count(self, trouble, person, noon):
        troubles = [trouble(incident_id=f"i-{n}") for n in range(5)]
        decisions = decide(troubles, {"u-1": person()}, History(), OFTEN, noon)
        assert reasons(decisions) == {"sent": 3, "frequency_cap": 2}

    def test_an_all_clear_is_never_capped(self, trouble, all_clear, decide_one, noon):
        heard = self.past_at([noon - n * HOUR for n in (1, 2, 3)], trouble, decide_one)
        over = all_clear(incident_id="i-10")
        assert decide_one(over, heard=heard, policy=OFTEN).withheld_reason is None


class TestQuietHours:
    """Mail waits until morning where the person is."""

    @pytest.mark.parametrize(
        ("zone", "utc_hour", "release"),
        [
            ("Europe/London", 12, None),
            ("Europe/London", 22, datetime(2026, 3, 10, 8, tzinfo=UTC)),
            ("Europe/London", 7, datetime(2026, 3, 9, 8, tzinfo=UTC)),
            ("Europe/London", 8, None),
            ("America/Los_Angeles", 12, datetime(2026, 3, 9, 15, tzinfo=UTC)),
            ("Asia/Kolkata", 12, None),
            ("Asia/Kolkata", 17, datetime(2026, 3, 10, 2, 30, tzinfo=UTC)),
        ],
    )
    def test_in_their_own_zone(self, zone, utc_hour, release, trouble, person, decide_one):
        now = datetime(2026, 3, 9, utc_hour, tzinfo=UTC)
        by_mail = person(timezone=zone, in_app_opt_in=False)
        decision = decide_one(trouble(last_bad_time=now), by_mail, now=now)
        assert decision.release_time == release
        assert decision.withheld_reason == ("quiet_hours" if release else None)
        assert decision.needs_words

    def test_a_card_wakes_nobody(self, trouble, decide_one):
        night = datetime(2026, 3, 9, 23, tzinfo=UTC)
        decision = decide_one(trouble(last_bad_time=night), now=night)
        assert (decision.channel, decision.withheld_reason) == ("in_app", None)

    def test_an_unknown_zone_is_utc_and_noted(self, trouble, person, decide_one):
        night = datetime(2026, 3, 9, 23, tzinfo=UTC)
        nowhere = person(timezone="Mars/Olympus", in_app_opt_in=False)
        decision = decide_one(trouble(last_bad_time=night), nowhere, now=night)
        assert decision.release_time == datetime(2026, 3, 10, 8, tzinfo=UTC)
        assert decision.notes == (Note.UNKNOWN_TIMEZONE,)

    @settings(deadline=None)
    @given(
        minutes=st.integers(0, 2 * 365 * 24 * 60),
        zone=st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        quiet=st.tuples(st.times(), st.times()),
    )
    def test_a_release_is_when_quiet_hours_end(self, minutes, zone, quiet, trouble, person, decide_one):
        now = datetime(2025, 1, 1, tzinfo=UTC) + minutes * MINUTE
        policy = Policy(holdout_share=0, quiet_from=quiet[0], quiet_until=quiet[1], release_over=timedelta(0))
        by_mail = person(timezone=zone, in_app_opt_in=False)
        decision = decide_one(trouble(last_bad_time=now), by_mail, now=now, policy=policy)
        if decision.withheld_reason is not None:
            assert now < decision.release_time <= now + 26 * HOUR
            local = decision.release_time.astimezone(ZoneInfo(zone))
            assert abs(local.replace(tzinfo=None) - datetime.combine(local.date(), quiet[1])) <= HOUR


class TestAllClear:
    """The end of a problem is told to those who were told of it."""

    def test_it_goes_the_same_way(self, trouble, all_clear, person, decide_one):
        by_card = decide_one(trouble(), person(email_opt_in=False)).past
        assert decide_one(all_clear(), heard=[by_card]).channel is ChannelName.IN_APP

    def test_nobody_else_hears_it(self, all_clear, decide_one):
        assert decide_one(all_clear()).withheld_reason == "not_told"

    def test_whoever_was_not_told_does_not_hear_it_for_the_same_reason(self, trouble, all_clear, decide_one):
        held = decide_one(trouble(), policy=Policy(holdout_share=1.0)).past
        assert decide_one(all_clear(), heard=[held]).withheld_reason == "holdout"

    def test_a_problem_notice_still_waiting_for_morning_is_waited_with(self, trouble, all_clear, person, decide_one):
        night = datetime(2026, 3, 9, 23, tzinfo=UTC)
        asleep = person(in_app_opt_in=False)
        waiting = decide_one(trouble(last_bad_time=night), asleep, now=night).past
        over = decide_one(all_clear(), asleep, heard=[waiting], now=night + HOUR)
        assert (over.withheld_reason, over.release_time) == ("quiet_hours", night + HOUR)
        dropped = decide_one(all_clear(), asleep, heard=[replace(waiting, lost=True)], now=night + HOUR)
        assert (dropped.withheld_reason, dropped.release_time) == ("quiet_hours", None)
        assert (over.needs_words, dropped.needs_words) == (True, False)

    def test_it_waits_for_morning_too(self, trouble, all_clear, person, decide_one, noon):
        told = decide_one(trouble()).past
        over = decide_one(all_clear(), heard=[told], now=noon + 11 * HOUR)
        assert over.withheld_reason == "quiet_hours"
        assert over.release_time == datetime(2026, 3, 10, 8, tzinfo=UTC)

    def test_problem_and_end_in_one_call_tell_nobody(self, trouble, all_clear, person, policy, noon):
        both = [trouble(), all_clear()]
        decisions = decide(both, {"u-1": person()}, History(), policy, noon)
        assert reasons(decisions) == {"not_told": 1, "recovered": 1}


def test_wide_faults_are_told_before_private_ones(trouble, person, policy, noon):
    troubles = [trouble(Cause.HOUSEHOLD), trouble(Cause.SERVICE)]
    decisions = decide(troubles, {"u-1": person()}, History(), policy, noon)
    assert [(d.trouble.verdict.cause, d.withheld_reason) for d in decisions] == [
        ("service", None),
        ("household", "told_recently"),
    ]


def test_two_signals_of_one_fault_are_told_once(trouble, person, policy, noon):
    troubles = [
        trouble(incident_id="i-1", problem=Signal.STARTUP),
        trouble(incident_id="i-2", problem=Signal.FAILURE, severity=Severity.CRITICAL),
    ]
    decisions = decide(troubles, {"u-1": person()}, History(), policy, noon)
    assert [(d.trouble.problem, d.withheld_reason) for d in decisions] == [
        ("failure", None),
        ("startup", "told_recently"),
    ]


@st.composite
def crowds(draw):
    """Troubles of a few people in a few incidents, all-clears and private troubles among them, some twice."""
    choices = st.tuples(
        st.sampled_from(["u-1", "u-2", "u-3"]),
        st.sampled_from(list(Cause)),
        st.sampled_from(["i-1", "i-2", None]),
        st.sampled_from(list(TroubleKind)),
        st.sampled_from(list(Signal)),
        st.integers(0, 30),
    )
    return draw(st.lists(choices, max_size=12))


@settings(deadline=None)
@given(
    crowd=crowds(),
    consents=st.tuples(st.booleans(), st.booleans()),
    zone=st.sampled_from(["Asia/Tokyo", "Europe/London", "nowhere", None]),
    email=st.sampled_from(["a@example.net", "", None, "x\ny"]),
    known=st.sets(st.sampled_from(["u-1", "u-2", "u-3"])),
    seed=st.integers(0, 1000),
)
def test_every_trouble_ends_with_one_outcome_in_any_order(
    crowd, consents, zone, email, known, seed, trouble, person, noon
):
    troubles = [
        trouble(
            cause,
            subscriber_id=who,
            incident_id=incident_id,
            kind=kind,
            problem=problem,
            last_bad_time=noon - hours * HOUR,
        )
        for who, cause, incident_id, kind, problem, hours in crowd
    ]
    recipients = {
        who: person(subscriber_id=who, email=email, timezone=zone, email_opt_in=consents[0], in_app_opt_in=consents[1])
        for who in known
    }
    decisions = decide(troubles, recipients, History(), Policy(holdout_share=0.3), noon)
    keys = [(d.trouble.subscriber_id, d.trouble.episode, d.trouble.kind) for d in decisions]
    assert len(keys) == len(set(keys))
    assert set(keys) == {(t.subscriber_id, t.episode, t.kind) for t in troubles}
    assert all((d.release_time is None) or d.withheld_reason == "quiet_hours" for d in decisions)
    shuffled = random.Random(seed).sample(troubles, len(troubles))
    if len(keys) == len(troubles):
        assert decide(shuffled, recipients, History(), Policy(holdout_share=0.3), noon) == decisions
    heard = {who: tuple(d.past for d in decisions if d.trouble.subscriber_id == who) for who, _, _ in keys}
    assert decide(troubles, recipients, History(heard), Policy(holdout_share=0.3), noon) == []


def test_a_notice_has_one_stable_opaque_name():
    key = notice_id("u-1", "i-1", TroubleKind.PROBLEM)
    assert key == notice_id("u-1", "i-1", TroubleKind.PROBLEM)
    assert key != notice_id("u-1", "i-1", TroubleKind.ALL_CLEAR)
    assert notice_id("u", "1i", TroubleKind.PROBLEM) != notice_id("u1", "i", TroubleKind.PROBLEM)
    assert len(key) == 16
    assert "u-1" not in key
    assert reference("abcdefghijkl2345") == "ABCD-EFGH-IJKL"


def test_five_thousand_decisions_take_about_a_second(trouble, person, noon):
    troubles = [trouble(subscriber_id=f"u-{n}") for n in range(5_000)]
    recipients = {t.subscriber_id: person(subscriber_id=t.subscriber_id) for t in troubles}
    begin = perf_counter()
    decisions = decide(troubles, recipients, History(), Policy(), noon)
    assert perf_counter() - begin < 2.5
    assert len(decisions) == 5_000


def test_the_reasons_in_the_head_of_decide_are_the_gates_in_order():
    named = re.findall(r"^\d+\. `(\w+)`", decide_module.__doc__, flags=re.MULTILINE)
    of_their_own = [gate.__name__ for gate in GATES[:-1] if gate is not problem_held]
    assert named == [*of_their_own, "awaiting_approval"]
    assert named == [reason.value for reason in WithheldReason if reason not in {"rollout_refused", "seen"}]
