"""What people may set: every section and key, its type, its limits and its default.

Values come from a YAML file (see `config.reading`); `config/prebuffer.yaml` is the default, line by line.
Everything is frozen, and an unknown key is an error.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    field_validator,
    model_validator,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from config.times import duration_text, parse_duration
from detectors.observations import ImpairmentRule
from incidents.lifecycle import LifecycleRule
from incidents.model import Severity
from incidents.own import OwnRule
from incidents.watch import WatchRule
from notifiers.compose import Brand, Contact
from notifiers.model import ChannelName, Policy


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return parse_duration(str(value))


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("it must be longer than nothing")
    return value


def _time_of_day(value: object) -> time:
    if isinstance(value, time):
        return value
    try:
        return time.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError('a time of day is written in quotes, such as "22:00"') from None


def _web_address(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("a web address starts with https://")
    return value


def _issuer_address(value: str) -> str:
    if not value.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ValueError("an issuer starts with https://")
    return value.rstrip("/")


def _mail_address(value: str) -> str:
    if value.count("@") != 1 or value != value.strip():
        raise ValueError("a mail address looks like name@example.com")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(duration_text, str)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day), PlainSerializer(lambda t: f"{t:%H:%M}", str)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
IssuerAddress = Annotated[str, AfterValidator(_issuer_address)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Nats = Annotated[float, Field(ge=0, le=100)]
Factor = Annotated[float, Field(ge=1)]
LEAST_WEBHOOK_SECRET = 24
"""Bytes of a webhook's secret, as Standard Webhooks asks."""
LEAST_SECRET = 32
"""Characters of a secret that signs: 128 bits even if it is only hexadecimal."""


class Section(BaseModel):
    """A part of the settings: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _take_an_empty_section(cls, values: object) -> object:
        return {} if values is None else values


class PathSettings(Section):
    """Where files come from and go to; relative ones start in the folder that the command is run in.

    Parameters
    ----------
    incoming
        A folder in the contract's form into which collectors put files; the ingest flow reads what is new.
    reports
        Where incident reports are written.
    mailbox
        Where the mailbox channel writes mails.
    templates
        An edited copy of the folder `templates/`; none means the one that comes with Prebuffer.
    remedies
        An edited copy of ``config/remedies.yaml``; likewise.
    """

    incoming: Path = Path("data/var/incoming")
    reports: Path = Path("data/var/reports")
    mailbox: Path = Path("data/var/mailbox")
    templates: Path | None = None
    remedies: Path | None = None


class WarehouseSettings(Section):
    """The analytical store.

    Parameters
    ----------
    path
        Its DuckDB file.
    """

    path: Path = Path("data/var/warehouse.duckdb")


class LedgerSettings(Section):
    """The transactional store.

    Parameters
    ----------
    url
        SQLAlchemy URL without a password.
    password
        Secret, for PostgreSQL: only from ``PREBUFFER_LEDGER_PASSWORD``.
    """

    url: str = "sqlite:///data/var/ledger.db"
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        try:
            url = make_url(self.url)
        except ArgumentError:
            raise ValueError("url is not a database URL such as sqlite:///data/var/ledger.db") from None
        if url.password is not None:
            raise ValueError("url must not hold a password: set PREBUFFER_LEDGER_PASSWORD instead")
        return self


class DetectionSettings(Section):
    """What counts as trouble, and when it is surprising enough to speak of.

    Parameters
    ----------
    learn_days
        See `incidents.watch.WatchRule`; so are margin_nats and all that begin with least_, but least_probability.
    min_stalled_ms
        See `detectors.observations.ImpairmentRule`; so are min_session_ms, min_ratio, own_factor, slow_factor, slow_ms.
    least_probability
        See `incidents.own.OwnRule`; so are own_days (its days) and suspect_nats.
    """

    learn_days: AtLeastOne = WatchRule.learn_days
    margin_nats: Nats = WatchRule.margin_nats
    least_subscribers: AtLeastOne = WatchRule.least_subscribers
    least_ratio: Factor = WatchRule.least_ratio
    least_slowdown: Factor = WatchRule.least_slowdown
    least_blame: Share = WatchRule.least_blame
    min_stalled_ms: Count = ImpairmentRule.min_stalled_ms
    min_session_ms: Count = ImpairmentRule.min_session_ms
    min_ratio: Share = ImpairmentRule.min_ratio
    own_factor: Factor = ImpairmentRule.own_factor
    slow_factor: Factor = ImpairmentRule.slow_factor
    slow_ms: Count = ImpairmentRule.slow_ms
    own_days: AtLeastOne = OwnRule.days
    least_probability: Annotated[float, Field(ge=0.5, lt=1)] = OwnRule.least_probability
    suspect_nats: Nats = OwnRule.suspect_nats

    @property
    def watch(self) -> WatchRule:
        """How long to look back, and when to speak of a cohort."""
        names = ("learn_days", "margin_nats", "least_subscribers", "least_ratio", "least_slowdown", "least_blame")
        return WatchRule(**{name: getattr(self, name) for name in names})

    @property
    def impairment(self) -> ImpairmentRule:
        """When playback is materially bad."""
        return ImpairmentRule(
            min_stalled_ms=self.min_stalled_ms,
            min_session_ms=self.min_session_ms,
            min_ratio=self.min_ratio,
            own_factor=self.own_factor,
            slow_factor=self.slow_factor,
            slow_ms=self.slow_ms,
        )

    @property
    def own(self) -> OwnRule:
        """When somebody's own trouble is sure enough."""
        return OwnRule(days=self.own_days, least_probability=self.least_probability, suspect_nats=self.suspect_nats)


