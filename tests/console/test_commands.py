"""Every command: what it prints for people and for programs, and how it complains."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from config.bootstrap import open_ledger
from config.reading import read_settings
from config.settings import Settings
from console.commands import COMMANDS, load
from console.demo import demo
from console.main import app
from console.opening import now, settings_of
from console.web.errors import NotAllowedError
from console.web.tokens import Tokens

HOUR = timedelta(hours=1)


@pytest.fixture
def call():
    """Run a command, and return its exit code and what it wrote to both streams."""

    def call(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def answer(call):
    """Run a command with ``--json``, and return its object."""

    def answer(*arguments):
        code, out, err = call(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return answer


WITH_EXAMPLES = [["demo"], ["ingest"], ["run"], ["replay"], ["report"], ["preview"], ["serve"], ["config", "check"]]


@pytest.mark.parametrize("command", WITH_EXAMPLES, ids=" ".join)
def test_the_help_of_every_command_has_examples(call, command):
    code, out, _ = call(*command, "--help")
    assert code == 0
    assert "Examples:" in out
    assert f"prebuffer {' '.join(command)}" in out


def test_the_list_of_commands_says_what_each_says_of_itself(call):
    _, out, _ = call("--help")
    assert re.findall(r"^│ (\w+) ", out, re.M) == list(COMMANDS)
    assert [name for name in COMMANDS if load(name).help.splitlines()[0] != COMMANDS[name].summary] == []


def test_ingest_counts_rows_and_a_second_time_changes_nothing(answer, call, config, world):
    found = answer("ingest", world, "--config", config)
    assert found["accepted"] > 1000
    assert found["rows"] == found["accepted"] + found["duplicates"] + found_rows(found["quarantined"])
    again = answer("ingest", world, "--config", config)
    assert (again["accepted"], again["skipped"]) == (0, again["files"])
    code, out, _ = call("ingest", world, "--config", config)
    assert code == 0
    assert "0 new" in out


def found_rows(quarantined):
    """Rows among what was quarantined: the rest concerns whole files."""
    whole = {"unknown_column", "missing_column", "empty_file", "truncated_file"}
    return sum(count for reason, count in quarantined.items() if reason not in whole)


def test_run_goes_step_by_step_and_a_second_time_skips(answer, call, config, world, outage, tmp_path):
    answer("ingest", world, "--config", config)
    window = f"{outage:%Y-%m-%dT%H:%M}/{outage + HOUR:%Y-%m-%dT%H:%M}"
    found = answer("run", "--window", window, "--step", "30m", "--config", config)
    assert [(stage["stage"], stage["ran"]) for stage in found["stages"]] == [
        (stage, True) for _ in range(2) for stage in ("merge", "detect", "notify")
    ]
    assert sum(stage["counts"].get("incidents", 0) for stage in found["stages"]) >= 1
    again = answer("run", "--window", window, "--step", "30m", "--config", config)
    assert {stage["state"] for stage in again["stages"]} == {"finished"}
    code, out, _ = call("run", "--window", window, "--step", "30m", "--config", config)
    assert code == 0
    assert "finished" in out

    page = answer("report", "--config", config)["report"]
    assert page == str(tmp_path / "reports" / "index.html")
    assert len(list((tmp_path / "reports").rglob("*.html"))) > 1


def test_replay_prints_what_it_found_and_leaves_the_stores_alone(answer, world, outage, tmp_path, config):
    found = answer(
        "replay", "--world", world, "--out", tmp_path / "out", "--step", "1h", "--config", config,
        "--from", f"{outage - HOUR:%Y-%m-%dT%H:%M}", "--to", f"{outage + HOUR:%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    assert found["steps"] == 2
    assert [incident["signal"] for incident in found["incidents"]] == ["access"]
    assert {(count["kind"], count["reason"]) for count in found["notices"]} >= {("problem", "sent")}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "incidents.parquet",
        "notices.parquet",
    ]
    assert not (tmp_path / "ledger.db").exists()
    assert not (tmp_path / "warehouse.duckdb").exists()


@pytest.mark.parametrize("cause", ["service", "isp", "app", "household", "account"])
@pytest.mark.parametrize("form", ["html", "text", "subject", "card"])
def test_preview_renders_every_cause_in_every_form(call, config, cause, form):
    code, out, _ = call("preview", "--cause", cause, "--format", form, "--config", config)
    assert code == 0
    assert len(out) > 10
    assert out.startswith("<!doctype html>") == (form == "html")


def test_preview_writes_to_a_file(call, config, tmp_path):
    file = tmp_path / "new" / "clear.html"
    code, out, _ = call("preview", "--kind", "all_clear", "--format", "html", "--out", file, "--config", config)
    assert (code, out.strip()) == (0, str(file))
    assert "</html>" in file.read_text(encoding="utf-8")


def test_preview_escapes_a_hostile_name(call, config):
    _, out, _ = call("preview", "--format", "html", "--name", "<script>alert(1)</script>", "--config", config)
    assert "<script>alert" not in out


def test_config_check_says_that_a_file_is_good_or_where_it_is_not(call, answer, tmp_path, config):
    assert call("config", "check", config)[:2] == (0, f"{config} is good.\n")
    assert answer("config", "check", config)["schedules"]["step"] == "10m"
    bad = tmp_path / "bad.yaml"
    bad.write_text("notices:\n  max_per_dya: 1\n", encoding="utf-8")
    code, out, err = call("config", "check", bad)
    assert (code, out) == (2, "")
    assert err == f'{bad}, line 2: notices.max_per_dya is not a setting. Did you mean "max_per_day"?\n'


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["ingest", "nowhere"], 1, "There is nothing at nowhere."),
        (["replay", "--world", "nowhere", "--out", "x"], 1, "There is nothing at nowhere."),
        (["report", "inc-none"], 1, "The ledger has no incident inc-none."),
        (["preview", "--incident", "inc-none"], 1, "The ledger has no incident inc-none."),
        (["run", "--window", "today"], 2, "a window is written like"),
        (["run"], 2, "--window"),
        (["replay", "--world", ".", "--out", "x", "--step", "soon"], 2, "a duration is a number and a unit"),
        (["preview", "--cause", "weather"], 2, "weather"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_on_standard_error(
    call, config, monkeypatch, tmp_path, arguments, code, complaint
):
    monkeypatch.chdir(tmp_path)
    options = [] if arguments[0] in {"nonsense"} else ["--config", config]
    found, out, err = call(*arguments, *options)
    assert (found, out) == (code, "")
    plain = re.sub(r"[│╭╮╰╯─\s]+", " ", err)
    assert complaint in plain
    assert "Traceback" not in err


def test_a_busy_warehouse_or_a_folder_in_the_way_is_a_sentence_too(call, config, tmp_path, world):
    (tmp_path / "ledger.db").mkdir()
    code, _, err = call("ingest", world, "--config", config)
    assert code == 1
    assert re.fullmatch(r"The ledger sqlite:///.*ledger\.db cannot be opened \(OperationalError\)\.\n", err)


def test_a_fault_of_ours_is_a_sentence_too_and_shows_its_traceback_when_asked(config, tmp_path, world):
    (tmp_path / "warehouse.duckdb").write_text("not a database", encoding="utf-8")
    arguments = [str(argument) for argument in ("ingest", world, "--config", config)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert re.fullmatch(r"This is a fault in Prebuffer \(\w+\)\. To see where, run it again as: .*\n", result.stderr)
    assert "Traceback" not in result.stderr
    shown = CliRunner().invoke(app, ["--traceback", *arguments])
    assert shown.exit_code == 1
    assert "warehouse.duckdb" in str(shown.exception)


def test_the_demo_shows_incidents_notices_report_and_mailbox(make_small, outage, tmp_path):
    def make(folder):
        return replace(make_small(folder), evaluate_from=outage - HOUR, end=outage + HOUR)

    steps = []
    report = demo(tmp_path / "demo", Settings(), make, lambda done, total: steps.append((done, total)))
    assert steps == [(done, 12) for done in range(1, 13)]
    assert "device type streaming stick" in [str(incident.cohort) for incident in report.incidents]
    assert report.notices["problem", "sent"] > 5
    assert report.report.exists()
    with open_ledger(read_settings(report.config)) as ledger:
        assert ledger.incidents() == report.incidents
    mails = list(report.mailbox.parent.glob("*.eml"))
    assert report.mailbox.exists()
    assert 0 < len(mails) <= report.notices["problem", "sent"]
    text = mails[0].read_text()
    assert "Lanternfish" in text
    assert "your streaming service" not in text.lower()
    assert "http://127.0.0.1:8400/case/" in text.replace("=\n", "")


def test_the_demo_replaces_an_earlier_one_and_nothing_else(call, tmp_path):
    (tmp_path / "mine").write_text("precious", encoding="utf-8")
    code, _, err = call("demo", "--folder", tmp_path)
    assert code == 1
    assert "is not an earlier demo" in err
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "precious"


def test_no_command_waits_for_what_it_does_not_use(root):
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from console.main import app\n"
        "from console.commands import COMMANDS, load\n"
        "def loaded(*names): return [name for name in names if name in sys.modules]\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(loaded('console.commands.demo', 'config.settings', 'sqlalchemy', 'numpy', 'pydantic'))\n"
        "for name in COMMANDS: load(name)\n"
        "print(loaded('prefect', 'data.world', 'sklearn'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_a_token_is_for_an_inbox_or_for_a_program_never_both(call, config, monkeypatch):
    monkeypatch.setenv("PREBUFFER_TOKEN_SECRET", "x" * 40)
    web = settings_of(config).web
    for arguments, good, bad in (
        (["u-1"], web.inbox_audience, web.service_audience),
        (["bot", "--service"], web.service_audience, web.inbox_audience),
    ):
        code, out, _ = call("token", *arguments, "--lifetime", "5m", "--config", config)
        assert code == 0
        caller = Tokens(web, good).read(out.strip(), now())
        assert caller.subscriber_id == arguments[0]
        with pytest.raises(NotAllowedError):
            Tokens(web, bad).read(out.strip(), now())


def test_a_token_without_a_secret_or_for_too_long_is_refused_in_a_sentence(call, config, monkeypatch):
    monkeypatch.delenv("PREBUFFER_TOKEN_SECRET", raising=False)
    code, _, err = call("token", "u-1", "--config", config)
    assert (code, "PREBUFFER_TOKEN_SECRET is not set." in err) == (1, True)
    monkeypatch.setenv("PREBUFFER_TOKEN_SECRET", "x" * 40)
    code, _, err = call("token", "u-1", "--lifetime", "2d", "--config", config)
    assert (code, "a day at the longest" in err) == (1, True)


def test_web_refuses_to_serve_where_links_cannot_be_signed(call, config):
    code, _, err = call("web", "--config", config)
    assert (code, "Links cannot be signed" in err) == (1, True)
    code, _, err = call("web", "--dev", "--host", "0.0.0.0", "--config", config)
    assert (code, "serves this machine only" in err) == (1, True)


def test_a_digest_without_leads_says_that_nobody_gets_it(call, config):
    for options in ([], ["--send"]):
        code, out, err = call("digest", *options, "--config", config)
        assert (code, "no lead is named in the setting digest.leads" in out + err) == (0, True)


def test_what_readers_say_is_exported(answer, config, tmp_path):
    assert answer("labels", "answers", "--out", tmp_path / "answers.parquet", "--config", config)["count"] == 0
    assert pq.read_schema(tmp_path / "answers.parquet").names[-3:] == ["was_problem", "helped", "answered_time"]
