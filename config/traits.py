"""Keeps with each notice where its person is, in which language and on which device, to see who is served worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb
from sqlalchemy import Connection

from incidents.ledger.casework import notice_traits
from notifiers.insert import insert_new
from notifiers.model import Decision, Recipient

_REGIONS = "SELECT subscriber_id, region FROM subscribers WHERE subscriber_id IN (SELECT unnest($people))"
_LONGEST_LANGUAGE = 8


def load_regions(connection: duckdb.DuckDBPyConnection, people: Iterable[str]) -> dict[str, str]:
    """Read from the warehouse in which region people are; unknown people, and those without one, are left out."""
    wanted = sorted(set(people))
    rows = connection.execute(_REGIONS, {"people": wanted}).fetchall() if wanted else []
    return {subscriber_id: region for subscriber_id, region in rows if region}


def save_traits(
    connection: Connection,
    decisions: Sequence[Decision],
    recipients: Mapping[str, Recipient],
    regions: Mapping[str, str],
) -> None:
    """Keep the traits of notices that were just decided on, in the transaction that keeps them."""
    insert_new(
        connection,
        notice_traits,
        [
            {
                "notice_id": decision.notice_id,
                "region": regions.get(decision.trouble.subscriber_id),
                "language": _language(recipients.get(decision.trouble.subscriber_id)),
                "device_type": decision.trouble.device_type,
            }
            for decision in decisions
        ],
    )


def _language(recipient: Recipient | None) -> str | None:
    """Return the language of a locale such as ``pt-BR``, whose text is untrusted."""
    if recipient is None or not recipient.locale:
        return None
    language = recipient.locale.replace("_", "-").split("-")[0].lower()
    return language if language.isalpha() and len(language) <= _LONGEST_LANGUAGE else None
