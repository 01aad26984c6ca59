"""Whether this process can do its work."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import text

from console.web.state import WebOf

router = APIRouter()


@router.get("/healthz")
def healthz(web: WebOf) -> dict[str, Any]:
    """Say that the ledger answers, and how webhooks fared since the start; 503 where it does not."""
    with web.ledger.read() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ok", "webhook": dict(web.webhook)}
