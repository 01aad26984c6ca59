"""Reports what became of messages to a webhook, as SendGrid does: signed, in batches, again and again until a 2xx.

Batches overlap, come out of order, and some come again although they were taken.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Mapping

import httpx
import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"
IN_A_POST = 100
AT_ONCE = 2
"""Posts under way at the same time."""
REPEATED = 0.05
"""Share of the batches that were taken and come again."""
PAUSE_S = 0.02
"""Before the next try where nobody listens, and the next look where there is nothing to report."""
PATIENCE_S = 30.0


class Key:
    """Signs events, and shows what verifies them in the form of SendGrid's settings page."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())

    def public(self) -> str:
        """Return the verification key."""
        return base64.b64encode(
            self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()

    def headers(self, body: bytes, stamp: int) -> dict[str, str]:
        """Return the headers that sign a body, at a moment in seconds since 1970."""
        signature = self.private.sign(str(stamp).encode() + body, ec.ECDSA(hashes.SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: str(stamp)}


class Reporter:
    """Posts events until they are taken.

    Parameters
    ----------
    pending
        Events by id, to which its owner adds; what was taken is removed.
    chance
        Picks what goes together.
    """

    def __init__(self, pending: dict[str, Mapping[str, object]], chance: random.Random) -> None:
        self.pending = pending
        self.chance = chance
        self.key = Key()
        self.taken: list[str] = []
        self.counts = {"pending": 0, "open": 0, "answered": 0, "cut": 0, "refused": 0}
        """Events that wait; posts under way, taken, cut off before they were answered, and answered otherwise."""
        self._going: list[asyncio.Task[None]] = []

    def begin(self, url: str) -> str:
        """Report to this address from now on; return the verification key."""
        self._going += [asyncio.create_task(self._report(url)) for _ in range(AT_ONCE)]
        return self.key.public()

    async def _report(self, url: str) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            while True:
                waiting = list(self.pending.values())
                events = self.chance.sample(waiting, min(len(waiting), IN_A_POST))
                if not events or not await self._post(client, url, events):
                    await asyncio.sleep(PAUSE_S)

    async def _post(self, client: httpx.AsyncClient, url: str, events: list[Mapping[str, object]]) -> bool:
        body = orjson.dumps(events)
        self.counts["open"] += 1
        try:
            answer = await client.post(url, content=body, headers=self.key.headers(body, int(time.time())))
        except httpx.ConnectError:
            return False
        except httpx.TransportError:
            self.counts["cut"] += 1
            return False
        finally:
            self.counts["open"] -= 1
        self.counts["answered" if answer.is_success else "refused"] += 1
        if answer.is_success and self.chance.random() >= REPEATED:
            ids = [str(event["sg_event_id"]) for event in events]
            self.taken += [event_id for event_id in ids if self.pending.pop(event_id, None)]
        return bool(answer.is_success)
