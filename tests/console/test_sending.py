"""``prebuffer send`` as a process of its own, and what `prebuffer outbox` says and settles afterwards."""

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update
from typer.testing import CliRunner

from config.bootstrap import open_ledger
from config.reading import read_settings
from console.commands.send import send
from console.main import app
from incidents.ledger.schema import deliveries, notices, outbox
from tests.serving import wait_for

SEND = [sys.executable, "-m", "console.main", "send", "--config"]


@pytest.fixture
def config(config):
    """Processes read the clock themselves: mail goes at any hour."""
    any_hour = 'notices:\n  quiet_from: "00:00"\n  quiet_until: "00:00"\n'
    config.write_text(config.read_text(encoding="utf-8") + any_hour, encoding="utf-8")
    return config


@pytest.fixture
def ledger(config):
    with open_ledger(read_settings(config)) as ledger:
        yield ledger


@pytest.fixture
def put(ledger):
    """Queue mails to so many people."""

    def put(people, channel="email"):
        now = datetime.now(UTC)
        names = [f"n-{n:04d}" for n in range(people)]
        told = {
            "episode": "e-1",
            "kind": "problem",
            "decided_time": now,
            "problem": "buffering",
            "cause": "service",
            "channel": channel,
            "expires_time": now + timedelta(hours=9),
        }
        mail = {
            "stage": "first",
            "channel": channel,
            "subject": "A subject",
            "html": "<p>page</p>",
            "text": "text",
            "card": {},
            "state": "queued",
            "queued_time": now,
            "next_attempt_time": now,
        }
        with ledger.write() as connection:
            connection.execute(insert(notices), [told | {"notice_id": it, "subscriber_id": it} for it in names])
            rows = [mail | {"message_id": it, "notice_id": it, "address": f"{it}@example.net"} for it in names]
            connection.execute(insert(outbox), rows)

    return put


@pytest.fixture
def leases(ledger):
    """Who holds what, and what is under way."""

    def look():
        held = outbox.c.lease_owner.is_not(None) | (outbox.c.state == "sending")
        with ledger.read() as connection:
            return connection.execute(select(outbox.c.message_id).where(held)).all()

    return look


def states(config):
    result = CliRunner().invoke(app, ["outbox", "list", "--json", "--config", str(config)])
    return {name: count for name, count in json.loads(result.stdout)["states"].items() if count}


def test_it_sends_what_is_due_and_ends(put, config, tmp_path):
    put(3)
    sender = subprocess.run([*SEND, str(config)], capture_output=True, text=True, timeout=60, check=False)
    assert (sender.returncode, sender.stdout) == (0, "Outbox: 3 sent.\n"), sender.stderr
    assert len(list((tmp_path / "mailbox").glob("*.eml"))) == 3
    assert states(config) == {"sent": 3}


class TestWorkers:
    """Several processes on one ledger, on either database."""

    @pytest.fixture
    def config(self, config, tmp_path, ledger_url):
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace(f"sqlite:///{tmp_path}/ledger.db", ledger_url), encoding="utf-8")
        return config

    @pytest.fixture(autouse=True)
    def handlers(self):
        """The command listens to signals on behalf of its workers."""
        kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        yield
        for number, handler in kept.items():
            signal.signal(number, handler)

    def test_they_share_what_is_due_and_send_each_once(self, put, config, ledger, leases, capfd):
        put(1100, "in_app")
        send(workers=2, config=config)
        said = capfd.readouterr().out
        assert said.count("Outbox: ") == 2
        assert sum(map(int, re.findall(r"\d+", said))) == 1100
        assert leases() == []
        assert states(config).keys() == {"sent", "cancelled"}  # some are held out
        with ledger.read() as connection:
            tried = connection.execute(select(deliveries.c.outcome, deliveries.c.attempt)).all()
        assert (set(tried), len(tried)) == ({("sent", 1)}, states(config)["sent"])


def test_told_to_stop_it_records_what_it_did_gives_back_the_rest_and_exits_0(put, config, tmp_path, leases):
    put(1500)
    sender = subprocess.Popen([*SEND, str(config), "--loop"], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: any((tmp_path / "mailbox").glob("*.eml")), 60)
    sender.send_signal(signal.SIGTERM)
    said, _ = sender.communicate(timeout=60)
    assert sender.returncode == 0
    assert leases() == []
    done = {name: count for name, count in states(config).items() if name != "queued"}
    assert done["sent"] > 0
    assert said == "Outbox: " + ", ".join(f"{done[name]} {name}" for name in sorted(done)) + ".\n"
    assert states(config) == done | {"queued": 1500 - sum(done.values())}


def test_an_unknown_message_is_listed_and_settled_once(put, config, ledger):
    put(1)
    with ledger.write() as connection:
        connection.execute(update(outbox).values(state="unknown", attempts=1, settled_time=datetime.now(UTC)))

    def call(*arguments):
        return CliRunner().invoke(app, ["outbox", *arguments, "--config", str(config)])

    assert "n-0000" in call("list", "--state", "unknown").stdout
    assert call("settle", "n-0000", "failed").stdout == "Message n-0000 is failed.\n"
    assert states(config) == {"failed": 1}
    again = call("settle", "n-0000", "sent")
    assert again.exit_code == 2
    assert states(config) == {"failed": 1}
