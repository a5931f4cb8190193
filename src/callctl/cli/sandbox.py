"""callctl sandbox"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.render import console as render
from callctl.render import sandbox as render_sandbox
from callctl.sandbox.lifecycle import BASELINES, Baseline

EPILOG = """
The sandbox is callctl's own PostgreSQL, without a network port. It ignores DATABASE_URL and PG*.

\b
Example:
  callctl sandbox start --baseline deployed --rows 10000
  export CALLCTL_DATABASE_URL="$(callctl sandbox url)"
  callctl migrate up && callctl verify
  callctl sandbox psql
  callctl sandbox reset
  callctl sandbox stop
"""

PSQL_EPILOG = """
callctl passes every argument on to psql, and psql's exit code is the exit code of the command. The address of the
sandbox is in psql's environment. If an argument is also an option of callctl (--output), write -- before it.

\b
Example:
  callctl sandbox psql -c 'SELECT count(*) FROM chatapp.chatbots'
"""

SCHEMAS = " or ".join(f"{baseline.name} ({baseline.described})" for baseline in BASELINES)

app = typer.Typer(
    help="Run a throw-away database to try the commands on.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="sandbox")


@app.command()
def start(
    context: typer.Context,
    baseline: Annotated[
        Baseline | None,
        typer.Option(metavar="BASELINE", help=f"Schema to start from: {SCHEMAS} [default: documented]."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=20, max=10_000_000, metavar="N", help="Number of chatbots, 20 to 10,000,000 [default: 1000]."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000_000, metavar="N", help="Seed of the generated rows [default: 1]."),
    ] = None,
    with_refused_shapes: Annotated[
        bool | None,
        typer.Option("--with-refused-shapes", help="Also generate settings that the migration refuses to change."),
    ] = None,
) -> None:
    """Start the sandbox and print its URL. It runs until callctl sandbox stop."""
    settings = common.settings_offline(context)
    from callctl.sandbox import lifecycle as sandbox

    sandbox.ignore_environment()
    running, new = sandbox.start(
        baseline,
        rows=rows,
        seed=seed,
        refused_shapes=with_refused_shapes,
    )
    state = "is ready" if new else "is already there"
    description = f"{running.baseline} schema, {running.rows} chatbots, PostgreSQL {running.version}"
    render.note(f"The sandbox {state}: {description}")
    render_sandbox.sandbox(running, settings.output)


@app.command()
def stop(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the data for the next start.")] = False,
) -> None:
    """Stop the sandbox and delete it."""
    common.settings_offline(context)
    from callctl.sandbox import lifecycle as sandbox

    sandbox.ignore_environment()
    if not sandbox.stop(keep=keep):
        render.note("There is no sandbox")
    else:
        render.note("The sandbox is stopped; its data is kept" if keep else "The sandbox is stopped and deleted")


@app.command()
def url(context: typer.Context) -> None:
    """Print the URL of the running sandbox."""
    common.answering()
    settings = common.settings_offline(context)
    from callctl.sandbox import lifecycle as sandbox

    sandbox.ignore_environment()
    render_sandbox.sandbox(sandbox.current(), settings.output)


@app.command(
    epilog=PSQL_EPILOG,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def psql(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENT", help="Arguments of psql, such as -c 'SELECT 1' or -f FILE."),
    ] = None,
) -> None:
    """Run PostgreSQL's psql on the sandbox."""
    common.settings_offline(context)
    from callctl.sandbox import lifecycle as sandbox

    sandbox.ignore_environment()
    sandbox.become_psql(arguments or [])


@app.command()
def reset(context: typer.Context) -> None:
    """Reset the sandbox's database to its first state."""
    settings = common.settings_offline(context)
    from callctl.sandbox import lifecycle as sandbox

    sandbox.ignore_environment()
    running = sandbox.reset()
    render.note("The sandbox is reset to its first state")
    render_sandbox.sandbox(running, settings.output)
