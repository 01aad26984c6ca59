"""What a lead says of an incident is kept, has its effect, and is never undone by detection or by another lead."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from config.pipeline import Writing
from config.pipeline import _context as correction_context
from config.remedies import read_remedies
from console.report.pages import TEMPLATES
from detectors.finding import Cohort
from incidents import cases
from incidents.afterwards import send_approved
from incidents.cases import EditedMeanwhileError, ReviewError, UnknownIncidentError, hand_over
from incidents.ledger import audit, casework, schema
from incidents.ledger.store import Ledger
from incidents.model import Cause, Severity, TroubleKind
from incidents.reviews import Particulars, ReviewVerdict, labels, review, reviews_of, unreviewed
from notifiers.compose import Composer
from notifiers.context import Brand
from notifiers.decide import decide
from notifiers.history import load_history
from notifiers.model import ChannelName, Policy, Recipient
from tests.ledger.conftest import INCIDENT, T0, TROUBLE

NOW = T0 + timedelta(hours=1)
NOON = T0 + timedelta(hours=12)
OTHER = replace(INCIDENT, incident_id="inc-2", affected_subscribers=5)


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        with ledger.write() as connection:
            ledger.save_incidents(
                connection, [INCIDENT, replace(INCIDENT, incident_id="inc-2", affected_subscribers=5)]
            )
            ledger.save_troubles(connection, [TROUBLE], T0)
        yield ledger


def say(ledger, verdict, incident="inc-1", author="ann", now=NOW, seen=None, **particulars):
    with ledger.write() as connection:
        seen = cases.case_of(connection, incident).revision if seen is None else seen
        return review(connection, incident, verdict, author, now, seen=seen, particulars=Particulars(**particulars))


def tell(ledger, people, cause="service", reason=None):
    with ledger.write() as connection:
        for number in range(people):
            connection.execute(
                schema.notices.insert().values(
                    notice_id=f"n{number}-{cause}-{reason}",
                    subscriber_id=f"s{number}-{cause}-{reason}",
                    episode="inc-1",
                    kind="problem",
                    decided_time=T0,
                    problem="buffering",
                    cause=cause,
                    incident_id="inc-1",
                    channel="email",
                    withheld_reason=reason,
                )
            )


def rows(ledger, table):
    with ledger.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def test_a_confirmed_incident_leaves_the_queue_and_becomes_a_label(ledger):
    with ledger.read() as connection:
        assert unreviewed(connection, T0 - timedelta(days=1)) == ["inc-1", "inc-2"]
    say(ledger, ReviewVerdict.CONFIRM)
    with ledger.read() as connection:
        assert unreviewed(connection, T0 - timedelta(days=1)) == ["inc-2"]
        (label,) = labels(connection)
    assert label["is_fault"]
    assert (label["cause"], label["cohort"]) == ("service", INCIDENT.cohort.json)


def test_a_false_alarm_closes_for_good_whatever_detection_writes(ledger):
    say(ledger, ReviewVerdict.FALSE_ALARM)
    with ledger.write() as connection:
        ledger.save_incidents(connection, [replace(INCIDENT, affected_subscribers=99)])
    found = ledger.incident("inc-1")
    assert (found.resolved_time, found.settled, found.affected_subscribers) == (NOW, True, 99)
    with ledger.read() as connection:
        assert [label["is_fault"] for label in labels(connection)] == [False]


def test_the_hours_of_a_false_alarm_are_learnt_from_once_detection_has_forgotten_it(ledger):
    say(ledger, ReviewVerdict.FALSE_ALARM)
    month_ago = NOW - timedelta(days=28)
    assert [it.incident_id for it in ledger.known_incidents(month_ago, NOW - timedelta(hours=1))] == ["inc-1", "inc-2"]
    assert [it.incident_id for it in ledger.known_incidents(month_ago, NOW + timedelta(hours=1))] == ["inc-2"]


def test_a_wrong_cause_is_put_right_for_those_found_later_too(ledger):
    say(ledger, ReviewVerdict.WRONG_CAUSE, cause=Cause.ISP)
    with ledger.write() as connection:
        ledger.save_incidents(connection, [INCIDENT])
        ledger.save_troubles(connection, [TROUBLE, replace(TROUBLE, subscriber_id="sub-9")], NOW)
        causes = {trouble.verdict.cause for trouble in ledger.undecided_troubles(connection)}
    assert causes == {Cause.ISP}
    assert ledger.incident("inc-1").verdict.evidence[0] == "A support lead corrected the cause."


def test_who_was_told_the_wrong_cause_is_written_to_only_after_approval(ledger):
    tell(ledger, 3)
    tell(ledger, 2, reason="holdout")
    tell(ledger, 1, cause="isp")
    say(ledger, ReviewVerdict.WRONG_CAUSE, cause=Cause.ISP)
    (correction,) = rows(ledger, casework.corrections)
    assert (correction["people"], correction["wrong_cause"], correction["right_cause"]) == (3, "service", "isp")
    (rollout,) = rows(ledger, schema.rollouts)
    assert (rollout["episode"], rollout["state"], rollout["audience"]) == ("correction:inc-1", "waiting", 3)
    assert rollout["allowed_share"] == 0


def approve(ledger, state="approved"):
    with ledger.write() as connection:
        connection.execute(update(schema.rollouts).values(state=state))
        return send_approved(connection, NOW)


def test_an_approved_correction_goes_once_to_those_who_read_the_wrong_cause(ledger):
    tell(ledger, 3)
    tell(ledger, 1, cause="isp")
    tell(ledger, 2, reason="holdout")
    say(ledger, ReviewVerdict.WRONG_CAUSE, cause=Cause.ISP)
    assert approve(ledger, "waiting") == 0
    assert approve(ledger, "refused") == 0
    assert approve(ledger) == 3
    assert approve(ledger) == 0
    with ledger.read() as connection:
        found = [it for it in ledger.undecided_troubles(connection) if it.kind is TroubleKind.CORRECTION]
    assert {(it.episode, it.verdict.cause, it.since) for it in found} == {("inc-1", Cause.ISP, T0)}
    (correction,) = rows(ledger, casework.corrections)
    assert correction["sent_time"] == NOW


def test_a_correction_goes_the_way_its_notice_went_and_says_what_was_wrong(ledger):
    tell(ledger, 1)
    say(ledger, ReviewVerdict.WRONG_CAUSE, cause=Cause.ISP)
    approve(ledger)
    with ledger.read() as connection:
        (trouble,) = [it for it in ledger.undecided_troubles(connection) if it.kind is TroubleKind.CORRECTION]
        who = Recipient(trouble.subscriber_id, "a@example.com", email_opt_in=True, in_app_opt_in=True, timezone="UTC")
        people = {trouble.subscriber_id: who}
        history = load_history(connection, [trouble], people, NOON)
    (decision,) = decide([trouble], people, history, Policy(), NOON)
    assert (decision.withheld_reason, decision.channel) == (None, ChannelName.EMAIL)
    writing = Writing(Composer(TEMPLATES, read_remedies()), Brand("Streamy"))
    context = correction_context(decision, people, history, writing)
    assert (context.wrong_cause, context.cause) == (Cause.SERVICE, Cause.ISP)
    assert "A correction" in writing.composer.compose(context).subject


def test_where_nobody_was_told_there_is_nothing_to_put_right(ledger):
    say(ledger, ReviewVerdict.WRONG_CAUSE, cause=Cause.ISP)
    assert rows(ledger, casework.corrections) == []


def test_who_was_told_of_a_false_alarm_hears_after_approval_that_there_was_no_fault(ledger):
    tell(ledger, 2)
    tell(ledger, 1, reason="no_consent")
    say(ledger, ReviewVerdict.FALSE_ALARM)
    say(ledger, ReviewVerdict.FALSE_ALARM)
    assert approve(ledger, "waiting") == 0
    assert approve(ledger) == 2
    assert approve(ledger) == 0
    say(ledger, ReviewVerdict.FALSE_ALARM)
    with ledger.read() as connection:
        found = [it for it in ledger.undecided_troubles(connection) if it.kind is not TroubleKind.PROBLEM]
    assert [it.kind for it in found] == [TroubleKind.RETRACTION] * 2
    writing = Writing(Composer(TEMPLATES, read_remedies()), Brand("Streamy"))
    who = Recipient(found[0].subscriber_id, "a@example.com", email_opt_in=True, in_app_opt_in=True, timezone="UTC")
    people = {who.subscriber_id: who}
    with ledger.read() as connection:
        history = load_history(connection, found[:1], people, NOON)
    (decision,) = decide(found[:1], people, history, Policy(), NOON)
    mail = writing.composer.compose(correction_context(decision, people, history, writing))
    assert "We told you that the fault was ours. That was wrong, and we are sorry. There was no fault" in mail.text


def test_a_false_alarm_that_was_none_takes_nothing_back(ledger):
    tell(ledger, 2)
    say(ledger, ReviewVerdict.FALSE_ALARM)
    say(ledger, ReviewVerdict.CONFIRM)
    assert rows(ledger, casework.corrections) == rows(ledger, schema.rollouts) == []
    assert "correction.withdrawn" in audit_actions(ledger)
    say(ledger, ReviewVerdict.WRONG_CAUSE, cause=Cause.ISP)
    say(ledger, ReviewVerdict.CONFIRM)
    assert approve(ledger) == 2, "a wrong cause stays wrong where the incident was real"
    say(ledger, ReviewVerdict.FALSE_ALARM)
    assert approve(ledger) == 2, "and who heard of the right one hears that there was none"


def audit_actions(ledger):
    with ledger.read() as connection:
        return [entry.action for entry in audit.history(connection, "incident:inc-1")]


def test_an_expected_event_is_silent_for_its_rest(ledger):
    say(ledger, ReviewVerdict.EXPECTED_EVENT, until=NOW + timedelta(hours=3), note="The new data centre.")
    (silence,) = rows(ledger, casework.silences)
    assert (silence["until_time"], silence["reason"]) == (NOW + timedelta(hours=3), "The new data centre.")
    assert {row["incident_id"] for row in rows(ledger, casework.expected_incidents)} == {"inc-1", "inc-2"}


def test_a_severity_stays_as_the_lead_put_it(ledger):
    say(ledger, ReviewVerdict.WRONG_SEVERITY, severity=Severity.CRITICAL)
    with ledger.write() as connection:
        ledger.save_incidents(connection, [replace(INCIDENT, severity=Severity.MINOR)])
    assert ledger.incident("inc-1").severity is Severity.CRITICAL


def test_incidents_are_merged_and_parted(ledger):
    say(ledger, ReviewVerdict.MERGE, "inc-2", other="inc-1")
    assert [it.incident_id for it in ledger.incidents()] == ["inc-1"]
    with ledger.write() as connection:  # detection held a copy from before
        ledger.save_incidents(connection, [replace(INCIDENT, incident_id="inc-2")])
    assert ledger.incident("inc-2").merged_into == "inc-1"
    say(ledger, ReviewVerdict.SPLIT, "inc-1", other="inc-2")
    assert [it.incident_id for it in ledger.incidents()] == ["inc-1", "inc-2"]


def test_what_is_parted_while_a_step_looks_stays_parted(ledger):
    say(ledger, ReviewVerdict.MERGE, "inc-2", other="inc-1")
    (seen,) = [it for it in ledger.incidents(merged=True) if it.incident_id == "inc-2"]
    say(ledger, ReviewVerdict.SPLIT, "inc-1", other="inc-2")
    with ledger.write() as connection:
        ledger.save_incidents(connection, [seen])
    assert ledger.incident("inc-2").merged_into is None


@pytest.mark.parametrize(
    ("verdict", "particulars", "sentence"),
    [
        (ReviewVerdict.NOTE, {}, "The note is missing"),
        (ReviewVerdict.NOTE, {"note": " \n "}, "The note is missing"),
        (ReviewVerdict.NOTE, {"note": "x" * 5000}, "longer than 4000"),
        (ReviewVerdict.WRONG_CAUSE, {}, "the right one"),
        (ReviewVerdict.WRONG_CAUSE, {"cause": Cause.SERVICE}, "service already"),
        (ReviewVerdict.WRONG_SEVERITY, {}, "the right one"),
        (ReviewVerdict.MERGE, {"other": "inc-1"}, "part of itself"),
        (ReviewVerdict.SPLIT, {"other": "inc-2"}, "not part of this"),
        (ReviewVerdict.SPLIT, {"cohorts": ({"cdn": "a"},)}, "two groups or more"),
        (ReviewVerdict.EXPECTED_EVENT, {"until": T0}, "a time to come"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence_and_leaves_no_trace(ledger, verdict, particulars, sentence):
    with pytest.raises(ReviewError, match=sentence):
        say(ledger, verdict, **particulars)
    assert rows(ledger, casework.reviews) == rows(ledger, casework.cases) == rows(ledger, schema.audit) == []


def test_an_incident_that_is_not_there_cannot_be_reviewed(ledger):
    with pytest.raises(UnknownIncidentError):
        say(ledger, ReviewVerdict.CONFIRM, "inc-none", seen=0)
    with pytest.raises(UnknownIncidentError):
        say(ledger, ReviewVerdict.MERGE, other="inc-none")


def test_the_second_of_two_leads_is_told_and_nothing_is_lost(ledger):
    say(ledger, ReviewVerdict.CONFIRM, author="ann", seen=0)
    with pytest.raises(EditedMeanwhileError, match="ann changed this incident at 01:00 UTC") as caught:
        say(ledger, ReviewVerdict.FALSE_ALARM, author="ben", seen=0)
    assert (caught.value.by, caught.value.revision) == ("ann", 1)
    say(ledger, ReviewVerdict.NOTE, author="ben", seen=caught.value.revision, note="I had thought otherwise.")
    with ledger.read() as connection:
        said = [(one.verdict.value, one.author, one.note) for one in reviews_of(connection, "inc-1")]
        assert cases.case_of(connection, "inc-1").verdict == "confirm"
    assert said == [("confirm", "ann", None), ("note", "ben", "I had thought otherwise.")]


def test_an_owner_hands_over_and_the_audit_trail_knows(ledger):
    with ledger.write() as connection:
        first = hand_over(connection, "inc-1", "ann", "ann", NOW, seen=0)
        second = hand_over(connection, "inc-1", "ben", "ann", NOW, seen=first.revision)
        assert (second.owner, second.revision) == ("ben", 2)
        with pytest.raises(EditedMeanwhileError):
            hand_over(connection, "inc-1", "eve", "eve", NOW, seen=1)
        details = [entry.detail for entry in audit.history(connection, "incident:inc-1")]
    assert {"from": "ann", "to": "ben"} in details
    assert len(details) == 2


SOME = (ReviewVerdict.CONFIRM, ReviewVerdict.FALSE_ALARM, ReviewVerdict.NOTE, ReviewVerdict.EXPECTED_EVENT)
ONE = st.sampled_from(SOME)


@given(said=st.lists(st.tuples(ONE, st.booleans()), max_size=8))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_accepted_word_is_kept_and_counted(said):
    with Ledger("sqlite://", durable=False) as ledger:
        ledger.upgrade()
        with ledger.write() as connection:
            ledger.save_incidents(connection, [INCIDENT])
            accepted = []
            for number, (verdict, is_stale) in enumerate(said):
                seen = cases.case_of(connection, "inc-1").revision
                try:
                    review(
                        connection,
                        "inc-1",
                        verdict,
                        "ann",
                        NOW + timedelta(minutes=number),
                        seen=seen - 1 if is_stale else seen,
                        particulars=Particulars(note="A word."),
                    )
                    accepted.append(verdict)
                except EditedMeanwhileError:
                    assert is_stale
            assert [one.verdict for one in reviews_of(connection, "inc-1")] == accepted
            assert cases.case_of(connection, "inc-1").revision == len(accepted)
            settling = [it.value for it in accepted if it is not ReviewVerdict.NOTE]
            assert cases.case_of(connection, "inc-1").verdict == (settling[-1] if settling else None)


def test_a_split_into_groups_is_kept_for_tuning(ledger):
    groups = ({"cdn": "cdn-b"}, {"isp": "<b>Fibre</b>"})
    said = say(ledger, ReviewVerdict.SPLIT, cohorts=groups)
    assert said.detail == {"cohorts": list(groups)}
    assert Cohort.of(groups[1]).values == (("isp", "<b>Fibre</b>"),)
