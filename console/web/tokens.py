"""Tokens: a company's backend says who the app's user is, or which of its programs asks, for a short while.

A token is a JWT (RFC 7519) with `sub` (the subscriber's pseudonym, or the program's name), `aud` (`web.inbox_audience`
or `web.service_audience`: neither is good for the other) and `exp`, at most a day ahead. It is signed with a secret
that both sides have (HS256), or with a private key of which we know only the public half (RS256, ES256). Which one is a
setting, never the token's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from config.pipeline import PipelineError
from config.settings import WebSettings
from console.web.errors import NotAllowedError, UnavailableError

LONGEST_LIFE = timedelta(days=1)
"""A token that lives longer was not meant for a telephone that can be lost."""
LEEWAY = timedelta(seconds=30)
"""How far the clock of whoever made it may be off."""
LONGEST_TOKEN = 4_000
LONGEST_SUBSCRIBER = 128
SHARED = ("HS256",)
PUBLIC = ("RS256", "ES256")
BAD_TOKEN = "The token is not one that we believe: it is broken, over, or made for somebody else."  # noqa: S105


@dataclass(frozen=True)
class Caller:
    """Whose inbox it is, and until when the token says so; of a service's token, `subscriber_id` is its name."""

    subscriber_id: str
    until: datetime


def make_token(
    settings: WebSettings, subject: str, now: datetime, lifetime: timedelta, *, service: bool = False
) -> str:
    """Return a token, as a company's backend would make it with the shared secret.

    Parameters
    ----------
    settings
        The section `web`.
    subject
        A subscriber's pseudonym, or a service's name.
    now, lifetime
        From when and how long it is good.
    service
        Whether it is for the service interface.

    Raises
    ------
    PipelineError
        If there is no shared secret, or the token would live too long.
    """
    if settings.token_secret is None:
        raise PipelineError("Tokens cannot be made here: PREBUFFER_TOKEN_SECRET is not set.")
    if lifetime > LONGEST_LIFE:
        raise PipelineError("A token lives a day at the longest.")
    audience = settings.service_audience if service else settings.inbox_audience
    claims = {"sub": subject, "aud": audience, "exp": int((now + lifetime).timestamp())}
    key = jwk.OctKey.import_key(settings.token_secret.get_secret_value())
    return jwt.encode({"alg": SHARED[0]}, claims, key)


class Tokens:
    """Believes or refuses tokens.

    Parameters
    ----------
    settings
        The section `web`.
    audience
        Whom tokens must be made for; by default, the inbox.

    Raises
    ------
    PipelineError
        If the public key cannot be read.
    """

    def __init__(self, settings: WebSettings, audience: str | None = None) -> None:
        self.audience = audience or settings.inbox_audience
        self.algorithms: tuple[str, ...] = PUBLIC if settings.token_public_key else SHARED
        self.key: Any = None
        if settings.token_public_key is not None:
            self.key = _public_key(settings.token_public_key)
        elif settings.token_secret is not None:
            self.key = jwk.OctKey.import_key(settings.token_secret.get_secret_value())

    def read(self, token: str, now: datetime) -> Caller:
        """Return whose token it is.

        Raises
        ------
        NotAllowedError
            If it is not believed.
        """
        if self.key is None:
            raise UnavailableError("Tokens are not set up: there is neither a secret nor a public key.")
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise NotAllowedError(BAD_TOKEN)
        try:
            claims = jwt.decode(token, self.key, algorithms=list(self.algorithms)).claims
        except (JoseError, ValueError):
            raise NotAllowedError(BAD_TOKEN) from None
        return self._caller(claims, now)

    def _caller(self, claims: dict[str, Any], now: datetime) -> Caller:
        audience, subscriber_id, ends = claims.get("aud"), claims.get("sub"), claims.get("exp")
        meant_for_us = self.audience in (audience if isinstance(audience, list) else [audience])
        named = isinstance(subscriber_id, str) and 0 < len(subscriber_id) <= LONGEST_SUBSCRIBER
        if not meant_for_us or not named or isinstance(ends, bool) or not isinstance(ends, int | float):
            raise NotAllowedError(BAD_TOKEN)
        left = ends - now.timestamp()
        if not -LEEWAY.total_seconds() < left <= (LONGEST_LIFE + LEEWAY).total_seconds():
            raise NotAllowedError(BAD_TOKEN)
        return Caller(str(subscriber_id), datetime.fromtimestamp(ends, UTC) + LEEWAY)


def _public_key(path: Path) -> Any:  # noqa: ANN401 - RSA or EC
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise PipelineError(f"{path} cannot be read as a public key.") from None
    for kind in ("RSA", "EC"):
        try:
            key = jwk.import_key(text, kind)
        except (JoseError, ValueError):
            continue
        if key.is_private:
            raise PipelineError(f"{path} holds a private key: give us its public half only.")
        return key
    raise PipelineError(f"{path} is not a public key in PEM form, RSA or EC.")
