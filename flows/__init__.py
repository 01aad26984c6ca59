"""Prefect flows, thin: gather, decide, apply. The only folder that imports Prefect.

Prefect reads its settings when it is imported: whoever imports this package first is not reported on.
"""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
