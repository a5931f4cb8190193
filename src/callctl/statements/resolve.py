"""Finds the table of each column that a statement reads or writes.

A walk over sqlglot's tree by PostgreSQL's rules of visibility. What the walk does not come to is neither used nor left,
and ``callctl.statements.adaptation`` refuses it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from sqlglot import exp

from callctl.errors import Code, Refused
from callctl.statements.naming import DOCUMENTED_SCHEMA, Naming, TableNaming
from callctl.statements.scope import Exposed, Outputs, Scope, Source, folded, output_name, table_outputs
from callctl.statements.tokens import identifier, line_of

# Column references: which table each belongs to, and what is to be done about it.
#
# Only names that a naming moves are of interest. Each is found to be a table's column (a ``Use``) or to be something
# else (``other_names``).

Mode = Literal["read", "write", "name"]
Ctes = Mapping[str, Outputs]


@dataclass(frozen=True)
class Use:
    """A place that names a column of a platform table.

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
    """The names of one statement: ``uses``, ``other_names``, and in ``titled`` the names of outputs."""

    def __init__(self, sql: str, source: str, line: int, naming: Naming) -> None:
        self.sql, self.source, self.line, self.naming = sql, source, line, naming
        self.uses: list[Use] = []
        self.other_names: set[int] = set()
        self.aliases: set[str] = set()
        self.titled: set[int] = set()

    def refuse(self, node: exp.Identifier, why: str, hint: str | None = None) -> NoReturn:
        line = self.line + line_of(self.sql, start_of(node)) - 1
        raise Refused(Code.STATEMENT_UNFIT, f"{self.source}:{line}: {why}", hint=hint)

    def leave(self, *nodes: object) -> None:
        """These identifiers are names of something else."""
        self.other_names |= {start_of(node) for node in nodes if isinstance(node, exp.Identifier)}

    def use(
        self, node: exp.Identifier, exposed: Exposed, mode: Mode, around: exp.Expr | None, qualifier: str = ""
    ) -> None:
        if exposed.table is None:
            self.leave(node)
        else:
            self.uses.append(Use(node, exposed, mode, around, qualifier))

    def pick(self, node: exp.Identifier, exposures: Iterable[Exposed]) -> Exposed:
        """The one meaning; refuses where the meanings are spelled differently here."""
        listed = list(exposures)
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
                exposures = source.lookup(name)
                self.use(name_node, self.pick(name_node, exposures) if exposures else Exposed(name), mode, node)
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
            exposures = source.lookup(name)
            self.use(node, self.pick(node, exposures) if exposures else Exposed(name), mode, None)

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
                table = self.known(folded(kind.this), folded(kind.expression))
                if table is not None:
                    return table
        return None


def start_of(node: exp.Expr) -> int:
    """Return the offset of an identifier in the statement's text."""
    return int(node.meta.get("start", -1))