class IncidentSettings(Section):
    """When an incident is severe, and when it is over; see `incidents.lifecycle.LifecycleRule`."""

    major_subscribers: Count = LifecycleRule.major_subscribers
    critical_subscribers: Count = LifecycleRule.critical_subscribers
    major_share: Share = LifecycleRule.major_share
    critical_share: Share = LifecycleRule.critical_share
    recovered_nats: Nats = LifecycleRule.recovered_nats
    persistence: Share = LifecycleRule.persistence
    switch_nats: Nats = LifecycleRule.switch_nats
    settle_hours: Factor = LifecycleRule.settle_hours
    settle_ratio: Factor = LifecycleRule.settle_ratio

    @property
    def lifecycle(self) -> LifecycleRule:
        """What `incidents.step` takes."""
        return LifecycleRule(**{name: getattr(self, name) for name in type(self).model_fields})


class NoticeSettings(Section):
    """How often, when and whom we tell; see `notifiers.model.Policy` for what each key means."""

    channels: tuple[ChannelName, ...] = Field(default=Policy.channels, min_length=1)
    active_within: Duration = Policy.active_within
    follow_up_after: PositiveDuration | None = Policy.follow_up_after
    stale_after: PositiveDuration = Policy.stale_after
    recovered_after: PositiveDuration = Policy.recovered_after
    problem_lifetime: PositiveDuration = Policy.problem_lifetime
    all_clear_lifetime: PositiveDuration = Policy.all_clear_lifetime
    holdout_share: Share = Policy.holdout_share
    holdout_salt: str = Policy.holdout_salt
    holdout_exempt: tuple[Severity, ...] = Policy.holdout_exempt
    max_per_incident: AtLeastOne = Policy.max_per_incident
    max_per_day: Count = Policy.max_per_day
    max_per_week: Count = Policy.max_per_week
    incident_gap: Duration = Policy.incident_gap
    own_gap: Duration = Policy.own_gap
    quiet_from: TimeOfDay = Policy.quiet_from
    quiet_until: TimeOfDay = Policy.quiet_until
    release_over: Duration = Policy.release_over
    pass_caps: tuple[Severity, ...] = Policy.pass_caps
    pass_quiet: tuple[Severity, ...] = Policy.pass_quiet
    email_budget: Count | None = Policy.email_budget
    in_app_budget: Count | None = Policy.in_app_budget
    staged_people: Count = Policy.staged_people
    staged_share: Share = Policy.staged_share
    stages: tuple[Share, ...] = Policy.stages
    flood_people: Count | None = Policy.flood_people
    flood_factor: Factor = Policy.flood_factor
    flood_least: Count = Policy.flood_least

    @field_validator("stages")
    @classmethod
    def _check_stages(cls, stages: tuple[float, ...]) -> tuple[float, ...]:
        if list(stages) != sorted(set(stages)) or not all(0 < share < 1 for share in stages):
            raise ValueError("stages are shares that rise, each above 0 and below 1; everybody comes after the last")
        return stages

    @property
    def policy(self) -> Policy:
        """What `notifiers.decide` takes."""
        return Policy(**{name: getattr(self, name) for name in type(self).model_fields})


