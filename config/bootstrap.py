"""The one place where objects are built from settings, the real ones and those of a replay."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path

import httpx
from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from config.pipeline import Detector, Pipeline, PipelineError, Sending, Writing
from config.remedies import read_remedies
from config.settings import Settings
from incidents.ledger.store import Ledger
from incidents.watch import Watch
from notifiers.channels import Channel, InApp, Mailbox, SendGrid, SendGridSettings, Webhook, WebhookSettings
from notifiers.channels.sendgrid import EU_URL, GLOBAL_URL
from notifiers.compose import Composer
from notifiers.deliver import Clock
from notifiers.links import Links
from notifiers.model import ChannelName, Policy
from telemetry.errors import WarehouseBusyError
from telemetry.warehouse import Warehouse

PATIENCE_TRIES, PATIENCE_PAUSE_S = 60, 0.5
"""Half a minute for another process to let go of the warehouse: longer than a stage of one window takes."""


@contextmanager
def open_pipeline(settings: Settings, clock: Clock) -> Iterator[Pipeline]:
    """Open the live pipeline.

    Parameters
    ----------
    settings
        From `config.reading.read_settings`.
    clock
        Now, aware UTC.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(settings))
        pipeline = Pipeline(
            ledger=ledger,
            open_warehouse=lambda: open_warehouse(settings.warehouse.path),
            make_detector=partial(make_detector, settings),
            memory=timedelta(days=settings.detection.learn_days),
            own_memory=timedelta(days=settings.detection.own_days),
            clock=clock,
            policy=settings.notices.policy,
            writing=Writing(make_composer(settings), settings.brand.brand),
            channels=stack.enter_context(open_channels(settings, ledger)),
            lease=settings.schedules.lease,
            sending=sending(settings),
        )
        stack.callback(pipeline.close_warehouse)
        yield pipeline


@contextmanager
def open_replay(settings: Settings, folder: Path, clock: Clock) -> Iterator[Pipeline]:
    """Open a pipeline that decides and delivers nothing, on stores of its own.

    Parameters
    ----------
    settings
        What is tried out; its stores and channels are left alone.
    folder
        An empty one, for the stores.
    clock
        The replay's clock.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(f"sqlite:///{folder / 'ledger.db'}", durable=False))
        ledger.upgrade()
        pipeline = Pipeline(
            ledger=ledger,
            open_warehouse=lambda: Warehouse(folder / "warehouse.duckdb"),
            make_detector=partial(make_detector, settings),
            memory=timedelta(days=settings.detection.learn_days),
            own_memory=timedelta(days=settings.detection.own_days),
            clock=clock,
            policy=unattended(settings.notices.policy),
        )
        stack.callback(pipeline.close_warehouse)
        yield pipeline


def unattended(policy: Policy) -> Policy:
    """Return a policy for where nobody is there to approve, and nothing is sent: no stages, budgets or floods."""
    return replace(policy, stages=(), email_budget=None, in_app_budget=None, flood_people=None, flood_factor=math.inf)


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger and bring it to the newest version.

    Raises
    ------
    PipelineError
        If the database cannot be reached.
    """
    url = ledger_url(settings)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        ledger = Ledger(url.render_as_string(hide_password=False))
        ledger.upgrade()
    except (SQLAlchemyError, ImportError) as error:
        shown = url.render_as_string()
        raise PipelineError(f"The ledger {shown} cannot be opened ({type(error).__name__}).") from None
    with ledger:
        yield ledger


def ledger_url(settings: Settings) -> URL:
    """Return the ledger's URL with its password."""
    url, password = make_url(settings.ledger.url), settings.ledger.password
    return url if password is None else url.set(password=password.get_secret_value())


