"""The repository itself: whose packages these are, what is pinned, what is documented, what is absent."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from config.reading import SECRETS
from config.settings import Settings
from console.commands import COMMANDS, load
from data.scenarios import SCENARIOS
from incidents.model import Cause
from notifiers.model import WithheldReason
from telemetry.contract import Signal
from telemetry.quarantine import QuarantineReason

PACKAGES = (
    "telemetry",
    "detectors",
    "incidents",
    "notifiers",
    "config",
    "flows",
    "console",
    "templates",
    "data",
)
LOCKS = ("run", "dev")
MOST_ROOT_ENTRIES = 20
REGISTRIES = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "yarn" + "pkg.com",
)
MACHINES = ("/ro" + "ot/", "/ho" + "me/", "/o" + "pt/", "/wo" + "rk/", "/tm" + "p/w/")
"""Written in pieces, so that this file holds none of them."""


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        pytest.skip("This is not a Git checkout.")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_are_ours(name: str, root: Path) -> None:
    file = importlib.import_module(name).__file__
    assert file is not None
    assert Path(file).is_relative_to(root)


def test_the_root_is_easy_to_survey(tracked: list[Path], root: Path) -> None:
    entries = {path.relative_to(root).parts[0] for path in tracked}
    assert len(entries) <= MOST_ROOT_ENTRIES, sorted(entries)


def test_no_file_names_a_registry_or_a_machine(tracked: list[Path], root: Path) -> None:
    found = [
        (path.relative_to(root).as_posix(), word)
        for path in tracked
        for word in REGISTRIES + MACHINES
        if word.encode() in path.read_bytes()
    ]
    assert found == []


def test_no_large_or_generated_file_is_tracked(tracked: list[Path]) -> None:
    assert [path.name for path in tracked if path.stat().st_size > 600_000] == []
    assert [path.name for path in tracked if path.suffix in {".duckdb", ".db", ".pyc", ".whl"}] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_installed_is_pinned_with_a_hash(lock: str, root: Path) -> None:
    text = (root / "requirements" / f"{lock}.lock").read_text()
    requirements = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(requirements) > 50
    assert [it for it in requirements if not re.match(r"[a-z0-9._-]+==[^\s;]+", it)] == []
    assert [it for it in requirements if "--hash=sha256:" not in it] == []


def test_the_locks_agree_and_hold_what_the_project_needs(root: Path) -> None:
    pins = [
        set(re.findall(r"^([a-z0-9._-]+==\S+)", (root / f"requirements/{it}.lock").read_text(), re.M)) for it in LOCKS
    ]
    assert pins[0] <= pins[1]
    project = (root / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    wanted = {name.lower() for name in re.findall(r'"([A-Za-z0-9_-]+)', project)}
    assert wanted <= {pin.split("==")[0] for pin in pins[0]}


@pytest.fixture(scope="session")
def documents(root: Path) -> str:
    guides = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    return "\n".join(guide.read_text(encoding="utf-8") for guide in guides)


def commands() -> Iterator[str]:
    for name in COMMANDS:
        parts = getattr(load(name), "commands", {})
        yield from (f"prebuffer {name} {part}" for part in parts) if parts else [f"prebuffer {name}"]


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        is_section = isinstance(inner, type) and issubclass(inner, BaseModel)
        yield from settings(inner, f"{prefix}{name}.") if is_section else [f"{prefix}{name}"]


def flows(root: Path) -> Iterator[str]:
    for path in sorted((root / "flows").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield from (node.name for it in node.decorator_list if ast.unparse(it).startswith("flow"))


def test_every_command_is_documented(documents: str) -> None:
    named = list(commands())
    assert len(named) >= 30
    assert [name for name in named if not re.search(rf"{name}\b", documents)] == []


def test_every_setting_is_documented(documents: str) -> None:
    assert [name for name in settings(Settings) if f"`{name}`" not in documents] == []
    assert [name for name in SECRETS if name not in documents] == []


def test_every_flow_is_documented(documents: str, root: Path) -> None:
    named = list(flows(root))
    assert "pipeline" in named
    assert [name for name in named if f"| `{name}` |" not in documents] == []


def test_every_detector_is_documented(documents: str) -> None:
    registry = pytest.importorskip("detectors.registry", reason="There is no registry of detectors yet.")
    assert [name for name in registry.DETECTORS if f"`{name}`" not in documents] == []


@pytest.mark.parametrize("codes", [Signal, Cause, WithheldReason, QuarantineReason], ids=lambda it: it.__name__)
def test_every_code_that_people_meet_is_documented(codes: Any, documents: str) -> None:
    assert [code.value for code in codes if f"`{code.value}`" not in documents] == []


def test_every_scenario_is_documented(documents: str) -> None:
    assert [name for name in SCENARIOS if f"| `{name}` |" not in documents] == []


def test_links_between_documents_lead_somewhere(tracked: list[Path]) -> None:
    broken = [
        (path.name, link)
        for path in tracked
        if path.suffix == ".md"
        for link in re.findall(r"\]\(([^)#:\s]+)\)", path.read_text(encoding="utf-8"))
        if not (path.parent / link).exists()
    ]
    assert broken == []


def test_decisions_are_numbered_and_short(root: Path) -> None:
    decisions = sorted((root / "docs" / "decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    assert [path.name for path in decisions if len(path.read_text(encoding="utf-8").split()) > 400] == []


def test_every_target_of_the_makefile_says_what_it_does(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    assert set(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE)) == targets
