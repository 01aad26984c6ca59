"""Tokens of the inbox: whose they are, and every way in which they are not believed."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from config.pipeline import PipelineError
from config.settings import WebSettings
from console.web.errors import NotAllowedError, UnavailableError
from console.web.tokens import Tokens, make_token
from tests.web.conftest import NOON, SECRET

HOUR = timedelta(hours=1)
GOOD = {"sub": "u-1", "aud": "prebuffer-inbox", "exp": int(NOON.timestamp()) + 3600}


def signed(claims: dict, secret: str = SECRET, alg: str = "HS256") -> str:
    return jwt.encode({"alg": alg}, claims, jwk.OctKey.import_key(secret), algorithms=[alg])


@pytest.fixture
def tokens(settings) -> Tokens:
    return Tokens(settings().web)


def test_a_token_says_whose_inbox_it_is(settings, tokens) -> None:
    token = make_token(settings().web, "u-1", NOON, HOUR)
    assert tokens.read(token, NOON).subscriber_id == "u-1"
    assert tokens.read(signed(GOOD | {"aud": ["other", "prebuffer-inbox"]}), NOON).subscriber_id == "u-1"


@pytest.mark.parametrize(
    "claims",
    [
        GOOD | {"aud": "another-api"},
        GOOD | {"aud": None},
        {key: value for key, value in GOOD.items() if key != "aud"},
        {key: value for key, value in GOOD.items() if key != "exp"},
        {key: value for key, value in GOOD.items() if key != "sub"},
        GOOD | {"sub": ""},
        GOOD | {"sub": 7},
        GOOD | {"sub": "u" * 129},
        GOOD | {"exp": "tomorrow"},
        GOOD | {"exp": True},
        GOOD | {"exp": GOOD["exp"] - 3600 - 31},
        GOOD | {"exp": GOOD["exp"] + 86400},
        GOOD | {"exp": 1e300},
    ],
)
def test_a_token_with_other_claims_is_not_believed(tokens, claims) -> None:
    with pytest.raises(NotAllowedError):
        tokens.read(signed(claims), NOON)


def unsigned(claims: dict) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(it).encode()).decode().rstrip("=") for it in parts) + "."


@pytest.mark.parametrize(
    "token",
    [
        unsigned(GOOD),
        signed(GOOD, secret="another secret, of the same sort of length"),
        signed(GOOD, alg="HS512"),
        signed(GOOD)[:-2],
        signed(GOOD) + "é",
        "a.b.c",
        "." * 3,
        "a" * 5000,
    ],
    ids=["unsigned", "other secret", "other algorithm", "cut", "not ASCII", "nonsense", "dots", "long"],
)
def test_a_token_that_is_not_signed_as_agreed_is_not_believed(tokens, token) -> None:
    with pytest.raises(NotAllowedError):
        tokens.read(token, NOON)


@given(st.text(max_size=60))
def test_no_text_is_more_than_refused(text: str) -> None:
    with pytest.raises(NotAllowedError):
        Tokens(WebSettings(token_secret=SECRET)).read(text, NOON)


def signed_by_hand(claims: dict, secret: bytes) -> str:
    """Sign with any bytes: the library refuses to use a public key so."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    said = b".".join(base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=") for it in parts)
    mac = hmac.digest(secret, said, "sha256")
    return f"{said.decode()}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


KEYS = [
    ("RS256", "RSA", lambda: rsa.generate_private_key(65537, 2048)),
    ("ES256", "EC", lambda: ec.generate_private_key(ec.SECP256R1())),
]


@pytest.mark.parametrize(("alg", "kind", "make"), KEYS, ids=["RSA", "EC"])
def test_a_private_key_signs_and_its_public_half_believes(settings, tmp_path, alg, kind, make) -> None:
    private, file = make(), tmp_path / "public.pem"
    file.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    tokens = Tokens(settings(token_public_key=str(file)).web)
    token = jwt.encode({"alg": alg}, GOOD, jwk.import_key(secret, kind))
    assert tokens.read(token, NOON).subscriber_id == "u-1"
    with pytest.raises(NotAllowedError):  # the public key must never pass as a shared secret
        tokens.read(signed_by_hand(GOOD, file.read_bytes()), NOON)
    with pytest.raises(NotAllowedError):
        tokens.read(signed(GOOD), NOON)
    file.write_bytes(secret)
    with pytest.raises(PipelineError, match="holds a private key"):
        Tokens(settings(token_public_key=str(file)).web)
    file.write_text("not a key")
    with pytest.raises(PipelineError, match="not a public key"):
        Tokens(settings(token_public_key=str(file)).web)


def test_without_a_key_the_inbox_is_not_set_up(settings) -> None:
    with pytest.raises(UnavailableError):
        Tokens(settings(token_secret=None).web).read(signed(GOOD), NOON)
    with pytest.raises(PipelineError, match="PREBUFFER_TOKEN_SECRET"):
        make_token(settings(token_secret=None).web, "u-1", NOON, HOUR)


def test_nobody_makes_a_token_for_ever(settings) -> None:
    with pytest.raises(PipelineError, match="a day"):
        make_token(settings().web, "u-1", NOON, timedelta(days=2))
