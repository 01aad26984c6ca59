"""Notes who is still here, aside: no page, and no connection of a browser, waits for a writer of the ledger."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Lock

from sqlalchemy.exc import SQLAlchemyError

from console.support import sessions
from console.support.sessions import Session
from incidents.ledger.store import Ledger

log = logging.getLogger("prebuffer.console")


class Presence:
    """Writes down when people were last seen, in one transaction for all who came while the one before waited.

    Parameters
    ----------
    ledger
        Where sessions are.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="presence")
        self._lock = Lock()
        self._seen: dict[Session, datetime] = {}

    def note(self, session: Session, now: datetime) -> None:
        """Note that somebody is here now."""
        with self._lock:
            is_idle = not self._seen
            self._seen[session] = now
        if is_idle:
            self._thread.submit(self._write)

    def _write(self) -> None:
        try:
            with self.ledger.write() as connection:
                with self._lock:
                    seen, self._seen = self._seen, {}
                for session, now in seen.items():
                    sessions.seen(connection, session, now)
        except SQLAlchemyError as error:
            log.warning("It could not be noted who is here: %s", type(error).__name__)
            with self._lock:
                self._seen.clear()
