"""SendGrid's event webhook: verified over the raw bytes, then applied to the ledger.

The signature is ECDSA over the timestamp and the body. Repeated and out-of-order events are normal and applied once;
what is forged, stale, cut or too long is refused and counted. Source: "Getting Started with the Event Webhook Security
Features", Twilio SendGrid, 2026.
"""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Depends, Request
from sendgrid.helpers.eventwebhook import EventWebhook

from config.pipeline import PipelineError
from console.web.errors import Problem, UnavailableError
from console.web.state import Web, WebOf
from notifiers.events import apply_events

log = logging.getLogger("prebuffer.web")
router = APIRouter()

SIGNATURE, TIMESTAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"
MOST_EVENTS = 20_000


class ForgedError(Problem):
    """The request was not signed by SendGrid, or not now."""

    status = 403


class UnreadableError(Problem):
    """What was signed is not a list of events."""

    status = 400


class EncodedError(Problem):
    """The body is packed: its signature cannot be over what we would read."""

    status = 415


async def body_of(request: Request) -> bytes:
    """Return the raw bytes; their length is limited before they are read, see `console.web.limits.BodyLimit`."""
    return await request.body()


@router.post("/webhooks/sendgrid")
def sendgrid(request: Request, web: WebOf, body: bytes = Depends(body_of)) -> dict[str, int]:
    """Take in events."""
    try:
        events = _events(request, web, body)
    except Problem as problem:
        web.webhook[type(problem).__name__] += 1
        raise
    with web.ledger.write() as connection:
        report = apply_events(connection, events, web.clock())
    web.webhook["applied"] += 1
    return {
        "new": report.new,
        "repeated": report.repeated,
        "strangers": report.strangers,
        "malformed": report.malformed,
    }


def verifier(public_key: str | None) -> EventWebhook | None:
    """Return what verifies signatures, or None where no key is set.

    Raises
    ------
    PipelineError
        If it is not a key.
    """
    if public_key is None:
        return None
    try:
        return EventWebhook(public_key)
    except ValueError:
        raise PipelineError("web.sendgrid_public_key is not the verification key that SendGrid shows.") from None


def _events(request: Request, web: Web, body: bytes) -> list[object]:
    if web.verifier is None:
        raise UnavailableError("The webhook is not set up: web.sendgrid_public_key is missing.")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise EncodedError("Send the body as it is, not packed.")
    _check_signature(request, web, body)
    try:
        events = json.loads(body)
    except (ValueError, RecursionError):
        events = None
    if not isinstance(events, list) or len(events) > MOST_EVENTS:
        log.error("A signed webhook of %d bytes is no list of events: %s", len(body), hashlib.sha256(body).hexdigest())
        raise UnreadableError("The body is not a list of events.")
    return events


def _check_signature(request: Request, web: Web, body: bytes) -> None:
    stamp = request.headers.get(TIMESTAMP, "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise ForgedError("The request has no timestamp.")
    age = web.clock() - (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(stamp)))
    if abs(age) > web.settings.web.webhook_tolerance:
        raise ForgedError("The request was signed too long ago, or in the future.")
    try:
        text = body.decode()
        signed = web.verifier is not None and web.verifier.verify_signature(
            text, request.headers.get(SIGNATURE, ""), stamp
        )
    except ValueError:
        signed = False
    if not signed:
        raise ForgedError("The request was not signed by SendGrid.")
