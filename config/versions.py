"""Which settings and which code something was made with."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

from config.settings import Settings

PACKAGES = ("telemetry", "detectors", "incidents", "notifiers", "config", "console")
CODE = (".py", ".sql")
DIGITS = 12


def settings_hash(settings: Settings) -> str:
    """Return a checksum of all settings; secrets are stars in it, so it tells nothing of them."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()


@cache
def code_version() -> str:
    """Return the version of Prebuffer, and a checksum of its code: two that differ in a line differ here."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path, text in sorted(_sources(files(package), package)):
            digest.update(path.encode() + b"\0" + text + b"\0")
    return f"{version('prebuffer')}+{digest.hexdigest()[:DIGITS]}"


def _sources(folder: Traversable, name: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for item in folder.iterdir():
        path = f"{name}/{item.name}"
        if item.is_dir() and not item.name.startswith(("_", ".")):
            found.extend(_sources(item, path))
        elif item.name.endswith(CODE):
            found.append((path, item.read_bytes()))
    return found
