"""Makes drills aside, one at a time, while pages go on: each is half a minute's work, in a process of its own.

That one is being made is written down beside the drills, so that a server which is started anew can say that the work
of the one before it was cut off.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock

from config.runner import is_gone, this_process
from config.settings import Settings

log = logging.getLogger("prebuffer.console")
FOLDER = Path("data/var/drills")
"""Where drills live, as the command has it."""
UNDER_WAY = "making.json"
"""Who asked for the drill that is being made, and which process makes it; beside the drills."""
INTERRUPTED = "The drill was interrupted: this server stopped while it was made. Start it again."
Progress = Callable[[int, int], None]
Make = Callable[[str | None, str, datetime, Progress], str]
"""Makes a drill of a scenario (None: any) for somebody, from now on; says how far it is, and returns its id."""


class RehearsalError(Exception):
    """Another drill is being made; the message is a sentence."""


@dataclass(frozen=True)
class Making:
    """A drill that is being made, or could not be.

    Parameters
    ----------
    author
        Who asked for it.
    share
        How much of it is done, 0 to 1.
    problem
        Why it could not be made; None while it may.
    """

    author: str
    share: float = 0.0
    problem: str | None = None


class Rehearsals:
    """Makes drills, one at a time.

    Parameters
    ----------
    make
        Makes one; see `made_apart`.
    folder
        Where drills live.
    """

    def __init__(self, make: Make, folder: Path = FOLDER) -> None:
        self.make = make
        self.folder = folder
        self._making: Making | None = None
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drill")

    @property
    def making(self) -> Making | None:
        """What is being made, here or by another process, or could not be made; None where there is nothing to say."""
        return self._making or self._left_behind()

    def begin(self, scenario: str | None, author: str, now: datetime) -> None:
        """Begin to make a drill, and return at once; the arguments are those of `Make`.

        Raises
        ------
        RehearsalError
            If one is being made.
        """
        with self._lock:
            making = self.making
            if making is not None and making.problem is None:
                raise RehearsalError(f"A drill is being made already, for {making.author}.")
            with suppress(OSError):
                self._write_down(author)
            self._making = Making(author)
        self._thread.submit(self._make, scenario, author, now)

    def _make(self, scenario: str | None, author: str, now: datetime) -> None:
        left = None
        try:
            self.make(scenario, author, now, self._note)
        except Exception as error:  # noqa: BLE001 - whatever it is, the page says so and the next may be made
            log.warning("A drill could not be made: %s", type(error).__name__)
            left = Making(author, problem="The drill could not be made. The server's log says more.")
        (self.folder / UNDER_WAY).unlink(missing_ok=True)
        self._making = left

    def _note(self, done: int, steps: int) -> None:
        if self._making is not None:
            self._making = replace(self._making, share=done / steps if steps else 0.0)

    def _write_down(self, author: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        said = json.dumps({"author": author, "by": this_process()})
        (self.folder / UNDER_WAY).write_text(said, encoding="utf-8")

    def _left_behind(self) -> Making | None:
        """Return what another process makes, or was making when it ended."""
        try:
            said = json.loads((self.folder / UNDER_WAY).read_text(encoding="utf-8"))
            author, by = str(said["author"]), str(said["by"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_over = by == this_process() or is_gone(by)  # in a container every server has the same name
        return Making(author, problem=INTERRUPTED if is_over else None)


def made_apart(settings: Settings, folder: Path = FOLDER, seed: int | None = None) -> Make:
    """Return what makes a drill in a process of its own, so that no page is slower for it.

    Parameters
    ----------
    settings, folder, seed
        As for `console.drills.start`.
    """

    def make(scenario: str | None, author: str, now: datetime, progress: Progress) -> str:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(
            target=_start, args=(there, settings, folder, scenario, author, now, seed), daemon=True
        )
        process.start()
        there.close()
        try:
            return _heard(here, progress)
        finally:
            here.close()
            process.join()

    return make


def _heard(pipe: Connection, progress: Progress) -> str:
    """Pass on how far it is until it says its id; `EOFError` if it ends without."""
    while True:
        said = pipe.recv()
        if isinstance(said, str):
            return said
        progress(*said)


def _start(
    pipe: Connection,
    settings: Settings,
    folder: Path,
    scenario: str | None,
    author: str,
    now: datetime,
    seed: int | None,
) -> None:
    from console import drills  # noqa: PLC0415 - only this process waits for what makes worlds to load

    begun = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - begun)

    def progress(done: int, steps: int) -> None:
        pipe.send((done, steps))

    drill = drills.start(settings, folder, scenario, author, clock, progress, seed)
    pipe.send(drill.drill_id)
