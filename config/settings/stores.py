"""Where things are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import SecretStr, model_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from config.settings.values import Section


class PathSettings(Section):
    """Where files come from and go to; relative ones start in the folder that the command is run in.

    Parameters
    ----------
    incoming
        A folder in the contract's form into which collectors put files; the ingest flow reads what is new.
    reports
        Where incident reports are written.
    mailbox
        Where the mailbox channel writes mails.
    templates
        An edited copy of the folder `templates/`; none means the one that comes with Prebuffer.
    remedies
        An edited copy of ``config/remedies.yaml``; likewise.
    """

    incoming: Path = Path("data/var/incoming")
    reports: Path = Path("data/var/reports")
    mailbox: Path = Path("data/var/mailbox")
    templates: Path | None = None
    remedies: Path | None = None


class WarehouseSettings(Section):
    """The analytical store.

    Parameters
    ----------
    path
        Its DuckDB file.
    """

    path: Path = Path("data/var/warehouse.duckdb")


class LedgerSettings(Section):
    """The transactional store.

    Parameters
    ----------
    url
        SQLAlchemy URL without a password.
    password
        Secret, for PostgreSQL: only from ``PREBUFFER_LEDGER_PASSWORD``.
    """

    url: str = "sqlite:///data/var/ledger.db"
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        try:
            url = make_url(self.url)
        except ArgumentError:
            raise ValueError("url is not a database URL such as sqlite:///data/var/ledger.db") from None
        if url.password is not None:
            raise ValueError("url must not hold a password: set PREBUFFER_LEDGER_PASSWORD instead")
        return self