def open_warehouse(path: Path) -> Warehouse:
    """Open the warehouse, waiting a while for another process to let go of it.

    Raises
    ------
    WarehouseBusyError
        If it is still held then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(PATIENCE_TRIES):
        try:
            return Warehouse(path)
        except WarehouseBusyError:
            time.sleep(PATIENCE_PAUSE_S)
    return Warehouse(path)


def make_detector(settings: Settings, warehouse: Warehouse) -> Detector:
    """Build detection on an open warehouse."""
    detection = settings.detection
    return Watch(
        warehouse.connection,
        rule=detection.watch,
        impairment=detection.impairment,
        lifecycle=settings.incidents.lifecycle,
        own=detection.own,
    )


def template_folder(settings: Settings) -> Path:
    """Return the folder of templates: people's own, or the packaged one."""
    return settings.paths.templates or Path(str(files("templates")))


def make_composer(settings: Settings) -> Composer:
    """Build what renders notices: people's own templates and remedies, or the packaged ones.

    Raises
    ------
    SettingsError, CatalogueError
        If the remedies or a language's catalogue cannot be used.
    """
    composer = Composer(template_folder(settings), read_remedies(settings.paths.remedies), make_links(settings))
    composer.languages.check()
    return composer


def make_links(settings: Settings) -> Links | None:
    """Return what makes signed links, or None where there is no web app for them to lead to."""
    web = settings.web
    return Links(web.public_url, web.link_secrets) if web.public_url and web.link_secrets else None


def sending(settings: Settings) -> Sending:
    """Return how messages are sent. The mailbox's files need no more than one hand."""
    channels = settings.channels
    by_webhook = channels.in_app == "webhook"
    far_away = channels.uses_sendgrid or by_webhook
    return Sending(channels.in_flight if far_away else 1, channels.unheard_after, by_webhook)


@contextmanager
def open_channels(settings: Settings, ledger: Ledger) -> Iterator[Mapping[ChannelName, Channel]]:
    """Build what carries notices; connections, if there are any, are closed at the end."""
    with ExitStack() as stack:
        cards = stack.enter_context(_open_cards(settings, ledger))
        if not settings.channels.uses_sendgrid:
            mailbox = Mailbox(settings.paths.mailbox, template_folder(settings))
            yield {ChannelName.EMAIL: mailbox, ChannelName.IN_APP: cards}
            return
        account, client = stack.enter_context(open_account(settings))
        yield {ChannelName.EMAIL: SendGrid(account, client), ChannelName.IN_APP: cards}


@contextmanager
def _open_cards(settings: Settings, ledger: Ledger) -> Iterator[Channel]:
    webhook = settings.channels.webhook
    if settings.channels.in_app == "inbox" or webhook.url is None:
        yield InApp(ledger.engine)
        return
    receiver = WebhookSettings(webhook.url, webhook.secrets)
    with receiver.open_client() as client:
        yield Webhook(receiver, client, ledger.engine)


@contextmanager
def open_account(settings: Settings) -> Iterator[tuple[SendGridSettings, httpx.Client]]:
    """Open the SendGrid account and the connections to share among requests to it.

    Raises
    ------
    PipelineError
        If mail does not go through SendGrid.
    """
    account = _account(settings)
    with account.open_client() as client:
        yield account, client


def _account(settings: Settings) -> SendGridSettings:
    sendgrid, brand = settings.channels.sendgrid, settings.brand
    if sendgrid.api_key is None or sendgrid.sender is None:
        raise PipelineError("Mail does not go through SendGrid: its key or its sender is not set.")
    links = make_links(settings)
    return SendGridSettings(
        api_key=sendgrid.api_key.get_secret_value(),
        sender=sendgrid.sender,
        sender_name=brand.brand.name or None,
        reply_to=brand.reply_address,
        unsubscribe_url=sendgrid.unsubscribe_url,
        unsubscribe_link=links.unsubscribe if links else None,
        unsubscribe_group=sendgrid.unsubscribe_group,
        sandbox=sendgrid.sandbox,
        url=EU_URL if sendgrid.region == "eu" else GLOBAL_URL,
    )
