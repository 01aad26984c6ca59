"""Lines of a text file, plain or gzipped, however broken: nothing is skipped, and damage is remembered."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path


class LineReader:
    """Iterates over a file's lines as ``(number, text)``, the newline included; numbers start at 1.

    Bytes that are not UTF-8 become U+FFFD. After the iteration `damage` is a sentence if the file ended
    early.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: str | None = None

    def __iter__(self) -> Iterator[tuple[int, str]]:
        try:
            with gzip.open(self.path) if self.path.suffix == ".gz" else self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    text = line.decode("utf-8", errors="replace")
                    yield number, text.removeprefix("\ufeff") if number == 1 else text
        except (EOFError, gzip.BadGzipFile, zlib.error):
            self.damage = "the gzip stream ends early or is corrupt; what came before is kept"
