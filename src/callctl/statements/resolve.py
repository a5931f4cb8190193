"""Which table each column of a statement belongs to.

A walk over sqlglot's tree by PostgreSQL's rules of visibility. What the walk does not come to is neither
used nor left, and ``callctl.statements.adaptation`` refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from callctl.statements.references import Ctes, Mode, is_bare, owner_of, start_of
from callctl.statements.scope import Exposed, Outputs, Scope, Source, folded, output_name, table_outputs
from callctl.statements.tokens import identifier
from callctl.statements.writes import Writes


class Resolver(Writes):
    """Resolves one statement."""

    def query(self, node: exp.Expr | None, outer: Scope | None, ctes: Ctes) -> Outputs:
        """Resolve a query or a statement that can stand in WITH; the answer is what it shows."""
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
        done = {"with_", "from_", "joins", "laterals", "expressions", "distinct", "group", "order", "locks"}
        for key, value in node.args.items():
            if key not in done:
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
                found = [exposed for source in left for exposed in source.lookup(name)]
                other = [exposed for source in right for exposed in source.lookup(name)]
                plain = [Exposed(name)]
                one, two = self.pick(node_, found or plain), self.pick(node_, other or plain)
                if one.absent or two.absent or one.actual != two.actual or one.factor != two.factor:
                    self.refuse(node_, f"USING ({node_.name}) joins columns that have different names here", "use ON")
                self.use(node_, one if one.table else two, "name", None)
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
            # A function, unnest, VALUES: it sees what stands before it.
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
