"""The web app and the support console in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from config.settings.values import AtLeastOne, IssuerAddress, PositiveDuration, Section, WebAddress

LEAST_SECRET = 32
"""Characters of a secret that signs: 128 bits even if it is only hexadecimal."""


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
