"""The reference pages that are read off the SQL files: the steps, the checks, callctl's own schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from sqlglot import exp

from callctl.events import Direction
from callctl.files import sql_names
from callctl.migration.steps.contract import expected_of
from callctl.migration.steps.numbered import ARCHIVED, SHADOWED, Step, all_steps, parts, shadow_file
from callctl.statements.script import Script, Statement, load_script, tree
from callctl.tenants.call_settings import Field, load_schema

_HOW = {
    "batched": "in batches, a commit each",
    "again": "again in the last transaction",
    "commit": "then a commit",
    "rewrites": "rewrites the table",
    "no-transaction": "by itself, outside a transaction",
    "generated": "each statement that this query returns",
    "repeatable": "also by `migrate adopt`",
}
_DIRECTIONS: tuple[Direction, ...] = ("up", "down")


# ---- steps ---------------------------------------------------------------------------------------------


def steps(generated: str) -> str:
    lines = [
        "# Steps",
        "",
        generated,
        "The steps, as the comments at the top of their files tell them. *Specification* and line",
        "numbers such as L104 mean the platform's own document, which callctl carries out. The files are the",
        "whole truth; `callctl migrate plan --sql` prints them in the names of your database. `up.sql` and `down.sql`",
        "hold the step's own statements; the files beside them what callctl saves, proves and restores. They run in",
        "the order shown. Statements without a remark share a transaction with their neighbours, across files too.",
        "",
        "| step | name | up | down |",
        "|---|---|---|---|",
    ]
    for step in all_steps():
        counts = " | ".join(_counted(step.script(way)) for way in _DIRECTIONS)
        lines.append(f"| [{step.number}](#{_anchor(step)}) | `{step.name}` | {counts} |")
    for step in all_steps():
        lines += ["", f"## {_title(step)}"]
        for way in _DIRECTIONS:
            for name in _files(step, way):
                script = load_script(name)
                file = name.rpartition("/")[2]
                title = f"**{way.capitalize()}** (`{name}`)." if file == f"{way}.sql" else f"`{file}`:"
                lines += ["", f"{title} {' '.join(_header(script))}", ""]
                lines += [_statement(statement) for statement in script.statements] or ["- nothing to run"]
    return "\n".join(lines) + "\n"


def _files(step: Step, way: Direction) -> tuple[str, ...]:
    """The files of a step in this direction, and the one of its other way."""
    other = (shadow_file(step.directory),) if (step.number, way) == (SHADOWED, "down") else ()
    back = (f"{step.directory}/return.sql",) if way == "up" and step.number in ARCHIVED else ()
    return (*parts(step.directory, way), *other, *back)


def _title(step: Step) -> str:
    return f"{step.number} {step.name}"


def _anchor(step: Step) -> str:
    return _title(step).replace(" ", "-")


def _counted(script: Script) -> str:
    number = len(script.statements)
    return f"{number} statement" if number == 1 else f"{number} statements"


def _header(script: Script) -> Iterator[str]:
    """The comment lines at the top of a file, as sentences: 'Step 4 down, before: …' loses its number."""
    for line in script.text.splitlines():
        if not line.startswith("--"):
            return
        text = line.removeprefix("--").strip()
        yield re.sub(r"^Step \d+( down)?(, (before|after))?[.:] *", "", text)


def _statement(statement: Statement) -> str:
    if statement.check is not None:
        return f"- check `{statement.check.id}`: {statement.check.sentence}"
    code = statement.summary.replace("`", "'")
    how = ", ".join(_HOW[directive] for directive in _HOW if directive in statement.directives)
    return f"- `{code}`" + (f" ({how})" if how else "")


# ---- checks --------------------------------------------------------------------------------------------


def checks(generated: str) -> str:
    lines = [
        "# Checks",
        "",
        generated,
        "A check is a query for offenders: no rows is a pass. The sentence says what is true when it passes.",
        "One that only *warns* is reported and fails nothing.",
        "",
        "Each says in its report what a failure means for customers, and how to fix it.",
        "",
        "## Of the catalog",
        "",
        "What the applied steps leave in the catalog, object by object ([what is compared](../explanation/verify.md)).",
        "The objects of a step are also compared at its end, in its last transaction (`step-N-contract`).",
        "",
        *_contract(),
        "",
        "## Of a step",
        "",
        "They run at the end of their step, in its last transaction, and again in every `callctl verify`.",
        "",
        *_table((step.number, load_script(f"{step.directory}/verify.sql")) for step in all_steps()),
        "",
        "## Of every row",
        "",
        "`callctl verify` runs these too, once the steps that they are about are applied.",
        "",
        *_table((_when(script), script) for script in map(load_script, sql_names("verify"))),
        "",
        "## Inside a step",
        "",
        "They are in the step's own files, where continuing would lose data. A failed check stops the step.",
        "",
        *_table(
            (step.number, load_script(name))
            for step in all_steps()
            for way in _DIRECTIONS
            for name in _files(step, way)
        ),
    ]
    return "\n".join(lines) + "\n"


def _contract() -> Iterator[str]:
    """A row a check of the catalog, as the whole migration leaves it; `store` is callctl's own schema."""
    yield "| steps | check | objects |"
    yield "|---|---|---|"
    objects = sorted(expected_of(range(1, len(all_steps()) + 1)), key=lambda expected: expected.check)
    for check, group in groupby(objects, key=lambda expected: expected.check):
        listed = list(group)
        steps = ", ".join(str(step) for step in sorted({expected.step for expected in listed} - {0}))
        gone = [f"`{expected.name}` gone" for expected in listed if expected.facts is None]
        names = [f"`{expected.name}`" for expected in listed if expected.facts is not None]
        summary = f"{len(names)} of callctl's own schema" if not steps else ", ".join([*names, *gone])
        yield f"| {steps} | `{check}` | {summary} |"
    every = f"1-{len(all_steps())}"
    added = "nothing but callctl's own is in its schema, on its tables, or refers to them from another schema"
    yield f"| | `store-additions` | {added} |"
    yield "| | `store-writes` | no trigger or rule but callctl's own is on its tables |"
    yield f"| {every} | `writes-kept` | no trigger or rule keeps the platform's rows from being inserted or updated |"
    yield f"| {every} | `deletes-kept` *(warns)* | no trigger or rule keeps the platform's rows from being deleted |"
    yield f"| {every} | `writes-unknown` *(warns)* | the text of every trigger there says that it keeps the row |"
    yield "| 9-11 | `additions` *(warns)* | nothing was added to the three new tables |"
    yield "| 9-11 | `additions-swallow` | nothing that was added to them may keep a row from being written |"


