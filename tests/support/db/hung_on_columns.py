"""What may hang on a column that the steps drop or change: one object or attribute an entry, each by itself.

An entry is the statements that make it: ``{s}`` is the schema, ``{t}`` the table, ``{n}`` its bare name, ``{c}`` the
column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

OWNER = "callctl_test_owner"
TABLESPACE = "callctl_test_space"


@dataclass(frozen=True)
class Hung:
    """One entry. ``since``: the first major version that has it; ``only``: the kinds of column that take it.

    ``shadowed``: whether step 1 can go back through a shadow column with it. Of those of one ``alone`` a table has one.
    """

    statements: tuple[str, ...]
    since: int = 12
    only: frozenset[str] = frozenset({"text", "enum", "avatar"})
    shadowed: bool = True
    alone: str = ""

    def on(self, schema: str, table: str, column: str) -> list[str]:
        """The statements for that column."""
        name = table.rpartition(".")[2]
        return [statement.format(s=schema, t=table, n=name, c=column) for statement in self.statements]


def tablespace(connection: psycopg.Connection[Any]) -> None:
    """Make the tablespace, once a server, inside the server's own directory."""
    if not connection.execute("SELECT FROM pg_tablespace WHERE spcname = %s", (TABLESPACE,)).fetchall():
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute(f"CREATE TABLESPACE {TABLESPACE} LOCATION ''".encode())


TEXT = frozenset({"text", "avatar"})
TYPES = frozenset({"text", "enum"})

