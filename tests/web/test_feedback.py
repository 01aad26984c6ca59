"""Did it help? A link never votes; a tap on the page does, once, and can be changed."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from incidents.ledger.schema import feedback
from notifiers.feedback import MOST_NOTE
from notifiers.links import Purpose

YES = {"helped": 1, "no_problem": 0}


@pytest.fixture
def page(links, tell) -> str:
    return f"/feedback/{links.token(Purpose.FEEDBACK, tell(), 'u-1')}"


@pytest.fixture
def said(ledger):
    def read() -> dict[str, object]:
        with ledger.read() as connection:
            rows = connection.execute(select(feedback)).all()
        found = {row.question: row.note if row.answer is None else row.answer for row in rows}
        return {question: it for question, it in found.items() if it is not None}

    return read


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("query", ["", "?answer=yes", "?verdict=yes", "?answer=no_problem&csat=5"])
def test_a_scanner_that_opens_a_link_does_not_vote(client, page, said, method, query) -> None:
    client.request(method, page + query, headers={"purpose": "prefetch", "sec-purpose": "prefetch"})
    assert said() == {}


@pytest.mark.parametrize("answer", ["yes", "no", "no_problem"])
def test_a_tap_opens_the_page_with_its_answer_marked(client, page, answer) -> None:
    assert f'value="{answer}" checked' in client.get(f"{page}?answer={answer}").text


@pytest.mark.parametrize("answer", ["", "maybe", "<script>", "yes\x00", "YES"])
def test_a_tap_that_nobody_made_marks_nothing(client, page, answer) -> None:
    shown = client.get(page, params={"answer": answer})
    assert (shown.status_code, "checked" in shown.text, "<script>" in shown.text) == (200, False, False)


def test_an_answer_is_stored_once_and_may_be_changed(client, page, said) -> None:
    for _ in range(2):
        assert "Thank you." in client.post(page, data={"verdict": "yes"}).text
    assert said() == YES
    client.post(page, data={"verdict": "no_problem"})
    assert said() == {"no_problem": 1}
    client.post(page, data={"verdict": "no", "csat": "2", "note": "Too late."})
    assert said() == {"helped": 0, "no_problem": 0, "csat": 2, "note": "Too late."}
    client.post(page, data={"csat": "", "note": " "})
    assert said() == {"helped": 0, "no_problem": 0}


def test_the_page_shows_what_was_answered(client, page) -> None:
    client.post(page, data={"verdict": "no", "csat": "4", "note": '</textarea><img src=x onerror="alert(1)">'})
    shown = client.get(page).text
    assert 'value="no" checked' in shown
    assert 'value="4" checked' in shown
    assert "<img" not in shown
    assert "&lt;/textarea&gt;" in shown


def test_who_was_not_helped_is_led_to_a_person(client, page) -> None:
    assert "/case/" in client.post(page, data={"verdict": "no"}).text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"verdict": "perhaps"},
        {"csat": "6"},
        {"csat": "0"},
        {"csat": "-1"},
        {"csat": "2.5"},
        {"csat": "٣"},
        {"nps": "11"},
        {"verdict": "yes", "csat": "9" * 4000},
    ],
)
def test_an_answer_off_its_scale_is_refused_and_nothing_of_it_stored(client, page, said, form) -> None:
    assert client.post(page, data=form).status_code == 422
    assert said() == {}


def test_a_note_is_cut_and_what_nobody_sees_is_left_out(client, page, said) -> None:
    client.post(page, data={"note": "a\x00b\u202ec\u200b" + "x" * 2 * MOST_NOTE})
    assert said()["note"] == ("abc" + "x" * MOST_NOTE)[:MOST_NOTE]
    client.post(page, data={"note": "می\u200cخواهم"})
    assert said()["note"] == "می\u200cخواهم"


def test_nps_is_asked_only_where_it_is_wanted(serve, app_of, client, page) -> None:
    assert 'name="nps"' not in client.get(page).text
    assert serve(app_of(ask_nps=True)).get(page).text.count('name="nps"') == 11


def test_a_link_of_another_purpose_or_for_another_persons_notice_leads_nowhere(client, links, tell, said) -> None:
    key = tell()
    bad = [links.token(Purpose.CASE, key, "u-1"), links.token(Purpose.FEEDBACK, key, "u-2"), "x"]
    bad += [links.token(Purpose.FEEDBACK, "no such", "u-1"), links.token(Purpose.FEEDBACK, key, "u-1")[:-2]]
    for token in bad:
        assert client.get(f"/feedback/{token}").status_code == 404
        assert client.post(f"/feedback/{token}", data={"verdict": "yes"}).status_code == 404
    assert said() == {}


def test_the_app_answers_with_one_tap(client, bearer, tell, said) -> None:
    path = f"/inbox/v1/cards/{tell()}/feedback"
    whole = {"verdict": "yes", "csat": None, "nps": None, "note": None}
    for _ in range(2):
        assert client.put(path, headers=bearer(), json={"verdict": "yes"}).json() == whole
    assert client.put(path, headers=bearer(), json={"csat": 5}).json() == whole | {"csat": 5}
    assert client.put(path, headers=bearer(), json={"verdict": None, "csat": None}).json()["verdict"] is None
    assert said() == {}


def test_the_app_answers_for_its_own_user_only(client, bearer, tell, said) -> None:
    path = f"/inbox/v1/cards/{tell()}/feedback"
    assert client.put(path, json={"verdict": "yes"}).status_code == 401
    assert client.put(path, headers=bearer("u-2"), json={"verdict": "yes"}).status_code == 404
    wrong = {"verdict": "perhaps"}, {"csat": 9}, {"note": "x" * (MOST_NOTE + 1)}, {"pigeon": 1}
    assert [client.put(path, headers=bearer(), json=it).status_code for it in wrong] == [422] * 4
    assert said() == {}
