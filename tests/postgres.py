"""A PostgreSQL server of the tests' own: in a temporary folder, reached through a socket in it, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from incidents.ledger.schema import metadata
from incidents.ledger.store import Ledger

PATIENCE_S = 30.0
NOT_ROOT = "postgres"
"""Who runs the server where we are root, as whom it refuses to run; Debian's package makes this user."""
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "listen_addresses=")
"""It need not outlive a power cut. An empty list of addresses: it listens on no port."""
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


class Server:
    """A running server.

    Parameters
    ----------
    folder
        Where its socket is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = (f"test_{number}" for number in count(1))

    def url(self, database: str) -> str:
        """Return SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, hand out its URL, and drop it."""
        name = next(self.names)
        self.run(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def empty(self, url: str) -> None:
        """Cut who is still connected to a database, and take every row out: 2 ms, where a new one takes 80."""
        database = make_url(url).database
        self.run(CUT, database)
        self.run(";".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)), on=database)

    def run(self, statement: str, *values: str | None, on: str | None = "postgres") -> None:
        """Run a statement that may not be in a transaction."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname=on, autocommit=True) as connection:
            connection.execute(statement, values or None)


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, or None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextmanager
def serve(folder: Path, binaries: Path, *options: str) -> Iterator[Server]:
    """Run a server until the block ends, in an empty folder or in one that it ran in before; options as ``a=b``."""
    who = {"user": NOT_ROOT, "group": NOT_ROOT, "extra_groups": []} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, NOT_ROOT, NOT_ROOT)
    folder.chmod(0o755)
    data = folder / "data"
    make = [binaries / "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "-D", data]
    if not data.exists():
        subprocess.run([*make, "--locale=C.UTF-8"], cwd=folder, check=True, capture_output=True, **who)
    chosen = [part for option in (*FAST, *options) for part in ("-c", option)]
    command = [binaries / "postgres", "-D", data, "-k", folder, *chosen]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, **who)
    try:
        server = Server(folder)
        wait_for(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)


def wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.run("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"PostgreSQL did not start: {(server.folder / 'log').read_text()}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server, started when the first test wants it."""
    binaries = programs()
    if binaries is None:
        missing = "PostgreSQL is not installed: run `make browser`."
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    temporary = tempfile.TemporaryDirectory(prefix="prebuffer-", ignore_cleanup_errors=True)
    with temporary as folder, serve(Path(folder), binaries) as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres_url(postgres: Server) -> Iterator[str]:
    """A database with the newest tables, which tests have one after the other."""
    with postgres.database() as url:
        with Ledger(url) as ledger:
            ledger.upgrade()
        yield url


@pytest.fixture
def postgres_url(postgres: Server, shared_postgres_url: str) -> Iterator[str]:
    """A database with the newest tables and nothing in them; mark the test ``postgres``, and leave the tables be."""
    yield shared_postgres_url
    postgres.empty(shared_postgres_url)


@pytest.fixture
def empty_postgres_url(postgres: Server) -> Iterator[str]:
    """A database without tables."""
    with postgres.database() as url:
        yield url
