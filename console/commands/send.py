"""``prebuffer send``: a sender of its own, beside the flows."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated

import typer

from config.bootstrap import open_channels, open_ledger, sending
from config.pipeline import send_due
from config.settings import Settings
from console.arguments import ConfigOption
from console.opening import now, settings_of
from console.output import say

IDLE_S = 1.0
"""Pause after finding nothing due."""


def send(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that send.")] = 1,
    loop: Annotated[bool, typer.Option("--loop", help="Go on until interrupted.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send what is due. It opens only the ledger, so any number may run beside the flows, on any machine.

    Examples:
        prebuffer send

        prebuffer send --loop --workers 4
    """
    settings_of(config)  # complain here, once
    if workers == 1:
        work(config, loop)
        return
    context = get_context("spawn")
    crew = [context.Process(target=work, args=(config, loop)) for _ in range(workers)]
    for process in crew:
        process.start()
    _pass_on(crew)
    for process in crew:
        process.join()
    if any(process.exitcode for process in crew):
        raise typer.Exit(1)


def _pass_on(crew: Sequence[BaseProcess]) -> None:
    """Tell the workers to stop when we are told."""

    def stop(*_: object) -> None:
        for process in crew:
            process.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def work(config: Path | None, loop: bool) -> None:
    """Send as one process; SIGTERM ends it after what is under way is recorded and the rest given back."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    sent = Counter[str]()
    settings: Settings = settings_of(config)
    with open_ledger(settings) as ledger, open_channels(settings, ledger) as channels:
        how = sending(settings)
        while not told.is_set():
            policy = settings.notices.policy
            report = send_due(ledger.engine, channels, now, policy, how, halted=told.is_set)
            sent.update({state.value: count for state, count in report.states.items()})
            for name, why in report.stopped.items():
                say(f"{name.value} is stopped: {why}")
            if not loop:
                break
            if not report.states:
                told.wait(IDLE_S)
    say(f"Outbox: {', '.join(f'{count} {state}' for state, count in sent.items()) or 'nothing'}.")