HUNG: dict[str, Hung] = {
    # ---- the column itself
    "column: target": Hung(("ALTER TABLE {t} ALTER COLUMN {c} SET STATISTICS 0",)),
    "column: options": Hung(("ALTER TABLE {t} ALTER COLUMN {c} SET (n_distinct = 2, n_distinct_inherited = -0.5)",)),
    "column: comment": Hung(("COMMENT ON COLUMN {t}.{c} IS 'it''s \"one\"'",)),
    "column: grants": Hung(
        (
            "GRANT SELECT ({c}), UPDATE ({c}), REFERENCES ({c}) ON {t} TO callctl_test_owner",
            "GRANT INSERT ({c}) ON {t} TO PUBLIC",
        )
    ),
    "column: compression": Hung(("ALTER TABLE {t} ALTER COLUMN {c} SET COMPRESSION pglz",), since=14, only=TEXT),
    "column: storage": Hung(("ALTER TABLE {t} ALTER COLUMN {c} SET STORAGE MAIN",), only=TEXT),
    # ---- NOT NULL: from 18 on a constraint with a name, a comment and a state
    "not null: name": Hung(
        (
            "ALTER TABLE {t} ALTER COLUMN {c} DROP NOT NULL",
            "ALTER TABLE {t} ADD CONSTRAINT {n}_must NOT NULL {c}",
            "COMMENT ON CONSTRAINT {n}_must ON {t} IS 'it must be'",
        ),
        since=18,
        alone="not null",
    ),
    "not null: not valid": Hung(
        (
            "ALTER TABLE {t} ALTER COLUMN {c} DROP NOT NULL",
            'ALTER TABLE {t} ADD CONSTRAINT "{n} should" NOT NULL {c} NOT VALID',
            "COMMENT ON CONSTRAINT \"{n} should\" ON {t} IS 'it should be'",
        ),
        since=18,
        alone="not null",
    ),
    "not null: no inherit": Hung(
        (
            "ALTER TABLE {t} ALTER COLUMN {c} DROP NOT NULL",
            "ALTER TABLE {t} ADD CONSTRAINT {n}_only NOT NULL {c} NO INHERIT",
        ),
        since=18,
        alone="not null",
    ),
    # ---- indexes
    "index: targets of expressions": Hung(
        (
            "CREATE INDEX {n}_expressions ON {t} (({c} = 'call'), created_at, ({c} IS NULL))",
            "ALTER INDEX {s}.{n}_expressions ALTER COLUMN 1 SET STATISTICS 500",
            "ALTER INDEX {s}.{n}_expressions ALTER COLUMN 3 SET STATISTICS 0",
        )
    ),
    "index: options": Hung(
        ("CREATE INDEX {n}_options ON {t} USING btree ({c}, id) WITH (fillfactor = 55, deduplicate_items = off)",),
        since=13,
    ),
    "index: clustered": Hung(
        ("CREATE INDEX {n}_marked ON {t} ({c}, created_at)", "ALTER TABLE {t} CLUSTER ON {n}_marked"),
        alone="cluster",
    ),
    "index: comment": Hung(
        ('CREATE INDEX "{n} Said" ON {t} ({c} DESC)', "COMMENT ON INDEX {s}.\"{n} Said\" IS 'it''s said'")
    ),
    "index: tablespace": Hung(
        (
            "CREATE INDEX {n}_space ON {t} ({c}, id) INCLUDE (created_at) WITH (fillfactor = 66)"
            f" TABLESPACE {TABLESPACE} WHERE {{c}} IS NOT NULL",
        ),
        shadowed=False,
    ),
    "index: column made under another name": Hung(
        (
            "ALTER TABLE {t} RENAME COLUMN {c} TO once",
            "CREATE INDEX {n}_renamed ON {t} (once, (once IS NOT NULL), id)",
            "ALTER TABLE {t} RENAME COLUMN once TO {c}",
        )
    ),
    "index: of an extension": Hung(
        ("CREATE INDEX {n}_extension ON {t} ({c})", "ALTER INDEX {s}.{n}_extension DEPENDS ON EXTENSION plpgsql")
    ),
    "index: nulls not distinct": Hung(
        ("CREATE UNIQUE INDEX {n}_nulls ON {t} ({c}, id) NULLS NOT DISTINCT WITH (fillfactor = 75)",), since=15
    ),
    # ---- constraints
    "key: everything": Hung(
        (
            "ALTER TABLE {t} ADD CONSTRAINT {n}_whole_key UNIQUE (id, {c}) INCLUDE (created_at) WITH (fillfactor = 61)",
            "COMMENT ON CONSTRAINT {n}_whole_key ON {t} IS 'a key'",
            "COMMENT ON INDEX {s}.{n}_whole_key IS 'the index of a key'",
        ),
        shadowed=False,
    ),
    "key: deferrable": Hung(
        ('ALTER TABLE {t} ADD CONSTRAINT "{n} Later" UNIQUE ({c}, id) DEFERRABLE INITIALLY DEFERRED',),
        shadowed=False,
    ),
    "key: clustered": Hung(
        (
            "ALTER TABLE {t} ADD CONSTRAINT {n}_clustered_key UNIQUE ({c}, id)",
            "ALTER TABLE {t} CLUSTER ON {n}_clustered_key",
        ),
        shadowed=False,
        alone="cluster",
    ),
    "key: tablespace": Hung(
        (
            "ALTER TABLE {t} ADD CONSTRAINT {n}_space_key UNIQUE (id, {c}) WITH (fillfactor = 62)"
            f" USING INDEX TABLESPACE {TABLESPACE}",
        ),
        shadowed=False,
    ),
    "key: nulls not distinct": Hung(
        ("ALTER TABLE {t} ADD CONSTRAINT {n}_nulls_key UNIQUE NULLS NOT DISTINCT ({c}, id)",), since=15, shadowed=False
    ),
    # PostgreSQL drops no column for which such an expression asks: preflight refuses it on a type column.
    "exclusion: expressions": Hung(
        (
            "ALTER TABLE {t} ADD CONSTRAINT {n}_excluded EXCLUDE USING btree (id WITH =, ({c} = 'call') WITH =)"
            " WITH (fillfactor = 63) WHERE ({c} IS NOT NULL)",
            "ALTER INDEX {s}.{n}_excluded ALTER COLUMN 2 SET STATISTICS 44",
            "COMMENT ON CONSTRAINT {n}_excluded ON {t} IS 'not twice'",
            "COMMENT ON INDEX {s}.{n}_excluded IS 'not twice, by an index'",
        ),
        only=frozenset({"avatar"}),
        shadowed=False,
    ),
    # PostgreSQL loses its file when it changes the type: preflight refuses it on avatar_url.
    "exclusion: tablespace": Hung(
        (
            "ALTER TABLE {t} ADD CONSTRAINT {n}_space_excluded"
            " EXCLUDE USING btree (({c}) WITH =, id WITH =, (id IS NULL) WITH =)"
            f" WITH (fillfactor = 63) USING INDEX TABLESPACE {TABLESPACE} WHERE (created_at IS NOT NULL)"
            " DEFERRABLE INITIALLY DEFERRED",
            "ALTER INDEX {s}.{n}_space_excluded ALTER COLUMN 3 SET STATISTICS 44",
            "COMMENT ON CONSTRAINT {n}_space_excluded ON {t} IS 'not twice'",
            "COMMENT ON INDEX {s}.{n}_space_excluded IS 'not twice, by an index'",
        ),
        only=TYPES,
        shadowed=False,
    ),
    "check": Hung(
        (
            "ALTER TABLE {t} ADD CONSTRAINT {n}_some CHECK ({c} IS NULL OR created_at IS NOT NULL) NO INHERIT",
            "COMMENT ON CONSTRAINT {n}_some ON {t} IS 'some'",
        )
    ),
    "check: not valid": Hung(
        ("ALTER TABLE {t} ADD CONSTRAINT {n}_new CHECK ({c} <> 'chat' OR id IS NOT NULL) NOT VALID",)
    ),
    "check: not enforced": Hung(
        ("ALTER TABLE {t} ADD CONSTRAINT {n}_never CHECK ({c} = 'call') NOT ENFORCED",), since=18, shadowed=False
    ),
    "foreign key": Hung(
        (
            "CREATE TABLE {s}.{n}_known AS SELECT DISTINCT {c} AS type FROM {t} WHERE {c} IS NOT NULL",
            "ALTER TABLE {s}.{n}_known ADD UNIQUE (type)",
            "ALTER TABLE {t} ADD CONSTRAINT {n}_known FOREIGN KEY ({c}) REFERENCES {s}.{n}_known (type)"
            " ON UPDATE CASCADE DEFERRABLE",
            "COMMENT ON CONSTRAINT {n}_known ON {t} IS 'a known one'",
        ),
        only=TEXT,
        shadowed=False,
    ),
    "foreign key: not valid": Hung(
        (
            "CREATE TABLE {s}.{n}_told (type text PRIMARY KEY)",
            "INSERT INTO {s}.{n}_told SELECT DISTINCT {c} FROM {t} WHERE {c} IS NOT NULL ON CONFLICT DO NOTHING",
            "ALTER TABLE {t} ADD CONSTRAINT {n}_told FOREIGN KEY ({c}) REFERENCES {s}.{n}_told NOT VALID",
        ),
        only=TEXT,
        shadowed=False,
    ),
    # ---- statistics objects
    "statistics: target": Hung(
        (
            "CREATE STATISTICS {s}.{n}_targeted ON {c}, created_at FROM {t}",
            "ALTER STATISTICS {s}.{n}_targeted SET STATISTICS 123",
            "COMMENT ON STATISTICS {s}.{n}_targeted IS 'it''s together'",
        ),
        since=13,
    ),
    "statistics: owner": Hung(
        (
            "CREATE STATISTICS public.{n}_owned (mcv) ON {c}, created_at FROM {t}",
            "COMMENT ON STATISTICS public.{n}_owned IS 'of another'",
            f"ALTER STATISTICS public.{{n}}_owned OWNER TO {OWNER}",
        )
    ),
    "statistics: expressions": Hung(
        ('CREATE STATISTICS {s}."{n} Expressions" (ndistinct) ON ({c} IS NULL), created_at FROM {t}',), since=14
    ),
}
