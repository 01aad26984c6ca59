"""A drill goes through everything, reaches nobody, is marked everywhere, and says what was missed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from config.bootstrap import open_channels, open_ledger
from config.reading import read_settings
from config.settings import LedgerSettings, PathSettings, Settings, WarehouseSettings
from console import drills
from console.report import write_reports
from console.support.rehearsals import made_apart
from incidents import cases
from incidents.cases import ReviewError, hand_over
from incidents.drills import Drill, all_drills, drill_here, score_of
from incidents.drills import begin as begin_drill
from incidents.ledger import schema
from incidents.ledger.store import Ledger
from incidents.publications import publish
from incidents.reviews import ReviewVerdict, review
from notifiers.channels import Mailbox
from notifiers.model import ChannelName
from tests.ledger.conftest import INCIDENT, T0

NOW = datetime(2026, 11, 25, 9, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEYS = {"PREBUFFER_SENDGRID_API_KEY": "SG.secret-key"}


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        with ledger.write() as connection:
            ledger.save_incidents(connection, [INCIDENT])
            begin_drill(connection, Drill("d", "delivery", "", T0, "ann"))
        yield ledger


def scored(ledger, now=T0 + 60 * MINUTE, over=True):
    with ledger.read() as connection:
        return score_of(connection, drill_here(connection), now, over=over)


def test_who_does_nothing_misses_everything_that_was_asked(ledger):
    assert scored(ledger).missed == ["acknowledge", "publish", "review"]
    assert scored(ledger, T0 + 5 * MINUTE, over=False).missed == []
    assert scored(ledger, T0 + 31 * MINUTE, over=False).missed == ["acknowledge", "publish"]


def test_who_does_all_in_time_misses_nothing(ledger):
    with ledger.write() as connection:
        hand_over(connection, "inc-1", "ann", "ann", T0 + 4 * MINUTE, seen=0)
        publish(connection, "inc-1", "ann", T0 + 9 * MINUTE, title="T", scope="S", words="W")
        review(connection, "inc-1", ReviewVerdict.CONFIRM, "ann", T0 + 20 * MINUTE, seen=1)
        asked = {"episode": "inc-1", "audience": 9, "allowed_share": 1, "state": "approved", "asked_time": T0}
        connection.execute(schema.rollouts.insert().values(**asked, decided_time=T0 + 8 * MINUTE, decided_by="ann"))
    score = scored(ledger)
    assert (score.missed, score.right) == ([], True)
    assert {task.name: task.took / MINUTE for task in score.tasks} == {
        "acknowledge": 4,
        "approve": 8,
        "publish": 9,
        "review": 20,
    }


def test_too_late_and_wrong_are_missed(ledger):
    with ledger.write() as connection:
        review(connection, "inc-1", ReviewVerdict.FALSE_ALARM, "ann", T0 + 20 * MINUTE, seen=0)
        asked = {"episode": "x", "audience": 9, "allowed_share": 0, "state": "waiting", "asked_time": T0}
        connection.execute(schema.rollouts.insert().values(**asked))
    assert scored(ledger).missed == ["acknowledge", "approve", "publish", "verdict"]


@pytest.fixture(scope="module")
def going(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drills")
    settings = Settings(
        paths=PathSettings(mailbox=folder / "real-mailbox"),
        warehouse=WarehouseSettings(path=folder / "real.duckdb"),
        ledger=LedgerSettings(url=f"sqlite:///{folder}/real.db"),
    )
    seen: list[tuple[int, int]] = []
    make = made_apart(settings, folder / "drills", seed=11)
    drill_id = make("delivery", "ann", NOW, lambda *step: seen.append(step))
    assert seen[-1][0] == seen[-1][1] > 1, "the console shows how far it is"
    with open_ledger(settings) as ledger, ledger.read() as connection:
        (drill,) = all_drills(connection)
    assert drill.drill_id == drill_id
    yield settings, drill
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_drill_is_found_told_of_in_its_own_stores_and_ended_once(going, tmp_path):
    settings, drill = going
    inside = drills.settings_in(settings, Path(drill.folder))
    with open_ledger(inside) as ledger:
        (incident,) = ledger.open_incidents()
        assert dict(incident.cohort.values)["cdn"] == "cdn-amber"
        assert NOW - timedelta(hours=3) < incident.onset_time < NOW
        with ledger.read() as connection:
            told = connection.scalars(select(schema.outbox.c.state)).all()
            assert drill_here(connection).drill_id == drill.drill_id
        page = write_reports(ledger.engine, tmp_path, now=NOW).pages[incident.incident_id]
        with ledger.write() as connection:
            case = cases.case_of(connection, incident.incident_id)
            said = NOW + 3 * MINUTE
            review(connection, incident.incident_id, ReviewVerdict.CONFIRM, "ann", said, seen=case.revision)
    assert "sent" in told
    assert '<h1 id="headline">DRILL: Buffering' in page.read_text(encoding="utf-8")
    assert not settings.paths.mailbox.exists()
    assert not settings.warehouse.path.exists()
    ended, score = drills.end(settings, drill.drill_id, "ann", NOW + 60 * MINUTE)
    assert (ended.score["missed"], score.right) == (["publish"], True)
    with pytest.raises(ReviewError, match="over already"):
        drills.end(settings, drill.drill_id, "ann", NOW)
    with open_ledger(settings) as ledger, ledger.read() as connection:
        assert all_drills(connection) == [ended]
        assert drill_here(connection) is None
        assert ledger.incidents() == []


@pytest.mark.slow
def test_a_drills_settings_know_no_way_out(going):
    _, drill = going
    written = Path(drill.folder) / drills.CONFIG
    inside = read_settings(written, KEYS)
    assert not inside.channels.uses_sendgrid
    assert inside.brand.service_name.startswith("DRILL")
    with open_ledger(inside) as ledger, open_channels(inside, ledger) as channels:
        assert isinstance(channels[ChannelName.EMAIL], Mailbox)
        with ledger.read() as connection:
            addresses = [it for it in connection.scalars(select(schema.outbox.c.address)) if it]
    assert addresses
    assert {it.split("@")[1].split(".")[0] for it in addresses} == {"example"}
    assert "secret-key" not in written.read_text(encoding="utf-8")
