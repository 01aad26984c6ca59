"""Reads settings from YAML, and secrets from the environment, with complaints that say where.

::

    SettingsError    every complaint is a sentence with the file, the line and the key
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.settings import Settings

DEFAULT_FILE = Path(__file__).with_name("prebuffer.yaml")
SECRETS = {
    "PREBUFFER_SENDGRID_API_KEY": ("channels", "sendgrid", "api_key"),
    "PREBUFFER_WEBHOOK_SECRET": ("channels", "webhook", "secret"),
    "PREBUFFER_LEDGER_PASSWORD": ("ledger", "password"),
    "PREBUFFER_LINK_SECRET": ("web", "link_secret"),
    "PREBUFFER_LINK_SECRETS_OLD": ("web", "link_secrets_old"),
    "PREBUFFER_TOKEN_SECRET": ("web", "token_secret"),
    "PREBUFFER_CONSOLE_CLIENT_SECRET": ("console", "client_secret"),
    "PREBUFFER_CONSOLE_PASSWORD": ("console", "password_hash"),
    "PREBUFFER_ALERT_URLS": ("alerts", "urls"),
}
"""Environment variables by name, and the setting that each one is. Secrets come from nowhere else."""
MAX_SHOWN = 60
"""Longest part of a wrong value that a complaint repeats."""

Key = tuple[str | int, ...]


class SettingsError(Exception):
    """The settings cannot be used; `problems` are sentences."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a settings file.

    Parameters
    ----------
    path
        A YAML file; the one that comes with Prebuffer if there is none.
    environment
        Environment variables, of which only those of `SECRETS` are read.

    Raises
    ------
    SettingsError
        If the file cannot be read, is not YAML, or has an unknown key or a wrong value.
    """
    path = path or DEFAULT_FILE
    document = Document.read(path)
    problems = [*document.duplicates(), *document.written_secrets()]
    if problems:
        raise SettingsError(problems)
    values = _with_secrets(document.values, environment or {})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(document.complaints(error)) from None


def _with_secrets(values: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    for variable, (*sections, key) in SECRETS.items():
        if environment.get(variable):
            section = values
            for name in sections:
                section = _section(section, name)
            section[key] = environment[variable]
    return values


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a section to put a secret into; one that is written wrongly is left for validation to refuse."""
    if values.get(name) is None:
        values[name] = {}
    section = values[name]
    return section if isinstance(section, dict) else {}


def text_of(path: Path) -> str:
    """Return what stands in a file, or raise `SettingsError`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path} is not UTF-8 text."]) from None


class Document:
    """A YAML file: its values, and the line on which each key stands."""

    def __init__(self, path: Path, node: yaml.Node | None, values: dict[str, Any]) -> None:
        self.path = path
        self.node = node
        self.values = values

    @classmethod
    def read(cls, path: Path) -> Document:
        """Parse a file, or raise `SettingsError`."""
        return cls.parse(path, text_of(path))

    @classmethod
    def parse(cls, path: Path, text: str) -> Document:
        """Parse the text of a file, or raise `SettingsError`."""
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            values = loader.construct_document(node) if node is not None else {}
        except yaml.YAMLError as error:
            raise SettingsError([_syntax_complaint(path, error)]) from None
        if not isinstance(values, dict):
            raise SettingsError([f"{path}, line 1: the settings must be sections with keys."])
        return cls(path, node, values)

    def where(self, key: Key) -> str:
        """Return the file and the line of `key`."""
        return f"{self.path}, line {self.line(key)}"

    def line(self, key: Key) -> int:
        """Return the line on which `key`, or the nearest section around it, stands."""
        lines = dict(_keys(self.node))
        return next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), 1)

    def duplicates(self) -> Iterator[str]:
        """Complain about keys that are written twice: YAML would silently take the last."""
        seen: set[Key] = set()
        for key, line in _keys(self.node):
            if key in seen:
                yield f"{self.path}, line {line}: {_name(key)} is set twice."
            seen.add(key)

    def written_secrets(self) -> Iterator[str]:
        """Complain about secrets that stand in the file."""
        written = {key for key, _ in _keys(self.node)}
        for variable, key in SECRETS.items():
            if key in written:
                yield f"{self.where(key)}: {_name(key)} is a secret: set {variable} in the environment."

    def complaints(self, error: ValidationError, model: type[BaseModel] | None = None) -> list[str]:
        """Return each validation error as a sentence, in the order of lines; `model` is what the keys may be."""
        in_order = sorted(error.errors(), key=lambda details: self.line(details["loc"]))
        return [self._complaint(details, model or Settings) for details in in_order]

    def _complaint(self, details: ErrorDetails, model: type[BaseModel]) -> str:
        key = details["loc"]
        if details["type"] == "extra_forbidden":
            return f"{self.where(key)}: {_name(key)} is not a setting. {_suggestion(key, model)}".rstrip()
        reason = details["msg"].removeprefix("Value error, ").rstrip(".")
        if isinstance(details["input"], dict | BaseModel):
            return f"{self.where(key)}: {_name(key) or 'the settings'}: {reason}."
        shown = repr(details["input"])[:MAX_SHOWN]
        return f"{self.where(key)}: {_name(key)} cannot be {shown}: {reason[:1].lower()}{reason[1:]}."


def _syntax_complaint(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    return f"{path}, line {mark.line + 1 if mark else 1}: this is not YAML: {problem}."


def _keys(node: yaml.Node | None, inside: Key = ()) -> Iterator[tuple[Key, int]]:
    """Walk over every key of a document with its line, from 1."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            key = (*inside, name.value)
            yield key, name.start_mark.line + 1
            yield from _keys(value, key)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*inside, index), value.start_mark.line + 1


def _name(key: Key) -> str:
    return ".".join(str(part) for part in key)


def _suggestion(key: Key, model: type[BaseModel]) -> str:
    close = get_close_matches(str(key[-1]), _fields_of(key[:-1], model), n=1)
    return f'Did you mean "{close[0]}"?' if close else ""


def _fields_of(section: Key, model: Any) -> list[str]:  # noqa: ANN401 - annotations of models are of any type
    for name in section:
        inner = model if isinstance(name, int) else model.model_fields[name].annotation
        model = next((it for it in get_args(inner) if isinstance(it, type) and issubclass(it, BaseModel)), inner)
    return list(getattr(model, "model_fields", {}))
