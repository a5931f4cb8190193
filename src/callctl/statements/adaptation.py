"""A statement in the documented names -> the same statement in the names of this database.

Only the bytes of identifiers move; comments, white space and literals stay. What cannot be decided is
refused, never guessed: after the walk every word that this database spells otherwise must have been resolved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from sqlglot import exp

from callctl.errors import Refused
from callctl.statements.definitions import resolve, words_of_alter
from callctl.statements.literals import literal_edits, mentioned
from callctl.statements.naming import DOCUMENTED_SCHEMA, Naming
from callctl.statements.references import Use, start_of
from callctl.statements.resolve import Resolver
from callctl.statements.script import Statement, tree
from callctl.statements.tokens import Edit, identifier, line_of, position, splice, tokens

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
        found = _Analysis(sql, statement, naming)
        removal = found.removal()
        if removal is None:
            break
        # A filter goes, and the rest is looked at afresh: what stands beside it may go next.
        sql = splice(sql, [removal])
    sql = splice(sql, found.edits())
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
            resolve(self.resolver, node)
        self._bodies()
        self.literals = literal_edits(self.tokens, naming, self.refuse)
        self.schemas = self._schemas()
        self._check_uses()
        self._check_all_seen()

    def refuse(self, offset: int, why: str, hint: str | None = None) -> Refused:
        """The error for something at an offset of the statement."""
        line = self.statement.line + line_of(self.sql, offset) - 1
        return Refused(f"{self.statement.source}:{line}: {why}", hint=hint)

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
            if token.start in self.resolver.left and DOCUMENTED_SCHEMA not in self.resolver.aliases:
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
        at = index - 1
        while at >= 0:
            token = self.tokens[at]
            if token.says("schema", "schemas", "search_path"):
                return True
            listed = token.word or token.text in (",", "=") or token.text == self.sql[token.start + 1 : token.end - 1]
            if not listed or token.says("select", "from", "where"):
                return False
            at -= 1
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
        seen = self.seen | self.resolver.left | {start_of(use.identifier) for use in self.resolver.uses}
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
        at = index
        while at >= 0:
            token = self.tokens[at]
            lowest = min(lowest, token.depth)
            if token.says("select", "returning") and token.depth <= lowest:
                break
            at -= 1
        level = self.tokens[at].depth
        at = index + 1
        while at < len(self.tokens):
            token = self.tokens[at]
            if token.depth < level or (token.depth == level and (token.text == "," or self._ends_item(at))):
                break
            at += 1
        return self.tokens[at - 1].end

    def _ends_item(self, at: int) -> bool:
        token = self.tokens[at]
        if not token.says(*_ENDS_ITEM):
            return False
        # IS DISTINCT FROM is part of an expression.
        return not (token.says("from") and self.tokens[at - 1].says("distinct"))
