"""Links that carry a case: signed, opaque, each good for one purpose only.

A link holds the notice's key and the subscriber's pseudonym, and nothing else about anybody. The same notice has the
same link whenever it is composed, and a link never runs out: a mail may be opened years later, and its reader must
still be able to stop the next one.

::

    BadLinkError    a link was cut, made up, or made for another purpose
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote_plus

from itsdangerous import BadSignature, Signer

SALT = "prebuffer.link."
MAX_TOKEN = 1_000
"""Longest token that is looked at: a key of 64 characters and a pseudonym of 128, each of four bytes, come to less."""


CLAIMS_KEPT = 64
"""More than the notices that are composed at once: the links of one are made together."""


class BadLinkError(Exception):
    """The link is not one of ours, or not for this purpose. The text does not repeat it."""


class Purpose(StrEnum):
    """What a link is for: the first part of its path, and what its signature is bound to."""

    PREFERENCES = "preferences"
    UNSUBSCRIBE = "unsubscribe"
    GENUINE = "genuine"
    FEEDBACK = "feedback"
    CASE = "case"


@dataclass(frozen=True)
class Bearer:
    """Whose link it is, and which notice it came with."""

    notice_id: str
    subscriber_id: str


class _Signer(Signer):
    """A signer that derives its newest key once, not for every link; its signatures are those of itsdangerous."""

    def __init__(self, secrets: Sequence[str], purpose: Purpose) -> None:
        super().__init__(secrets, salt=SALT + purpose, digest_method=hashlib.sha256)
        self._keyed = hmac.new(self.derive_key(), digestmod=hashlib.sha256)

    def get_signature(self, value: str | bytes) -> bytes:
        mac = self._keyed.copy()
        mac.update(value if isinstance(value, bytes) else value.encode())
        return base64.urlsafe_b64encode(mac.digest()).rstrip(b"=")

    def sign(self, value: str | bytes) -> bytes:
        claim = value if isinstance(value, bytes) else value.encode()
        return b"%b.%b" % (claim, self.get_signature(claim))


class Links:
    """Makes and reads signed links.

    Parameters
    ----------
    public_url
        Where subscribers reach the web app, e.g. ``https://notices.example.com``.
    secrets
        The current secret first, then older ones, whose links are still good.
    """

    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        oldest_first = list(reversed(secrets))
        self.public_url = public_url.rstrip("/")
        self._signers = {purpose: _Signer(oldest_first, purpose) for purpose in Purpose}
        self._heads = {purpose: f"{self.public_url}/{purpose}/" for purpose in Purpose}

    def preferences(self, notice_id: str, subscriber_id: str) -> str:
        """Return the page on which this person chooses what we may write about."""
        return self.url(Purpose.PREFERENCES, notice_id, subscriber_id)

    def unsubscribe(self, notice_id: str, subscriber_id: str) -> str:
        """Return where one click, or one POST of a mail program (RFC 8058), stops all notices by mail."""
        return self.url(Purpose.UNSUBSCRIBE, notice_id, subscriber_id)

    def genuine(self, notice_id: str, subscriber_id: str) -> str:
        """Return the page that says whether a notice was really ours."""
        return self.url(Purpose.GENUINE, notice_id, subscriber_id)

    def feedback(self, notice_id: str, subscriber_id: str) -> str:
        """Return the page on which the reader says whether a notice helped."""
        return self.url(Purpose.FEEDBACK, notice_id, subscriber_id)

    def case(self, notice_id: str, subscriber_id: str) -> str:
        """Return the page of what we know about this person's trouble."""
        return self.url(Purpose.CASE, notice_id, subscriber_id)

    def url(self, purpose: Purpose, notice_id: str, subscriber_id: str) -> str:
        """Return a link; the same arguments always give the same one."""
        return self._heads[purpose] + self.token(purpose, notice_id, subscriber_id)

    def token(self, purpose: Purpose, notice_id: str, subscriber_id: str) -> str:
        """Return the signed part of a link: some eighty letters, digits, dots, dashes and underscores."""
        return self._signers[purpose].sign(_claim(notice_id, subscriber_id)).decode()

    def read(self, purpose: Purpose, token: str) -> Bearer:
        """Return whose link it is.

        Raises
        ------
        BadLinkError
            If it was not signed by us for this purpose.
        """
        if len(token) > MAX_TOKEN or not token.isascii():
            raise BadLinkError("The link is not one of ours.")
        try:
            notice_id, _, person = self._signers[purpose].unsign(token).decode().partition(".")
            return Bearer(notice_id, base64.urlsafe_b64decode(person + "=" * (-len(person) % 4)).decode())
        except (BadSignature, ValueError, binascii.Error):
            raise BadLinkError("The link is not one of ours.") from None


@lru_cache(maxsize=CLAIMS_KEPT)
def _claim(notice_id: str, subscriber_id: str) -> bytes:
    """Return what is signed: the same for all links of a notice."""
    person = base64.urlsafe_b64encode(subscriber_id.encode()).rstrip(b"=").decode()
    return f"{notice_id}.{person}".encode()


def with_query(url: str, **values: str) -> str:
    """Return `url` with values added to its query."""
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in values.items())
    return f"{url}{'&' if '?' in url else '?'}{query}"
