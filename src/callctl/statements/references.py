"""Column references: which table each belongs to, and what is to be done about it.

Only names that a naming moves are of interest. Each is found to be a table's column (a ``Use``) or to be
something else (``left``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from sqlglot import exp

from callctl.errors import Refused
from callctl.statements.naming import DOCUMENTED_SCHEMA, Naming, TableNaming
from callctl.statements.scope import Exposed, Outputs, Scope, Source, folded, table_outputs
from callctl.statements.tokens import identifier, line_of

Mode = Literal["read", "write", "name"]
Ctes = Mapping[str, Outputs]


@dataclass(frozen=True)
class Use:
    """A place where a column of a platform table stands.

    ``mode``: in an expression (``read``), as the target of a write, or as a bare ``name`` in a column list.
    ``node`` is the Column around the identifier, where there is one; ``qualifier`` is what must be put
    before it, because the actual name alone would be ambiguous.
    """

    identifier: exp.Identifier
    exposed: Exposed
    mode: Mode
    node: exp.Expr | None
    qualifier: str = ""


class Names:
    """What is found of one statement: ``uses``, ``left``, and in ``titled`` what names an output."""

    def __init__(self, sql: str, source: str, line: int, naming: Naming) -> None:
        self.sql, self.source, self.line, self.naming = sql, source, line, naming
        self.uses: list[Use] = []
        self.left: set[int] = set()
        self.aliases: set[str] = set()
        self.titled: set[int] = set()

    def refuse(self, node: exp.Identifier, why: str, hint: str | None = None) -> NoReturn:
        line = self.line + line_of(self.sql, start_of(node)) - 1
        raise Refused(f"{self.source}:{line}: {why}", hint=hint)

    def leave(self, *nodes: object) -> None:
        """These identifiers are names of something else."""
        self.left |= {start_of(node) for node in nodes if isinstance(node, exp.Identifier)}

    def use(
        self, node: exp.Identifier, exposed: Exposed, mode: Mode, around: exp.Expr | None, qualifier: str = ""
    ) -> None:
        if exposed.table is None:
            self.leave(node)
        else:
            self.uses.append(Use(node, exposed, mode, around, qualifier))

    def pick(self, node: exp.Identifier, found: Iterable[Exposed]) -> Exposed:
        """The one meaning; refuses where the meanings are spelled differently here."""
        listed = list(found)
        listed = [exposed for exposed in listed if exposed.documented] or listed
        if len({(exposed.actual, exposed.absent, exposed.factor) for exposed in listed}) > 1:
            tables = sorted({exposed.table.name if exposed.table else "a derived table" for exposed in listed})
            self.refuse(
                node,
                f"{node.name} is ambiguous: it can be a column of {' or '.join(tables)}, "
                "which this database spells differently",
                "write the table's name or alias before it",
            )
        return listed[0]

    def column(self, node: exp.Column, scope: Scope, mode: Mode = "read") -> None:
        """Resolve one column reference."""
        name_node = node.this
        if not isinstance(name_node, exp.Identifier):
            return
        name = folded(name_node)
        if name not in self.naming.moved:
            return
        qualifier = node.args.get("table")
        if qualifier is not None:
            source = scope.named(folded(qualifier))
            if source is not None:
                found = source.lookup(name)
                self.use(name_node, self.pick(name_node, found) if found else Exposed(name), mode, node)
            return
        doubtful = False
        for level in scope.levels():
            pairs = [(source, exposed) for source in level.sources for exposed in source.lookup(name)]
            if pairs:
                exposed = self.pick(name_node, (pair[1] for pair in pairs))
                if doubtful and name in self._moved(exposed):
                    self.refuse(
                        name_node,
                        f"{node.this.name} can be a column of the inner query's table or of {owner_of(exposed)}",
                        "write the table's name or alias before it",
                    )
                owners = [source for source, candidate in pairs if candidate == exposed]
                self.use(name_node, exposed, mode, node, self._qualifier(level, owners, exposed))
                return
            doubtful = doubtful or any(source.outputs.open for source in level.sources)
        self.leave(name_node)

    def _moved(self, exposed: Exposed) -> frozenset[str]:
        return exposed.table.moved if exposed.table else frozenset()

    def _qualifier(self, level: Scope, owners: list[Source], exposed: Exposed) -> str:
        """The owner's name, if another source beside it has a column of the actual name."""
        if exposed.table is None or exposed.absent or len(owners) != 1:
            return ""
        for source in level.sources:
            if source is owners[0]:
                continue
            shown = (other for listed in source.outputs.columns.values() for other in listed if not other.absent)
            if any(other.actual == exposed.actual for other in shown):
                return owners[0].written
        return ""

    def bare(self, node: exp.Expr, source: Source, mode: Mode) -> None:
        """An identifier in a column list of a table."""
        name = folded(node)
        if isinstance(node, exp.Identifier) and name in self.naming.moved:
            found = source.lookup(name)
            self.use(node, self.pick(node, found) if found else Exposed(name), mode, None)

    def alias(self, alias: exp.Expr | None) -> list[str]:
        """Leave an alias alone; the answer is its column list."""
        if alias is None:
            return []
        self.leave(alias.this)
        self.aliases.add(folded(alias.this))
        columns = [
            column.this if isinstance(column, exp.ColumnDef) else column for column in alias.args.get("columns") or ()
        ]
        self.leave(*columns)
        return [folded(column) for column in columns]

    def table(self, node: exp.Expr | None) -> TableNaming | None:
        """The platform's table of that name, or None."""
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            return None
        return self.known(folded(node.args.get("db")), folded(node.this))

    def known(self, schema: str, name: str) -> TableNaming | None:
        if schema not in ("", DOCUMENTED_SCHEMA, self.naming.schema):
            return None
        return self.naming.tables.get(name)

    def target(self, node: exp.Expr | None) -> Source:
        """The source of a table that is written to."""
        if isinstance(node, exp.Schema):
            node = node.this
        if not isinstance(node, exp.Table):
            return Source("", "", Outputs(open=True))
        return self.table_source(node, {})

    def table_source(self, node: exp.Table, ctes: Ctes) -> Source:
        alias = node.args.get("alias")
        columns = self.alias(alias)
        name_node = alias.this if alias is not None and alias.this is not None else node.this
        name, schema = folded(name_node), folded(node.args.get("db"))
        table = None
        if not schema and folded(node.this) in ctes:
            outputs = ctes[folded(node.this)]
        else:
            table = self.table(node)
            outputs = table_outputs(table) if table is not None else Outputs(open=True)
        return Source(name, identifier(name), outputs.renamed(columns), table, schema)

    def row_type(self, node: exp.Expr) -> TableNaming | None:
        """The table whose row type a function's argument is cast to (jsonb_populate_record(NULL::t, …))."""
        for cast in node.find_all(exp.Cast):
            kind = cast.to.args.get("kind") if isinstance(cast.to, exp.DataType) else None
            if isinstance(kind, exp.Dot):
                found = self.known(folded(kind.this), folded(kind.expression))
                if found is not None:
                    return found
        return None


def start_of(node: exp.Expr) -> int:
    """Where an identifier stands in the statement's text."""
    return int(node.meta.get("start", -1))


def is_bare(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and node.args.get("table") is None and isinstance(node.this, exp.Identifier)


def owner_of(exposed: Exposed) -> str:
    return exposed.table.name if exposed.table is not None else "a derived table"
