"""``prebuffer reconcile``: suppress what SendGrid suppresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from config.bootstrap import open_account, open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, say
from notifiers.reconcile import Reconciliation
from notifiers.reconcile import reconcile as compare_and_write

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def reconcile(*, dry_run: DryRunOption = False, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Compare suppressions with SendGrid's lists, and add what is missing here.

    Examples:
        prebuffer reconcile --dry-run

        prebuffer reconcile
    """
    settings = settings_of(config)
    with open_ledger(settings) as ledger, open_account(settings) as (account, client):
        found = compare_and_write(ledger.engine, client, account, now(), dry_run=dry_run)
    if as_json:
        print_json(asdict(found) | {"dry_run": dry_run})
        return
    for sentence in sentences(found, dry_run):
        say(sentence)


def sentences(found: Reconciliation, dry_run: bool) -> list[str]:
    """Say what was found, what was done and what was not."""
    verb = "would be" if dry_run else "were"
    said = [
        f"SendGrid lists {_counted(found.listed)}.",
        f"Missing here, {verb} added: {_counted(found.added)}.",
        f"Gone there, {verb} lifted here: {found.lifted}.",
        f"Only here, and stay: {found.ours}.",
    ]
    if found.spared:
        said.append(f"{found.spared} are gone there, too many at once to be believed: none was lifted.")
    if found.malformed:
        said.append(f"{found.malformed} rows were no address.")
    return said


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or "nothing"