def _when(script: Script) -> str:
    """Which steps must be applied for a file's checks to be asked, and which must not be."""
    pending = script.header.get("pending")
    return script.header.get("steps", "") + (f", until {pending}" if pending else "")


def _table(scripts: Iterable[tuple[object, Script]]) -> Iterator[str]:
    yield "| steps | check | what is true when it passes | file |"
    yield "|---|---|---|---|"
    for steps, script in scripts:
        for check in (statement.check for statement in script.statements):
            if check is not None:
                sentence = _cell(check.sentence) + (" *(warns)*" if check.warns else "")
                yield f"| {steps} | `{check.id}` | {sentence} | `{script.name}` |"


# ---- callctl's own schema --------------------------------------------------------------------------------


def store_schema(generated: str) -> str:
    lines = [
        "# The store",
        "",
        generated,
        "What callctl keeps in the schema `callctl` of the database it works on, as the files of `sql/store` make it",
        "and say in their own `COMMENT ON`. Look at it as you like; let callctl write. Between a down and",
        "the next up the tables `integration_accounts`, `calls` and `call_transcripts` live there, too.",
    ]
    for name in sql_names("store"):
        lines += _store_subject(load_script(name))
    return "\n".join(lines) + "\n"


def _store_subject(script: Script) -> list[str]:
    """One file of ``sql/store``: what its objects are for, its tables, its functions."""
    comments = dict(_comments(script.text))
    subject = Path(script.name).stem.partition("_")[2].replace("_", " ").capitalize()
    head = script.text.partition("\n\n")[0]
    lines = ["", f"## {subject}", "", f"`sql/{script.name}`", ""]
    lines += [line.removeprefix("--").strip() for line in head.splitlines()]
    for table in _tables(script):
        name = table.this.name
        lines += ["", f"### {name}", "", f"{comments[f'callctl.{name}']}.", ""]
        lines += ["| column | type | holds |", "|---|---|---|"]
        for column in table.find_all(exp.ColumnDef):
            kind = column.args["kind"].sql(dialect="postgres").lower()
            says = _cell(comments[f"callctl.{name}.{column.name}"])
            lines.append(f"| `{column.name}` | {kind}{_nullable(column, table)} | {says} |")
    functions = [(name.removeprefix("callctl."), text) for name, text in comments.items() if "(" in name]
    if functions:
        lines += ["", "| function or procedure | does |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(text)} |" for name, text in functions]
    return lines


