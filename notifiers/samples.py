"""Readers and troubles to try words on: every notice that can be, for a real reader and for a hostile one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from incidents.model import TAKES_BACK, Cause, TroubleKind
from notifiers.context import Brand, Contact, NoticeContext
from notifiers.remedies import UNKNOWN, Case, Remedies, every_case
from telemetry.contract import DENIAL_CLASSES, FAILURE_CLASSES, Signal

BRAND = Brand(
    service_name="Lumen",
    chat_url="https://help.lumen.example/chat",
    phone="+44 20 7946 0000",
    help_url="https://help.lumen.example/articles",
    reply_address="help@lumen.example",
    contact=(("GB", Contact(phone="0800 123 456")),),
)
SINCE = datetime(2026, 3, 9, 20, 15, tzinfo=UTC)
NAMES = {
    "ja": "花子",
    "hi": "अनन्या",
    "ar": "ليلى",
    "he": "נועה",
    "es": "Lucía",
    "fr": "Zoé",
    "de": "Jörg",
    "pt-BR": "João",
}
ZONES = {"ja": "Asia/Tokyo", "hi": "Asia/Kolkata", "ar": "Africa/Cairo", "he": "Asia/Jerusalem", "es": "Europe/Madrid",
         "fr": "Europe/Paris", "de": "Europe/Berlin", "pt-BR": "America/Sao_Paulo"}  # fmt: skip
HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "template": "{{ 7 * 7 }} %(when)s [[when]]",
    "quotes": 'O\'Brien & "Söhne"',
    "turned round": "\u202eemoh tsal",
    "endless": "W" * 40,
}
"""Names that a reader might have, or might try."""


@dataclass(frozen=True)
class Sample:
    """A notice to look at, and what to call it."""

    name: str
    context: NoticeContext


def distinct_cases(remedies: Remedies) -> list[Case]:
    """Return one case for each set of words that the catalogue can say."""
    seen: dict[tuple[object, ...], Case] = {}
    for case in every_case(FAILURE_CLASSES + DENIAL_CLASSES):
        kind, cause, signal, _, device_type = case
        own = (remedies.sight(signal), remedies.where(device_type)) if kind == TroubleKind.PROBLEM else (signal,)
        seen.setdefault((kind, cause, remedies.best(case), *own), case)
    return list(seen.values())


def shape_cases() -> list[Case]:
    """Return one case for each kind of notice and cause: what differs in layout, for looking at."""
    problems: list[Case] = [
        (TroubleKind.PROBLEM, cause, Signal.ACCESS if cause == Cause.ACCOUNT else Signal.BUFFERING, None, "smart_tv")
        for cause in (*Cause, UNKNOWN)
    ]
    return [
        *problems,
        (TroubleKind.PROBLEM, Cause.ACCOUNT, Signal.ACCESS, "device_limit", "ios"),
        (TroubleKind.ALL_CLEAR, Cause.SERVICE, Signal.BUFFERING, None, None),
        (TroubleKind.CORRECTION, Cause.SERVICE, Signal.BUFFERING, None, None),
        (TroubleKind.RETRACTION, Cause.SERVICE, Signal.BUFFERING, None, None),
    ]


def sample(case: Case, tag: str, brand: Brand = BRAND, **changes: Any) -> Sample:  # noqa: ANN401 - fields of a context
    """Return a notice of a case for a reader of a language."""
    kind, cause, signal, error_class, device_type = case
    context = NoticeContext(
        notice_id="abcdefghijkl2345",
        kind=TroubleKind(kind),
        problem=_member(Signal, signal),
        cause=_member(Cause, cause),
        since=SINCE,
        impaired=4,
        sessions=5,
        brand=brand,
        device_type=device_type,
        error_class=error_class,
        display_name=NAMES.get(tag, "Ada"),
        locale=tag,
        timezone=ZONES.get(tag, "Europe/London"),
        country="GB" if tag == "en" else None,
        subscriber_id="sample",
        wrong_cause=Cause.HOUSEHOLD if kind in TAKES_BACK else None,
    )
    name = ", ".join(str(value) for value in case if value is not None)
    return Sample(name, replace(context, **changes))


def _member(codes: Any, value: str) -> Any:  # noqa: ANN401 - a code, or on purpose none
    return codes(value) if value in list(codes) else value


def hostile(case: Case, tag: str) -> Iterator[Sample]:
    """Walk over a case for readers with names that try something, and one of whom nothing is known."""
    for kind, name in HOSTILE.items():
        found = sample(case, tag, display_name=name)
        yield replace(found, name=f"{found.name}, {kind}")
    bare = sample(
        case, tag, Brand(), display_name=None, timezone=None, since=None, impaired=0, sessions=0, no_phone=True
    )
    yield replace(bare, name=f"{bare.name}, nothing known")
