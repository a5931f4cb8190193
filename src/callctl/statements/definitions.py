"""Statements that define things: which table each column word of theirs belongs to."""

from __future__ import annotations

from sqlglot import exp

from callctl.statements.naming import TableNaming
from callctl.statements.resolve import Resolver
from callctl.statements.scope import Exposed, Outputs, Scope, Source, folded, table_outputs
from callctl.statements.tokens import Token


def resolve(resolver: Resolver, node: exp.Expr) -> None:
    """Resolve any statement that sqlglot reads as more than its beginning."""
    match node:
        case exp.Query() | exp.Insert() | exp.Update() | exp.Delete() | exp.Merge():
            resolver.query(node, None, {})
        case exp.Create():
            _create(resolver, node)
        case exp.Alter():
            target = resolver.target(node.this)
            for action in node.args.get("actions") or ():
                _alter(resolver, action, target)
        case exp.Comment() if isinstance(node.this, exp.Column):
            column = node.this
            table = resolver.known(folded(column.args.get("db")), folded(column.args.get("table")))
            resolver.bare(column.this, _source(table), "name")
        case exp.Grant() | exp.Revoke():
            target = resolver.target(node.args.get("securable"))
            for privilege in node.args.get("privileges") or ():
                for column in privilege.expressions:
                    resolver.bare(column.this, target, "name")
        case exp.Analyze():
            for table_node in node.args.get("tables") or ():
                _analyze(resolver, table_node)
        case exp.Copy():
            resolver.visit(node.this, Scope(), {})
        case exp.Values():
            resolver.visit_children(node, Scope(), {})
        case _:
            pass


def _source(table: TableNaming | None, name: str = "") -> Source:
    return Source(name, name, table_outputs(table) if table is not None else Outputs(open=True), table)


def _create(resolver: Resolver, node: exp.Create) -> None:
    this = node.this
    query = node.expression
    if isinstance(this, exp.Index):
        resolver.leave(this.this)
        target = resolver.target(this.args.get("table"))
        parameters = this.args.get("params")
        if parameters is not None:
            for included in parameters.args.get("include") or ():
                resolver.bare(included, target, "name")
            resolver.visit_children(parameters, Scope([target]), {})
        return
    trigger = node.find(exp.TriggerProperties)
    if trigger is not None:
        resolver.leave(this)
        _trigger(resolver, trigger)
        return
    if isinstance(query, exp.Query):
        if isinstance(this, exp.Schema):
            resolver.leave(*this.expressions)
        resolver.query(query, None, {})
    elif isinstance(this, exp.Schema):
        for item in (*this.expressions, node.args.get("properties")):
            _own(resolver, item)


def _own(resolver: Resolver, node: object) -> None:
    """The columns of a table that is being made are its own; those after REFERENCES are not."""
    if isinstance(node, list):
        for item in node:
            _own(resolver, item)
    elif isinstance(node, exp.Schema) and isinstance(node.this, exp.Table):
        resolver.visit(node, Scope(), {})
    elif isinstance(node, exp.Column):
        resolver.leave(node.this)
    elif isinstance(node, exp.Identifier):
        resolver.leave(node)
    elif isinstance(node, exp.Expr) and not isinstance(node, exp.Table | exp.DataType):
        _own(resolver, list(node.args.values()))


def _trigger(resolver: Resolver, node: exp.TriggerProperties) -> None:
    table = resolver.table(node.args.get("table"))
    target = _source(table)
    for event in node.args.get("events") or ():
        for column in event.args.get("columns") or ():
            resolver.bare(column.this, target, "name")
    when = node.args.get("when")
    if isinstance(when, exp.Expr):
        resolver.visit(when, Scope([_source(table, "new"), _source(table, "old")]), {})
    execute = node.args.get("execute")
    for column in execute.find_all(exp.Column) if execute is not None else ():
        resolver.bare(column.this, target, "name")


def _analyze(resolver: Resolver, node: exp.Expr) -> None:
    call = node.this
    if isinstance(call, exp.Anonymous):
        table = resolver.known(folded(node.args.get("db")), str(call.this).lower())
        for column in call.expressions:
            resolver.bare(column.this, _source(table), "name")


