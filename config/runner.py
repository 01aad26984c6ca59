"""Who runs: a name for a lease, and whether the process behind a name is gone."""

from __future__ import annotations

import os
import socket


def this_process() -> str:
    """Return the name under which this process leases windows: its host and process id."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}"


def is_gone(owner: str) -> bool:
    """Whether `owner` is a process of this host that no longer lives; of other hosts nothing is known."""
    host, _, process_id = owner.rpartition(":")
    if host != socket.gethostname()[:40] or not process_id.isdigit():
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
