"""A web app on a ledger of its own, served by uvicorn on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert

from config.settings import Settings
from console.web import make_app
from console.web.tokens import make_token
from incidents.ledger import schema
from incidents.ledger.store import Ledger
from incidents.model import TroubleKind
from notifiers.cards import put_card
from notifiers.insert import insert_new
from notifiers.links import Links
from notifiers.model import Recipient, notice_id
from notifiers.people import keep_people
from tests.serving import Clock, client_at, serving

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECRET = "a secret that nobody guesses, of some length"
PUBLIC = "https://notices.lumen.example"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def ledger(sqlite_url: str) -> Iterator[Ledger]:
    with Ledger(sqlite_url, durable=False) as ledger:
        yield ledger


@pytest.fixture(scope="session")
def links() -> Links:
    return Links(PUBLIC, [SECRET])


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """Settings of a web app with secrets, and what is given changed."""

    def build(**web: object) -> Settings:
        values = {"public_url": PUBLIC, "link_secret": SECRET, "token_secret": SECRET}
        return Settings.model_validate({"web": values | web, "brand": {"service_name": "Lumen"}})

    return build


@pytest.fixture
def app_of(settings, ledger, clock) -> Callable[..., FastAPI]:
    def build(**web: object) -> FastAPI:
        return make_app(settings(**web), ledger, clock)

    return build


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], httpx.Client]]:
    """Serve an app until the test ends, and open a client of it."""
    with ExitStack() as stack:

        def build(app: FastAPI) -> httpx.Client:
            url = stack.enter_context(serving(app))
            return stack.enter_context(client_at(url, timeout=10))

        yield build


@pytest.fixture
def client(serve, app_of) -> httpx.Client:
    return serve(app_of())


@pytest.fixture
def put(ledger) -> Callable[..., None]:
    """Put a card into an inbox, as delivering does; its notice is made with it."""

    def build(card_id: str, subscriber_id: str = "u-1", minutes: int = 0, **card: object) -> None:
        put_into(ledger, card_id, subscriber_id, minutes, **card)

    return build


def put_into(ledger: Ledger, card_id: str, subscriber_id: str = "u-1", minutes: int = 0, **card: object) -> None:
    said = {"title": "Your films stall", "body": "It is our fault.", "language": "en"} | card
    notice = {
        "notice_id": card_id,
        "subscriber_id": subscriber_id,
        "episode": card_id,
        "kind": "problem",
        "decided_time": NOON,
        "problem": "buffering",
        "cause": "service",
        "channel": "in_app",
    }
    with ledger.engine.begin() as connection:
        insert_new(connection, schema.notices, [notice])
        put_card(connection, subscriber_id, card_id, said, NOON + timedelta(minutes=minutes))


@pytest.fixture
def bearer(settings, clock) -> Callable[..., dict[str, str]]:
    """Headers with a token."""

    def build(subscriber_id: str = "u-1", **life: float) -> dict[str, str]:
        lifetime = timedelta(**(life or {"hours": 1}))
        return {"Authorization": f"Bearer {make_token(settings().web, subscriber_id, clock(), lifetime)}"}

    return build


PROBLEM = {
    "episode": "inc-1",
    "kind": "problem",
    "problem": "buffering",
    "cause": "isp",
    "incident_id": "inc-1",
}


@pytest.fixture
def tell(ledger) -> Callable[..., str]:
    """Store somebody's trouble with the notice that they got about it, as the pipeline does; returns its key."""

    def build(subscriber_id: str = "u-1", *, sent: bool = True, trouble: object = None, **changed: object) -> str:
        about = PROBLEM | changed
        key = notice_id(subscriber_id, str(about["episode"]), TroubleKind(str(about["kind"])))
        found = about | {"subscriber_id": subscriber_id, "found_time": NOON, "cause_probability": 0.93}
        found |= {"evidence": ["84 % of sessions on isp-a stall, elsewhere 2 %."], "severity": "major"}
        found |= {"since": NOON - timedelta(hours=2), "last_bad_time": NOON - timedelta(minutes=20)}
        found |= {"impaired": 3, "sessions": 4, "device_type": "smart_tv", "error_class": None}
        notice = about | {"notice_id": key, "subscriber_id": subscriber_id, "decided_time": NOON, "channel": "email"}
        notice |= {"timezone": "Europe/Berlin", "withheld_reason": None if sent else "holdout"}
        with ledger.write() as connection:
            if about["incident_id"]:
                insert_new(connection, schema.incidents, [incident(str(about["incident_id"]))])
            insert_new(connection, schema.troubles, [found | dict(trouble or {})])
            insert_new(connection, schema.notices, [notice])
            if sent:
                (number,) = connection.execute(insert(schema.outbox).values(message_of(key))).inserted_primary_key
                sending = {"message_number": number, "attempt": 1, "attempted_time": NOON, "outcome": "sent"}
                insert_new(connection, schema.deliveries, [sending])
        return key

    return build


def incident(incident_id: str, **changed: object) -> dict[str, object]:
    return {
        "incident_id": incident_id,
        "signal": "buffering",
        "cohort": {"isp": "isp-a"},
        "onset_time": NOON - timedelta(hours=2),
        "detected_time": NOON - timedelta(hours=1),
        "resolved_time": None,
        "severity": "major",
        "affected_subscribers": 210,
        "cause": "isp",
        "cause_probability": 0.93,
        "evidence": [],
        "observed": 0.4,
        "expected": 0.02,
        "sessions": 900,
        "surprise": 80.0,
        "alternatives": [],
        "chart": [],
        "updated_time": NOON,
    } | changed


def message_of(key: str) -> dict[str, object]:
    return {
        "message_id": key,
        "notice_id": key,
        "stage": "first",
        "channel": "email",
        "address": "ada@example.net",
        "subject": "Your video kept pausing",
        "html": "<p>Hello Ada</p>",
        "text": "Hello Ada",
        "card": {},
        "state": "sent",
        "queued_time": NOON,
        "next_attempt_time": NOON,
    }


@pytest.fixture
def know(ledger) -> Callable[..., None]:
    """Copy somebody into the ledger, as the pipeline does."""

    def build(subscriber_id: str = "u-1", **columns: object) -> None:
        said = {"email": "ada@example.net", "display_name": "Ada", "locale": "en-GB", "timezone": "Europe/Berlin"}
        with ledger.write() as connection:
            keep_people(connection, [Recipient(subscriber_id, **said | columns)], NOON)

    return build
