"""What is printed is shown as it is: no markup, no control characters."""

import json
from datetime import UTC, datetime, timedelta

from console import output
from detectors.finding import Cohort
from incidents.quality import Measure, QualityKind, QualityNotice


def test_text_from_outside_cannot_colour_or_break_a_table(capsys):
    output.table("Title", ("isp", "n"), [("[red]bad\x1b[31m\nnew line", 3)])
    out = capsys.readouterr().out
    assert "[red]bad" in out
    assert "\x1b" not in out
    assert "new line" in out


def test_a_sentence_is_not_wrapped_or_read_as_markup(capsys):
    sentence = "[bold]" + "x" * 300
    output.say(sentence)
    output.complain(sentence)
    captured = capsys.readouterr()
    assert captured.out == captured.err == sentence + "\n"


def test_json_is_one_line_that_a_program_reads(capsys):
    document = {"name": "[red]é\n", "list": list(range(200))}
    output.print_json(document)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == document


def test_progress_goes_to_standard_error_only(capsys):
    with output.progress("Working", 2) as step:
        step()
        step(2, 2)
    assert capsys.readouterr().out == ""


def test_quality_notices_are_a_table_and_a_sentence_each_and_nothing_if_there_are_none(capsys):
    moment = datetime(2026, 3, 9, 20, 15, tzinfo=UTC)
    notice = QualityNotice(
        notice_id="dq-1",
        kind=QualityKind.MISSING_VIEWERS,
        cohort=Cohort.of({"isp": "[red]Net\x1b[31m"}),
        measure=Measure.PLAYS,
        since=moment,
        detected_time=moment + timedelta(minutes=30),
        until=moment + timedelta(hours=2),
        expected=1234.4,
        observed=2,
        late=0,
        surprise=20,
        reasons=("Suspected outage.",),
        updated_time=moment + timedelta(hours=2),
    )
    output.quality_table([])
    assert capsys.readouterr().out == ""
    output.quality_table([notice])
    out = capsys.readouterr().out
    assert "missing viewers" in out
    assert "\x1b" not in out
    assert "2 of about 1,234 plays came from 20:15 until 22:15 UTC. Suspected outage." in out
    document = output.quality_document(notice)
    assert json.loads(json.dumps(document)) == document
    assert (document["kind"], document["until"]) == ("missing_viewers", "2026-03-09T22:15:00+00:00")
