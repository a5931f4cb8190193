"""INSERT, UPDATE, DELETE and MERGE: what is written to, and what is read beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from sqlglot import exp

from callctl.statements.references import Ctes, Mode, Names
from callctl.statements.scope import Outputs, Scope, Source


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
        """SET: what stands left of = is a column of the target, whatever else is in scope."""
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
