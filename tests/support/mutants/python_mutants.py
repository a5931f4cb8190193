"""Mutants of a Python module: conditions turned, dropped or settled, statements and guards left out, numbers one off.

Texts are left alone: a test that fails for a text proves nothing. So are events, which are told and not done.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support.mutants.changes import Change

COMPARISONS = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "//"), ast.FloorDiv: ("//", "*")}
TELLS = re.compile(r"\b(on_event|emit|_?tell|warn|print|write|_?note|_?log)\b")


def python_mutants(text: str) -> list[Change]:
    """All of them, in the order of the file."""
    tree = ast.parse(text)
    places = _Places(text)
    changes = [change for node in _walk(tree) for change in _of_node(node, places)]
    return sorted(
        {(change.start, change.end, change.new): change for change in changes}.values(), key=lambda change: change.start
    )


class _Places:
    """Offsets of nodes in the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def _offset(self, line: int, column: int) -> int:
        # ast counts the bytes of a line.
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.end_lineno, node.end_col_offset)

    def instead(self, node: ast.expr | ast.stmt, new: str, kind: str) -> Change:
        return Change(self.start(node), self.end(node), new, kind)

    def source(self, node: ast.expr | ast.stmt) -> str:
        return self.text[self.start(node) : self.end(node)]

    def operator(self, left: ast.expr, right: ast.expr, old: str, new: str, kind: str) -> Iterator[Change]:
        """Between two operands; none where a comment stands there too."""
        between = self.text[self.end(left) : self.start(right)]
        word = re.escape(old).replace(r"\ ", r"\s+")
        match = re.search(rf"\b{word}\b" if old[0].isalpha() else word, between)
        if match and "#" not in between:
            yield Change(self.end(left) + match.start(), self.end(left) + match.end(), new, kind)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that do something: no annotations, no texts, nothing that is only imported for a type checker."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_comment", "decorator_list", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (ast.JoinedStr, ast.Raise)):
                if isinstance(child, ast.Raise):
                    yield child  # it may be left out; what it says is a text
                continue
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Call) and _tells(child.value):
                continue
            if isinstance(child, ast.AST):
                yield from _walk(child)


def _tells(call: ast.Call) -> bool:
    return bool(TELLS.search(ast.unparse(call.func)))


def _of_node(node: ast.AST, places: _Places) -> Iterator[Change]:
    match node:
        case ast.Compare():
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
                yield from places.operator(left, right, *COMPARISONS[type(operator)], "comparison")
        case ast.BoolOp():
            old, new, settled = ("and", "or", "True") if isinstance(node.op, ast.And) else ("or", "and", "False")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from places.operator(left, right, old, new, "and / or")
            for value in node.values:
                yield places.instead(value, settled, "condition dropped")
        case ast.UnaryOp(op=ast.Not()):
            yield places.instead(node, f"({places.source(node.operand)})", "not dropped")
        case ast.IfExp() if _is_text(node.body) or _is_text(node.orelse):
            return
        case ast.If() | ast.IfExp():
            for settled in ("True", "False"):
                yield places.instead(node.test, settled, f"condition always {settled.lower()}")
        case ast.comprehension():
            for condition in node.ifs:
                yield places.instead(condition, "True", "filter dropped")
        case ast.Constant(value=bool(value)):
            yield places.instead(node, str(not value), "constant")
        case ast.Constant(value=int(value)):
            yield places.instead(node, str(value + 1), "constant")
        case ast.BinOp() if type(node.op) in ARITHMETIC and not _of_text(node):
            yield from places.operator(node.left, node.right, *ARITHMETIC[type(node.op)], "arithmetic")
        case ast.Expr(value=ast.Call()):
            yield places.instead(node, "pass", "statement dropped")
        case ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign() | ast.Delete():
            yield places.instead(node, "pass", "statement dropped")
        case ast.With() if all(item.optional_vars is None for item in node.items):
            last = node.items[-1].context_expr
            between = places.text[places.end(last) : places.start(node.body[0])]
            colon = re.match(r"[\s,)]*:", between)
            if colon:
                yield Change(places.start(node), places.end(last) + colon.end(), "if True:", "with dropped")


def _of_text(node: ast.BinOp) -> bool:
    return any(_is_text(part) for part in ast.walk(node))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))
