"""What this folder raises; every message is a sentence.

TelemetryError
├── SourceNotFoundError   nothing is at the path, or nothing there can be read
├── UnknownFormatError    no adapter reads such a file
├── UnreadableFileError   a file ends early or is not what its name says (ingest quarantines it and goes on)
└── WarehouseBusyError    another process has the warehouse open
"""


class TelemetryError(Exception):
    """Anything that telemetry refuses to do."""


class SourceNotFoundError(TelemetryError):
    """Nothing is at the path, or nothing there can be read."""


class UnknownFormatError(TelemetryError):
    """No adapter reads such a file."""


class UnreadableFileError(TelemetryError):
    """A file ends early or is not what its name says."""


class WarehouseBusyError(TelemetryError):
    """Another process has the warehouse open."""
