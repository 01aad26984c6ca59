"""Coming in by an OpenID Connect provider: a small one of our own, which can lie."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.responses import JSONResponse, RedirectResponse

from config.settings import Settings
from console.web import make_app
from tests.serving import client_at, serving

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
CLIENT, SECRET = "prebuffer", "kept in the environment"


class Provider:
    """Says who came: what it says by default is true, `lies` is put in its place."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: dict[str, dict[str, str]] = {}
        self.lies: dict[str, Any] = {}
        self.groups: object = ["staff", "support-leads"]
        self.key: Any = KEY
        self.algorithm = "RS256"
        self.app = FastAPI()
        self.app.get("/.well-known/openid-configuration")(self.describe)
        self.app.get("/authorize")(self.authorize)
        self.app.post("/token")(self.token)
        self.app.get("/keys")(self.keys)

    def describe(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }

    def authorize(self, request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        assert asked["code_challenge_method"] == "S256"
        code = f"code{len(self.asked)}"
        self.asked[code] = asked
        state = self.lies.get("state", asked["state"])
        return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={state}")

    async def token(self, request: Request) -> JSONResponse:
        form = await request.form()
        asked = self.asked.pop(str(form["code"]), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest()).decode()
        proof = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        is_proven = request.headers["authorization"] == proof
        if asked is None or asked["code_challenge"] != challenge.rstrip("=") or not is_proven:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.url, "sub": "u1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= {"email": "ada@lumen.example", "groups": self.groups} | self.lies
        token = jwt.encode({"alg": self.algorithm, "kid": "one"}, claims, self.key, algorithms=[self.algorithm])
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def keys(self) -> dict[str, Any]:
        return {"keys": [KEY.as_dict(private=False)]}


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    with serving(provider.app) as url:
        provider.url = url
        yield provider


@pytest.fixture
def browser_of(provider: Provider, ledger) -> Iterator[httpx.Client]:
    console = {
        "issuer": provider.url,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "viewers": ["support"],
        "leads": ["support-leads"],
        "admins": ["root"],
    }
    app = make_app(Settings.model_validate({"console": console}), ledger, _now)
    with serving(app) as url, client_at(f"{url}/console") as client:
        yield client


def _now() -> datetime:
    return datetime.now(UTC)


def come_in(browser: httpx.Client) -> httpx.Response:
    return browser.get("/sign-in/provider", params={"after": "/console/silences"}, follow_redirects=True)


def test_who_the_provider_vouches_for_comes_in_with_the_role_of_their_groups(browser_of, provider) -> None:
    assert "company" in browser_of.get("/sign-in").text
    page = come_in(browser_of)
    assert page.status_code == 200
    assert page.url.path == "/console/silences"
    assert "ada@lumen.example</bdi>, lead" in page.text


@pytest.mark.parametrize("groups", [["staff"], [], None, "support-leads-not", {"support-leads": 1}])
def test_who_is_in_no_group_of_ours_stays_outside(browser_of, provider, groups: object) -> None:
    provider.groups = groups
    assert "You are in no group" in come_in(browser_of).text


def test_the_highest_role_counts_and_one_group_may_stand_alone(browser_of, provider) -> None:
    provider.groups = ["support", "root"]
    assert "</bdi>, admin" in come_in(browser_of).text
    provider.groups = "support"
    assert "</bdi>, viewer" in come_in(browser_of).text


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"aud": "somebody else"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"state": "another"},
        {"azp": "somebody else"},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_now_is_not_believed(browser_of, provider, lie: dict[str, Any]) -> None:
    provider.lies = lie
    page = come_in(browser_of)
    assert page.status_code == 403
    assert "Please try again." in page.text
    assert browser_of.get("/silences").status_code == 303


def test_a_token_that_the_provider_did_not_sign_is_not_believed(browser_of, provider) -> None:
    provider.key = OTHER
    assert come_in(browser_of).status_code == 403
    provider.key, provider.algorithm = OctKey.import_key("a shared secret that anybody may know"), "HS256"
    assert come_in(browser_of).status_code == 403


def test_an_answer_that_nobody_here_asked_for_is_refused(browser_of, provider) -> None:
    left = browser_of.get("/sign-in/provider")
    answer = httpx.get(left.headers["location"], trust_env=False).headers["location"]
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(answer).status_code == 422
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    assert asked["response_type"] == ["code"]
    assert asked["redirect_uri"][0].endswith("/console/sign-in/return")


def test_a_provider_that_is_gone_is_a_sentence(ledger) -> None:
    console = {"issuer": "http://127.0.0.1:9", "client_id": CLIENT, "leads": ["x"]}
    app = make_app(Settings.model_validate({"console": console}), ledger, _now)
    with serving(app) as url, client_at(f"{url}/console") as client:
        answer = client.get("/sign-in/provider")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