def _alter(resolver: Resolver, action: exp.Expr, target: Source) -> None:
    scope = Scope([target])
    if isinstance(action, exp.ColumnDef):
        # ADD COLUMN IF NOT EXISTS of a column that stands under another name does nothing, and that is right.
        _column_name(resolver, action.this, target, adding=bool(action.args.get("exists")))
        for constraint in action.args.get("constraints") or ():
            _action(resolver, constraint, target, scope)
    elif isinstance(action, exp.AlterColumn):
        _column_name(resolver, action.this, target, adding=False)
        for key, value in action.args.items():
            if key != "this":
                resolver.visit_any(value, scope, {})
    elif isinstance(action, exp.Drop | exp.RenameColumn):
        items = action.args.get("tables") or [action.this, action.args.get("to")]
        for item in items:
            if isinstance(item, exp.Column):
                _column_name(resolver, item.this, target, adding=False)
            elif isinstance(item, exp.Table):
                resolver.leave(item.this)
    else:
        _action(resolver, action, target, scope)


def _column_name(resolver: Resolver, node: exp.Expr, target: Source, *, adding: bool) -> None:
    found = target.lookup(folded(node))
    if found and found[0].factor and not adding and isinstance(node, exp.Identifier):
        resolver.refuse(node, f"{node.name} is kept in another unit here, in {target.name}.{found[0].actual}")
    resolver.bare(node, target, "name")


def _action(resolver: Resolver, node: object, target: Source, scope: Scope) -> None:
    """ADD CONSTRAINT and the like: column words are the table's, but for those after REFERENCES."""
    if isinstance(node, list):
        for item in node:
            _action(resolver, item, target, scope)
    elif isinstance(node, exp.Schema) and isinstance(node.this, exp.Table):
        resolver.visit(node, Scope(), {})
    elif isinstance(node, exp.Constraint):
        resolver.leave(node.this)
        _action(resolver, node.expressions, target, scope)
    elif isinstance(node, exp.CheckColumnConstraint | exp.DefaultColumnConstraint):
        resolver.visit_children(node, scope, {})
    elif isinstance(node, exp.Identifier):
        resolver.bare(node, target, "name")
    elif isinstance(node, exp.Column):
        resolver.column(node, scope, "name")
    elif isinstance(node, exp.Expr) and not isinstance(node, exp.Table | exp.DataType):
        _action(resolver, list(node.args.values()), target, scope)


def words_of_alter(resolver: Resolver, items: tuple[Token, ...]) -> list[tuple[Token, Exposed]]:
    """Column words of an ``ALTER TABLE`` or a ``VACUUM`` that sqlglot cannot read, with what they are.

    Only where every column word can be nothing but the table's own: no query inside.
    """
    start = next((index for index, item in enumerate(items) if item.says("table", "vacuum", "policy")), None)
    if start is None or any(item.says("select") for item in items):
        return []
    at = start + 1
    if items[0].says("create", "drop") or items[start].says("policy"):
        at = next((index + 1 for index, item in enumerate(items) if item.says("on") and index > start), len(items))
    while at < len(items) and items[at].says("if", "exists", "only", "full", "freeze", "verbose", "analyze"):
        at += 1
    if at < len(items) and items[at].text == "(" and items[0].says("vacuum"):
        at = next((index + 1 for index, item in enumerate(items) if item.text == ")"), len(items))
    table, schema, at = _name(items, at)
    if not table:
        return []
    found: list[tuple[Token, Exposed]] = []
    known = resolver.known(schema, table)
    while at < len(items):
        item = items[at]
        if item.says("references"):
            name, schema, at = _name(items, at + 1)
            other = resolver.known(schema, name)
            if at < len(items) and items[at].text == "(":
                while at < len(items) and items[at].text != ")":
                    if items[at].word:
                        found.append((items[at], Exposed(items[at].word, other)))
                    at += 1
            continue
        named = item.word and items[at - 1].says("constraint", "rename", "to", "policy", "trigger", "rule", "role")
        column = items[at - 1].text != "." and not (at + 1 < len(items) and items[at + 1].text in (".", "("))
        if item.word and column and not (named and not items[at - 1].says("rename")):
            found.append((item, Exposed(item.word, known)))
        at += 1
    return found


def _name(items: tuple[Token, ...], at: int) -> tuple[str, str, int]:
    """The table name that begins here, its schema, and where to go on."""
    if at + 2 < len(items) and items[at + 1].text == ".":
        return items[at + 2].word, items[at].word, at + 3
    return (items[at].word if at < len(items) else ""), "", at + 1
