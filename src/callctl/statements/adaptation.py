"""A statement in the documented names -> the same statement in the names of this database.

Only the bytes of identifiers move; comments, white space and literals stay. What cannot be decided is
refused, never guessed: after the walk every word that this database spells otherwise must have been resolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from sqlglot import TokenType, exp

from callctl.errors import Code, Refused
from callctl.statements.naming import DOCUMENTED_SCHEMA, Naming, TableNaming
from callctl.statements.resolve import Resolver, Use, start_of
from callctl.statements.scope import Exposed, Outputs, Scope, Source, folded, table_outputs
from callctl.statements.script import Statement, tree
from callctl.statements.tokens import Edit, Token, identifier, line_of, literal, position, splice, tokens

# String literals that are names: by a cast, or as the argument of to_regclass and its like.

_REG = frozenset(
    "regclass regtype regproc regprocedure regoper regoperator regnamespace regcollation regconfig".split()  # noqa: SIM905
)
_SCHEMA = re.compile(r'(?<![\w$".])(?:(?i:chatapp)|"chatapp")(?=\s*\.)')


@lru_cache(maxsize=64)
def _pattern(words: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(words))), re.IGNORECASE)


def mentioned(sql: str, naming: Naming) -> bool:
    """Return whether a name that moves, or that one moves to, occurs in the text at all, if only in a comment."""
    words = {*naming.moved, *naming.actual}
    if naming.schema_moved:
        words.add(DOCUMENTED_SCHEMA)
    if words:
        words.add("natural")  # such a join depends on names that it does not mention
    return bool(words) and _pattern(frozenset(words)).search(sql) is not None


def cast_of(items: Sequence[Token], index: int) -> str:
    """The type that a string is cast to, if it says it is a name: ``regclass``, …, ``name``; else ``''``."""

    def word(place: int) -> str:
        return items[place].word or items[place].text.lower() if 0 <= place < len(items) else ""

    start = index + 2
    if word(index + 1) in ("::", "as"):
        if word(index + 1) == "as" and (word(index - 1), word(index - 2)) != ("(", "cast"):
            return ""
        if word(start) == "pg_catalog" and word(start + 1) == ".":
            start += 2
        return word(start) if word(start) in _REG or word(start) == "name" else ""
    function = word(index - 2)
    if word(index - 1) == "(" and word(index + 1) == ")" and function.startswith("to_reg"):
        return function.removeprefix("to_") if function.removeprefix("to_") in _REG else ""
    return ""


def _array_casts(items: Sequence[Token]) -> dict[int, str]:
    """Strings inside ``ARRAY[…]::name[]`` by index."""
    casts: dict[int, str] = {}
    for index, token in enumerate(items):
        if token.text != "]" or index + 3 >= len(items) or items[index + 1].text != "::":
            continue
        kind = items[index + 2].word
        if (kind in _REG or kind == "name") and items[index + 3].text == "[":
            place = index - 1
            while place >= 0 and not (items[place].text == "[" and items[place].depth == token.depth):
                if items[place].type == TokenType.STRING:
                    casts[place] = kind
                place -= 1
    return casts


def literal_edits(
    items: Sequence[Token], naming: Naming, refuse: Callable[[int, str, str | None], Refused]
) -> list[Edit]:
    """The edits to the literals that are names.

    A column's name belongs to the nearest relation (``'chatapp.chatbots'::regclass``, or the row type in
    ``NULL::chatapp.chatbots``) before it.
    """
    edits: list[Edit] = []
    relation: str | None = None
    arrays = _array_casts(items)
    for index, token in enumerate(items):
        if token.type != TokenType.STRING:
            relation = _row_type(items, index) or relation
            continue
        kind = arrays.get(index) or cast_of(items, index)
        if not kind:
            continue
        is_array = index not in arrays and index + 3 < len(items) and items[index + 3].text == "["
        text = token.text
        if is_array and mentioned(text, naming):
            raise refuse(token.start, f"callctl does not look into '{text}'", f"write ARRAY[…]::{kind}[]")
        if kind == "name":
            edits += _name_edits(token, relation, naming, refuse)
            continue
        moved = text
        if kind == "regnamespace":
            if naming.schema_moved and text.strip().lower() in (DOCUMENTED_SCHEMA, f'"{DOCUMENTED_SCHEMA}"'):
                moved = identifier(naming.schema)
        elif naming.schema_moved:
            moved = _SCHEMA.sub(lambda _: identifier(naming.schema), text)
        if kind == "regclass":
            relation = re.sub(r'^.*\.|"', "", text).strip().lower()
        if moved != text:
            edits.append(Edit(token.start, token.end, literal(moved)))
    return edits


def _row_type(items: Sequence[Token], index: int) -> str | None:
    """The table of ``NULL::schema.table`` whose ``NULL`` is at this place."""
    after = items[index + 1 : index + 5]
    if items[index].word != "null" or len(after) < 4 or (after[0].text, after[2].text) != ("::", "."):
        return None
    return after[3].word or None


def _name_edits(
    token: Token, relation: str | None, naming: Naming, refuse: Callable[[int, str, str | None], Refused]
) -> list[Edit]:
    if token.text == DOCUMENTED_SCHEMA and naming.schema_moved:
        return [Edit(token.start, token.end, literal(naming.schema))]
    if token.text not in naming.moved:
        return []
    if relation is None:
        raise refuse(
            token.start,
            f"cannot tell which table '{token.text}'::name is a column of",
            "a '…'::regclass literal or NULL::table before it says which",
        )
    table = naming.tables.get(relation)
    if table is None or token.text not in table.moved:
        return []
    if token.text in table.absent:
        return [Edit(token.start, token.end, "NULL")]
    return [Edit(token.start, token.end, literal(table.columns[token.text]))]


# Statements that define things: which table each column word of theirs belongs to.


def resolve_definition(resolver: Resolver, node: exp.Expr) -> None:
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
        # ADD COLUMN IF NOT EXISTS of a column that has another name does nothing, and that is right.
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
    exposures = target.lookup(folded(node))
    if exposures and exposures[0].factor and not adding and isinstance(node, exp.Identifier):
        resolver.refuse(node, f"{node.name} is kept in another unit here, in {target.name}.{exposures[0].actual}")
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
    place = start + 1
    if items[0].says("create", "drop") or items[start].says("policy"):
        place = next((index + 1 for index, item in enumerate(items) if item.says("on") and index > start), len(items))
    while place < len(items) and items[place].says("if", "exists", "only", "full", "freeze", "verbose", "analyze"):
        place += 1
    if place < len(items) and items[place].text == "(" and items[0].says("vacuum"):
        place = next((index + 1 for index, item in enumerate(items) if item.text == ")"), len(items))
    table, schema, place = _table_at(items, place)
    if not table:
        return []
    words: list[tuple[Token, Exposed]] = []
    known = resolver.known(schema, table)
    while place < len(items):
        item = items[place]
        if item.says("references"):
            name, schema, place = _table_at(items, place + 1)
            other = resolver.known(schema, name)
            if place < len(items) and items[place].text == "(":
                while place < len(items) and items[place].text != ")":
                    if items[place].word:
                        words.append((items[place], Exposed(items[place].word, other)))
                    place += 1
            continue
        named = item.word and items[place - 1].says("constraint", "rename", "to", "policy", "trigger", "rule", "role")
        column = items[place - 1].text != "." and not (place + 1 < len(items) and items[place + 1].text in (".", "("))
        if item.word and column and not (named and not items[place - 1].says("rename")):
            words.append((item, Exposed(item.word, known)))
        place += 1
    return words


def _table_at(items: tuple[Token, ...], place: int) -> tuple[str, str, int]:
    """The table name that begins here, its schema, and where to continue."""
    if place + 2 < len(items) and items[place + 1].text == ".":
        return items[place + 2].word, items[place].word, place + 3
    return (items[place].word if place < len(items) else ""), "", place + 1


# A statement in the documented names -> the same statement in the names of this database.

_ENDS_ITEM = frozenset(
    "from where group having window union intersect except order limit offset fetch for into on".split()  # noqa: SIM905
)


def adapt(statement: Statement, naming: Naming) -> Statement:
    """The statement in this database's names; the very same object where nothing moves.

    Raises :class:`Refused`, with ``file:line``, for a column the table has not, an ambiguous one, a write to
    a column in another unit, and text that callctl cannot see into but that mentions a name that moves.
    """
    if not mentioned(statement.sql, naming):
        return statement
    sql = statement.sql
    while True:
        analysis = _Analysis(sql, statement, naming)
        removal = analysis.removal()
        if removal is None:
            break
        # A filter goes, and the rest is looked at afresh: its neighbour may go next.
        sql = splice(sql, [removal])
    sql = splice(sql, analysis.edits())
    return statement if sql == statement.sql else replace(statement, sql=sql)


class _Analysis:
    def __init__(self, sql: str, statement: Statement, naming: Naming) -> None:
        self.sql, self.statement, self.naming = sql, statement, naming
        self.tokens = tokens(sql)
        self.resolver = Resolver(sql, statement.source, statement.line, naming)
        self.words: list[Edit] = []
        self.seen: set[int] = set()
        node = tree(sql)
        if node is None or isinstance(node, exp.Command):
            self._opaque(node)
        else:
            resolve_definition(self.resolver, node)
        self._bodies()
        self.literals = literal_edits(self.tokens, naming, self.refuse)
        self.schemas = self._schemas()
        self._check_uses()
        self._check_all_seen()

    def refuse(self, offset: int, why: str, hint: str | None = None) -> Refused:
        """The error for something at an offset of the statement."""
        line = self.statement.line + line_of(self.sql, offset) - 1
        return Refused(Code.STATEMENT_UNFIT, f"{self.statement.source}:{line}: {why}", hint=hint)

    def _opaque(self, node: exp.Expr | None) -> None:
        if not self.tokens[0].says("alter", "vacuum", "create"):
            return
        for token, exposed in words_of_alter(self.resolver, self.tokens):
            if token.word not in self.naming.moved:
                continue
            if exposed.absent or exposed.factor:
                raise self._no_column(token.start, token.text, exposed.table.name if exposed.table else "")
            self.seen.add(token.start)
            if exposed.actual != token.word:
                self.words.append(Edit(token.start, token.end, identifier(exposed.actual)))

    def _bodies(self) -> None:
        """A function body or a DO block must not mention what it would have to spell otherwise."""
        if (
            self.statement.kind not in ("create function", "create procedure", "do", "unknown")
            and not self.statement.opaque
        ):
            return
        names = {
            name for table in self.naming.tables.values() for name in table.moved if table.is_documented_spelling(name)
        }
        if self.naming.schema_moved:
            names.add(DOCUMENTED_SCHEMA)
        for token in self.tokens:
            if token.word or token.text == self.sql[token.start : token.end]:
                continue
            for word in re.findall(r"[^\W\d][\w$]*", token.text):
                if word.lower() in names:
                    raise self.refuse(
                        token.start,
                        f"the text of this {self.statement.kind} mentions {word}, which this database spells otherwise",
                        "give the function the names it works on as arguments",
                    )

    def _schemas(self) -> list[Edit]:
        edits: list[Edit] = []
        if not self.naming.schema_moved:
            return edits
        actual = identifier(self.naming.schema)
        for index, token in enumerate(self.tokens):
            if token.word != DOCUMENTED_SCHEMA:
                continue
            before = self.tokens[index - 1].text if index else ""
            after = self.tokens[index + 1].text if index + 1 < len(self.tokens) else ""
            if token.start in self.resolver.other_names and DOCUMENTED_SCHEMA not in self.resolver.aliases:
                continue
            if DOCUMENTED_SCHEMA in self.resolver.aliases:
                raise self.refuse(
                    token.start, f"{token.text} is the schema's name and an alias here", "rename the alias"
                )
            if (after == "." and before != ".") or self._in_schema_list(index):
                edits.append(Edit(token.start, token.end, actual))
            elif before != ".":
                raise self.refuse(token.start, f"cannot tell whether {token.text} is the schema here")
        return edits

    def _in_schema_list(self, index: int) -> bool:
        """After SCHEMA, or in the value of search_path."""
        place = index - 1
        while place >= 0:
            token = self.tokens[place]
            if token.says("schema", "schemas", "search_path"):
                return True
            listed = token.word or token.text in (",", "=") or token.text == self.sql[token.start + 1 : token.end - 1]
            if not listed or token.says("select", "from", "where"):
                return False
            place -= 1
        return False

    def _check_uses(self) -> None:
        for use in self.resolver.uses:
            table = use.exposed.table
            if table is None:
                continue
            if use.exposed.absent and self._filter(use) is None:
                raise self._no_column(start_of(use.identifier), use.identifier.name, table.name)
            if use.exposed.factor and use.mode == "write":
                raise self.refuse(
                    start_of(use.identifier),
                    f"{use.identifier.name} is kept here in {table.name}.{use.exposed.actual}, "
                    f"in another unit: times {use.exposed.factor}",
                    "callctl seed-models converts",
                )

    def _no_column(self, offset: int, name: str, table: str) -> Refused:
        return self.refuse(
            offset,
            f"{self.naming.schema}.{table} has no column for {name}, and only a filter on it can be left out",
            "a filter is 'deletedAt IS NULL' or 'deletedAt IS NOT NULL'",
        )

    def _check_all_seen(self) -> None:
        seen = self.seen | self.resolver.other_names | {start_of(use.identifier) for use in self.resolver.uses}
        for index, token in enumerate(self.tokens):
            if token.word not in self.naming.moved or token.start in seen:
                continue
            after = self.tokens[index + 1].text if index + 1 < len(self.tokens) else ""
            if after == ".":
                continue
            raise self.refuse(
                token.start,
                f"cannot tell what {token.text} is here, and this database may spell it otherwise",
                "write it in a form that callctl reads, with the table's name or alias before it",
            )

    def removal(self) -> Edit | None:
        """The edit that takes out the first filter on a column that is not there."""
        for use in self.resolver.uses:
            if use.exposed.absent:
                return self._filter(use)
        return None

    def _filter(self, use: Use) -> Edit | None:
        column = use.node
        if column is None or use.mode != "read":
            return None
        test: exp.Expr | None = column.parent
        if not isinstance(test, exp.Is) or not isinstance(test.expression, exp.Null) or test.this is not column:
            return None
        index = position(self.tokens, start_of(use.identifier))
        first, last = self._reference_start(index), index + 1
        is_not = self.tokens[last].says("notnull")
        if self.tokens[last].says("is"):
            is_not = self.tokens[last + 1].says("not")
            last += 2 if is_not else 1
        if not self.tokens[last].says("null", "isnull", "notnull"):
            return None
        if is_not:
            return self._replace(first, last, "FALSE")
        outer, begin, end = test.parent, first, last
        while isinstance(outer, exp.Paren) and self._is(begin - 1, "(") and self._is(end + 1, ")"):
            outer, begin, end = outer.parent, begin - 1, end + 1
        if isinstance(outer, exp.And):
            if self._says(end + 1, "and"):
                return self._without(begin, end + 1, after=True)
            if self._says(begin - 1, "and"):
                return self._without(begin - 1, end)
        if isinstance(outer, exp.Where) and self._says(begin - 1, "where"):
            if not isinstance(outer.parent, exp.Filter):
                return self._without(begin - 1, end)
            if self._is(begin - 2, "(") and self._says(begin - 3, "filter") and self._is(end + 1, ")"):
                return self._without(begin - 3, end + 1)
        return self._replace(first, last, "TRUE")

    def _is(self, index: int, text: str) -> bool:
        return 0 <= index < len(self.tokens) and self.tokens[index].text == text

    def _says(self, index: int, word: str) -> bool:
        return 0 <= index < len(self.tokens) and self.tokens[index].says(word)

    def _reference_start(self, index: int) -> int:
        """The token that a dotted reference begins with, given the one of its last name."""
        while self._is(index - 1, "."):
            index -= 2
            if self._is(index, ")"):
                depth = self.tokens[index].depth
                while not (self._is(index, "(") and self.tokens[index].depth == depth):
                    index -= 1
        return index

    def _replace(self, first: int, last: int, text: str) -> Edit:
        return Edit(self.tokens[first].start, self.tokens[last].end, text)

    def _without(self, first: int, last: int, *, after: bool = False) -> Edit:
        """Take these tokens out, with the white space that set them apart; comments stay."""
        start, end = self.tokens[first].start, self.tokens[last].end
        if after:
            end += len(self.sql[end:]) - len(self.sql[end:].lstrip())
        else:
            before = self.sql[self.tokens[first - 1].end : start] if first else ""
            if not before.strip():
                start -= len(before)
        between = (self.sql[left.end : right.start] for left, right in pairwise(self.tokens[first : last + 1]))
        comments = "".join(gap for gap in between if gap.strip())
        words = self.sql[start - 1 : start] + self.sql[end : end + 1]
        return Edit(start, end, comments or (" " if re.fullmatch(r"[\w\"$]{2}", words) else ""))

    def edits(self) -> Sequence[Edit]:
        """Everything that moves, once no filter is left to take out."""
        result = [*self.words, *self.literals, *self.schemas]
        overlapped: list[tuple[int, int]] = []
        for use in self.resolver.uses:
            exposed, start = use.exposed, start_of(use.identifier)
            index = position(self.tokens, start)
            token = self.tokens[index]
            bare = use.node is None or (isinstance(use.node, exp.Column) and use.node.args.get("table") is None)
            prefix = f"{use.qualifier}." if use.qualifier and bare and use.mode == "read" else ""
            if exposed.actual == token.word and not exposed.factor and not prefix:
                continue
            if exposed.factor and use.mode == "read":
                first = self.tokens[self._reference_start(index)].start
                qualifier = self.sql[first:start]
                if self.naming.schema_moved and re.match(r'"?chatapp"?\s*\.', qualifier, re.IGNORECASE):
                    qualifier = identifier(self.naming.schema) + qualifier[qualifier.index(".") :]
                overlapped.append((first, token.end))
                text = f"({qualifier}{prefix}{identifier(exposed.actual)} / {exposed.factor})"
                result.append(Edit(first, token.end, text))
            else:
                result.append(Edit(start, token.end, prefix + identifier(exposed.actual)))
            if start in self.resolver.titled:
                end = self._item_end(index)
                result.append(Edit(end, end, f" AS {identifier(exposed.name)}"))
        # A schema before such a column is part of that column's edit.
        return [
            edit
            for edit in result
            if edit not in self.schemas or not any(start <= edit.start < end for start, end in overlapped)
        ]

    def _item_end(self, index: int) -> int:
        """The end of the select list's item that a token is part of."""
        lowest = self.tokens[index].depth
        place = index
        while place >= 0:
            token = self.tokens[place]
            lowest = min(lowest, token.depth)
            if token.says("select", "returning") and token.depth <= lowest:
                break
            place -= 1
        level = self.tokens[place].depth
        place = index + 1
        while place < len(self.tokens):
            token = self.tokens[place]
            if token.depth < level or (token.depth == level and (token.text == "," or self._ends_item(place))):
                break
            place += 1
        return self.tokens[place - 1].end

    def _ends_item(self, place: int) -> bool:
        token = self.tokens[place]
        if not token.says(*_ENDS_ITEM):
            return False
        # IS DISTINCT FROM is part of an expression.
        return not (token.says("from") and self.tokens[place - 1].says("distinct"))
