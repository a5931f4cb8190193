"""Every way to break one attribute of one object of the catalog, generated from the catalog itself.

``broken_objects`` looks at what a migrated database has and the database before it had not, without asking callctl, and
gives for each such object the statements that change one thing about it: gone, renamed, and each attribute another one.
``broken_store`` does the same for callctl's own schema, owners and rights included.
``broken_guards`` lets wrong rows in, keeps right ones out, lays secrets open, and adds what does not belong there.
``TUNED`` are changes that a good administrator may make, which verify must let pass.
"""

# ruff: noqa: E501 - each mutation is one line of SQL.

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias
from zlib import crc32

import psycopg

Connection: TypeAlias = psycopg.Connection[Any]
Known: TypeAlias = frozenset[tuple[str, str, str]]  # relation, kind, name

NEW_TABLES = ("integration_accounts", "calls", "call_transcripts")
PLATFORM, STORE = "chatapp", "callctl"


@dataclass(frozen=True)
class Mutation:
    """One change: to which object, what of it, and how."""

    kind: str
    object: str  # the name that verify must say
    change: str
    sql: str
    relation: str = ""  # of a table's part: the table, with its schema

    @property
    def whole_name(self) -> str:
        """The object as verify says it, its table and schema included."""
        if self.kind in ("constraint", "trigger"):
            return f"{self.kind} {self.object} on {self.relation}"
        owner = self.relation if self.kind == "column" else self.relation.partition(".")[0]
        return f"{self.kind} {owner}.{self.object}"

    def on(self, tables: Collection[str]) -> bool:
        """Whether its statements name one of these tables."""
        return any(f"chatapp.{table}" in self.sql or f"idx_{table}" in self.sql for table in tables)

    @property
    def id(self) -> str:
        """For pytest's output."""
        return f"{self.kind} {self.object}: {self.change}"


_OBJECTS = """
SELECT c.relname, 'table', c.relname FROM pg_class c WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT c.relname, 'column', a.attname || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT c.relname, 'constraint', k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
 WHERE c.relnamespace = %(schema)s::regnamespace AND k.contype <> 'n'
UNION ALL
SELECT c.relname, 'index', i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE c.relnamespace = %(schema)s::regnamespace
UNION ALL
SELECT c.relname, 'trigger', t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT p.pronamespace::regnamespace::text, 'function', p.proname FROM pg_proc p
 WHERE p.pronamespace = %(schema)s::regnamespace
    OR p.oid IN (SELECT tgfoid FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal)
"""


def objects(db: Connection, schema: str = PLATFORM) -> Known:
    """Everything of the schema, columns with their types, and the functions of its triggers."""
    return frozenset((row[0], row[1], row[2]) for row in db.execute(_OBJECTS, {"schema": schema}).fetchall())


def broken_objects(db: Connection, before: Known, schema: str = PLATFORM) -> Iterator[Mutation]:
    """Every mutation of every object that is here and was not there before."""
    new = objects(db, schema) - before
    whole = {relation for relation, kind, _ in new if kind == "table"}
    yield from _tables(db, whole, schema)
    columns = {(relation, name.partition(" ")[0]) for relation, kind, name in new if kind == "column"}
    # Of a column that was there with another type, only the type is the migration's.
    retyped = columns & {(relation, name.partition(" ")[0]) for relation, kind, name in before if kind == "column"}
    yield from _columns(db, columns, retyped, whole, schema)
    yield from _constraints(db, {(relation, name) for relation, kind, name in new if kind == "constraint"}, schema)
    yield from _indexes(db, {name for _, kind, name in new if kind == "index"}, schema)
    yield from _triggers(db, {(relation, name) for relation, kind, name in new if kind == "trigger"}, schema)
    yield from _functions(db, {(relation, name) for relation, kind, name in new if kind == "function"})


def broken_store(db: Connection) -> list[list[Mutation]]:
    """Every mutation of every object of callctl's own schema, in lots that can be made together.

    In a lot is one mutation of each table, and of each function: tables between which a foreign key stands count as one.
    Other owners are left out: that of most tables counts.
    """
    keys = """SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
               WHERE contype = 'f' AND connamespace = %s::regnamespace"""
    family: dict[str, str] = dict(db.execute(keys, (STORE,)).fetchall())
    queues: dict[str, list[Mutation]] = {}
    for mutation in broken_objects(db, frozenset(), STORE):
        if mutation.change == "owner":
            continue
        of = mutation.object if mutation.kind == "function" else family.get(mutation.relation, mutation.relation)
        queues.setdefault(of, []).append(mutation)
    return [[mutation for mutation in lot if mutation is not None] for lot in zip_longest(*queues.values())]


def _away(name: str) -> str:
    """Another name, which does not say the one it stands for."""
    return f"away_{crc32(name.encode()):x}"


