"""SendGrid's event webhook: only what was signed, lately and whole, is applied; and once."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, insert, select

from config.pipeline import PipelineError
from incidents.ledger.schema import notices, outbox, provider_events, suppressions
from tests.web.conftest import NOON

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = base64.b64encode(
    PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
NOTICE = "abcdefghijkl2345"
STAMP = int(NOON.timestamp())


def event(number: int = 0, name: str = "delivered", **more: object) -> dict:
    return {"sg_event_id": f"e-{number}", "event": name, "timestamp": STAMP, "message_id": NOTICE} | more


def signed(body: bytes, stamp: int | str = STAMP, key: ec.EllipticCurvePrivateKey = PRIVATE) -> dict[str, str]:
    signature = key.sign(str(stamp).encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": str(stamp),
        "Content-Type": "application/json",
    }


@pytest.fixture
def client(serve, app_of):
    return serve(app_of(sendgrid_public_key=PUBLIC_KEY, max_body_bytes=5000))


@pytest.fixture(autouse=True)
def message(ledger) -> None:
    """A message that was sent."""
    about = {"problem": "buffering", "cause": "service", "channel": "email"}
    notice = {"notice_id": NOTICE, "subscriber_id": "u-1", "episode": "e", "kind": "problem", "decided_time": NOON}
    row = {"message_id": NOTICE, "notice_id": NOTICE, "stage": "first", "channel": "email", "address": "a@b.example"}
    words = {"subject": "", "html": "", "text": "", "card": {}, "state": "unknown", "queued_time": NOON}
    with ledger.write() as connection:
        connection.execute(insert(notices).values(notice | about))
        connection.execute(insert(outbox).values(row | words | {"next_attempt_time": NOON}))


@pytest.fixture
def applied(ledger):
    def count() -> int:
        with ledger.read() as connection:
            return int(connection.scalar(select(func.count()).select_from(provider_events)))

    return count


def post(client, events: object, **how: object):
    body = json.dumps(events).encode()
    return client.post("/webhooks/sendgrid", content=body, headers=signed(body, **how))


def test_signed_events_are_applied_once_in_any_order(client, applied, ledger) -> None:
    events = [event(1, "bounce"), event(0, "processed"), event(1, "bounce")]
    assert post(client, events).json()["new"] == 2
    assert post(client, events[::-1]).json()["new"] == 0
    assert applied() == 2
    with ledger.read() as connection:
        assert connection.scalar(select(outbox.c.state)) == "failed"
        assert connection.scalar(select(suppressions.c.address)) == "a@b.example"


def test_what_is_no_event_or_about_a_stranger_is_counted(client, applied) -> None:
    answer = post(client, [7, {"event": "x"}, event(message_id="nobodys"), event(3)])
    assert answer.json() == {"new": 1, "repeated": 0, "strangers": 1, "malformed": 2}
    assert applied() == 1


OTHER = ec.generate_private_key(ec.SECP256R1())
BODY = json.dumps([event()]).encode()
FORGED = {
    "another key": (BODY, signed(BODY, key=OTHER)),
    "another body": (BODY + b" ", signed(BODY)),
    "cut": (BODY[:-1], signed(BODY)),
    "another time": (BODY, signed(BODY) | {"X-Twilio-Email-Event-Webhook-Timestamp": str(STAMP + 1)}),
    "no signature": (BODY, {"X-Twilio-Email-Event-Webhook-Timestamp": str(STAMP)}),
    "no time": (BODY, {"X-Twilio-Email-Event-Webhook-Signature": "MEUCIQ=="}),
    "nonsense": (BODY, signed(BODY) | {"X-Twilio-Email-Event-Webhook-Signature": "%%%"}),
    "stale": (BODY, signed(BODY, STAMP - 601)),
    "from the future": (BODY, signed(BODY, STAMP + 601)),
    "a time that is none": (BODY, signed(BODY, "1e9")),
    "a time far away": (BODY, signed(BODY, 10**11)),
    "not text": (b"\xff\xfe", signed(b"\xff\xfe")),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_forged_stale_or_cut_is_refused(client, applied, name) -> None:
    body, headers = FORGED[name]
    assert client.post("/webhooks/sendgrid", content=body, headers=headers).status_code == 403
    assert applied() == 0
    assert client.get("/healthz").json()["webhook"] == {"ForgedError": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"null", b'[{"event"', b"[" * 3000])
def test_what_is_signed_but_unreadable_is_counted_and_not_kept(client, applied, body, caplog) -> None:
    answer = client.post("/webhooks/sendgrid", content=body, headers=signed(body))
    assert answer.status_code == 400
    assert f"of {len(body)} bytes" in caplog.text
    assert client.get("/healthz").json()["webhook"] == {"UnreadableError": 1}
    assert applied() == 0


def test_a_long_body_is_refused(client, applied) -> None:
    assert post(client, [event(number) for number in range(100)]).status_code == 413
    assert applied() == 0


def test_a_packed_body_is_refused(client, applied) -> None:
    packed = gzip.compress(BODY)
    headers = signed(packed) | {"Content-Encoding": "gzip"}
    assert client.post("/webhooks/sendgrid", content=packed, headers=headers).status_code == 415
    assert applied() == 0


def test_without_a_key_nobody_is_answered(serve, app_of, applied) -> None:
    assert post(serve(app_of()), [event()]).status_code == 503
    assert applied() == 0


def test_a_key_that_is_none_is_refused_at_the_start(app_of) -> None:
    with pytest.raises(PipelineError, match="sendgrid_public_key"):
        app_of(sendgrid_public_key="not a key")
