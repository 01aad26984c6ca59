"""Who asks: the app's user or a program by their token, counted against how often they may."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from console.web.errors import NotAllowedError
from console.web.state import Web, WebOf
from console.web.tokens import Caller

HOW_TO_ASK = "Send a token: Authorization: Bearer ..."


def count_address(request: Request, web: Web) -> None:
    """Count a request against its network address; raise `TooManyError` where there were too many."""
    address = request.client.host if request.client else ""
    web.limits.take("address", address, web.settings.web.address_requests_per_minute)


def caller_of(request: Request, web: WebOf) -> Caller:
    """Return whose token came with a request, having counted it against their limits."""
    count_address(request, web)
    caller = web.tokens.read(_token_of(request), web.clock())
    web.limits.take("subscriber", caller.subscriber_id, web.settings.web.requests_per_minute)
    return caller


def service_of(request: Request, web: WebOf) -> Caller:
    """Return which program's token came with a request, having counted it against its limit."""
    count_address(request, web)
    caller = web.service_tokens.read(_token_of(request), web.clock())
    web.limits.take("service", caller.subscriber_id, web.settings.web.service_requests_per_minute)
    return caller


def _token_of(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAllowedError(HOW_TO_ASK)
    return token.strip()


CallerOf = Annotated[Caller, Depends(caller_of)]
ServiceOf = Annotated[Caller, Depends(service_of)]
