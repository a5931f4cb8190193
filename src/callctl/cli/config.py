"""callctl config"""

from __future__ import annotations

import typer

from callctl.cli import common
from callctl.cli.common import Wide

EPILOG = """
\b
  callctl config show      list every setting and its source
  callctl config check     check callctl.yaml
"""
SHOW_EPILOG = """
A value comes from the option, else the environment, else callctl.yaml, else the default. callctl shows no password
and no key: of keys it shows the ids and the places. It connects to no database. Options of one command, such as
--batch-size, are not seen here.

\b
Examples:
  callctl config show
  callctl config show --config staging.yaml --output json
"""
CHECK_EPILOG = """
callctl reads the file to its end and lists the first problem of each key. It connects to no database and reads no
key. Exit code 4 if there is a problem, or no file.

\b
Examples:
  callctl config check
  callctl config check --config staging.yaml     in CI
"""

app = typer.Typer(
    help="Show the settings and their sources, or check callctl.yaml.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="config")


@app.command(epilog=SHOW_EPILOG)
def show(context: typer.Context, wide: Wide = False) -> None:
    """List every setting, its value, and where the value came from."""
    common.answering()
    settings = common.settings_offline(context)
    from callctl.config.overview import overview
    from callctl.render import config as render_config

    given = common.given(context)
    render_config.shown(overview(given.options, settings, config=given.config), settings.output, wide=wide)


@app.command(epilog=CHECK_EPILOG)
def check(context: typer.Context) -> None:
    """Check callctl.yaml to its end, without a database."""
    common.answering()
    from callctl.config.overview import check_file
    from callctl.render import config as render_config

    checked = check_file(common.given(context).config)
    render_config.checked(checked, common.output())
    if checked.problems:
        raise typer.Exit(4)
