"""Drills from the console: one at a time, made aside, played in a console of its own by the same people, and ended."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import httpx
import pytest
from fastapi import FastAPI

from config.settings import Settings
from console.practice import settings_in
from console.support import sessions
from console.support.app import make_console
from console.support.rehearsals import Progress
from console.support.sessions import Role
from incidents import drills
from incidents.drills import Drill, all_drills
from incidents.ledger.audit import history
from incidents.ledger.casework import digests
from incidents.ledger.store import Ledger
from tests.report.samples import LARGE
from tests.serving import Clock, client_at, serving, wait_for
from tests.support.conftest import AUTHOR

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


class Workshop:
    """Makes a drill with one incident as soon as it may."""

    def __init__(self, settings: Settings, ledger: Ledger, folder: Path) -> None:
        self.settings, self.ledger, self.folder = settings, ledger, folder
        self.may, self.breaks = Event(), False

    def __call__(self, scenario: str | None, author: str, now: datetime, progress: Progress) -> str:
        progress(1, 4)
        assert self.may.wait(30)
        if self.breaks:
            raise OSError("secret path")
        folder = self.folder / "drill-1"
        folder.mkdir()
        drill = Drill("drill-1", scenario or "network", drills.HERE, now, author)
        with Ledger(settings_in(self.settings, folder).ledger.url, durable=False) as inside:
            inside.upgrade()
            with inside.write() as connection:
                inside.save_incidents(connection, [LARGE])
                drills.begin(connection, drill)
        with self.ledger.write() as connection:
            drills.begin(connection, Drill("drill-1", drill.scenario, str(folder), now, author))
        return "drill-1"


@pytest.fixture
def workshop(settings: Settings, ledger: Ledger, tmp_path: Path) -> Workshop:
    return Workshop(settings, ledger, tmp_path)


def console_of(settings: Settings, ledger: Ledger, clock: Clock, workshop: Workshop) -> FastAPI:
    return make_console(settings, ledger, clock, make=workshop, folder=workshop.folder, public_url="http://x")


@pytest.fixture
def leads(
    settings: Settings, ledger: Ledger, clock: Clock, workshop: Workshop
) -> Iterator[Callable[..., httpx.Client]]:
    with ExitStack() as stack:
        url = stack.enter_context(serving(console_of(settings, ledger, clock, workshop)))

        def build(name: str = AUTHOR) -> httpx.Client:
            with ledger.write() as connection:
                token = sessions.begin(connection, name, Role.LEAD, clock(), timedelta(hours=12))
            client = stack.enter_context(client_at(url))
            client.cookies.set("prebuffer-session", token, domain="127.0.0.1")
            client.headers["x-form-token"] = sessions.form_token(token)
            return client

        yield build


def test_a_drill_is_made_aside_played_and_ended(leads, ledger: Ledger, workshop: Workshop, clock: Clock) -> None:
    lead, other = leads(), leads("bob@lumen.example")
    assert lead.post("/drills", data={"scenario": "delivery"}).status_code == 303
    wait_for(lambda: "25 %" in lead.get("/drills").text)
    second = other.post("/drills")
    assert second.status_code == 409
    assert f"being made already, for {AUTHOR}" in second.text
    workshop.may.set()
    wait_for(lambda: "/drills/drill-1" in lead.get("/drills").text)
    assert "A drill goes on since" in other.post("/drills").text
    clock.forward(minutes=5)
    here = lead.get("/stage/drill-1/")
    assert "What you see is made up" in here.text
    assert "DRILL - Lumen" in here.text
    assert 'href="/console/stage/drill-1/incidents/' in here.text
    said = lead.post(f"/stage/drill-1/incidents/{LARGE.incident_id}/review", data={"seen": "0", "verdict": "confirm"})
    assert said.status_code == 303
    assert lead.post("/stage/drill-1/drills").status_code == 409, "no drill inside a drill"
    page = lead.get("/drills/drill-1").text
    assert "5 min" in page
    assert "The verdict was right." in page
    clock.forward(minutes=30)
    assert lead.post("/drills/drill-1/end").status_code == 303
    assert other.post("/drills/drill-1/end").status_code == 409
    assert "missed" in lead.get("/drills/drill-1").text
    with ledger.read() as connection:
        (ended,) = all_drills(connection)
        assert [it.action for it in history(connection)][:1] == ["drill.ended"]
        assert not any(it.action == "case.reviewed" for it in history(connection)), "what is played is not real"
    assert ended.score is not None
    assert ended.score["missed"] == ["publish"]
    assert lead.get("/stage/nothing/").status_code == 404
    assert lead.get("/drills/nothing").status_code == 404


def test_who_is_not_signed_in_sees_no_drill(leads, workshop: Workshop) -> None:
    lead = leads()
    workshop.may.set()
    lead.post("/drills")
    wait_for(lambda: "/drills/drill-1" in lead.get("/drills").text)
    with client_at(str(lead.base_url)) as nobody:
        sent_away = nobody.get("/stage/drill-1/incidents").headers["location"]
        assert sent_away == "/console/sign-in?after=%2Fconsole%2Fstage%2Fdrill-1%2Fincidents"
        assert nobody.post(f"/stage/drill-1/incidents/{LARGE.incident_id}/review").status_code == 303
    token = lead.headers.pop("x-form-token")
    assert lead.post("/stage/drill-1/stop", data={"scope": "all", "reason": "x"}).status_code == 403
    lead.headers["x-form-token"] = token
    assert lead.post("/sign-out").status_code == 303
    assert lead.get("/stage/drill-1/").status_code == 303


def test_a_drill_that_cannot_be_made_says_so_and_the_next_may_be(leads, workshop: Workshop) -> None:
    lead = leads()
    workshop.breaks = True
    workshop.may.set()
    lead.post("/drills")
    wait_for(lambda: "could not be made" in lead.get("/drills").text)
    assert "secret path" not in lead.get("/drills").text
    workshop.breaks = False
    lead.post("/drills")
    wait_for(lambda: "/drills/drill-1" in lead.get("/drills").text)


def test_the_digest_is_shown_as_it_would_be_mailed_and_what_became_of_the_last(
    lead, ledger: Ledger, clock: Clock
) -> None:
    page = lead.get("/digest").text
    assert "Lumen: 0 incidents in the week from" in page
    assert "None was mailed yet." in page
    with ledger.write() as connection:
        for number, state in enumerate(("sent", "sent", "unknown")):
            row = {"digest_id": f"d{number}", "week": "2026-W20", "state": state, "began_time": clock()}
            connection.execute(digests.insert().values(row))
    page = lead.get("/digest").text
    assert "Week 2026-W20" in page
    assert "to 2." in page
    assert "Of 1 nobody knows whether it arrived" in page


@pytest.mark.parametrize("server", ["gone", "of the same name", "that still makes it"])
def test_a_drill_that_the_last_server_was_making_is_said_to_be_interrupted(
    leads, settings: Settings, ledger: Ledger, clock: Clock, workshop: Workshop, server: str
) -> None:
    lead = leads()
    lead.post("/drills")
    wait_for(lambda: "25 %" in lead.get("/drills").text)
    note = workshop.folder / "making.json"
    said = json.loads(note.read_text(encoding="utf-8"))
    pids = {"gone": str(gone()), "of the same name": str(os.getpid()), "that still makes it": str(os.getppid())}
    note.write_text(json.dumps(said | {"by": f"{said['by'].rpartition(':')[0]}:{pids[server]}"}), encoding="utf-8")
    with serving(console_of(settings, ledger, clock, workshop)) as url, client_at(url) as after:
        after.cookies.set("prebuffer-session", lead.cookies["prebuffer-session"], domain="127.0.0.1")
        page = after.get("/drills").text
    assert ("interrupted" in page) == (server != "that still makes it")
    assert ("is being made for" in page) == (server == "that still makes it")
    workshop.may.set()
    wait_for(lambda: "/drills/drill-1" in lead.get("/drills").text)
    assert not note.exists()


def gone() -> int:
    """The id of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        return process.pid
