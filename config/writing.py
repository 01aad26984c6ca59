"""Writes settings to YAML, for the ``--config`` of every command; no secret is in it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml

from config.reading import SECRETS
from config.settings import Settings


def write_settings(settings: Settings, path: Path, remark: str, without: Collection[str] = ()) -> None:
    """Write what differs from the defaults.

    Parameters
    ----------
    settings
        What to write.
    path
        The file; one that is there is replaced.
    remark
        Its first line.
    without
        Sections to leave out.
    """
    document = settings.model_dump(mode="json", exclude_defaults=True, exclude=set(without))
    for *sections, key in SECRETS.values():
        part = document
        for name in sections:
            part = part.get(name, {})
        part.pop(key, None)
    path.write_text(f"# {remark}\n{yaml.safe_dump(document)}", encoding="utf-8")