class SendGridChannelSettings(Section):
    """The SendGrid account.

    Parameters
    ----------
    api_key
        Secret: only from ``PREBUFFER_SENDGRID_API_KEY``.
    sender
        A verified sender address.
    unsubscribe_url
        Where a click stops notices, if not on a signed link of our own (`web.public_url`).
    unsubscribe_group
        The number of the account's suppression group of these notices.
    sandbox
        SendGrid checks each request and sends nothing.
    region
        Where the account's data stays.
    """

    api_key: SecretStr | None = None
    sender: MailAddress | None = None
    unsubscribe_url: WebAddress | None = None
    unsubscribe_group: AtLeastOne | None = None
    sandbox: bool = False
    region: Literal["global", "eu"] = "global"


class WebhookChannelSettings(Section):
    """A company's own receiver of cards.

    Parameters
    ----------
    url
        Where they are posted.
    secret
        Signs them: only from ``PREBUFFER_WEBHOOK_SECRET``; several, parted by spaces, all sign.
    """

    url: WebAddress | None = None
    secret: SecretStr | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What signs; empty where there is none."""
        return () if self.secret is None else tuple(self.secret.get_secret_value().split())

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        if any(_base64_bytes(secret) < LEAST_WEBHOOK_SECRET for secret in self.secrets):
            raise ValueError(f"a webhook's secret is base64 of at least {LEAST_WEBHOOK_SECRET} random bytes")
        return self


def _base64_bytes(secret: str) -> int:
    try:
        return len(b64decode(secret.removeprefix("whsec_") + "==", validate=True))
    except ValueError:
        return 0


class ChannelSettings(Section):
    """What carries notices.

    Parameters
    ----------
    email
        `auto` is SendGrid where an API key is set, else the mailbox.
    in_app
        What carries cards: our own inbox, or the company's systems by a webhook.
    in_flight
        Requests under way at once, of one sender.
    unheard_after
        After so long, an `unknown` message that the provider never spoke of is sent after all, if it spoke of all
        others sent around then. None: never; it waits for an event or a person.
    sendgrid
        The account.
    """

    in_flight: Annotated[int, Field(ge=1, le=64)] = 8
    unheard_after: PositiveDuration | None = None
    email: Literal["auto", "mailbox", "sendgrid"] = "auto"
    in_app: Literal["inbox", "webhook"] = "inbox"
    sendgrid: SendGridChannelSettings = SendGridChannelSettings()
    webhook: WebhookChannelSettings = WebhookChannelSettings()

    @property
    def uses_sendgrid(self) -> bool:
        """Whether mail really goes out."""
        return self.email == "sendgrid" or (self.email == "auto" and self.sendgrid.api_key is not None)

    @model_validator(mode="after")
    def _check_account(self) -> Self:
        if self.uses_sendgrid and self.sendgrid.api_key is None:
            raise ValueError("email is sendgrid, but PREBUFFER_SENDGRID_API_KEY is not set")
        if self.uses_sendgrid and self.sendgrid.sender is None:
            raise ValueError("mail goes through SendGrid, but sendgrid.sender is not set")
        if self.in_app == "webhook" and not (self.webhook.url and self.webhook.secrets):
            raise ValueError("in_app is webhook, but webhook.url or PREBUFFER_WEBHOOK_SECRET is not set")
        return self


class ContactSettings(Section):
    """How people of one country reach a person; what is absent is as everywhere.

    Parameters
    ----------
    phone
        A number as it is dialled there.
    chat_url
        Where support chats.
    """

    phone: str | None = None
    chat_url: WebAddress | None = None


class BrandSettings(Section):
    """Who writes, and how to reach them; see `notifiers.compose.Brand`.

    Parameters
    ----------
    service_name
        The streaming service, as its subscribers know it.
    reply_address
        Where replies to notices go.
    chat_url, preferences_url, help_url
        Left out of notices where absent.
    phone
        In international form, so that it can be dialled from anywhere; a country's own goes to `contact`.
    contact
        By country, e.g. ``GB``: its own telephone number and chat.
    """

    service_name: str = Brand.service_name
    reply_address: MailAddress = "support@prebuffer.invalid"
    chat_url: WebAddress | None = None
    phone: str | None = None
    preferences_url: WebAddress | None = None
    help_url: WebAddress | None = None
    contact: dict[CountryCode, ContactSettings] = Field(default_factory=dict)

    @property
    def brand(self) -> Brand:
        """What the templates may say."""
        contact = tuple((country, Contact(it.phone, it.chat_url)) for country, it in self.contact.items())
        return Brand(
            service_name=self.service_name,
            chat_url=self.chat_url,
            phone=self.phone,
            preferences_url=self.preferences_url,
            reply_address=self.reply_address,
            help_url=self.help_url,
            contact=contact,
        )

    @model_validator(mode="after")
    def _check_phone(self) -> Self:
        if self.phone is not None and not self.phone.startswith("+"):
            raise ValueError("phone must begin with + and the country's code; a number of one country goes to contact")
        return self


class WebSettings(Section):
    """The web app: inbox, pages behind signed links, webhooks, support console.

    Parameters
    ----------
    public_url
        Where subscribers reach it. With it and a secret, notices carry signed links.
    link_secret
        Signs links: only from ``PREBUFFER_LINK_SECRET``.
    link_secrets_old
        Earlier secrets, parted by spaces, whose links are still good: only from ``PREBUFFER_LINK_SECRETS_OLD``.
    token_secret
        Signs inbox tokens (HS256): only from ``PREBUFFER_TOKEN_SECRET``.
    token_public_key
        A PEM file; with it inbox tokens are signed by its private key (RS256 or ES256), which we never see.
    inbox_audience, service_audience
        Whom inbox tokens, and those of programs that ask for diagnoses, must be made for.
    host, port
        Where it listens.
    trusted_proxies
        Addresses of reverse proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
    allowed_origins
        Web origins whose scripts may call the inbox.
    requests_per_minute, address_requests_per_minute, service_requests_per_minute
        Most requests of one inbox token or signed link, of one network address, and of one program.
    ask_nps
        Whether the feedback page asks how likely its reader is to recommend the service.
    streams, streams_per_subscriber
        Most open live streams of one process, and of one subscriber in it.
    max_body_bytes
        Longest request that is read.
    sendgrid_public_key
        The verification key of SendGrid's signed event webhook; without it the webhook answers nobody.
    webhook_tolerance
        Older signatures are refused: a recorded request cannot be played again later.
    """

    public_url: WebAddress | None = None
    link_secret: SecretStr | None = None
    link_secrets_old: SecretStr | None = None
    token_secret: SecretStr | None = None
    token_public_key: Path | None = None
    inbox_audience: str = "prebuffer-inbox"
    service_audience: str = "prebuffer-service"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8400
    trusted_proxies: tuple[str, ...] = ()
    allowed_origins: tuple[WebAddress, ...] = ()
    requests_per_minute: AtLeastOne = 120
    address_requests_per_minute: AtLeastOne = 1200
    service_requests_per_minute: AtLeastOne = 1200
    ask_nps: bool = False
    streams: AtLeastOne = 5000
    streams_per_subscriber: AtLeastOne = 5
    max_body_bytes: AtLeastOne = 1_000_000
    sendgrid_public_key: str | None = None
    webhook_tolerance: PositiveDuration = timedelta(minutes=10)

    @property
    def link_secrets(self) -> tuple[str, ...]:
        """The secrets of links, the current one first; empty where there is none."""
        if self.link_secret is None:
            return ()
        old = "" if self.link_secrets_old is None else self.link_secrets_old.get_secret_value()
        return (self.link_secret.get_secret_value(), *old.split())

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        for name in ("link_secret", "token_secret"):
            secret = getattr(self, name)
            if secret is not None and len(secret.get_secret_value()) < LEAST_SECRET:
                raise ValueError(f"{name} is shorter than {LEAST_SECRET} characters and could be guessed")
        if self.inbox_audience == self.service_audience:
            raise ValueError("service_audience must not be inbox_audience: the app's users could ask as programs")
        return self


class ConsoleSettings(Section):
    """The support console: who may sign in, as what, and for how long.

    Parameters
    ----------
    issuer, client_id
        The OpenID Connect provider, and what it calls us.
    client_secret
        What we prove that with: only from ``PREBUFFER_CONSOLE_CLIENT_SECRET``.
    password_hash
        Without a provider, for a single machine: only from ``PREBUFFER_CONSOLE_PASSWORD``, made by
        ``prebuffer console password``.
    name_claim
        Which claim names a person in the audit trail.
    role_claim
        Which claim holds the groups that a person is in, one or many.
    viewers, leads, admins
        Groups whose members may look, decide, and see to access; who is in none may not come in.
    idle, session
        How long a session lasts without use, and at most.
    """

    issuer: IssuerAddress | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    password_hash: SecretStr | None = None
    name_claim: str = "email"
    role_claim: str = "groups"
    viewers: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    idle: PositiveDuration = timedelta(hours=1)
    session: PositiveDuration = timedelta(hours=12)

    @property
    def is_open(self) -> bool:
        """Whether there is a way to sign in."""
        return self.issuer is not None or self.password_hash is not None

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        if self.issuer is not None and self.client_id is None:
            raise ValueError("issuer is set, but client_id is not")
        if self.issuer is not None and not (self.viewers or self.leads or self.admins):
            raise ValueError("issuer is set, but nobody is among viewers, leads or admins")
        return self


class ScheduleSettings(Section):
    """When flows run.

    Parameters
    ----------
    step
        Length of a window of received time, counted from midnight UTC: it must divide a day.
    settle
        How long after a window's end its run starts, so that events on their way have arrived.
    lease
        How long a run may take before another may take over.
    max_backlog
        Missed windows that are caught up one by one, e.g. after an outage of ours; older ones are run as one.
    """

    step: PositiveDuration = timedelta(minutes=15)
    settle: Duration = timedelta(minutes=1)
    lease: PositiveDuration = timedelta(minutes=30)
    max_backlog: Annotated[int, Field(ge=1)] = 96

    @model_validator(mode="after")
    def _check_step(self) -> Self:
        if timedelta(days=1) % self.step:
            raise ValueError("step must divide a day, e.g. 5m, 15m or 1h")
        return self


class DigestSettings(Section):
    """The weekly digest.

    Parameters
    ----------
    leads
        Mail addresses of those who get it; none means that nobody does.
    """

    leads: tuple[MailAddress, ...] = ()


class Settings(Section):
    """Everything that people may set."""

    paths: PathSettings = PathSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    ledger: LedgerSettings = LedgerSettings()
    detection: DetectionSettings = DetectionSettings()
    incidents: IncidentSettings = IncidentSettings()
    notices: NoticeSettings = NoticeSettings()
    channels: ChannelSettings = ChannelSettings()
    brand: BrandSettings = BrandSettings()
    web: WebSettings = WebSettings()
    console: ConsoleSettings = ConsoleSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    digest: DigestSettings = DigestSettings()
