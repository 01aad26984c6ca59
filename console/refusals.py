"""What went wrong with a command, in a sentence; it loads all that can go wrong, so only an error imports it."""

from __future__ import annotations

from config.pipeline import PipelineError
from config.reading import SettingsError
from incidents.cases import CaseError
from incidents.ledger.leases import LedgerError
from notifiers.alerts import AlertError
from notifiers.errors import ChannelError
from notifiers.language import CatalogueError
from notifiers.rollout import RolloutError
from notifiers.stops import StopError
from telemetry.errors import TelemetryError

REFUSALS = (
    PipelineError,
    TelemetryError,
    LedgerError,
    CaseError,
    StopError,
    RolloutError,
    AlertError,
    CatalogueError,
    ChannelError,
)
"""What the libraries raise when they cannot do what was asked; their messages are sentences."""
FAILED, WRONG_USE = 1, 2
SHOW_IT = "To see where, run it again as: prebuffer --traceback ..."


def explained(error: Exception) -> tuple[str, int]:
    """Return the sentence to show, and the code that the command ends with."""
    if isinstance(error, SettingsError):
        return str(error), WRONG_USE
    if isinstance(error, REFUSALS):
        return str(error), FAILED
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", FAILED
    return f"This is a fault in Prebuffer ({type(error).__name__}). {SHOW_IT}", FAILED
