"""Whose side a problem is on: a table that reads as sentences."""

from __future__ import annotations

import pytest

from detectors.finding import Cohort
from incidents.model import Cause
from incidents.verdict import cohort_verdict, own_verdict
from telemetry.contract import DIMENSIONS, Signal

STALLS, SLOW, FAILS, REFUSED = Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE, Signal.ACCESS


@pytest.mark.parametrize(
    ("signal", "cohort", "errors", "cause"),
    [
        pytest.param(STALLS, {"cdn": "a"}, {}, Cause.SERVICE, id="a delivery network stalls: ours"),
        pytest.param(STALLS, {"isp": "n"}, {}, Cause.ISP, id="a provider stalls: theirs"),
        pytest.param(STALLS, {"isp": "n", "region": "US-TX"}, {}, Cause.ISP, id="a provider in a region: theirs"),
        pytest.param(STALLS, {"isp": "n", "cdn": "a"}, {}, Cause.SERVICE, id="a provider on one network of ours: ours"),
        pytest.param(FAILS, {"app_version": "3"}, {}, Cause.APP, id="a release fails: the app"),
        pytest.param(FAILS, {"device_type": "web"}, {"decoder": 9}, Cause.APP, id="a device cannot decode: the app"),
        pytest.param(
            FAILS, {"device_type": "web", "app_version": "3"}, {}, Cause.APP, id="a release on a device: the app"
        ),
        pytest.param(FAILS, {"title_id": "t"}, {}, Cause.SERVICE, id="a title fails: ours"),
        pytest.param(FAILS, {"title_id": "t", "device_type": "web"}, {}, Cause.SERVICE, id="a title on a device: ours"),
        pytest.param(STALLS, {"content_type": "live"}, {}, Cause.SERVICE, id="live stalls: ours"),
        pytest.param(SLOW, {"country": "US"}, {}, Cause.SERVICE, id="a whole country starts slowly: ours"),
        pytest.param(STALLS, {}, {}, Cause.SERVICE, id="everyone stalls: ours"),
        pytest.param(
            FAILS, {"region": "US-TX"}, {"cdn": 9}, Cause.SERVICE, id="a region fails with delivery errors: ours"
        ),
        pytest.param(
            FAILS, {"region": "US-TX"}, {"network": 9}, Cause.ISP, id="a region fails with network errors: theirs"
        ),
        pytest.param(REFUSED, {"country": "US"}, {"geo": 9}, Cause.SERVICE, id="a country is refused: ours"),
        pytest.param(REFUSED, {"isp": "n"}, {"auth": 9}, Cause.SERVICE, id="a provider's customers are refused: ours"),
        pytest.param(REFUSED, {"app_version": "3"}, {"drm": 9}, Cause.SERVICE, id="a release is refused: ours"),
    ],
)
def test_a_fault_of_many(signal: Signal, cohort: dict[str, str], errors: dict[str, int], cause: Cause) -> None:
    verdict = cohort_verdict(signal, Cohort.of(cohort), errors)
    assert verdict.cause is cause
    assert 1 / 3 < verdict.probability <= 1


@pytest.mark.parametrize(
    ("signal", "error_class", "cause"),
    [
        pytest.param(REFUSED, "payment", Cause.ACCOUNT, id="a card was declined: the account"),
        pytest.param(REFUSED, "device_limit", Cause.ACCOUNT, id="too many devices: the account"),
        pytest.param(REFUSED, "auth", Cause.ACCOUNT, id="a sign-in was refused: the account"),
        pytest.param(STALLS, None, Cause.HOUSEHOLD, id="somebody alone stalls: the household"),
        pytest.param(FAILS, "network", Cause.HOUSEHOLD, id="somebody alone fails: the household"),
    ],
)
def test_a_trouble_of_ones_own(signal: Signal, error_class: str | None, cause: Cause) -> None:
    assert own_verdict(signal, error_class, 5.0).cause is cause


def test_what_an_account_can_cause_is_surer_than_other_refusals() -> None:
    assert own_verdict(REFUSED, "payment", 5.0).probability > own_verdict(REFUSED, "auth", 5.0).probability


def test_the_more_surprising_the_surer() -> None:
    chances = [own_verdict(STALLS, None, surprise).probability for surprise in (0.0, 0.5, 2.0, 9.0)]
    assert chances == sorted(chances)
    assert 0 < chances[0] < chances[-1] < 1


def test_few_errors_of_a_class_say_less_than_many() -> None:
    cohort = Cohort.of({"region": "US-TX"})
    few, many = (cohort_verdict(FAILS, cohort, {"cdn": n, "app": 10}) for n in (1, 90))
    assert many.cause is Cause.SERVICE
    assert few.cause is not Cause.SERVICE


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("signal", list(Signal))
def test_every_dimension_has_a_verdict(dimension: str, signal: Signal) -> None:
    verdict = cohort_verdict(signal, Cohort.of({dimension: "x"}), {"unheard_of": 3}, ["Why."])
    assert verdict.cause in {Cause.SERVICE, Cause.ISP, Cause.APP}
    assert verdict.evidence == ("Why.",)
