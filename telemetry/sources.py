"""Which files are to be read, as which table, and how a file is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from telemetry.adapters import adapter_for, adapter_named
from telemetry.adapters.reading import Adapter
from telemetry.contract import CONTACTS, PLAYBACK, SUBSCRIBERS, TABLES, Table
from telemetry.errors import SourceNotFoundError, UnknownFormatError

CONTRACT = hashlib.sha256(repr(sorted(TABLES.items())).encode()).hexdigest()[:16]
"""Fingerprint of the contract: under another one a file is judged again."""


@dataclass(frozen=True)
class Source:
    """One file, the table that it holds rows of, and the adapter that reads it."""

    path: Path
    table: Table
    adapter: Adapter

    @cached_property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    @cached_property
    def modified_ns(self) -> int:
        """When the file was last written, in nanoseconds since 1970."""
        return self.path.stat().st_mtime_ns

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes: the same file is known again under any name."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_sources(path: Path, table: str | None = None, file_format: str | None = None) -> list[Source]:
    """List the files to read at `path`, in the order of their names; people before playback.

    Parameters
    ----------
    path
        A file, a folder of files, or a world (``playback/``, ``subscribers.*``, ``contacts.*``; nothing else
        in it is looked at).
    table
        ``playback``, ``subscribers`` or ``contacts``; None to tell by the file's name.
    file_format
        Name of an adapter; None to tell by the file's name.

    Raises
    ------
    SourceNotFoundError
        If there is nothing to read.
    UnknownFormatError
        If the format, or that of a single file, is not known.
    """
    if not path.exists():
        raise SourceNotFoundError(f"There is nothing at {path}.")
    if path.is_file():
        return [_source(path, table, file_format)]
    sources = [_source(file, table, file_format) for file in _files(path) if file_format or adapter_for(file)]
    if not sources:
        raise SourceNotFoundError(f"There is no file in {path} that any adapter reads.")
    return sources


def _source(path: Path, table: str | None, file_format: str | None) -> Source:
    adapter = adapter_named(file_format) if file_format else adapter_for(path)
    if adapter is None:
        raise UnknownFormatError(f"No adapter reads {path.name}; name the format, or use a known suffix.")
    return Source(path, TABLES[table] if table else _table(path), adapter)


def _table(path: Path) -> Table:
    if path.parent.name == PLAYBACK.name:
        return PLAYBACK
    return next((table for table in (SUBSCRIBERS, CONTACTS) if path.name.startswith(table.name)), PLAYBACK)


def _files(folder: Path) -> Iterator[Path]:
    playback = folder / PLAYBACK.name
    if not playback.is_dir():
        yield from _plain_files(folder, "*")
        return
    for table in (SUBSCRIBERS, CONTACTS):
        yield from _plain_files(folder, f"{table.name}.*")
    yield from _plain_files(playback, "*")


def _plain_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
