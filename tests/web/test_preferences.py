"""Choices behind a link: opening it changes nothing, one click stops, and all can be undone."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import insert, select

from config.settings import PathSettings
from console.web import make_app
from incidents.ledger.schema import audit, notices, outbox, preferences
from notifiers.links import Purpose
from tests.web.conftest import NOON

NOTICE = "abcdefghijkl2345"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
ALL = {f"{category}/{channel}" for category in ("shared", "own") for channel in ("email", "in_app")}
MAIL = {"shared/email", "own/email"}


@pytest.fixture
def page(links) -> str:
    return f"/preferences/{links.token(Purpose.PREFERENCES, NOTICE, 'u-1')}"


@pytest.fixture
def out(links) -> str:
    return f"/unsubscribe/{links.token(Purpose.UNSUBSCRIBE, NOTICE, 'u-1')}"


@pytest.fixture
def chosen(ledger):
    def read() -> dict[str, bool]:
        with ledger.read() as connection:
            return {f"{it.category}/{it.channel}": it.allowed for it in connection.execute(select(preferences))}

    return read


@pytest.fixture
def told(ledger) -> None:
    """A mail in Arabic that the link came with."""
    notice = {"notice_id": NOTICE, "subscriber_id": "u-1", "episode": "e", "kind": "problem", "decided_time": NOON}
    message = {
        "message_id": NOTICE,
        "notice_id": NOTICE,
        "stage": "first",
        "channel": "email",
        "subject": "",
        "html": "",
    }
    times = {"queued_time": NOON, "next_attempt_time": NOON}
    with ledger.write() as connection:
        about = {"problem": "buffering", "cause": "service", "channel": "email"}
        connection.execute(insert(notices).values(notice | about))
        words = {"html": "", "text": "", "card": {"language": "ar"}, "state": "sent"}
        connection.execute(insert(outbox).values(message | times | words))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_opening_a_link_changes_nothing(client, page, out, chosen, method) -> None:
    for path in (page, out, f"{page}?do=stop", f"{out}?List-Unsubscribe=One-Click"):
        client.request(method, path)
    assert chosen() == {}


def test_one_click_of_a_mail_program_stops_mails_and_only_mails(client, out, chosen) -> None:
    answer = client.post(out, data=ONE_CLICK)
    assert (answer.status_code, answer.text) == (200, "Stopped.")
    assert "set-cookie" not in answer.headers
    assert chosen() == dict.fromkeys(MAIL, False)


def test_one_click_may_come_as_a_multipart_form_and_twice(client, out, chosen) -> None:
    for _ in range(2):
        assert client.post(out, files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200
    assert chosen() == dict.fromkeys(MAIL, False)


@pytest.mark.parametrize("body", [{}, {"List-Unsubscribe": "no"}, {"do": "else"}])
def test_another_post_stops_nothing(client, out, chosen, body) -> None:
    assert client.post(out, data=body).status_code == 422
    assert chosen() == {}


def test_a_link_of_another_purpose_or_a_changed_one_leads_nowhere(client, page, out, chosen) -> None:
    swapped = out.replace("unsubscribe", "preferences"), page.replace("preferences", "unsubscribe")
    for path in (*swapped, page[:-3], "/preferences/x", "/unsubscribe/%00"):
        assert client.post(path, data=ONE_CLICK | {"do": "stop"}).status_code == 404
    assert chosen() == {}


def test_stop_everything_is_one_click_and_can_be_undone(client, page, chosen) -> None:
    client.post(page, data={"shared/email": "yes", "do": "save"})
    stopped = client.post(page, data={"do": "stop"})
    assert chosen() == dict.fromkeys(ALL, False)
    assert "Stopped." in stopped.text
    assert 'name="own/email" value="unset"' in stopped.text
    undo = dict.fromkeys(ALL, "unset") | {"shared/email": "yes", "do": "undo"}
    assert "Undone." in client.post(page, data=undo).text
    assert chosen() == {"shared/email": True}


def test_saving_without_a_choice_consents_to_nothing(client, page, chosen, told) -> None:
    shown = client.get(page).text
    assert shown.count("checked") == 2  # mail, by which this notice came
    client.post(page, data={"shared/email": "yes", "own/email": "yes", "do": "save"})
    assert chosen() == {}


def test_each_topic_is_chosen_by_itself_and_recorded(client, page, chosen, ledger) -> None:
    client.post(page, data={"shared/email": "no", "own/in_app": "yes", "own/email": "nonsense", "x": "no"})
    assert chosen() == {"shared/email": False, "own/in_app": True}
    with ledger.read() as connection:
        assert {it.subject for it in connection.execute(select(audit))} == {"subscriber:u-1"}


def test_a_page_is_in_the_language_of_its_notice(serve, settings, ledger, clock, page, told, root, tmp_path) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(root / "templates" / "pages", templates / "pages")
    catalogue = templates / "locales" / "ar" / "pages.po"
    catalogue.parent.mkdir(parents=True)
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n"Plural-Forms: nplurals=1; plural=0;\\n"\n'
    catalogue.write_text(f'{head}\nmsgid "Save"\nmsgstr "حفظ"\n', encoding="utf-8")
    own = settings().model_copy(update={"paths": PathSettings(templates=templates)})
    client = serve(make_app(own, ledger, clock))
    shown = client.get(page, headers={"accept-language": "fr"}).text
    assert '<html lang="ar" dir="rtl">' in shown
    assert ">حفظ</button>" in shown
    nowhere = client.get("/nowhere", headers={"accept": "text/html", "accept-language": "ar-EG,en;q=0.5"}).text
    assert 'dir="rtl"' in nowhere


def test_a_page_is_guarded_and_kept_by_nobody(client, page) -> None:
    answer = client.get(page)
    assert answer.headers["cache-control"] == "no-store"
    assert "script" not in answer.text
    assert "u-1" not in answer.text


def test_a_link_has_its_own_pace(serve, app_of, out) -> None:
    client = serve(app_of(requests_per_minute=2, address_requests_per_minute=1))
    assert [client.post(out, data=ONE_CLICK).status_code for _ in range(3)] == [200, 200, 429]


def test_the_app_reads_and_writes_the_same_choices(client, bearer, page, chosen) -> None:
    nothing = {"shared": {"email": None, "in_app": None}, "own": {"email": None, "in_app": None}}
    assert client.get("/inbox/v1/preferences", headers=bearer()).json() == nothing
    wanted = {"own": {"in_app": False}}
    answer = client.put("/inbox/v1/preferences", headers=bearer(), json=wanted).json()
    assert answer == nothing | {"own": {"email": None, "in_app": False}}
    assert client.put("/inbox/v1/preferences", headers=bearer(), json={"own": {"in_app": None}}).json() == nothing
    assert chosen() == {}
    wrong = {"own": {"pigeon": True}}, {"loud": {}}, {"own": {"email": "maybe"}}, []
    assert [client.put("/inbox/v1/preferences", headers=bearer(), json=it).status_code for it in wrong] == [422] * 4


def test_a_topic_that_nobody_chose_shows_what_the_account_says(client, page, told, know, chosen) -> None:
    know(email_opt_in=False, in_app_opt_in=True)
    shown = client.get(page).text
    for topic in MAIL:
        assert f'name="{topic}" value="no" checked' in shown
    for topic in ALL - MAIL:
        assert f'name="{topic}" value="yes" checked' in shown
    assert "Not chosen yet" not in shown
    assert chosen() == {}