def _tables(script: Script) -> Iterator[exp.Schema]:
    for statement in script.statements:
        node = tree(statement.sql)
        if statement.kind == "create table" and isinstance(node, exp.Create):
            assert isinstance(node.this, exp.Schema), f"{statement.place} lists no columns"
            yield node.this


def _nullable(column: exp.ColumnDef, table: exp.Schema) -> str:
    kinds = (exp.NotNullColumnConstraint, exp.PrimaryKeyColumnConstraint)
    if any(isinstance(constraint.kind, kinds) for constraint in column.constraints):
        return ""
    keys = {name.name for key in table.find_all(exp.PrimaryKey) for name in key.expressions}
    return "" if column.name in keys else ", may be NULL"


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """What each COMMENT ON is about, as it names it, and what it says."""
    pattern = r"(?m)^COMMENT ON (?:TABLE|COLUMN|FUNCTION|PROCEDURE) ([\w.]+(?:\([^)]*\))?) IS\s+'((?:[^']|'')*)'"
    for name, words in re.findall(pattern, text):
        yield name, words.replace("''", "'")


# ---- call settings -------------------------------------------------------------------------------------


def call_settings(generated: str) -> str:
    schema = load_schema()
    lines = [
        "# Call settings",
        "",
        generated,
        "The allowed contents of `chatbots.settings.call`, from `sql/call-settings.schema.json` (JSON Schema, for an",
        "application to use as it is). Step 12 and `callctl settings init` write the defaults; `callctl verify` and",
        "`callctl settings check` hold every call-enabled chatbot against it. A field that is absent takes its",
        "default.",
        "",
        "| field | type | allowed | default | is |",
        "|---|---|---|---|---|",
    ]
    for field in schema.fields:
        if field.kind != "object":
            default = json.dumps(field.default, ensure_ascii=False, default=str).strip('"')
            if not isinstance(field.default, str):
                default = str(field.default).lower()
            name = f"`{field.name}`" + (" *(required)*" if field.required else "")
            lines.append(f"| {name} | {field.kind} | {_cell(_allowed(field))} | `{default}` | {field.description} |")
    lines += ["", "A voice must be one of its provider's, where those are known:", ""]
    lines += [f"- {name}: {', '.join(f'`{voice}`' for voice in voices)}" for name, voices in schema.voices.items()]
    lines += [f"- {name}: no list, so nothing is checked" for name in schema.unlisted]
    return "\n".join(lines) + "\n"


def _allowed(field: Field) -> str:
    if field.low is not None:
        return f"{field.low} to {field.high}"
    if field.one_of:
        return ", ".join(f"`{value}`" for value in field.one_of)
    if field.longest is not None:
        return f"at most {field.longest} characters"
    return f"`{field.pattern}`" if field.pattern is not None else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES: dict[str, Callable[[str], str]] = {
    "steps.md": steps,
    "checks.md": checks,
    "store-schema.md": store_schema,
    "call-settings.md": call_settings,
}
