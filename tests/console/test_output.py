"""What is printed is shown as it is: no markup, no control characters."""

import json

from console import output


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
