"""callctl doctor"""

from __future__ import annotations

import typer

from callctl.cli import common

EPILOG = """
callctl looks at the server, at a pooler in front of it, at the role, the clocks, PostgreSQL's client programs, the
disk space of the current and the temporary directory, and the keys. It reads the keys and shows none. Whether the
steps can run is for callctl preflight.

Exit code 3 if a line fails: then some command cannot work. A line that warns or is unknown does not change it.

\b
Examples:
  callctl doctor
  callctl doctor --output json
"""


def register(app: typer.Typer) -> None:
    app.command("doctor", epilog=EPILOG)(doctor)


def doctor(context: typer.Context) -> None:
    """Check programs, server, role, clock, disk and keys, and say what to do. Changes nothing."""
    common.answering()
    settings = common.settings(context)
    from callctl.database.connection import connect
    from callctl.doctor.examination import examine
    from callctl.render import doctor as render_doctor

    examined = examine(settings, lambda: connect(settings))
    render_doctor.examined(examined, settings.output)
    if any(part.level == "fails" for part in examined):
        raise typer.Exit(3)