def _tables(db: Connection, names: Collection[str], schema: str) -> Iterator[Mutation]:
    rows = db.execute(
        "SELECT relname, relpersistence FROM pg_class WHERE relnamespace = %(schema)s::regnamespace", {"schema": schema}
    ).fetchall()
    logged = {name: kind == "p" for name, kind in rows}
    for name in sorted(names):
        table, away = f"{schema}.{name}", _away(name)
        for change, sql in (
            ("gone", f"DROP TABLE {table} CASCADE"),
            ("renamed", f"ALTER TABLE {table} RENAME TO {away}"),
            ("in another schema", f"CREATE SCHEMA IF NOT EXISTS elsewhere; ALTER TABLE {table} SET SCHEMA elsewhere"),
            ("a view", f"ALTER TABLE {table} RENAME TO {away}; CREATE VIEW {table} AS SELECT * FROM {schema}.{away}"),
            (
                "unlogged",
                f"UPDATE pg_class SET relpersistence = '{'u' if logged[name] else 'p'}' WHERE oid = '{table}'::regclass",
            ),
            # Of a table of the platform's that is an addition, and a warning.
            *(
                (
                    ("row security", f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
                    ("row security forced", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
                    ("owner", f"{_MUTATOR}; ALTER TABLE {table} OWNER TO mutator"),
                    *(
                        (f"no {right}", f"{_RIGHTS}; REVOKE {right} ON {table} FROM mutator")
                        for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
                    ),
                )
                if schema == STORE
                else ()
            ),
            ("replica identity", f"ALTER TABLE {table} REPLICA IDENTITY NOTHING"),
            ("inherits", f"CREATE TABLE {schema}.parent_{away} (); ALTER TABLE {table} INHERIT {schema}.parent_{away}"),
        ):
            yield Mutation("table", name, change, sql, table)


_MUTATOR = "DO $$ BEGIN CREATE ROLE mutator; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
# A superuser has every right: callctl's schema belongs to another role then, and its own rights can be taken away.
_RIGHTS = f"""{_MUTATOR}; DO $$ DECLARE o record; BEGIN
  IF (SELECT nspowner FROM pg_namespace WHERE nspname = 'callctl') = 'mutator'::regrole THEN RETURN; END IF;
  ALTER SCHEMA callctl OWNER TO mutator;
  FOR o IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'callctl'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO mutator', o.name);
  END LOOP;
  FOR o IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'callctl'::regnamespace LOOP
    EXECUTE format('ALTER ROUTINE %s OWNER TO mutator', o.name);
  END LOOP;
END $$"""
_OTHER_TYPE = {
    "uuid": "text",
    "text": "varchar(100)",
    "jsonb": "json",
    "boolean": "text",
    "integer": "bigint",
    "bigint": "integer",
    "numeric": "text",
    "double precision": "numeric",
    "text[]": "varchar[]",
}


def _columns(
    db: Connection,
    names: Collection[tuple[str, str]],
    retyped: Collection[tuple[str, str]],
    whole: Collection[str],
    schema: str,
) -> Iterator[Mutation]:
    rows = db.execute(
        """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
                  t.typstorage <> 'p', t.typcollation <> 0, a.attidentity <> '', a.attgenerated <> '',
                  EXISTS (SELECT FROM pg_depend x JOIN pg_attribute g ON g.attrelid = x.objid AND g.attnum = x.objsubid AND g.attgenerated <> ''
                           WHERE x.classid = 'pg_class'::regclass AND x.refobjid = a.attrelid AND x.refobjsubid = a.attnum)  -- before 15
                  OR EXISTS (SELECT FROM pg_attrdef e JOIN pg_depend x ON x.classid = 'pg_attrdef'::regclass AND x.objid = e.oid
                            JOIN pg_attribute g ON g.attrelid = e.adrelid AND g.attnum = e.adnum AND g.attgenerated <> ''
                           WHERE x.refobjid = a.attrelid AND x.refobjsubid = a.attnum AND g.attnum <> a.attnum)
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
             LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE c.relnamespace = %(schema)s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum""",
        {"schema": schema},
    ).fetchall()
    for table, name, kind, not_null, default, long, text, identity, generated, used in rows:
        if (table, name) not in names:
            continue
        alter = f"ALTER TABLE {schema}.{table} ALTER COLUMN {name}"
        loose = _LOOSE.format(schema=schema, table=table, name=name)
        changes = [("gone", f"ALTER TABLE {schema}.{table} DROP COLUMN {name} CASCADE"),
                 ("renamed", f"ALTER TABLE {schema}.{table} RENAME COLUMN {name} TO renamed")]  # fmt: skip
        if generated:
            if db.info.server_version >= 130000:
                changes.append(("no default", f"{alter} DROP EXPRESSION"))
            for change, sql in changes:
                yield Mutation("column", name, change, sql, f"{schema}.{table}")
            continue
        if identity:
            changes += [
                ("type", f"{alter} TYPE {_OTHER_TYPE[kind]}"),
                ("no identity", f"{alter} DROP IDENTITY"),
                ("another identity", f"{alter} SET GENERATED BY DEFAULT"),
                *(
                    (f"numbers: {option}", f"{alter} SET {option}")
                    for option in ("INCREMENT 7", "MAXVALUE 1000000", "MINVALUE -5", "CYCLE")
                ),
            ]
            for change, sql in changes:
                yield Mutation("column", name, change, sql, f"{schema}.{table}")
            continue
        if not_null:
            changes.append(("null", f"{loose}; {alter} DROP NOT NULL"))
        elif schema == STORE:  # where rows may hold a NULL
            place = f"attrelid = '{schema}.{table}'::regclass AND attname = '{name}'"
            changes.append(("not null", f"UPDATE pg_attribute SET attnotnull = true WHERE {place}"))
        elif table in whole:
            changes.append(("not null", f"{loose}; {alter} SET NOT NULL"))
        length = re.fullmatch(r"character varying\((\d+)\)", kind)
        numbers = re.fullmatch(r"numeric\((\d+),(\d+)\)", kind)
        if length:
            changes.append(("shorter", f"{loose}; {alter} TYPE varchar({int(length[1]) - 1})"))
            changes.append(("longer", f"{loose}; {alter} TYPE varchar({int(length[1]) + 1})"))
            changes.append(("type", f"{loose}; {alter} TYPE text"))
        elif numbers:
            changes.append(("type", f"{loose}; {alter} TYPE numeric({int(numbers[1]) + 1},{numbers[2]})"))
            changes.append(("scale", f"{loose}; {alter} TYPE numeric({numbers[1]},{int(numbers[2]) + 1})"))
        elif kind.startswith("timestamp"):
            changes.append(("type", f"{loose}; {alter} DROP DEFAULT, ALTER COLUMN {name} TYPE timestamp"))
            changes.append(("precision", f"{loose}; {alter} TYPE timestamptz(0)"))
        else:
            other = _OTHER_TYPE[kind]
            changes.append(("type", f"{loose}; {alter} DROP DEFAULT; {alter} TYPE {other} USING {name}::{other}"))
        if default is not None:
            changes.append(("no default", f"{alter} DROP DEFAULT"))
        value = {
            "boolean": "true" if default is None else "NOT " + str(default),
            "integer": "7",
            "bigint": "7",
            "numeric": "7",
            "double precision": "7",
            "text[]": "'{x}'",
            "uuid": "'00000000-0000-0000-0000-000000000000'",
        }.get(
            kind,
            "now() + '1 day'" if kind.startswith("time") else "'[]'" if kind == "jsonb" else "0" if numbers else "'x'",
        )
        changes.append(("default", f"{alter} SET DEFAULT {value}"))
        if long:
            changes.append(("storage", f"{alter} SET STORAGE PLAIN"))
        if text:
            changes.append(("collation", f'{loose}; {alter} TYPE {kind} COLLATE "C"'))
        if kind == "integer" and table in whole and schema == PLATFORM:
            changes.append(
                ("identity", f"{loose}; {alter} SET NOT NULL, ALTER COLUMN {name} ADD GENERATED BY DEFAULT AS IDENTITY")
            )
        if table in whole and kind in ("integer", "text"):
            changes.append(
                (
                    "generated",
                    f"ALTER TABLE {schema}.{table} DROP COLUMN {name} CASCADE, ADD COLUMN {name} {kind} GENERATED ALWAYS AS (NULL::{kind}) STORED",
                )
            )
        for change, sql in changes:
            if used and change in ("type", "collation", "generated"):
                continue  # PostgreSQL refuses: a generated column is made from it
            if sql and ((table, name) not in retyped or change in ("gone", "renamed", "type", "storage")):
                yield Mutation("column", name, change, sql, f"{schema}.{table}")


# What stands in the way of another type: the constraints, indexes and triggers that speak of the column, in one round trip.
_LOOSE = """
DO $$ DECLARE o record; BEGIN
  FOR o IN SELECT DISTINCT k.conname FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
            WHERE k.conrelid = '{schema}.{table}'::regclass AND a.attname = '{name}' AND k.contype <> 'n' LOOP
    EXECUTE format('ALTER TABLE {schema}.{table} DROP CONSTRAINT %I CASCADE', o.conname);
  END LOOP;
  FOR o IN SELECT DISTINCT d.objid::regclass AS name FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.refobjid = '{schema}.{table}'::regclass AND a.attname = '{name}'
              AND d.objid IN (SELECT indexrelid FROM pg_index) LOOP
    EXECUTE format('DROP INDEX %s', o.name);
  END LOOP;
  FOR o IN SELECT t.tgname FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::smallint[])
            WHERE t.tgrelid = '{schema}.{table}'::regclass AND a.attname = '{name}' LOOP
    EXECUTE format('DROP TRIGGER %I ON {schema}.{table}', o.tgname);
  END LOOP;
END $$"""
_ACTIONS = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")


def _constraints(db: Connection, names: Collection[tuple[str, str]], schema: str) -> Iterator[Mutation]:
    enforceable = db.info.server_version >= 180000
    rows = db.execute(
        """SELECT c.relname, k.conname, k.contype::text, pg_get_constraintdef(k.oid), k.confrelid::regclass::text,
                  (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[1]),
                  (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum > 0 AND NOT a.attisdropped
                      AND a.attnum <> ALL (k.conkey) AND a.attnotnull ORDER BY a.attname = 'created_at' DESC, a.attnum LIMIT 1)
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            WHERE c.relnamespace = %(schema)s::regnamespace AND k.contype <> 'n' ORDER BY 1, 2""",
        {"schema": schema},
    ).fetchall()
    for table, name, kind, definition, target, key_type, other_column in rows:
        if (table, name) not in names:
            continue
        away = _away(name)
        alter = f"ALTER TABLE {schema}.{table}"
        drop = f"{alter} DROP CONSTRAINT {name} CASCADE"
        add = f"{drop}; {alter} ADD CONSTRAINT {name}"
        changes = [("gone", drop), ("renamed", f"{alter} RENAME CONSTRAINT {name} TO {away}")]
        if kind == "c":
            changes += [("not valid", f"{add} {definition} NOT VALID"), ("not inherited", f"{add} {definition} NO INHERIT"),
                      ("other rule", f"{add} CHECK (true)"), ("weaker rule", f"{add} CHECK ({definition.removeprefix('CHECK ')} OR now() > '2000-01-01')")]  # fmt: skip
            if enforceable:
                changes.append(("not enforced", f"{add} {definition} NOT ENFORCED"))
        elif kind == "f":
            plain = re.sub(r" ON (UPDATE|DELETE) .*$", "", definition)
            action = definition.partition(" ON DELETE ")[2] or "NO ACTION"
            update = (re.search(r" ON UPDATE (.*?)( ON DELETE|$)", definition) or [None, "NO ACTION"])[1]
            changes += [
                (f"on delete {other.lower()}", f"{add} {plain} ON UPDATE {update} ON DELETE {other}")
                for other in _ACTIONS
                if other != action
            ]
            changes += [
                (f"on update {other.lower()}", f"{add} {plain} ON UPDATE {other} ON DELETE {action}")
                for other in _ACTIONS
                if other != update
            ]
            changes += [("match full", f"{add} {plain} MATCH FULL ON UPDATE {update} ON DELETE {action}"),
                      ("not valid", f"{add} {definition} NOT VALID"), ("deferrable", f"{add} {definition} DEFERRABLE"),
                      ("deferred", f"{add} {definition} DEFERRABLE INITIALLY DEFERRED"),
                      ("triggers off", f"{alter} DISABLE TRIGGER ALL"), ("triggers off there", f"ALTER TABLE {target} DISABLE TRIGGER ALL"),
                      ("other table", f"CREATE TABLE {schema}.other_{away} (id {key_type} PRIMARY KEY); {drop}; {alter} ADD CONSTRAINT {name} {re.sub(r'REFERENCES [^(]+', f'REFERENCES {schema}.other_{away}', definition)} NOT VALID; UPDATE pg_constraint SET convalidated = true WHERE conname = '{name}'")]  # fmt: skip
            if enforceable:
                changes.append(("not enforced", f"{add} {definition} NOT ENFORCED"))
        else:
            changes += [("deferrable", f"{add} {definition} DEFERRABLE"), ("deferred", f"{add} {definition} DEFERRABLE INITIALLY DEFERRED"),
                      ("other columns", f"{add} {definition.replace(')', f', {other_column})')}"),
                      ("index invalid", f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{schema}.{name}'::regclass")]  # fmt: skip
        for change, sql in changes:
            yield Mutation(
                "index" if change == "index invalid" else "constraint", name, change, sql, f"{schema}.{table}"
            )


def _indexes(db: Connection, names: Collection[str], schema: str) -> Iterator[Mutation]:
    rows = db.execute(
        """SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisunique, pg_get_expr(i.indpred, i.indrelid),
                  a.attname, t.typname, i.indrelid::regclass::text
             FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
             LEFT JOIN pg_type t ON t.oid = a.atttypid
            WHERE c.relnamespace = %(schema)s::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
            ORDER BY 1""",
        {"schema": schema},
    ).fetchall()
    for index, definition, unique, predicate, first, kind, relation in rows:
        if index not in names:
            continue
        name = index.rpartition(".")[2]
        again = f"DROP INDEX {index}; "
        body, _, where = definition.partition(" WHERE ")
        where = f" WHERE {where}" if where else ""
        changes = [("gone", f"DROP INDEX {index}"), ("renamed", f"ALTER INDEX {index} RENAME TO {_away(name)}"),
                 ("invalid", f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass"),
                 ("not ready", f"UPDATE pg_index SET indisready = false WHERE indexrelid = '{index}'::regclass"),
                 ("dying", f"UPDATE pg_index SET indislive = false WHERE indexrelid = '{index}'::regclass"),
                 ("predicate", f"{again}{body} WHERE {'(id IS NOT NULL)' if predicate != '(id IS NOT NULL)' else 'true'}")]  # fmt: skip
        if predicate:
            changes.append(("no predicate", again + body))
        if " USING btree " in body:
            changes += [("unique", again + (definition.replace("UNIQUE ", "") if unique else definition.replace("CREATE ", "CREATE UNIQUE ").replace(" (", " (id, ", 1))),
                      ("more columns", again + body[:-1] + ", id)" + where),
                      ("order", again + re.sub(r"(\w+)(\)| DESC\)|,)", lambda m: f"{m[1]}{' DESC' + m[2] if m[2] in ('),', ')', ',') else ')'}", body, count=1) + where),
                      ("fillfactor", again + body + " WITH (fillfactor = 70)" + where)]  # fmt: skip
            if kind in ("text", "varchar"):
                changes.append(
                    ("operator class", again + re.sub(rf"\({first}\b", f"({first} {kind}_pattern_ops", body) + where)
                )
                changes.append(("collation", again + re.sub(rf"\({first}\b", f'({first} COLLATE "C"', body) + where))
        else:
            changes += [("other words", again + definition.replace("english", "simple")),
                      ("other method", again + definition.replace("USING gin", "USING gist")),
                      ("fastupdate", again + definition + " WITH (fastupdate = off)")]  # fmt: skip
        for change, sql in changes:
            yield Mutation("index", name, change, sql, relation)


def _triggers(db: Connection, names: Collection[tuple[str, str]], schema: str) -> Iterator[Mutation]:
    rows = db.execute(
        """SELECT c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal ORDER BY 1, 2""",
        {"schema": schema},
    ).fetchall()
    for table, name, enabled, definition in rows:
        if (table, name) not in names:
            continue
        alter, again = f"ALTER TABLE {schema}.{table}", f"DROP TRIGGER {name} ON {schema}.{table}; "
        function = definition.partition(" EXECUTE FUNCTION ")[2].partition("(")[0]
        changes = [("gone", again), ("renamed", f"ALTER TRIGGER {name} ON {schema}.{table} RENAME TO renamed"),
                 ("disabled", f"{alter} DISABLE TRIGGER {name}"), ("all disabled", f"{alter} DISABLE TRIGGER USER"),
                 ("on replicas", f"{alter} ENABLE REPLICA TRIGGER {name}"),
                 ("always or not", f"{alter} ENABLE {'' if enabled == 'A' else 'ALWAYS'} TRIGGER {name}"), ("other time", again + _other_time(definition)),
                 ("each statement", again + _condition(definition, "").replace("FOR EACH ROW", "FOR EACH STATEMENT")),
                 ("condition", again + _condition(definition, "WHEN (false) ")),
                 ("other function", f"CREATE OR REPLACE FUNCTION {schema}.other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; {again}{definition.replace(f' {function}(', f' {schema}.other(')}"),
                 ("other function of its name", f"CREATE SCHEMA IF NOT EXISTS elsewhere; CREATE OR REPLACE FUNCTION elsewhere.{function.partition('.')[2]}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; {again}{definition.replace(f' {function}(', ' elsewhere.' + function.partition('.')[2] + '(')}"),
                 ("arguments", again + definition[:-1].rstrip() + (", 'more')" if definition[-2] == "'" else "'more')")),
                 ("other event", again + _other_event(definition))]  # fmt: skip
        if " REFERENCING " in definition:
            changes.append(("no rows", again + _without_rows(definition)))
            changes.append(("other names", again + definition.replace(" AS written", " AS rows_written")))
        if " UPDATE OF " in definition:
            changes.append(("fewer columns", again + re.sub(r"UPDATE OF \w+, ", "UPDATE OF ", definition)))
            changes.append(("all columns", again + re.sub(r"UPDATE OF .* ON ", "UPDATE ON ", definition)))
        for change, sql in changes:
            if sql != again + definition:  # some change nothing of a trigger for statements
                yield Mutation("trigger", name, change, sql, f"{schema}.{table}")


def _condition(definition: str, condition: str) -> str:
    """The trigger with another condition, or with none."""
    return re.sub(r" (WHEN \(.*\) )?EXECUTE", f" {condition}EXECUTE", definition, flags=re.DOTALL)


def _other_time(definition: str) -> str:
    """The trigger before where it fired after, and the other way round."""
    definition = _without_rows(definition)
    before = " BEFORE " in definition
    return definition.replace(" BEFORE ", " AFTER ") if before else definition.replace(" AFTER ", " BEFORE ")


def _without_rows(definition: str) -> str:
    """The trigger without names for the rows of its statement, which only AFTER one kind of event it can have."""
    return re.sub(r" REFERENCING .* FOR EACH", " FOR EACH", definition)


def _other_event(definition: str) -> str:
    """The trigger for more statements or for fewer, its condition still a valid one."""
    if " REFERENCING " in definition:
        return _without_rows(definition).replace(" UPDATE ON ", " INSERT ON ").replace(" DELETE ON ", " UPDATE ON ")
    if " INSERT OR UPDATE OF " in definition:
        return definition.replace(" INSERT OR UPDATE OF ", " UPDATE OF ")
    if " INSERT ON " in definition:
        return definition.replace(" INSERT ON ", " INSERT OR UPDATE ON ")
    if " UPDATE OF " in definition:
        return re.sub(r" UPDATE OF .* ON ", " INSERT ON ", definition)
    return re.sub(r" UPDATE ON (\S+) ", r" UPDATE OF id ON \1 ", definition)


def _procedure(
    schema: str, signature: str, definition: str, source: str, definer: bool, config: object
) -> Iterator[Mutation]:
    """What can be changed of a procedure: less than of a function."""
    procedure, name = f"{schema}.{signature}", signature.partition("(")[0]
    for change, sql in (
        ("gone", f"DROP PROCEDURE {procedure}"),
        ("renamed", f"ALTER PROCEDURE {procedure} RENAME TO {_away(name)}"),
        ("body", f"SET LOCAL check_function_bodies = off; {definition.replace(source, 'BEGIN END')}"),
        ("rights", f"ALTER PROCEDURE {procedure} SECURITY {'INVOKER' if definer else 'DEFINER'}"),
        ("settings", f"ALTER PROCEDURE {procedure} {'RESET ALL' if config else 'SET search_path = public'}"),
    ):
        yield Mutation("function", signature, change, sql, f"{schema}.{name}")


def _functions(db: Connection, names: Collection[tuple[str, str]]) -> Iterator[Mutation]:
    rows = db.execute(
        """SELECT n.nspname, p.proname, oidvectortypes(p.proargtypes), pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
                  pg_get_functiondef(p.oid), p.prosrc, l.lanname, p.prosecdef, p.proconfig, p.provolatile, p.prokind,
                  p.proparallel
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
            WHERE n.nspname = ANY (%s) ORDER BY 1, 2, 3""",
        (sorted({schema for schema, _ in names}),),
    ).fetchall()
    for (
        schema,
        name,
        types,
        arguments,
        result,
        definition,
        source,
        language,
        definer,
        config,
        volatility,
        kind,
        parallel,
    ) in rows:
        if (schema, name) not in names:
            continue
        if kind == "p":
            yield from _procedure(schema, f"{name}({types})", definition, source, definer, config)
            continue
        function = f"{schema}.{name}({types})"
        trigger = result == "trigger"
        again = f"SET LOCAL check_function_bodies = off; DROP FUNCTION {function} CASCADE; "
        changes = [
            ("gone", f"DROP FUNCTION {function} CASCADE"),
            ("renamed", f"ALTER FUNCTION {function} RENAME TO {_away(name)}"),
            (
                "in another schema",
                f"CREATE SCHEMA IF NOT EXISTS elsewhere; ALTER FUNCTION {function} SET SCHEMA elsewhere",
            ),
            ("body", f"SET LOCAL check_function_bodies = off; {definition.replace(source, 'BEGIN RETURN NEW; END')}"),
            ("volatility", f"ALTER FUNCTION {function} {'VOLATILE' if volatility == 's' else 'STABLE'}"),
            ("rights", f"ALTER FUNCTION {function} SECURITY {'INVOKER' if definer else 'DEFINER'}"),
            ("settings", f"ALTER FUNCTION {function} {'RESET ALL' if config else 'SET search_path = public'}"),
            ("more settings", f"ALTER FUNCTION {function} SET work_mem = '1MB'"),
            ("strict", f"ALTER FUNCTION {function} STRICT"),
            ("parallel", f"ALTER FUNCTION {function} PARALLEL {'UNSAFE' if parallel == 's' else 'SAFE'}"),
        ]
        if trigger:
            returned = "RETURN NEW" if "RETURN NEW" in definition else "RETURN NULL"
            changes.append(("a word of its body", definition.replace(returned, "RETURN OLD")))
        else:
            word = re.sub(r"(\w)(\W*)$", r"\1x\2", source)
            other = "sql" if language == "plpgsql" else "plpgsql"
            changes += [("a word of its body", f"SET LOCAL check_function_bodies = off; {definition.replace(source, word)}"),
                      ("language", again + definition.replace(f" LANGUAGE {language}", f" LANGUAGE {other}"))]  # fmt: skip
        if arguments:
            renamed = arguments.replace("p_", "q_")
            changes.append(("arguments", again + definition.replace(f"({arguments})", f"({renamed})")))
        if not trigger and "OUT " not in arguments:
            kind = "text" if result != "text" else "jsonb"
            changes.append(("returns", again + definition.replace(f" RETURNS {result}", f" RETURNS {kind}", 1)))
        if schema == STORE:
            changes += [("owner", f"{_MUTATOR}; ALTER ROUTINE {function} OWNER TO mutator"),
                        ("no EXECUTE", f"{_RIGHTS}; REVOKE EXECUTE ON ROUTINE {function} FROM PUBLIC, mutator")]  # fmt: skip
        for change, sql in changes:
            whole = not trigger or name in ("count_rows", "spare_rows")  # those of callctl's own tables
            yield Mutation("function", f"{name}({types})" if whole else name, change, sql, f"{schema}.{name}")


_SECRET_COLUMNS = ("credentials", "access_token", "refresh_token", "webhook_secret")
_EATS = "CREATE FUNCTION public.eats() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
# What opens sessions in which nothing is checked, or nothing can be written.
_SESSION_SETTINGS = ("session_replication_role = replica", "default_transaction_read_only = on")


def broken_guards(db: Connection) -> Iterator[Mutation]:
    """What lets wrong rows in, keeps right ones out, or lays secrets open, without changing an object of the steps.

    Orphans under each foreign key of the new tables, each foreign key's triggers off on each side; a rule and a trigger
    that eat writes on each table of callctl's and each of the platform's that it relies on; a grant to PUBLIC on each
    table of callctl's, on accounts and each secret column; settings of the database and of a role.
    """
    keys = db.execute(
        """SELECT c.relname, a.attname, n.nspname || '.' || c.relname, k.confrelid::regclass::text, c.relname = ANY (%s)
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
            WHERE k.contype = 'f' AND (n.nspname = %s OR c.relname = ANY (%s)) ORDER BY 1, 2""",
        (list(NEW_TABLES), STORE, list(NEW_TABLES)),
    ).fetchall()
    for table, column, relation, _, new in keys:
        if new:
            row = f"(jsonb_populate_record(NULL::{relation}, jsonb_build_object('id', gen_random_uuid(), '{column}', gen_random_uuid())))"
            yield Mutation(
                "orphan",
                column,
                f"of {table}",
                # Of all columns but these nothing is asked here: rules for rows have their own breakages.
                f"SET LOCAL session_replication_role = replica; {_NULLABLE.format(table=relation)}; INSERT INTO {relation} SELECT ({row}).*; SET LOCAL session_replication_role = origin",
                relation,
            )
    for relation in sorted({relation for _, _, *both, _ in keys for relation in both}):
        for off in (
            "DISABLE TRIGGER ALL",
            f"DISABLE TRIGGER USER; UPDATE pg_trigger SET tgenabled = 'R' WHERE tgisinternal AND tgrelid = '{relation}'::regclass",
        ):
            yield Mutation("triggers off", relation, off, f"ALTER TABLE {relation} {off}", relation)
    relied = (
        *NEW_TABLES,
        "users",
        "companies",
        "chatbots",
        "chatbot_packages",
        "ai_models",
        "end_users",
        "conversations",
    )
    own = [
        row[0]
        for row in db.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY 1", (STORE,)
        ).fetchall()
    ]
    for relation in (*(f"{PLATFORM}.{name}" for name in relied), *(f"{STORE}.{name}" for name in own)):
        for event in ("INSERT", "UPDATE", *(("DELETE",) if relation.startswith(STORE) else ())):
            yield Mutation(
                "eats writes",
                f"rule eats on {relation}",
                event,
                f"CREATE RULE eats AS ON {event} TO {relation} DO INSTEAD NOTHING",
                relation,
            )
            yield Mutation(
                "eats writes",
                f"trigger eats on {relation}",
                event,
                f"{_EATS}; CREATE TRIGGER eats BEFORE {event} ON {relation} FOR EACH ROW EXECUTE FUNCTION public.eats()",
                relation,
            )
    accounts = f"{PLATFORM}.integration_accounts"
    for relation in (accounts, *(f"{STORE}.{name}" for name in own)):
        for privilege in ("SELECT", "UPDATE", "TRIGGER"):
            yield Mutation(
                "laid open",
                f"REVOKE {privilege} ON {relation}",
                "to PUBLIC",
                f"GRANT {privilege} ON {relation} TO PUBLIC",
                relation,
            )
        yield Mutation(
            "laid open",
            f"ON {relation} FROM mutator",
            "to a role",
            f"{_MUTATOR}; GRANT SELECT ON {relation} TO mutator",
            relation,
        )
    for column in _SECRET_COLUMNS:
        yield Mutation(
            "laid open",
            f"REVOKE SELECT ({column})",
            "to PUBLIC",
            f"GRANT SELECT ({column}) ON {accounts} TO PUBLIC",
            accounts,
        )
    yield from _laid_open_otherwise(accounts)
    yield from _added(own)
    yield from _sequences_behind(db)
    here = db.info.dbname
    for setting in _SESSION_SETTINGS:
        for of, description in (
            (f"DATABASE {here}", f"database {here}"),
            ("ROLE CURRENT_USER", "role "),
            ("ROLE ALL", "every role"),
            (f"ROLE CURRENT_USER IN DATABASE {here}", f"in database {here}"),
        ):
            yield Mutation("sessions", description, setting, f"ALTER {of} SET {setting}")


def _laid_open_otherwise(accounts: str) -> Iterator[Mutation]:
    for change, sql, expected_name in (
        ("the schema to PUBLIC", "GRANT CREATE ON SCHEMA callctl TO PUBLIC", "REVOKE CREATE ON SCHEMA callctl FROM PUBLIC"),
        ("the schema to a role", f"{_MUTATOR}; GRANT CREATE ON SCHEMA callctl TO mutator",
         "REVOKE CREATE ON SCHEMA callctl FROM mutator"),
        ("the owner", f"{_MUTATOR}; ALTER TABLE {accounts} OWNER TO mutator", f"ALTER TABLE {accounts} OWNER TO"),
        ("a child table to PUBLIC", f"CREATE TABLE chatapp.more () INHERITS ({accounts}); GRANT SELECT ON chatapp.more TO PUBLIC",
         "REVOKE SELECT ON chatapp.more FROM PUBLIC"),
        ("a child's column", f"CREATE TABLE chatapp.more () INHERITS ({accounts}); GRANT SELECT (credentials) ON chatapp.more TO PUBLIC",
         "REVOKE SELECT (credentials) ON chatapp.more FROM PUBLIC"),
        ("a child's child", f"CREATE TABLE chatapp.more () INHERITS ({accounts}); CREATE TABLE chatapp.most () INHERITS (chatapp.more);"
         " GRANT UPDATE ON chatapp.most TO PUBLIC", "REVOKE UPDATE ON chatapp.most FROM PUBLIC"),
        ("a child's owner", f"{_MUTATOR}; CREATE TABLE chatapp.more () INHERITS ({accounts}); ALTER TABLE chatapp.more OWNER TO mutator",
         "ALTER TABLE chatapp.more OWNER TO"),
    ):  # fmt: skip
        yield Mutation("laid open", expected_name, change, sql, accounts)


def _added(own: Collection[str]) -> Iterator[Mutation]:
    """What belongs neither on a table of callctl's nor in its schema."""
    for name in own:
        table = f"{STORE}.{name}"
        for expected_name, sql in (
            (f"column {table}.extra", f"ALTER TABLE {table} ADD COLUMN extra int"),
            (f"column {table}.extra", f"ALTER TABLE {table} ADD COLUMN extra int UNIQUE"),
            (
                f"constraint extra on {table}",
                f"ALTER TABLE {table} ADD CONSTRAINT extra CHECK (now() IS NULL) NOT VALID",
            ),
            (f"index {STORE}.extra", f"CREATE INDEX extra ON {table} ((1))"),
            (f"policy extra on {table}", f"CREATE POLICY extra ON {table} USING (true)"),
            (f"child table public.extra of {table}", f"CREATE TABLE public.extra () INHERITS ({table})"),
            (f"table {STORE}.extra", f"CREATE TABLE {STORE}.extra () INHERITS ({table})"),
            (f"table {STORE}.extra", f"CREATE VIEW {STORE}.extra AS SELECT * FROM {table}"),
            (f"table {STORE}.extra", f"CREATE MATERIALIZED VIEW {STORE}.extra AS SELECT * FROM {table}"),
            (
                f"foreign key public.extra.extra on {table}",
                f"ALTER TABLE {table} ADD COLUMN more int UNIQUE;"
                f" CREATE UNLOGGED TABLE public.extra (id int CONSTRAINT extra REFERENCES {table} (more))",
            ),
            (
                f"function {STORE}.extra()",
                f"CREATE FUNCTION {STORE}.extra() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                f" CREATE TRIGGER extra BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {STORE}.extra()",
            ),
        ):
            yield Mutation("added", expected_name, "added", sql, table)
    for expected_name, sql in (
        (f"table {STORE}.extra", f"CREATE TABLE {STORE}.extra (id int)"),
        ("extension citext", f"CREATE EXTENSION citext SCHEMA {STORE}"),
        (f"sequence {STORE}.extra", f"CREATE SEQUENCE {STORE}.extra"),
        (f"function {STORE}.extra(integer)", f"CREATE FUNCTION {STORE}.extra(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        (f"function {STORE}.extra(integer)", f"CREATE PROCEDURE {STORE}.extra(int) LANGUAGE sql AS 'SELECT 1'"),
        (f"function {STORE}.count_rows(integer)", f"CREATE FUNCTION {STORE}.count_rows(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ):  # fmt: skip
        yield Mutation("added", expected_name, "added", sql, STORE)


def _sequences_behind(db: Connection) -> Iterator[Mutation]:
    rows = db.execute(
        """SELECT c.oid::regclass::text, a.attname, pg_get_serial_sequence(c.oid::regclass::text, a.attname)
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = %s::regnamespace AND a.attidentity <> '' ORDER BY 1""",
        (STORE,),
    ).fetchall()
    for table, column, sequence in rows:
        filled = db.execute(f"SELECT EXISTS (SELECT FROM {table})".encode()).fetchone() == (True,)
        row = f"{_NULLABLE.format(table=table)}; INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE VALUES (1000)"
        for change, sql in (  # in place of setval(), which no rollback undoes
            ("restarted", f"ALTER SEQUENCE {sequence} RESTART 1"),
            ("set back", f"ALTER TABLE {table} ALTER COLUMN {column} RESTART 2"),
        ):
            yield Mutation("sequence behind", sequence, change, sql if filled else f"{row}; {sql}", table)


# Every column but the key may be empty, and no CHECK asks: the row is there for its one foreign key.
_NULLABLE = """
DO $$ DECLARE o record; BEGIN
  FOR o IN SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'c' LOOP
    EXECUTE format('ALTER TABLE {table} DROP CONSTRAINT %I', o.conname);
  END LOOP;
  FOR o IN SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnotnull AND attnum > 0 AND attname <> 'id' LOOP
    EXECUTE format('ALTER TABLE {table} ALTER COLUMN %I DROP NOT NULL', o.attname);
  END LOOP;
END $$"""

TUNED = (
    "ALTER TABLE chatapp.calls SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 90)",
    "ALTER TABLE chatapp.calls ALTER COLUMN company_id SET STATISTICS 1000",
    "ALTER TABLE chatapp.calls ALTER COLUMN summary SET STORAGE EXTERNAL",
    "ALTER TABLE chatapp.calls REPLICA IDENTITY FULL",
    "CREATE ROLE reporting; GRANT SELECT ON chatapp.calls TO reporting",
    "COMMENT ON TABLE chatapp.calls IS 'every call'",
    "ALTER TABLE chatapp.calls CLUSTER ON calls_pkey",
    "CREATE STATISTICS chatapp.calls_of_a_day (dependencies) ON company_id, started_at FROM chatapp.calls",
    "CREATE TABLE chatapp.invoices (call_id uuid REFERENCES chatapp.calls(id))",
    "ALTER FUNCTION chatapp.check_chatbot_capabilities() COST 10",
    "ALTER TABLE chatapp.users ALTER COLUMN avatar_url SET DEFAULT 'https://cdn.example.com/nobody.png'",
)

# What somebody may have put on the migration's own tables: worth knowing, and named, but no failure.
ADDED = {
    "column": "ALTER TABLE chatapp.calls ADD COLUMN extra text",
    "index": "CREATE INDEX extra ON chatapp.calls (created_at)",
    "constraint": "ALTER TABLE chatapp.calls ADD CONSTRAINT extra CHECK (duration < 86400)",
    "trigger": "CREATE TRIGGER extra BEFORE UPDATE ON chatapp.calls FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column()",
    "rule": "CREATE RULE extra AS ON DELETE TO chatapp.calls DO ALSO NOTHING",
    "policy": "CREATE POLICY extra ON chatapp.calls USING (true)",
}
