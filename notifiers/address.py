"""E-mail addresses: which ones can be written to, and the form in which they are compared."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_ADDRESS_LENGTH = 254
"""RFC 5321, section 4.5.3.1.3: a path is at most 256 octets, angle brackets included."""

ADDRESSES_KEPT = 4096
"""More than are looked at together, by one after the other: the gates, then what carries mail."""

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_LOCAL}@(?:{_LABEL}\.)+{_LABEL}")


@lru_cache(maxsize=ADDRESSES_KEPT)
def is_deliverable(address: str | None) -> bool:
    """Whether `address` is a plain ASCII mailbox of RFC 5321's dot-string form that a provider accepts."""
    return address is not None and len(address) <= MAX_ADDRESS_LENGTH and bool(_ADDRESS.fullmatch(address))


def normalised(address: str) -> str:
    """Return the form in which addresses are compared and suppressed: trimmed, lower case."""
    return address.strip().lower()
