"""What a value of the settings may look like, and what a section is."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from config.times import duration_text, parse_duration


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return parse_duration(str(value))


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("it must be longer than nothing")
    return value


def _time_of_day(value: object) -> time:
    if isinstance(value, time):
        return value
    try:
        return time.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError('a time of day is written in quotes, such as "22:00"') from None


def _web_address(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("a web address starts with https://")
    return value


def _issuer_address(value: str) -> str:
    if not value.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ValueError("an issuer starts with https://")
    return value.rstrip("/")


def _mail_address(value: str) -> str:
    if value.count("@") != 1 or value != value.strip():
        raise ValueError("a mail address looks like name@example.com")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(duration_text, str)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day), PlainSerializer(lambda t: f"{t:%H:%M}", str)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
IssuerAddress = Annotated[str, AfterValidator(_issuer_address)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Nats = Annotated[float, Field(ge=0, le=100)]
Factor = Annotated[float, Field(ge=1)]


class Section(BaseModel):
    """A part of the settings: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _take_an_empty_section(cls, values: object) -> object:
        return {} if values is None else values
