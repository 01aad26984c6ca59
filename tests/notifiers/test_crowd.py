"""Of many about to be sent, those are looked at one by one against whom something may speak, and no others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from incidents.ledger.schema import contacts, incidents, notices, outbox, rollouts, suppressions
from incidents.model import Cause, Severity, TroubleKind
from notifiers.crowd import FOUND, Asking, gather, in_question
from notifiers.gates.patience import is_held_out
from notifiers.model import ChannelName
from notifiers.preferences import Source, choose
from notifiers.recheck import standings_of
from notifiers.spread import share_of
from tests.notifiers.deciding import POLICY as PLAIN
from tests.notifiers.test_at_once import CAPPED, POLICY, World

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("policy", [None, POLICY, CAPPED])
@pytest.mark.parametrize("consents", [None, lambda who, _channel: share_of(who) < 0.8])
def test_nobody_is_passed_over_against_whom_something_speaks(policy, consents, ledger, add_incident, noon):
    passed: Counter[str] = Counter()
    World(6, noon).fill(ledger, add_incident)
    with ledger.read() as connection:
        crowd = gather(connection, FOUND, {}, noon)
        asked = {it.message_id for it in in_question(connection, crowd, Asking(noon, consents, policy))}
        for standing in standings_of(connection, [message.message_id for message in crowd.messages], noon):
            spoken = standing.objection(noon, consents, policy) or (policy and standing.wait(noon, policy))
            passed["spoken against" if spoken else "wanted"] += standing.message_id not in asked
    assert passed["spoken against"] == 0
    assert passed["wanted"] > 0


@pytest.fixture
def asked(told, trouble, add_incident, ledger, noon):
    """Tell nine people of an outage, let something happen, and return who is looked at."""
    add_incident()
    people = [f"u-{number}" for number in range(9)]
    told(noon, *(trouble(subscriber_id=who) for who in people), in_app_opt_in=False)

    def run(happening=None, now=noon + HOUR, **options) -> set[str]:
        with ledger.write() as connection:
            if happening is not None:
                happening(connection)
            crowd = gather(connection, FOUND, {}, now)
            assert len(crowd.messages) >= len(people)
            in_doubt = in_question(connection, crowd, Asking(now, **{"policy": PLAIN, **options}))
        return {standing.subscriber_id for standing in in_doubt}

    return run


ASKED = {"contact_id": "c", "subscriber_id": "u-3", "reason": "buffering"}
OF_THEM = notices.c.subscriber_id == "u-3"


@pytest.mark.parametrize(
    "happening",
    [
        lambda c, at: c.execute(insert(contacts).values(contacted_time=at, **ASKED)),
        lambda c, at: choose(c, "u-3", False, Source.PAGE, at, channels=[ChannelName.EMAIL]),
        lambda c, at: c.execute(insert(suppressions).values(address="u-3@example.net", reason="bounce", since=at)),
        lambda c, at: c.execute(update(outbox).where(outbox.c.address == "u-3@example.net").values(address="nobody")),
        lambda c, at: c.execute(update(notices).where(OF_THEM).values(expires_time=at)),
        lambda c, _at: c.execute(update(notices).where(OF_THEM).values(kind=TroubleKind.ALL_CLEAR.value)),
        lambda c, _at: c.execute(update(outbox).where(outbox.c.address == "u-3@example.net").values(stage="follow_up")),
    ],
)
def test_who_did_something_is_looked_at_alone(happening, asked, noon):
    assert asked(lambda connection: happening(connection, noon)) == {"u-3"}


def test_who_is_about_to_hear_twice_is_looked_at(asked, told, trouble, noon):
    told(noon, trouble(Cause.ACCOUNT, subscriber_id="u-3"), in_app_opt_in=False)
    assert asked() == {"u-3"}


def test_whom_the_subscriber_list_leaves_out_is_looked_at(asked):
    assert asked(consents=lambda who, _channel: who != "u-3") == {"u-3"}


def test_who_is_held_out_by_now_is_looked_at(asked):
    policy = replace(PLAIN, holdout_share=0.4)
    assert asked(policy=policy) == {f"u-{n}" for n in range(9) if is_held_out(f"u-{n}", Severity.MINOR, policy)}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_whose_turn_it_is_not_is_looked_at(share, asked, noon):
    row = {"episode": "i-1", "audience": 9, "allowed_share": share, "state": "going", "asked_time": noon}
    later = {f"u-{n}" for n in range(9) if share_of("rollout", "i-1", f"u-{n}") >= share}
    assert asked(lambda connection: connection.execute(insert(rollouts).values(row))) == later


EVERYBODY = {f"u-{number}" for number in range(9)}


def test_all_are_looked_at_where_something_speaks_against_all(asked, noon):
    assert asked() == set()
    assert asked(now=noon + 11 * HOUR) == EVERYBODY
    refused = {"episode": "i-1", "audience": 9, "allowed_share": 1.0, "state": "refused", "asked_time": noon}
    assert asked(lambda c: c.execute(insert(rollouts).values(refused)), policy=None) == EVERYBODY


def test_all_are_looked_at_once_it_is_over(asked, noon):
    assert asked(lambda c: c.execute(update(incidents).values(resolved_time=noon)), policy=None) == EVERYBODY
