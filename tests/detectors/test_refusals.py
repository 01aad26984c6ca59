"""Whose matter a refusal is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.refusals import RULES, RefusalKind, RefusalRule, refusal_kind


@pytest.mark.parametrize(
    ("error_class", "error_code", "kind"),
    [
        ("payment", "card_declined", RefusalKind.BUSINESS),
        ("payment", "PROVIDER_UNAVAILABLE", RefusalKind.TECHNICAL),
        ("payment", "http_503", RefusalKind.TECHNICAL),
        ("payment", "502", RefusalKind.TECHNICAL),
        ("payment", "E6500", RefusalKind.BUSINESS),  # a vendor's number, no HTTP status
        ("device_limit", None, RefusalKind.BUSINESS),
        ("auth", "timeout", RefusalKind.TECHNICAL),
        ("drm", None, RefusalKind.TECHNICAL),
        (None, None, RefusalKind.TECHNICAL),
    ],
)
def test_class_and_code_decide(error_class: str | None, error_code: str | None, kind: RefusalKind) -> None:
    assert refusal_kind(error_class, error_code) is kind


def test_the_first_rule_that_matches_decides() -> None:
    anything = RefusalRule("*", "*", RefusalKind.BUSINESS)
    assert refusal_kind("auth", "timeout", (anything, *RULES)) is RefusalKind.BUSINESS
    assert refusal_kind("auth", "timeout", (*RULES, anything)) is RefusalKind.TECHNICAL


@given(st.none() | st.text(), st.none() | st.text())
def test_every_refusal_has_a_kind(error_class: str | None, error_code: str | None) -> None:
    assert refusal_kind(error_class, error_code) in RefusalKind
