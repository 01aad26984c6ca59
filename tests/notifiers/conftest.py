"""What every test here starts from: one person with a problem, and a ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select, update

from config.remedies import read_remedies
from incidents.ledger import schema
from incidents.ledger.schema import incidents, notices, outbox
from incidents.ledger.store import Ledger
from incidents.model import Cause, Severity, Trouble, TroubleKind, Verdict
from notifiers.compose import Brand, Composer, Contact, NoticeContext
from notifiers.decide import decide
from notifiers.history import load_history
from notifiers.model import Decision, History, Policy, Recipient
from notifiers.outbox import enqueue
from notifiers.release import release_due
from notifiers.rollout import ask_for_large
from telemetry.contract import Signal
from tests.notifiers.deciding import POLICY, WORDS

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
"""A Monday in London, where the person lives: well outside quiet hours."""


@pytest.fixture(scope="session")
def noon() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def trouble() -> Callable[..., Trouble]:
    """Build a trouble: buffering by an incident of ours, half an hour old, unless told otherwise."""

    def build(cause=Cause.SERVICE, **changes) -> Trouble:
        values = {
            "subscriber_id": "u-1",
            "problem": Signal.BUFFERING,
            "verdict": Verdict(Cause(cause), 0.9),
            "incident_id": "i-1" if cause in ("service", "isp", "app") else None,
            "since": NOON - timedelta(minutes=30),
            "last_bad_time": NOON - timedelta(minutes=10),
            "impaired": 3,
            "sessions": 4,
            "severity": Severity.MINOR,
        }
        return Trouble(**(values | changes))

    return build


@pytest.fixture(scope="session")
def all_clear(trouble) -> Callable[..., Trouble]:
    def build(**changes) -> Trouble:
        return trouble(kind=TroubleKind.ALL_CLEAR, incident_resolved=True, **changes)

    return build


@pytest.fixture(scope="session")
def person() -> Callable[..., Recipient]:
    """Build a recipient in London who agreed to both channels, unless told otherwise."""

    def build(**changes) -> Recipient:
        values = {
            "subscriber_id": "u-1",
            "email": "ada@example.net",
            "display_name": "Ada",
            "locale": "en-GB",
            "timezone": "Europe/London",
            "country": "GB",
            "email_opt_in": True,
            "in_app_opt_in": True,
        }
        return Recipient(**(values | changes))

    return build


@pytest.fixture(scope="session")
def policy() -> Policy:
    """Nobody is held out, and mornings come at once, so that a test says so when it wants it."""
    return Policy(holdout_share=0.0, release_over=timedelta(0))


@pytest.fixture(scope="session")
def decide_one(person, policy) -> Callable[..., Decision | None]:
    """Decide on one trouble of one person."""

    def run(trouble, recipient=None, heard=(), now=NOON, policy=policy, suppressed=()) -> Decision | None:
        recipient = recipient or person(subscriber_id=trouble.subscriber_id)
        history = History({trouble.subscriber_id: tuple(heard)}, frozenset(suppressed))
        decisions = decide([trouble], {trouble.subscriber_id: recipient}, history, policy, now)
        return decisions[0] if decisions else None

    return run


@pytest.fixture
def ledger(ledger_url) -> Iterator[Ledger]:
    """A ledger on either database in turn."""
    with Ledger(ledger_url, durable=False) as ledger:
        yield ledger


@pytest.fixture
def engine(ledger) -> Engine:
    return ledger.engine


@pytest.fixture
def add_incident(engine) -> Callable[..., None]:
    """Put an incident into the ledger; notices refer to it."""

    def add(incident_id: str = "i-1", resolved_time: datetime | None = None) -> None:
        row = {
            "incident_id": incident_id,
            "signal": "buffering",
            "cohort": {},
            "onset_time": NOON,
            "detected_time": NOON,
            "resolved_time": resolved_time,
            "severity": "minor",
            "affected_subscribers": 1,
            "cause": "service",
            "cause_probability": 1.0,
            "evidence": [],
            "observed": 1.0,
            "expected": 0.0,
            "sessions": 1,
            "surprise": 1.0,
            "alternatives": [],
            "chart": [],
            "updated_time": NOON,
        }
        with engine.begin() as connection:
            connection.execute(insert(schema.incidents).values(row))

    return add


@pytest.fixture(scope="session")
def composer(root) -> Composer:
    return Composer(root / "templates", read_remedies())


@pytest.fixture(scope="session")
def brand() -> Brand:
    return Brand(
        service_name="Lumen",
        chat_url="https://help.lumen.example/chat",
        contact=(("GB", Contact(phone="0800 123 456")),),
        preferences_url="https://lumen.example/notices",
    )


@pytest.fixture(scope="session")
def context(brand) -> Callable[..., NoticeContext]:
    """Build what a template is given: buffering by a fault of ours, told to Ada in London."""

    def build(**changes) -> NoticeContext:
        values = {
            "notice_id": "abcdefghijkl2345",
            "kind": TroubleKind.PROBLEM,
            "problem": Signal.BUFFERING,
            "cause": Cause.SERVICE,
            "since": datetime(2026, 3, 9, 20, 15, tzinfo=UTC),
            "impaired": 4,
            "sessions": 5,
            "brand": brand,
            "device_type": "smart_tv",
            "display_name": "Ada",
            "locale": "en-GB",
            "timezone": "Europe/London",
            "country": "GB",
        }
        return NoticeContext(**(values | changes))

    return build


@pytest.fixture
def mailbox_folder(tmp_path) -> Path:
    return tmp_path / "mailbox"


@pytest.fixture
def told(ledger, person):
    """Decide on troubles as the pipeline does, and queue what is to go; return the decisions."""

    def run(now, *found, policy=POLICY, **who):
        people = {it.subscriber_id: person(subscriber_id=it.subscriber_id, **who) for it in found}
        with ledger.write() as connection:
            ledger.save_troubles(connection, found, now)
            release_due(connection, now, policy=policy)
            ask_for_large(connection, found, 0, policy, now)
            history = load_history(connection, found, people, now, policy)
            decisions = decide(found, people, history, policy, now)
            words = {d.notice_id: WORDS for d in decisions if d.needs_words}
            enqueue(connection, decisions, words, {who: f"{who}@example.net" for who in people}, now)
            ledger.mark_decided(connection, found)
        return decisions

    return run


@pytest.fixture
def release(ledger):
    def run(now, policy=POLICY, **options):
        with ledger.write() as connection:
            return release_due(connection, now, policy=policy, **options)

    return run


@pytest.fixture
def set_incident(ledger):
    def change(incident_id="i-1", **values):
        with ledger.write() as connection:
            connection.execute(update(incidents).where(incidents.c.incident_id == incident_id).values(values))

    return change


@pytest.fixture
def reasons(ledger):
    """Return every notice's reason by person and kind; a set, where all are alike."""

    def look(**where):
        query = select(notices.c.withheld_reason)
        for name, value in where.items():
            query = query.where(notices.c[name] == value)
        with ledger.read() as connection:
            return set(connection.scalars(query))

    return look


@pytest.fixture
def states(engine) -> Callable[[], dict[str, int]]:
    """Count messages by their state."""

    def look() -> dict[str, int]:
        with engine.connect() as connection:
            return dict(connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state)).all())

    return look
