"""A console on a ledger of its own, on both databases, with people of every role signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from config.settings import Settings
from console.support import sessions
from console.support.passwords import hashed
from console.support.sessions import Role
from console.web import make_app
from incidents.ledger.store import Ledger
from incidents.model import Cause, Verdict
from notifiers import rollout
from tests.report.samples import EVERYONE, HOSTILE_ONE, LARGE, MERGED, ONSET, OPEN, decide
from tests.serving import Clock, client_at, serving

PASSWORD = "a long and plain password"
HASH = hashed(PASSWORD)
NOW = ONSET + timedelta(hours=20)
ODD = "inc-without-evidence"
AUTHOR = "ada@lumen.example"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {"console": {"password_hash": HASH}, "paths": {"reports": tmp_path}, "brand": {"service_name": "Lumen"}}
    return Settings.model_validate(values)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, durable=False) as ledger:
        fill(ledger)
        yield ledger


def fill(ledger: Ledger) -> None:
    """Put in what a console may meet: an open incident, a hostile one, a million people, no evidence."""
    hostile = replace(HOSTILE_ONE, incident_id="inc-hostile")
    huge = replace(EVERYONE, affected_subscribers=1_000_000, resolved_time=None)
    odd = replace(OPEN, incident_id=ODD, verdict=Verdict(Cause.SERVICE, 0.5), detected_time=NOW - timedelta(hours=1))
    with ledger.write() as connection:
        ledger.save_incidents(connection, [LARGE, OPEN, hostile, huge, MERGED, odd])
        decide(connection, 41, state="sent")
        decide(connection, 60, channel="in_app", state="sent")
        decide(connection, 9, reason="no_consent")
        decide(connection, 4, reason="holdout")
        decide(connection, 3, incident=hostile, reason="a_reason_of_tomorrow")
        rollout.ask(connection, OPEN.incident_id, 52_000, 0.01, NOW)


def patient(app: FastAPI) -> FastAPI:
    """Return the app with a console whose pages wait for their counts, however busy the machine is."""
    mounted = next(route for route in app.routes if getattr(route, "name", "") == "console")
    mounted.app.state.support.counts.patience_s = 20.0
    return app


@pytest.fixture
def client_of(settings: Settings, ledger: Ledger, clock: Clock) -> Iterator[Callable[..., httpx.Client]]:
    """Serve the console until the test ends; gives clients of it, each signed in as somebody of a role."""
    with ExitStack() as stack:
        url = stack.enter_context(serving(patient(make_app(settings, ledger, clock))))

        def build(role: Role | None = Role.LEAD, name: str = AUTHOR) -> httpx.Client:
            client = client_at(f"{url}/console")
            if role is not None:
                with ledger.write() as connection:
                    token = sessions.begin(connection, name, role, clock(), timedelta(hours=12))
                client.cookies.set("prebuffer-session", token, domain="127.0.0.1")
                client.headers["x-form-token"] = sessions.form_token(token)
            return stack.enter_context(client)

        yield build


@pytest.fixture
def lead(client_of: Callable[..., httpx.Client]) -> httpx.Client:
    return client_of(Role.LEAD)
