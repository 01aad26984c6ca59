"""Links that carry a case."""

from __future__ import annotations

from urllib.parse import urlencode


def with_query(url: str, **values: str) -> str:
    """Return `url` with values added to its query."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(values)}"
