"""Headers of every answer: what a browser may do with it, and that nobody keeps it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No scripts at all; a page that needs one of ours sets a policy of its own, see `policy_with_scripts`."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
"""The referrer goes to ourselves only: a link's token must not leak to where the reader goes next."""
STRICT_TRANSPORT = "max-age=31536000"


def policy_with_scripts() -> str:
    """Return the policy of a page that runs our own scripts, from files, and talks to this app alone."""
    return f"{POLICY}; script-src 'self'; connect-src 'self'"


class SecurityHeaders:
    """Adds `HEADERS` to every answer, leaving alone those that a route has set itself.

    Parameters
    ----------
    app
        What is inside.
    https
        Whether the app is reached by HTTPS: then browsers are told never to use anything else.
    """

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = HEADERS | ({"Strict-Transport-Security": STRICT_TRANSPORT} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)
