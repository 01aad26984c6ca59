"""The app's frame: headers, refusals, the access log, limits."""

from __future__ import annotations

import json
import logging

import httpx
import pytest
from fastapi import FastAPI

from console.web import make_app
from console.web.bearers import BAD_LINK
from console.web.case import TOO_OLD
from console.web.errors import BROKEN, LEDGER_GONE, NOTHING_HERE, TOO_MANY, NotFoundError, TooManyError
from console.web.limits import RateLimits
from console.web.pages import IN_GENERAL, Pages
from incidents.ledger.store import Ledger
from notifiers.context import UNNAMED
from tests.conftest import ROOT
from tests.serving import wait_for

BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def broken(serve, app_of) -> httpx.Client:
    """An app with routes that fail."""
    app: FastAPI = app_of(max_body_bytes=100)

    @app.get("/broken/{secret}")
    def broken(secret: str) -> None:
        raise RuntimeError(secret)

    @app.get("/missing")
    def missing() -> None:
        raise NotFoundError("There is no such card.")

    @app.post("/echo")
    async def echo(body: dict[str, int]) -> dict[str, int]:
        return body

    return serve(app)


def test_health_says_that_the_ledger_answers(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "webhook": {}}


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/static/page.css", "/static/none.css"])
def test_every_answer_is_guarded(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "script" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["strict-transport-security"].startswith("max-age")


def test_nothing_but_styles_may_be_kept(client: httpx.Client) -> None:
    assert client.get("/healthz").headers["cache-control"] == "no-store"
    assert client.get("/static/page.css").headers["cache-control"].startswith("public")


def test_a_program_gets_a_problem_and_a_person_a_page(client: httpx.Client) -> None:
    problem = client.get("/nowhere")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address.",
    }
    page = client.get("/nowhere", headers=BROWSER)
    assert page.status_code == 404
    assert "<h1>That did not work</h1>" in page.text
    assert "There is nothing at this address." in page.text


def test_a_person_is_refused_in_their_own_language(client: httpx.Client) -> None:
    page = client.get("/nowhere", headers=BROWSER | {"Accept-Language": "he,en;q=0.5"}).text
    assert '<html lang="he" dir="rtl">' in page
    assert NOTHING_HERE not in page


def test_whatever_is_refused_is_said_in_every_language() -> None:
    pages = Pages(ROOT / "templates", UNNAMED, None)
    for tag in set(pages.languages.tags) - {"en"}:
        answers = [pages.problem(429, it, {}, tag, {"seconds": 7}) for it in (TOO_MANY, BAD_LINK, "A new one.")]
        said = [bytes(it.body).decode() for it in answers]
        assert not [it for it in said if "try again" in it or BAD_LINK in it or "A new one" in it or UNNAMED[1:] in it]
        assert "7" in said[0].partition("<h1>")[2]
        assert "%(" not in "".join(said)


def test_every_sentence_for_a_person_is_listed_for_translators() -> None:
    listed = (ROOT / "templates" / "pages" / "problem.html.jinja").read_text(encoding="utf-8")
    for sentence in (TOO_MANY, BAD_LINK, TOO_OLD, LEDGER_GONE, IN_GENERAL, NOTHING_HERE, BROKEN):
        assert f'_("{sentence}"' in listed


def test_the_interface_describes_itself_only_when_asked(client: httpx.Client) -> None:
    assert [client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [404] * 3


def test_a_fault_is_a_sentence_and_its_text_is_not_logged(broken: httpx.Client, caplog) -> None:
    answer = broken.get("/broken/sub-12345")
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("Something broke here.")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "RuntimeError" in caplog.text
    assert "sub-12345" not in caplog.text


def test_a_refusal_has_its_own_sentence(broken: httpx.Client) -> None:
    answer = broken.get("/missing")
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such card.")


def test_wrong_input_is_named_and_not_repeated(broken: httpx.Client) -> None:
    answer = broken.post("/echo", json={"a": "<script>"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("a: ")
    assert "script" not in answer.text


def test_a_long_body_is_refused_before_it_is_read(broken: httpx.Client) -> None:
    assert broken.post("/echo", json={"a": 1}).status_code == 200
    declared = broken.post("/echo", content=b"{" + b" " * 200 + b"}", headers={"content-type": "application/json"})
    assert declared.status_code == 413
    streamed = broken.post("/echo", content=iter([b"{", b" " * 200]), headers={"content-type": "application/json"})
    assert streamed.status_code == 413
    assert "100 bytes" in streamed.json()["detail"]


def test_a_ledger_that_is_gone_is_unavailable_and_not_broken(serve, settings, clock) -> None:
    with Ledger("sqlite:////nowhere/at/all.db") as gone:
        answer = serve(make_app(settings(), gone, clock)).get("/healthz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_the_access_log_names_routes_only(broken: httpx.Client, caplog) -> None:
    with caplog.at_level(logging.INFO, logger="prebuffer.access"):
        broken.get("/broken/sub-12345?token=abc")
        broken.get("/sub-12345")
        broken.get("/healthz")
        wait_for(lambda: len([it for it in caplog.records if it.name == "prebuffer.access"]) == 3)
    lines = [json.loads(it.getMessage()) for it in caplog.records if it.name == "prebuffer.access"]
    assert [(it["route"], it["status"]) for it in lines] == [
        ("/broken/{secret}", 500),
        ("unmatched", 404),
        ("/healthz", 200),
    ]
    assert {key for line in lines for key in line} == {"method", "route", "status", "ms"}


def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    seconds = 0.0
    limits = RateLimits(lambda: seconds)
    for _ in range(60):
        limits.take("token", "a", 60)
    with pytest.raises(TooManyError) as raised:
        limits.take("token", "a", 60)
    assert raised.value.retry_after_s == 1
    limits.take("token", "b", 60)
    limits.take("address", "a", 60)
    seconds = 1.0
    limits.take("token", "a", 60)
    with pytest.raises(TooManyError):
        limits.take("token", "a", 60)


def test_callers_long_gone_are_forgotten(monkeypatch) -> None:
    monkeypatch.setattr("console.web.limits.REMEMBERED", 3)
    limits = RateLimits(lambda: 0.0)
    for caller in "abcdef":
        limits.take("token", caller, 1)
    assert len(limits._buckets) == 3
    limits.take("token", "a", 1)
