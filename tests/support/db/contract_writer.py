"""Writes sql/contract from the steps themselves (./dev contract), or says which file is stale (--check).

The steps run, as psql would run them, on a documented database that has nothing of what a step might find there. What
the catalog says after each and did not say before is what that step leaves. What the documented baseline has from the
start is marked as found: callctl answers for it only where it made it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import psycopg

from callctl.database.store import schema_sql
from callctl.files import read_sql, sql_root
from callctl.migration.steps.contract import STORE, facts_sql
from callctl.migration.steps.numbered import all_steps
from callctl.sandbox.lifecycle import create_database, fill
from callctl.sandbox.server import Server, start_server
from callctl.statements.naming import DOCUMENTED_SCHEMA

SCHEMAS = ((DOCUMENTED_SCHEMA, None), (STORE, None))
Object: TypeAlias = tuple[str, str, str]  # relation, kind, name
Catalog: TypeAlias = dict[Object, dict[str, str]]

# What a step adds where it does not find it, and the platform's own indexes on the columns that go.
BARE = """
  DROP FUNCTION chatapp.update_updated_at_column() CASCADE;
  ALTER TABLE chatapp.ai_models
    DROP COLUMN display_name, DROP COLUMN description, DROP COLUMN supports_audio, DROP COLUMN input_cost_per_token,
    DROP COLUMN output_cost_per_token, DROP COLUMN audio_cost_per_second_input,
    DROP COLUMN audio_cost_per_second_output, DROP COLUMN context_window, DROP COLUMN max_output_tokens;
  DROP INDEX chatapp.idx_chatbot_packages_chatbot_type, chatapp.idx_chatbots_chatbot_type;
"""
# What the migration relies on even in what it found.
ALWAYS = {f"function {DOCUMENTED_SCHEMA} update_updated_at_column()": ["returns", "sets updated_at"]}


def look(connection: psycopg.Connection[Any]) -> Catalog:
    """Every fact of the platform's schema and of callctl's."""
    catalog: Catalog = {}
    rows = connection.execute(facts_sql(SCHEMAS, SCHEMAS)).fetchall()
    for relation, kind, name, fact, value in rows:
        if fact in ("writes", "events", "callctl's owner"):  # of what others have added; of this database
            continue
        catalog.setdefault((relation, kind, name), {})[fact] = value
    return catalog


def contract(server: Server) -> dict[str, dict[str, Any]]:
    """The files of sql/contract by name, as the steps leave things on this server."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        for name in ("contract_found", "contract_bare"):
            create_database(admin, name)
            fill(server.url(name), "documented", rows=20)
    with psycopg.connect(server.url("contract_found"), autocommit=True) as db:
        objects = set(look(db))
    files: dict[str, dict[str, Any]] = {}
    with psycopg.connect(server.url("contract_bare"), autocommit=True) as db:
        db.execute(BARE)
        before = look(db)
        for sql in (schema_sql(), read_sql("store_keys.sql")):
            db.execute(sql)
        stages = [(0, "store"), *((step.number, step.name) for step in all_steps())]
        for number, name in stages:
            if number:
                for statement in all_steps()[number - 1].script("up").statements:
                    db.execute(statement.sql.encode())
            after = look(db)
            changed = _difference(before, after)
            if changed:
                files[f"{number:02}_{name}.json"] = _file(changed, objects - set(before))
            before = after
    return files


def _difference(before: Catalog, after: Catalog) -> dict[Object, dict[str, str] | None]:
    changed: dict[Object, dict[str, str] | None] = {}
    for key, facts in after.items():
        new = {name: value for name, value in facts.items() if before.get(key, {}).get(name) != value}
        if "type" in new:
            new["long values"] = facts["long values"]  # they go with the type
        if new:
            changed[key] = new
    changed.update({key: None for key in before if key not in after})
    return changed


def _file(changed: Mapping[Object, dict[str, str] | None], known: set[Object]) -> dict[str, Any]:
    objects: dict[str, Any] = {}
    kinds = ("schema", "table", "column", "constraint", "index", "trigger", "function")
    for key in sorted(changed, key=lambda key: (key[0], kinds.index(key[1]), key[2])):
        relation, kind, name = key
        facts = changed[key]
        objects.setdefault(relation, {}).setdefault(kind, {})[name] = facts and dict(sorted(facts.items()))
    was_there = {
        " ".join((kind, relation, name)): ALWAYS.get(" ".join((kind, relation, name)), [])
        for relation, kind, name in sorted(changed)
        if (relation, kind, name) in known and changed[relation, kind, name] and kind in ("column", "function")
    }
    return {"objects": objects, **({"found": was_there} if was_there else {})}


def text_of(content: Mapping[str, Any]) -> str:
    """A file's text: an object a line, so that a diff shows which have changed."""
    lines = ["{", '  "objects": {']
    for relation, kinds in content["objects"].items():
        lines.append(f"    {json.dumps(relation)}: {{")
        for kind, objects in kinds.items():
            lines.append(f"      {json.dumps(kind)}: {{")
            lines += [
                f"        {json.dumps(name)}: {json.dumps(facts, ensure_ascii=False)},"
                for name, facts in objects.items()
            ]
            lines[-1] = lines[-1].removesuffix(",")
            lines.append("      },")
        lines[-1] = lines[-1].removesuffix(",")
        lines.append("    },")
    lines[-1] = lines[-1].removesuffix(",")
    lines.append("  }" + ("," if "found" in content else ""))
    if "found" in content:
        lines.append(f'  "found": {json.dumps(content["found"])}')
    return "\n".join([*lines, "}"]) + "\n"


def stale(server: Server) -> dict[str, str | None]:
    """The files of sql/contract that are not what this server says, and their right text (None: there is none)."""
    right: dict[str, str | None] = {name: text_of(content) for name, content in contract(server).items()}
    directory = sql_root() / "contract"
    here = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.json")}
    wrong = {name: text for name, text in right.items() if here.get(name) != text}
    return wrong | {name: None for name in here if name not in right}


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    with start_server() as server:
        wrong = stale(server)
    directory: Path = sql_root() / "contract"
    if not check:
        for name, text in wrong.items():
            path = directory / name
            if text is None:
                path.unlink()
            else:
                path.write_text(text, encoding="utf-8")
    print(f"contract: {', '.join(sorted(wrong)) or 'nothing'} {'is stale' if check else 'written'}", file=sys.stderr)
    return 1 if check and wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
