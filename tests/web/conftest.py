"""A web app on a ledger of its own, served by uvicorn on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from config.settings import Settings
from console.web import make_app
from incidents.ledger import schema
from incidents.ledger.store import Ledger
from notifiers.links import Links
from tests.serving import serving

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECRET = "a secret that nobody guesses, of some length"
PUBLIC = "https://notices.lumen.example"


class Clock:
    """Shows the time that it was set to."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **units: float) -> None:
        self.time += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", durable=False) as ledger:
        schema.metadata.create_all(ledger.engine)
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
            return stack.enter_context(httpx.Client(base_url=url, timeout=10, trust_env=False))

        yield build


@pytest.fixture
def client(serve, app_of) -> httpx.Client:
    return serve(app_of())
