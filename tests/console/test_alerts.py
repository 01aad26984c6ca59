"""Staff alerts by the command line: what would be said, saying it, and nothing secret in any print."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from config.bootstrap import open_ledger
from config.reading import read_settings
from console.main import app
from notifiers import stops
from notifiers.stops import EVERYTHING, StopKind
from tests.faults import faults


@pytest.fixture
def server():
    with faults() as server:
        yield server


@pytest.fixture
def call(config, server):
    """Run a command with one place to tell, or as many as are named; return its exit code and what it wrote."""

    def call(*arguments, urls=f"json://staff:s3cret@127.0.0.1:{server.server_port}"):
        result = CliRunner().invoke(
            app, [*arguments, "--config", str(config)], env={"PREBUFFER_ALERT_URLS": urls, "COLUMNS": "200"}
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "s3cret" not in result.output
        return result.exit_code, " ".join(result.output.split())

    return call


@pytest.fixture
def stopped(config):
    with open_ledger(read_settings(config)) as ledger, ledger.write() as connection:
        stops.start(connection, EVERYTHING, StopKind.PERSON, "Wrong words.", datetime.now(UTC), by="ann")


def test_a_test_is_only_printed_unless_it_is_to_be_sent(call, server):
    code, printed = call("alerts", "test")
    assert code == 0
    assert "Prebuffer: this is a test" in printed
    assert "json://****" in printed
    assert server.received == []
    server.script = [(200, {}), (500, {})]
    code, printed = call("alerts", "test", "--send")
    assert (code, printed.count("yes")) == (0, 1)
    assert json.loads(server.received[0])["title"] == "Prebuffer: this is a test"
    code, printed = call("alerts", "test", "--send")
    assert code == 1
    assert "1. json://**** no" in printed


def test_what_stands_is_listed_told_once_and_tried_again(call, server, stopped):
    assert "All sending is stopped" in call("alerts", "list")[1]
    server.script = [(500, {})]
    assert call("alerts", "tell") == (1, "Alerts: 0 told, 1 not taken, to be tried again.")
    listed = json.loads(call("alerts", "list", "--json")[1])
    assert ([it["kind"] for it in listed["alerts"]], listed["untold"]) == (["stop"], 1)
    assert call("alerts", "tell") == (0, "Staff have heard everything that may be tried now.")


def test_without_a_place_or_with_one_that_is_none_a_sentence_says_so(call, stopped):
    assert call("alerts", "test", urls="") == (0, "Nobody is told: PREBUFFER_ALERT_URLS is not set.")
    assert call("alerts", "tell", urls="") == (0, "Nobody is told: PREBUFFER_ALERT_URLS is not set.")
    code, printed = call("alerts", "tell", urls="json://a.example, s3cret://b.example")
    assert (code, printed) == (1, "Address 2 of PREBUFFER_ALERT_URLS is none that Apprise can use.")


def test_a_written_address_is_refused_and_a_set_one_is_stars(call, config):
    checked = CliRunner().invoke(
        app, ["config", "check", str(config), "--json"], env={"PREBUFFER_ALERT_URLS": "json://s3cret.example"}
    )
    assert '"urls": "**********"' in checked.output
    config.write_text(config.read_text() + "alerts: {urls: 'json://s3cret.example'}\n")
    code, printed = call("alerts", "list")
    assert code == 2
    assert "set PREBUFFER_ALERT_URLS in the environment" in printed
