"""Write the next migration from what changed in the schema.

Run ``python -m incidents.ledger.migrations "What changed"`` and read what it wrote before committing it.
"""

from __future__ import annotations

import sys
from tempfile import TemporaryDirectory

from alembic import command

from incidents.ledger.migrating import migrations
from incidents.ledger.store import Ledger

if __name__ == "__main__":
    with TemporaryDirectory() as folder, Ledger(f"sqlite:///{folder}/ledger.db") as ledger:
        ledger.upgrade()
        with ledger.write() as connection:
            command.revision(migrations(connection), sys.argv[1], autogenerate=True)
