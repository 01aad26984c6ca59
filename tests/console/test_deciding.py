"""Why somebody was told or not, stopping all sending, and saying yes or no to large audiences."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from config.bootstrap import open_ledger
from config.reading import read_settings
from console.main import app
from incidents.ledger.schema import audit, deliveries, notices, outbox
from notifiers import rollout, stops

T0 = datetime(2026, 5, 6, 20, tzinfo=UTC)


@pytest.fixture
def call(config):
    """Run a command, and return its exit code and what it wrote to both streams."""

    def call(*arguments):
        result = CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, " ".join(result.stdout.split()), " ".join(result.stderr.split())

    return call


@pytest.fixture
def ledger(config):
    with open_ledger(read_settings(config)) as ledger:
        yield ledger


def notice(connection, notice_id, reason=None, release_time=None, subscriber="u-1"):
    row = {"subscriber_id": subscriber, "episode": f"own:{notice_id}", "kind": "problem", "decided_time": T0}
    what = {"problem": "buffering", "cause": "household", "channel": "email", "release_time": release_time}
    connection.execute(insert(notices).values(notice_id=notice_id, withheld_reason=reason, **row, **what))


def sent(connection, notice_id):
    words = {"subject": "s", "html": "h", "text": "t", "card": {}, "queued_time": T0, "next_attempt_time": T0}
    row = {"message_id": notice_id, "notice_id": notice_id, "stage": "first", "channel": "email", "state": "sent"}
    (number,) = connection.execute(insert(outbox).values(**row, **words)).inserted_primary_key
    tried = {"message_number": number, "attempt": 1, "attempted_time": T0, "outcome": "sent"}
    connection.execute(insert(deliveries).values(**tried))


class TestWhy:
    """One person's story, from the ledger alone."""

    @pytest.fixture(autouse=True)
    def told(self, ledger):
        with ledger.write() as connection:
            notice(connection, "n-1")
            sent(connection, "n-1")
            notice(connection, "n-2", "holdout")
            notice(connection, "n-3", "quiet_hours", T0)
            notice(connection, "n-4", subscriber="u-2")

    def test_in_words(self, call):
        code, out, _ = call("why", "u-1")
        assert code == 0
        for words in ("problem was to go", "holdout", "quiet_hours", "Attempt 1"):
            assert all(word in out for word in words.split())

    def test_for_programs(self, call):
        code, out, _ = call("why", "u-1", "--json")
        story = json.loads(out)["story"]
        assert code == 0
        assert sorted(it["what"] for it in story) == ["delivery sent", "holdout", "quiet_hours", "sent"]
        assert {it["notice_id"] for it in story} == {"n-1", "n-2", "n-3"}
        ends = {it["what"]: it["sentence"] for it in story}
        assert ends["holdout"].endswith("It does not go out.")
        assert ends["quiet_hours"].endswith("It waits.")

    def test_of_a_stranger_nothing_is_known(self, call):
        assert call("why", "nobody")[1].startswith("Nothing was decided about this subscriber")
        assert json.loads(call("why", "u-1", "--incident", "i-9", "--json")[1]) == {"story": []}


class TestStops:
    """One command holds all sending, another lets it go on."""

    @pytest.mark.parametrize(
        ("options", "scope"),
        [([], "all"), (["--channel", "email"], "channel:email"), (["--incident", "i-1"], "incident:i-1")],
    )
    def test_it_is_in_force_until_it_ends(self, options, scope, call, ledger):
        assert call("stop", *options, "--reason", "Wrong words.")[0] == 0
        with ledger.read() as connection:
            (stop,) = stops.in_force(connection, datetime.now(UTC))
        assert (stop.scope, stop.kind, stop.reason) == (scope, "person", "Wrong words.")
        assert call("resume", *options)[0] == 0
        with ledger.read() as connection:
            assert stops.in_force(connection, datetime.now(UTC)) == []
            actions = set(connection.scalars(select(audit.c.action)))
        assert actions == {"sending.stopped", "sending.resumed"}

    def test_a_scope_that_there_is_not_is_a_sentence(self, call):
        code, _, err = call("stop", "--incident", "a b", "--reason", "x")
        assert code != 0
        assert "There is no scope" in err
        assert "Traceback" not in err


class TestApprovals:
    """What waits for a person's word, and saying it."""

    @pytest.fixture(autouse=True)
    def asked(self, ledger):
        with ledger.write() as connection:
            rollout.ask(connection, "i-1", 9000, 0.01, T0)

    def state(self, ledger):
        with ledger.read() as connection:
            it = rollout.read(connection, ["i-1"])["i-1"]
        return it.state, it.allowed_share, it.note

    def test_what_waits(self, call):
        code, out, _ = call("approvals", "list")
        assert (code, "i-1" in out, "9000" in out, "1%" in out) == (0, True, True, True)
        (it,) = json.loads(call("approvals", "list", "--json")[1])["waiting"]
        assert (it["episode"], it["audience"], it["allowed_share"]) == ("i-1", 9000, 0.01)

    def test_yes_is_to_the_next_stage_only(self, call, ledger):
        code, out, _ = call("approvals", "approve", "i-1", "--note", "Checked.")
        assert (code, out) == (0, "10% of the audience of i-1 may be told now.")
        assert self.state(ledger) == ("going", 0.1, "Checked.")
        assert call("approvals", "list")[1] == "Nothing waits for approval."

    def test_no_is_to_all_the_rest(self, call, ledger):
        assert call("approvals", "refuse", "i-1", "--note", "A false alarm.")[0] == 0
        assert self.state(ledger) == ("refused", 0.01, "A false alarm.")

    @pytest.mark.parametrize("word", ["approve", "refuse"])
    def test_what_does_not_wait_is_a_sentence(self, word, call):
        code, _, err = call("approvals", word, "i-9")
        assert code == 1
        assert "Nothing waits for approval under 'i-9'." in err
        assert "Traceback" not in err
