"""Coming in with the machine's own password."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from console.support import passwords
from console.support.sign_in import TRIES_PER_MINUTE
from console.web import make_app
from tests.support.conftest import HASH, PASSWORD

on_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


def form_of(page: httpx.Response) -> dict[str, str]:
    token = page.text.split('name="form_token" value="')[1].split('"')[0]
    return {"form_token": token, "name": "Ada", "password": PASSWORD}


@on_sqlite
def test_the_password_lets_in_and_leads_where_one_was_going(client_of) -> None:
    nobody = client_of(None)
    wanted = nobody.get("/incidents?state=open")
    door = nobody.get(wanted.headers["location"].removeprefix("/console"))
    come_in = nobody.post("/sign-in", data=form_of(door) | {"after": "/console/incidents?state=open"})
    assert come_in.status_code == 303
    assert come_in.headers["location"] == "/console/incidents?state=open"
    cookie = next(it for it in come_in.headers.get_list("set-cookie") if it.startswith("prebuffer-session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie, "this is loopback"
    assert "Ada" in nobody.get("/incidents").text


@on_sqlite
@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example/",
        "//evil.example/",
        "/console//evil.example",
        "/console/\\evil",
        "/healthz",
        "javascript:1",
    ],
)
def test_signing_in_leads_nowhere_else(client_of, after: str) -> None:
    nobody = client_of(None)
    come_in = nobody.post("/sign-in", data=form_of(nobody.get("/sign-in")) | {"after": after})
    assert come_in.headers["location"] == "/console/"


@on_sqlite
def test_a_wrong_password_says_so_and_is_slowed_down(client_of) -> None:
    nobody = client_of(None)
    form = form_of(nobody.get("/sign-in")) | {"password": "guess guess guess"}
    answers = [nobody.post("/sign-in", data=form)]
    assert "That is not the password." in answers[0].text
    assert 'value="Ada"' in answers[0].text
    while answers[-1].status_code == 403 and len(answers) < 3 * TRIES_PER_MINUTE:
        answers.append(nobody.post("/sign-in", data=form))
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert len(answers) >= TRIES_PER_MINUTE


@on_sqlite
def test_a_form_of_another_browser_is_refused(client_of) -> None:
    nobody, other = client_of(None), client_of(None)
    form = form_of(nobody.get("/sign-in"))
    assert other.post("/sign-in", data=form).status_code == 403


@on_sqlite
def test_without_a_way_in_there_is_no_console(settings, ledger, clock) -> None:
    closed = settings.model_copy(update={"console": settings.console.model_copy(update={"password_hash": None})})
    assert not any(getattr(route, "name", "") == "console" for route in make_app(closed, ledger, clock).routes)


def test_a_hash_is_never_the_same_and_matches_its_password_alone() -> None:
    assert passwords.hashed(PASSWORD) != HASH
    assert passwords.matches(PASSWORD, HASH)
    assert not passwords.matches(PASSWORD + " ", HASH)
    with pytest.raises(ValueError, match="12 to 1024"):
        passwords.hashed("short")


@given(kept=st.text(max_size=60))
@hypothesis_settings(max_examples=50, deadline=None)
def test_what_is_no_hash_matches_nothing(kept: str) -> None:
    assert not passwords.matches(PASSWORD, "scrypt:" + kept)
    assert not passwords.matches(PASSWORD, kept)
