"""Signing in with an OpenID Connect provider: the code flow with PKCE, state and nonce (OpenID Connect Core 1.0).

::

    ProviderError    the provider did not answer, or what it said cannot be believed
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from authlib.oauth2 import OAuth2Client, OAuth2Error
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from config.settings import ConsoleSettings
from console.support.sessions import Role

TIMEOUT_S = 10.0
LEEWAY_S = 60
"""How far the provider's clock may be from ours."""
SECRET_BYTES = 32
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures by a private key alone: a token that is signed with a shared secret, or not at all, proves nothing."""
LONGEST_NAME = 128


class ProviderError(Exception):
    """The provider did not answer, or what it said cannot be believed; the message is a sentence."""


@dataclass(frozen=True)
class Attempt:
    """One attempt to sign in: what comes back must match it."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def fresh(cls) -> Attempt:
        """Make one that nobody guesses."""
        return cls(*(secrets.token_urlsafe(SECRET_BYTES) for _ in range(3)))


class Provider:
    """An OpenID Connect provider, as its discovery document describes it.

    Parameters
    ----------
    settings
        With `issuer` and `client_id`.
    """

    def __init__(self, settings: ConsoleSettings) -> None:
        self.settings = settings
        self._about: Mapping[str, Any] | None = None

    def address(self, attempt: Attempt, redirect_uri: str) -> str:
        """Return where a browser goes to sign in.

        Raises
        ------
        ProviderError
            If the provider does not say.
        """
        endpoint = str(self._described()["authorization_endpoint"])
        url, _ = self._session(None, redirect_uri).create_authorization_url(
            endpoint, state=attempt.state, nonce=attempt.nonce, code_verifier=attempt.verifier
        )
        return str(url)

    def claims(self, attempt: Attempt, redirect_uri: str, answer: str, now: datetime) -> dict[str, Any]:
        """Return what the provider says of who came back.

        Parameters
        ----------
        attempt
            The one that they left with.
        redirect_uri
            Where they were sent back to.
        answer
            The address that they came back to, with its query.
        now
            Aware UTC.

        Raises
        ------
        ProviderError
            If the code is not taken, or the token is not signed by the provider, for us, for this attempt, and now.
        """
        about = self._described()
        secret = self.settings.client_secret
        auth = None if secret is None else (str(self.settings.client_id), secret.get_secret_value())
        try:
            with _client() as client:
                token = self._session(client, redirect_uri).fetch_token(
                    str(about["token_endpoint"]),
                    authorization_response=answer,
                    state=attempt.state,
                    code_verifier=attempt.verifier,
                    auth=auth,
                    **({} if auth else {"client_id": self.settings.client_id}),
                )
        except (OAuth2Error, httpx.HTTPError, ValueError) as error:
            raise ProviderError("The provider did not confirm the sign-in.") from error
        return self._believed(token, attempt, now)

    def role(self, claims: Mapping[str, Any]) -> Role | None:
        """Return what somebody may do by the groups that they are in; None if nothing."""
        said = claims.get(self.settings.role_claim)
        groups = {str(group) for group in said} if isinstance(said, list | tuple) else {str(said)}
        named = {
            Role.ADMIN: self.settings.admins,
            Role.LEAD: self.settings.leads,
            Role.VIEWER: self.settings.viewers,
        }
        return next((role for role, members in named.items() if groups & set(members)), None)

    def name(self, claims: Mapping[str, Any]) -> str:
        """Return what the audit trail calls somebody: the claim of the settings, or the provider's own key for them."""
        said = claims.get(self.settings.name_claim)
        return " ".join(str(said or claims["sub"]).split())[:LONGEST_NAME]

    def _session(self, client: httpx.Client | None, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            session=client,
            client_id=self.settings.client_id,
            scope="openid profile email",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )

    def _described(self) -> Mapping[str, Any]:
        """Return the provider's description of itself, asked for once; it must be of the issuer that we trust."""
        if self._about is None:
            about = self._get(f"{self.settings.issuer}/.well-known/openid-configuration")
            wanted = {"authorization_endpoint", "token_endpoint", "jwks_uri", "issuer"}
            if not wanted <= about.keys() or str(about["issuer"]).rstrip("/") != self.settings.issuer:
                raise ProviderError("The provider's description of itself is not that of our issuer.")
            self._about = about
        return self._about

    def _believed(self, token: Mapping[str, Any], attempt: Attempt, now: datetime) -> dict[str, Any]:
        about = self._described()
        keys = self._get(str(about["jwks_uri"]))
        try:
            decoded = jwt.decode(
                str(token.get("id_token", "")),
                KeySet.import_key_set(keys),  # type: ignore[arg-type]
                registry=JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False),
            )
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": about["issuer"]},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                {
                    "nonce": attempt.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(int(now.timestamp()), LEEWAY_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError("The provider's token cannot be believed.") from error
        return dict(claims)

    def _get(self, url: str) -> dict[str, Any]:
        try:
            with _client() as client:
                response = client.get(url)
            response.raise_for_status()
            document = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderError("The provider does not answer.") from error
        if not isinstance(document, dict):
            raise ProviderError("The provider's answer is not what it should be.")
        return document


def _client() -> httpx.Client:
    """Open connections for one sign-in: there are few of them, and none is left open between."""
    return httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
