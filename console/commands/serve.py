"""``prebuffer serve``: run the schedules."""

from __future__ import annotations

import os
import sys

from console.arguments import ConfigOption
from console.opening import settings_of
from console.output import complain


def serve(config: ConfigOption = None) -> None:
    """Register the schedules on a Prefect server and run them until interrupted.

    The server is that of PREFECT_API_URL; where that is not set, one is started here and ends with this
    command. When interrupted, the schedules are paused; the next start resumes them and catches up.

    Examples:
        prebuffer serve

        PREFECT_API_URL=http://prefect.example.com:4200/api prebuffer serve --config my.yaml
    """
    settings = settings_of(config)
    complain(f"Serving a run every {settings.schedules.step}; stop with Ctrl-C.")
    options = [] if config is None else ["--config", str(config)]
    os.execv(sys.executable, [sys.executable, "-m", "flows.serve", *options])  # noqa: S606 - our own module
