"""Whom we tell how often, what carries it, and who writes."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from config.settings.values import (
    AtLeastOne,
    Count,
    CountryCode,
    Duration,
    Factor,
    MailAddress,
    PositiveDuration,
    Section,
    Share,
    TimeOfDay,
    WebAddress,
)
from incidents.model import Severity
from notifiers.compose import Brand, Contact
from notifiers.model import ChannelName, Policy

LEAST_WEBHOOK_SECRET = 24
"""Bytes of a webhook's secret, as Standard Webhooks asks."""


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
