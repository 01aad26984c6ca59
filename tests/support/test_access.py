"""Who may do what: every route of the console, walked as nobody, as a viewer, as a lead and as an admin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select

from console.support import sessions
from console.support.app import ROUTERS, make_console
from console.support.sessions import Role
from console.web import make_app
from incidents.ledger.audit import history
from incidents.ledger.casework import console_sessions
from incidents.ledger.store import Ledger
from tests.report.samples import LARGE, OPEN
from tests.serving import Clock, serving, wait_for
from tests.support.conftest import AUTHOR, PASSWORD

PUBLIC = {
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/sign-in/provider"),
    ("GET", "/sign-in/return"),
    ("GET", "/static/report.css"),
}
NEEDS = {
    ("GET", "/"): Role.VIEWER,
    ("POST", "/stop"): Role.LEAD,
    ("POST", "/resume"): Role.LEAD,
    ("GET", "/incidents"): Role.VIEWER,
    ("GET", "/review"): Role.VIEWER,
    ("GET", "/incidents/{incident_id}"): Role.VIEWER,
    ("GET", "/incidents/{incident_id}/people/{reason}"): Role.VIEWER,
    ("POST", "/incidents/{incident_id}/review"): Role.LEAD,
    ("POST", "/incidents/{incident_id}/owner"): Role.LEAD,
    ("POST", "/incidents/{incident_id}/public"): Role.LEAD,
    ("POST", "/incidents/{incident_id}/public/update"): Role.LEAD,
    ("POST", "/incidents/{incident_id}/public/withdraw"): Role.LEAD,
    ("POST", "/incidents/{incident_id}/reports"): Role.LEAD,
    ("GET", "/incidents/{incident_id}/lessons"): Role.VIEWER,
    ("POST", "/incidents/{incident_id}/lessons"): Role.LEAD,
    ("POST", "/incidents/{incident_id}/lessons/{lesson_id}/done"): Role.LEAD,
    ("GET", "/lessons"): Role.VIEWER,
    ("GET", "/drills"): Role.VIEWER,
    ("POST", "/drills"): Role.LEAD,
    ("GET", "/drills/{drill_id}"): Role.VIEWER,
    ("POST", "/drills/{drill_id}/end"): Role.LEAD,
    ("GET", "/digest"): Role.LEAD,
    ("GET", "/reports/{report_id}"): Role.VIEWER,
    ("GET", "/subscribers"): Role.VIEWER,
    ("GET", "/subscribers/{subscriber_id}"): Role.VIEWER,
    ("POST", "/subscribers/{subscriber_id}/case"): Role.VIEWER,
    ("GET", "/notices/{notice_id}"): Role.VIEWER,
    ("GET", "/notices/{notice_id}/mail"): Role.VIEWER,
    ("GET", "/approvals"): Role.VIEWER,
    ("GET", "/approvals/{episode}"): Role.VIEWER,
    ("GET", "/approvals/{episode}/mail"): Role.VIEWER,
    ("POST", "/approvals/{episode}"): Role.LEAD,
    ("GET", "/silences"): Role.VIEWER,
    ("POST", "/silences"): Role.LEAD,
    ("POST", "/silences/{silence_id}/end"): Role.LEAD,
    ("GET", "/effect"): Role.VIEWER,
    ("GET", "/trail"): Role.LEAD,
    ("GET", "/settings"): Role.LEAD,
    ("POST", "/sessions/end"): Role.ADMIN,
    ("POST", "/sign-out"): Role.VIEWER,
}
"""What each route needs. A route that is missing here fails the first test below."""
VALUES = {
    "incident_id": LARGE.incident_id,
    "reason": "told",
    "subscriber_id": "sub-1",
    "notice_id": "n1",
    "episode": OPEN.incident_id,
    "silence_id": "none",
    "report_id": "none",
    "lesson_id": "none",
    "drill_id": "none",
}
pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in (*app.routes, *(route for router in ROUTERS for route in router.routes)):
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in route.methods)


def ask(client: httpx.Client, method: str, path: str) -> int:
    return client.request(
        method, path.format_map(VALUES), data={"x": "y", "scenario": "none of ours"} if method == "POST" else None
    ).status_code


def test_every_route_says_whom_it_lets_in(settings, ledger: Ledger, clock: Clock) -> None:
    found = set(routes(make_console(settings, ledger, clock)))
    assert found == PUBLIC | NEEDS.keys()


def test_nobody_gets_anywhere_without_signing_in(client_of: Callable[..., httpx.Client]) -> None:
    nobody = client_of(None)
    for method, path in NEEDS:
        answer = nobody.request(method, path.format_map(VALUES))
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith("/console/sign-in")
    answer = nobody.get("/incidents", headers={"hx-request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"].endswith("after=%2Fconsole%2Fincidents")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_what_it_may_and_nothing_more(client_of: Callable[..., httpx.Client], role: Role) -> None:
    client = client_of(role)
    allowed = {key for key, need in NEEDS.items() if key != ("POST", "/sign-out") and ask(client, *key) != 403}
    assert allowed == {key for key, need in NEEDS.items() if role.includes(need)} - {("POST", "/sign-out")}


def test_a_form_of_another_site_or_session_does_nothing(client_of: Callable[..., httpx.Client]) -> None:
    lead = client_of(Role.LEAD)
    for method, path in NEEDS:
        if method == "POST":
            for headers in ({"x-form-token": ""}, {"x-form-token": "0" * 32}, {"sec-fetch-site": "cross-site"}):
                assert lead.post(path.format_map(VALUES), headers=headers).status_code == 403, path


def test_a_session_ends_without_use_and_at_last(client_of, ledger: Ledger, clock: Clock) -> None:
    lead = client_of(Role.LEAD)
    for _ in range(14):
        clock.forward(minutes=50)
        assert lead.get("/silences").status_code == 200
        wait_for(lambda: seen(ledger) == clock())
    clock.forward(minutes=50)
    assert lead.get("/silences").status_code == 303, "twelve hours are over"
    other = client_of(Role.LEAD)
    clock.forward(minutes=61)
    assert other.get("/silences").status_code == 303, "nobody was there for an hour"


def seen(ledger: Ledger) -> datetime:
    with ledger.read() as connection:
        return connection.scalar(select(console_sessions.c.seen_time))


def test_signing_out_ends_the_session_wherever_its_cookie_went(client_of, ledger: Ledger) -> None:
    lead, elsewhere = client_of(Role.LEAD), client_of(Role.LEAD)
    copy = client_of(None)
    copy.cookies.update(lead.cookies)
    assert copy.get("/silences").status_code == 200
    assert lead.post("/sign-out").status_code == 303
    assert copy.get("/silences").status_code == 303
    assert elsewhere.get("/silences").status_code == 200
    third = client_of(Role.LEAD)
    third.post("/sign-out", data={"everywhere": "yes"})
    assert elsewhere.get("/silences").status_code == 303


def test_an_admin_signs_somebody_out_and_it_is_written_down(client_of, ledger: Ledger) -> None:
    lead, admin = client_of(Role.LEAD), client_of(Role.ADMIN, "root@lumen.example")
    assert AUTHOR in admin.get("/settings").text
    assert admin.post("/sessions/end", data={"name": AUTHOR}).status_code == 303
    assert lead.get("/silences").status_code == 303
    with ledger.read() as connection:
        entry = history(connection)[0]
    assert (entry.actor, entry.action, entry.detail["name"]) == ("root@lumen.example", "session.ended_for", AUTHOR)


def test_what_the_browser_holds_is_not_in_the_ledger(ledger: Ledger, clock: Clock) -> None:
    with ledger.write() as connection:
        token = sessions.begin(connection, AUTHOR, Role.LEAD, clock(), timedelta(hours=1))
        row = connection.execute(console_sessions.select()).one()
    assert token not in str(row)
    assert sessions.form_token(token) not in str(row)


def test_pages_run_our_scripts_only_and_are_not_kept(lead: httpx.Client) -> None:
    headers = lead.get("/").headers
    policy = headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"


def test_what_breaks_is_a_sentence_and_its_text_is_not_shown(settings, ledger: Ledger, clock: Clock) -> None:
    app = make_app(settings, ledger, clock)
    console = next(route.app for route in app.routes if getattr(route, "name", "") == "console")

    @console.get("/broken")
    def broken() -> None:
        raise RuntimeError("sub-12345")

    with serving(app) as url:
        answer = httpx.get(f"{url}/console/broken", headers={"accept": "text/html"}, trust_env=False)
    assert answer.status_code == 500
    assert "Something broke here." in answer.text
    assert "sub-12345" not in answer.text


def test_secrets_are_stars(lead: httpx.Client, settings) -> None:
    page = lead.get("/settings").text
    assert "**********" in page
    assert settings.console.password_hash.get_secret_value() not in page
    assert PASSWORD not in page
