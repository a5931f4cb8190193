"""callctl code-refs"""

from __future__ import annotations

from typing import Annotated

import typer

from callctl.cli import common
from callctl.errors import Code, UsageError

EPILOG = """
callctl reads TypeScript, JavaScript, Vue, Svelte, HTML, Python, SQL, GraphQL, Prisma, JSON and YAML below each
PATH: the files that git tracks and does not ignore, or without git all but dependencies and build output. It
finds every spelling of the name (chatbotType, chatbot_type, CHATBOT_TYPE, chatbot-type, …) in code, strings and
SQL, and imports of the symbol under another name. It leaves out comments and longer names such as chatbotTypes.

\b
A comment on the same line, or alone on the line above, excludes a line:
  bot.chatbotType  // callctl: allow - read by the old reports until May

Exit code 3 if a reference is found, if a source file or directory could not be read, or if there is no file to
read. Needs no database.

\b
Examples:
  callctl code-refs src
  callctl code-refs --github apps packages       in a GitHub workflow
  callctl code-refs --exclude 'migrations/*' --comments .
"""


def register(app: typer.Typer) -> None:
    app.command("code-refs", epilog=EPILOG)(code_refs)


def code_refs(
    context: typer.Context,
    path: Annotated[list[str], typer.Argument(metavar="PATH", help="File or directory.", show_default=False)],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Column to look for, in any spelling; repeatable [default: chatbot_type]."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files and directories that match; repeatable."),
    ] = None,
    comments: Annotated[bool, typer.Option("--comments", help="Also list references in comments.")] = False,
    related: Annotated[
        bool, typer.Option("--related", help="Also list longer names that contain the column's name.")
    ] = False,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for a GitHub workflow.")] = False,
) -> None:
    """List the places in a source tree that name the type column, which steps 5 and 6 drop."""
    common.answering()
    import os

    settings = common.settings_offline(context)
    if github and settings.output != "text":
        raise UsageError(
            Code.OPTIONS_CONFLICT,
            f"--github and --output {settings.output} cannot be combined",
            hint="give only one of the two options",
        )
    from callctl.coderefs import search as use_case
    from callctl.render import coderefs as render_code_refs

    answer = use_case.code_refs(path, columns=column or (use_case.COLUMN,), exclude=exclude or ())
    shown = [
        reference
        for reference in answer.references
        if (comments or reference.kind != "comment") and (related or not reference.related)
    ]
    render_code_refs.warnings(answer)
    if github:
        render_code_refs.github(answer, shown, os.environ.get("GITHUB_WORKSPACE") or os.getcwd())  # noqa: PTH109
    else:
        render_code_refs.code_refs(answer, shown, settings.output)
    if not answer.clear:
        raise typer.Exit(3)
