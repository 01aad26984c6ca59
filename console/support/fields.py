"""What people type and choose, made into our words; what makes no sense is refused with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from console.web.errors import WrongInputError

E = TypeVar("E", bound=StrEnum)


def chosen(kind: type[E], text: str, what: str) -> E | None:
    """Return a choice, or None if nothing was chosen.

    Raises
    ------
    WrongInputError
        If there is no such choice.
    """
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise WrongInputError(f"{what} cannot be that: choose one of those offered.") from None


def moment(text: str, what: str) -> datetime | None:
    """Return a day or a time of a form as aware UTC, or None if nothing was given.

    Raises
    ------
    WrongInputError
        If it is no time.
    """
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WrongInputError(f"{what} is no time: write it like 2026-03-09 18:40.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def cohort_of(text: str) -> dict[str, str]:
    """Return a group as people write it, a line each: ``region = US-TX``; nothing is everyone.

    Raises
    ------
    WrongInputError
        If a line is not of that form.
    """
    values = {}
    for line in text.replace(";", "\n").splitlines():
        name, sign, value = (part.strip() for part in line.partition("="))
        if sign and name and value:
            values[name] = value
        elif line.strip():
            raise WrongInputError("Write a group as one line for each value, such as: region = US-TX")
    return values
