"""Which refusals are technical, and which lie with one account: an ordered table, the first rule that matches decides.

A technical refusal is our own back end's fault wherever it shows; many of them make an incident. A business refusal (a
card that expired, too many devices) is that account's own matter: it is evidence about nobody else. The class alone
does not always tell: a payment provider that is down refuses people whose card is fine, and its code says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

VERSION = 1
"""Raised with every change of the table; what was judged by an older one is not judged again."""


class RefusalKind(StrEnum):
    """Whose matter a refusal is."""

    TECHNICAL = "technical"
    BUSINESS = "business"


@dataclass(frozen=True)
class RefusalRule:
    """One row of the table.

    Parameters
    ----------
    error_class
        The contract's class, or ``*``.
    error_code
        A pattern (shell style, lower case) that the player's own code must match, in lower case.
    kind
        What a refusal that matches is.
    """

    error_class: str
    error_code: str
    kind: RefusalKind

    def matches(self, error_class: str, error_code: str) -> bool:
        """Say whether a refusal of this class and code, both in lower case, is of this rule."""
        return fnmatchcase(error_class, self.error_class) and fnmatchcase(error_code, self.error_code)


RULES = (
    RefusalRule("*", "*timeout*", RefusalKind.TECHNICAL),
    RefusalRule("*", "*unavailable*", RefusalKind.TECHNICAL),
    RefusalRule("*", "5[0-9][0-9]", RefusalKind.TECHNICAL),  # HTTP status of a service that failed
    RefusalRule("*", "*[-_ ]5[0-9x][0-9x]", RefusalKind.TECHNICAL),
    RefusalRule("*", "*internal*", RefusalKind.TECHNICAL),
    RefusalRule("payment", "*", RefusalKind.BUSINESS),
    RefusalRule("device_limit", "*", RefusalKind.BUSINESS),
    RefusalRule("*", "*", RefusalKind.TECHNICAL),
)
"""In order. Sign-in, entitlement, licence and place refusals are ours until shown otherwise: where one account alone is
refused so, the subscriber detector finds it."""


def refusal_kind(error_class: str | None, error_code: str | None, rules: Iterable[RefusalRule] = RULES) -> RefusalKind:
    """Return whose matter a refusal is; one without class or code is technical unless a rule says otherwise."""
    wanted, code = (error_class or "").lower(), (error_code or "").lower()
    return next((rule.kind for rule in rules if rule.matches(wanted, code)), RefusalKind.TECHNICAL)