def is_bare(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and node.args.get("table") is None and isinstance(node.this, exp.Identifier)


def owner_of(exposed: Exposed) -> str:
    return exposed.table.name if exposed.table is not None else "a derived table"


# INSERT, UPDATE, DELETE and MERGE: what is written to, and what is read beside it.


class Writes(Names):
    """Resolves the statements that write; the queries and expressions in them are for the class below."""

    @abstractmethod
    def query(self, node: exp.Expr | None, outer: Scope | None, ctes: Ctes) -> Outputs: ...

    @abstractmethod
    def projection(self, items: Iterable[exp.Expr], scope: Scope, ctes: Ctes) -> Outputs: ...

    @abstractmethod
    def source_of(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> None: ...

    @abstractmethod
    def joins(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> None: ...

    @abstractmethod
    def visit(self, node: exp.Expr, scope: Scope, ctes: Ctes, mode: Mode = "read") -> None: ...

    @abstractmethod
    def visit_any(self, value: object, scope: Scope, ctes: Ctes) -> None: ...

    def insert(self, node: exp.Insert, outer: Scope | None, ctes: Ctes) -> Outputs:
        target = self.target(node.this)
        if isinstance(node.this, exp.Schema):
            self.write(node.this.expressions, target)
        self.query(node.expression, outer, ctes)
        scope = Scope([target], outer)
        conflict = node.args.get("conflict")
        if conflict is not None:
            excluded = Source("excluded", "excluded", target.outputs, target.table)
            both = Scope([target, excluded], outer)
            self.leave(conflict.args.get("constraint"))
            for key in conflict.args.get("conflict_keys") or ():
                bare = key.this if isinstance(key, exp.Ordered) else key
                self.visit(bare, scope, ctes, "name")
            self.visit_any(conflict.args.get("index_predicate"), scope, ctes)
            self.assignments(conflict.expressions, target, both, ctes, unqualified=scope)
            self.visit_any(conflict.args.get("where"), Scope([target], Scope([excluded], outer)), ctes)
        return self.returning(node, scope, ctes)

    def update(self, node: exp.Update, outer: Scope | None, ctes: Ctes) -> Outputs:
        target = self.target(node.this)
        scope = Scope([target], outer)
        self.joins(node.this, scope, ctes)
        from_ = node.args.get("from_")
        if from_ is not None:
            self.source_of(from_.this, scope, ctes)
        self.joins(node, scope, ctes)
        self.assignments(node.expressions, target, scope, ctes)
        self.visit_any(node.args.get("where"), scope, ctes)
        return self.returning(node, scope, ctes)

    def delete(self, node: exp.Delete, outer: Scope | None, ctes: Ctes) -> Outputs:
        scope = Scope([self.target(node.this)], outer)
        for item in node.args.get("using") or ():
            self.source_of(item, scope, ctes)
        self.joins(node, scope, ctes)
        self.visit_any(node.args.get("where"), scope, ctes)
        return self.returning(node, scope, ctes)

    def merge(self, node: exp.Merge, outer: Scope | None, ctes: Ctes) -> Outputs:
        target = self.target(node.this)
        using = Scope([], outer)
        self.source_of(node.args["using"], using, ctes)
        both = Scope([target, *using.sources], outer)
        self.visit_any(node.args.get("on"), both, ctes)
        for when in node.args["whens"].expressions:
            matched = both if when.args.get("matched") or when.args.get("source") else using
            self.visit_any(when.args.get("condition"), matched, ctes)
            then = when.args.get("then")
            if isinstance(then, exp.Update):
                self.assignments(then.expressions, target, both, ctes)
            elif isinstance(then, exp.Insert):
                self.write(then.this.expressions if isinstance(then.this, exp.Tuple) else [then.this], target)
                self.visit_any(then.expression, using, ctes)
        return self.returning(node, both, ctes)

    def returning(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> Outputs:
        clause = node.args.get("returning")
        return self.projection(clause.expressions, scope, ctes) if clause is not None else Outputs()

    def assignments(
        self,
        items: Iterable[exp.Expr],
        target: Source,
        scope: Scope,
        ctes: Ctes,
        unqualified: Scope | None = None,
    ) -> None:
        """SET: what is left of = is a column of the target, whatever else is in scope."""
        # In DO UPDATE an unqualified name is the target's; EXCLUDED is only reached by its name.
        reading = scope if unqualified is None else Scope(unqualified.sources, Scope(scope.sources, scope.outer))
        for item in items:
            if isinstance(item, exp.EQ):
                self.write([item.this], target)
                self.visit(item.expression, reading, ctes)
            else:
                self.visit(item, reading, ctes)

    def write(self, items: Iterable[exp.Expr | None], target: Source) -> None:
        scope = Scope([target])
        for item in items:
            match item:
                case exp.Column():
                    self.column(item, scope, "write")
                case exp.Identifier():
                    self.bare(item, target, "write")
                case exp.Tuple() | exp.Paren():
                    self.write(item.expressions or [item.this], target)
                case exp.Bracket() | exp.Dot():
                    self.write([item.this], target)
                case _:
                    pass


# Which table each column of a statement belongs to.


class Resolver(Writes):
    """Resolves one statement."""

    def query(self, node: exp.Expr | None, outer: Scope | None, ctes: Ctes) -> Outputs:
        """Resolve a query or a statement that can be in WITH; the answer is what it shows."""
        if node is None:
            return Outputs()
        ctes = self.with_(node, outer, ctes)
        match node:
            case exp.Select():
                return self.select(node, outer, ctes)
            case exp.SetOperation():
                left = self.query(node.this, outer, ctes)
                self.query(node.expression, outer, ctes)
                scope = Scope([Source("", "", left)], outer)
                self.order(node, scope, left, ctes)
                return left
            case exp.Subquery():
                result = self.query(node.this, outer, ctes)
                self.order(node, Scope([Source("", "", result)], outer), result, ctes)
                return result
            case exp.Insert():
                return self.insert(node, outer, ctes)
            case exp.Update():
                return self.update(node, outer, ctes)
            case exp.Delete():
                return self.delete(node, outer, ctes)
            case exp.Merge():
                return self.merge(node, outer, ctes)
            case _:
                self.visit_children(node, Scope([], outer), ctes)
                return Outputs(open=True)

    def with_(self, node: exp.Expr, outer: Scope | None, ctes: Ctes) -> Ctes:
        clause = node.args.get("with_")
        if not isinstance(clause, exp.With):
            return ctes
        known = dict(ctes)
        for cte in clause.expressions:
            alias = cte.args["alias"]
            name, columns = folded(alias.this), self.alias(alias)
            body = cte.this
            if clause.args.get("recursive") and isinstance(body, exp.SetOperation):
                # Inside its own body the name shows what the part without recursion shows.
                inner = self.with_(body, outer, known)
                first = self.query(body.this, outer, inner).renamed(columns)
                self.query(body.expression, outer, {**inner, name: first})
                self.order(body, Scope([Source("", "", first)], outer), first, inner)
                known[name] = first
            else:
                known[name] = self.query(body, outer, known).renamed(columns)
        return known

    def select(self, node: exp.Select, outer: Scope | None, ctes: Ctes) -> Outputs:
        scope = Scope([], outer)
        from_ = node.args.get("from_")
        if from_ is not None:
            self.source_of(from_.this, scope, ctes)
        self.joins(node, scope, ctes)
        for lateral in node.args.get("laterals") or ():
            self.source_of(lateral, scope, ctes)
        outputs = self.projection(node.expressions, scope, ctes)
        distinct = node.args.get("distinct")
        if distinct is not None and isinstance(distinct.args.get("on"), exp.Expr):
            items = distinct.args["on"]
            for item in items.expressions if isinstance(items, exp.Tuple) else [items.unnest()]:
                self.sort_key(item, scope, outputs, ctes)
        group = node.args.get("group")
        if group is not None:
            for item in group.expressions:
                self.group_key(item, scope, outputs, ctes)
            for key, value in group.args.items():
                if key != "expressions":
                    self.visit_any(value, scope, ctes)
        self.order(node, scope, outputs, ctes)
        handled = {"with_", "from_", "joins", "laterals", "expressions", "distinct", "group", "order", "locks"}
        for key, value in node.args.items():
            if key not in handled:
                self.visit_any(value, scope, ctes)
        return outputs

    def joins(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> None:
        for join in node.args.get("joins") or ():
            before = len(scope.sources)
            self.source_of(join.this, scope, ctes)
            left, right = scope.sources[:before], scope.sources[before:]
            if join.method.upper() == "NATURAL":
                for source in scope.sources:
                    if source.table is not None and source.table.moved:
                        self.refuse(
                            next(join.find_all(exp.Identifier)),
                            f"a natural join with {source.table.name}, whose columns have other names here",
                            "write the columns after USING or ON",
                        )
            for column in join.args.get("using") or ():
                node_ = column.this if isinstance(column, exp.Column) else column
                name = folded(node_)
                if name not in self.naming.moved:
                    continue
                in_left = [exposed for source in left for exposed in source.lookup(name)]
                other = [exposed for source in right for exposed in source.lookup(name)]
                plain = [Exposed(name)]
                left_column, right_column = self.pick(node_, in_left or plain), self.pick(node_, other or plain)
                if (
                    left_column.absent
                    or right_column.absent
                    or left_column.actual != right_column.actual
                    or left_column.factor != right_column.factor
                ):
                    self.refuse(node_, f"USING ({node_.name}) joins columns that have different names here", "use ON")
                self.use(node_, left_column if left_column.table else right_column, "name", None)
            self.visit_any(join.args.get("on"), scope, ctes)
            self.joins(join, scope, ctes)

    def projection(self, items: Iterable[exp.Expr], scope: Scope, ctes: Ctes) -> Outputs:
        outputs = Outputs()
        for item in items:
            if isinstance(item, exp.Star):
                for source in scope.sources:
                    outputs.include(source.outputs.columns, is_open=source.outputs.open)
                continue
            if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                named = scope.named(folded(item.args.get("table")))
                if named is None:
                    outputs.open = True
                else:
                    outputs.include(named.outputs.columns, is_open=named.outputs.open)
                continue
            if isinstance(item, exp.Alias):
                self.leave(item.args.get("alias"))
            self.visit(item.this if isinstance(item, exp.Alias) else item, scope, ctes)
            name, giver = output_name(item)
            outputs.name(name)
            if giver is not None:
                self.titled.add(start_of(giver))
        return outputs

    def order(self, node: exp.Expr, scope: Scope, outputs: Outputs, ctes: Ctes) -> None:
        order = node.args.get("order")
        if order is None:
            return
        for item in order.expressions:
            self.sort_key(item.this if isinstance(item, exp.Ordered) else item, scope, outputs, ctes)

    def sort_key(self, key: exp.Expr, scope: Scope, outputs: Outputs, ctes: Ctes) -> None:
        """ORDER BY and DISTINCT ON: a bare name is an output's name first, then a column's."""
        if is_bare(key) and folded(key.this) in outputs.explicit:
            self.leave(key.this)
        else:
            self.visit(key, scope, ctes)

    def group_key(self, key: exp.Expr, scope: Scope, outputs: Outputs, ctes: Ctes) -> None:
        """GROUP BY: a bare name is a column's name first, then an output's."""
        if not is_bare(key):
            self.visit(key, scope, ctes)
            return
        name = folded(key.this)
        here = Scope(scope.sources)
        if any(source.lookup(name) for source in scope.sources) or name not in outputs.explicit:
            self.visit(key, scope if not any(s.lookup(name) for s in scope.sources) else here, ctes)
            return
        self.leave(key.this)
        actual = [
            exposed
            for source in scope.sources
            for listed in source.outputs.columns.values()
            for exposed in listed
            if exposed.table is not None and exposed.actual == name and exposed.name in exposed.table.moved
        ]
        if actual:
            self.refuse(
                key.this,
                f"GROUP BY {key.this.name} means the select list's {key.this.name}, "
                f"but {owner_of(actual[0])} has a column of that name here",
                "group by the expression itself",
            )

    def source_of(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> None:
        """Add an item of a FROM list to the scope."""
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            scope.sources.append(self.table_source(node, ctes))
            self.visit_any(node.args.get("sample"), scope, ctes)
        elif (
            isinstance(node, exp.Subquery)
            and isinstance(node.this, exp.Table | exp.Subquery)
            and not node.this.args.get("with_")
        ):
            self._joined(node, scope, ctes)
            return
        elif isinstance(node, exp.Subquery):
            outputs = self.query(node, scope.outer, ctes)
            self._derived(node, outputs, scope)
        elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            outputs = self.query(node.this, Scope(list(scope.sources), scope.outer), ctes)
            self._derived(node, outputs, scope)
        else:
            # A function, unnest, VALUES: it sees what is before it.
            for key, value in node.args.items():
                if key not in ("alias", "joins"):
                    self.visit_any(value, scope, ctes)
            table = self.row_type(node)
            outputs = table_outputs(table) if table is not None else Outputs(open=True)
            self._derived(node, outputs, scope)
        self.joins(node, scope, ctes)

    def _joined(self, node: exp.Subquery, scope: Scope, ctes: Ctes) -> None:
        """A join in parentheses: without an alias its tables stay visible."""
        if node.args.get("alias") is None:
            self.source_of(node.this, scope, ctes)
        else:
            inner = Scope([], scope.outer)
            self.source_of(node.this, inner, ctes)
            outputs = Outputs()
            for source in inner.sources:
                outputs.include(source.outputs.columns, is_open=source.outputs.open)
            self._derived(node, outputs, scope)
        self.joins(node, scope, ctes)

    def _derived(self, node: exp.Expr, outputs: Outputs, scope: Scope) -> None:
        alias = node.args.get("alias")
        columns = self.alias(alias)
        if columns and outputs.open and not outputs.columns:
            outputs = Outputs()
        name = folded(alias.this) if alias is not None else ""
        scope.sources.append(Source(name, identifier(name), outputs.renamed(columns)))

    def visit_any(self, value: object, scope: Scope, ctes: Ctes) -> None:
        if isinstance(value, exp.Expr):
            self.visit(value, scope, ctes)
        elif isinstance(value, list):
            for item in value:
                self.visit_any(item, scope, ctes)

    def visit_children(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> None:
        for value in node.args.values():
            self.visit_any(value, scope, ctes)

    def visit(self, node: exp.Expr, scope: Scope, ctes: Ctes, mode: Mode = "read") -> None:
        match node:
            case exp.Column():
                self.column(node, scope, mode)
            case exp.Query():
                self.query(node, scope, ctes)
            case exp.Dot() if isinstance(node.expression, exp.Identifier) and isinstance(node.this, exp.Paren):
                self.field(node, scope, ctes)
            case exp.Alias():
                self.leave(node.args.get("alias"))
                self.visit(node.this, scope, ctes)
            case exp.Schema() if isinstance(node.this, exp.Table):
                target = self.target(node.this)
                for item in node.expressions:
                    self.bare(item, target, "name")
            case exp.Identifier() | exp.DataType():
                pass
            case _:
                self.visit_children(node, scope, ctes)

    def field(self, node: exp.Dot, scope: Scope, ctes: Ctes) -> None:
        """``(c).column``: a field of a whole row, or of a function's row type."""
        inner = node.this.unnest()
        name_node = node.expression
        name = folded(name_node)
        self.visit(inner, scope, ctes)
        if name not in self.naming.moved or not isinstance(name_node, exp.Identifier):
            return
        source = scope.named(folded(inner.this)) if is_bare(inner) else None
        table = None if source is not None else self.row_type(node.this)
        if source is not None and source.lookup(name):
            self.use(name_node, self.pick(name_node, source.lookup(name)), "read", node)
        elif table is not None and name in (*table.columns, *table.absent):
            self.use(name_node, Exposed(name, table), "read", node)
        elif source is not None:
            self.leave(name_node)
