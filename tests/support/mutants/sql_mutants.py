"""Mutants of a SQL file: conditions turned or dropped, locks and guards left out, values and statements changed.

Bodies in dollar quotes are SQL too. Texts are left alone: COMMENT ON, RAISE, and what is behind --.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.support.mutants.changes import Change

TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<string>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")"
    r"|(?P<dollar>\$\w*\$)|(?P<number>\b\d+(?:\.\d+)?\b)|(?P<word>%\(\w+\)s|[A-Za-z_]\w*)"
    r"|(?P<operator><>|!=|<=|>=|:=|=>|->>|->|#>>|#>|@>|<@|\|\||::|<<|>>|[<>=])|(?P<mark>[^\s\w])",
    re.DOTALL,
)
# A conjunct ends where one of these comes on its own level.
ENDS = re.compile(
    "AND|OR|GROUP|ORDER|LIMIT|OFFSET|FOR|RETURNING|UNION|EXCEPT|INTERSECT|HAVING|WINDOW|LEFT|RIGHT|INNER|CROSS|JOIN|FULL|"
    "THEN|LOOP|WHERE|ELSE|END|WHEN|DO|ON|AS"
)
FLIPPED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "<>": "=", "!=": "="}
# Words that may be left out, and those that another may take the place of.
DROPPED = (
    r"FOR (?:NO KEY )?(?:UPDATE|SHARE)(?: OF \w+)?(?: (?:NOWAIT|SKIP LOCKED))?",
    r"(?:NOWAIT|SKIP LOCKED)\b",
    r"DISTINCT\b(?! FROM)",
    r"(?<!\bIS\s)NOT NULL\b",
    r"ON DELETE CASCADE",
    r"ON UPDATE CASCADE",
    r"ON CONFLICT(?: \([^()]*\))?(?: WHERE [^()]*?)? DO NOTHING",
    r"SECURITY DEFINER",
    r"NOT VALID\b",
    r"UNIQUE\b",
    r"STRICT\b",
    r"DEFAULT (?:true|false|\d+|now\(\)|'[^']*')",
)
EXCHANGED = (
    (r"ENABLE ALWAYS", "ENABLE"),
    (r"LEFT JOIN", "JOIN"),
    (r"UNION ALL", "UNION"),
    (r"\bmin(?=\()", "max"),
    (r"\bmax(?=\()", "min"),
    (r"\bleast(?=\()", "greatest"),
    (r"\bgreatest(?=\()", "least"),
    (r"\bDESC\b", "ASC"),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"\bAFTER\b(?= (?:INSERT|UPDATE|DELETE))", "BEFORE"),
    (r"\bINSERT OR UPDATE\b", "INSERT"),
    (r"\bUPDATE OR DELETE\b", "UPDATE"),
    (r"\bINITIALLY DEFERRED\b", ""),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIS NOT DISTINCT FROM\b", "IS DISTINCT FROM"),
    (r"\bIS DISTINCT FROM\b", "IS NOT DISTINCT FROM"),
)
ACTS = re.compile(
    r"(?i)(PERFORM|UPDATE|INSERT|DELETE|EXECUTE|ALTER|CREATE|DROP|REVOKE|GRANT|TRUNCATE|LOCK|WITH|SELECT)\b"
)
TEXTS = re.compile(r"(?i)\b(COMMENT\s+ON|RAISE|HINT\s*=|DETAIL\s*=|MESSAGE\s*=)")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    depth: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else ""


def sql_mutants(text: str) -> list[Change]:
    """All of them, in the order of the file."""
    changes: list[Change] = []
    for statement in _statements(_tokens(text)):
        source = text[statement[0].start : statement[-1].end]
        if TEXTS.match(source) or not source.strip(";").strip():
            continue
        if ACTS.match(source) and source.endswith(";"):
            changes.append(Change(statement[0].start, statement[-1].end, "", "statement dropped"))
        changes += _conditions(statement)
        changes += _operators(statement)
        changes += _words(statement)
        changes += _values(statement)
    return sorted(
        {(change.start, change.end, change.new): change for change in changes}.values(), key=lambda change: change.start
    )


def _tokens(text: str) -> list[_Token]:
    tokens = []
    depth = 0
    for match in TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "comment":
            continue
        depth -= match[0] in ")]"
        tokens.append(_Token(kind, match[0], match.start(), depth))
        depth += match[0] in "(["
    return tokens


def _statements(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """From semicolon to semicolon; a body in dollar quotes is cut at its own, its head and its foot by themselves."""
    part: list[_Token] = []
    for token in tokens:
        if token.kind == "dollar" or token.word in ("BEGIN", "DECLARE", "THEN", "LOOP", "ELSE"):
            # CASE ... THEN ... ELSE is no statement; a THEN of plpgsql begins one.
            if token.word in ("THEN", "ELSE") and _in_case(part):
                part.append(token)
                continue
            if part:
                yield part
            part = []
            continue
        part.append(token)
        if token.text == ";":
            yield part
            part = []
    if part:
        yield part


def _in_case(part: Sequence[_Token]) -> bool:
    words = [token.word for token in part]
    return words.count("CASE") > words.count("END")


def _conditions(statement: Sequence[_Token]) -> Iterator[Change]:
    """AND and OR exchanged; each part of a condition dropped."""
    if statement[0].word in ("IF", "ELSIF") and len(statement) > 1:
        for settled in ("true", "false"):
            yield Change(statement[1].start, statement[-1].end, settled, f"condition always {settled}")
    between = 0
    for number, token in enumerate(statement):
        between += token.word == "BETWEEN"
        if token.word == "AND" and between:
            between -= 1
            continue
        if token.word in ("AND", "OR") and not _of_event(statement, number):
            yield Change(token.start, token.end, "OR" if token.word == "AND" else "AND", "AND / OR")
        if token.word in ("AND", "WHERE", "OR") and not _of_event(statement, number):
            part = list(_operand(statement, number + 1, token.depth))
            if part:
                new = "false" if token.word == "OR" else "true"
                yield Change(part[0].start, part[-1].end, new, "condition dropped")


def _of_event(statement: Sequence[_Token], number: int) -> bool:
    """INSERT OR UPDATE of a trigger, CREATE OR REPLACE."""
    return statement[number - 1].word in ("INSERT", "UPDATE", "DELETE", "CREATE") and number > 0


def _operand(statement: Sequence[_Token], first: int, depth: int) -> Iterator[_Token]:
    between = False
    for token in statement[first:]:
        between = between or token.word == "BETWEEN"
        ends = bool(ENDS.fullmatch(token.word)) and not (token.word == "AND" and between)
        if token.depth < depth or token.text == ";" or (token.depth == depth and (ends or token.text == ",")):
            return
        if token.word == "AND" and token.depth == depth:
            between = False
        yield token


def _operators(statement: Sequence[_Token]) -> Iterator[Change]:
    assigned = _assigned(statement)
    for number, token in enumerate(statement):
        if token.kind == "operator" and token.text in FLIPPED:
            yield Change(token.start, token.end, FLIPPED[token.text], "comparison")
        elif token.kind == "operator" and token.text == "=" and number not in assigned:
            yield Change(token.start, token.end, "<>", "comparison")
        elif token.word == "NOT":
            before = statement[number - 1].word if number else ""
            after = statement[number + 1].word if number + 1 < len(statement) else ""
            if before not in ("IS", "IF", "WITH") and after not in ("NULL", "VALID", "MATCHED", "DEFERRABLE"):
                yield Change(token.start, token.end, "", "NOT dropped")


def _assigned(statement: Sequence[_Token]) -> set[int]:
    """The numbers of the = that give a value: those of SET, and the first of an assignment of plpgsql."""
    numbers = set()
    level: int | None = None
    for number, token in enumerate(statement):
        if token.word == "SET":
            level = token.depth
        elif level is not None and token.depth == level and token.word in ("WHERE", "FROM", "RETURNING", "AS"):
            level = None
        elif token.text == "=" and level == token.depth:
            numbers.add(number)
    return numbers


def _words(statement: Sequence[_Token]) -> Iterator[Change]:
    """Only where no text is: over the statement with its strings and comments blanked."""
    start, end = statement[0].start, statement[-1].end
    blank = list(" " * (end - start))
    for token in statement:
        if token.kind not in ("string", "quoted"):
            blank[token.start - start : token.end - start] = token.text
    source = "".join(blank)
    for pattern in DROPPED:
        for match in re.finditer(_spaced(pattern), source):
            yield Change(start + match.start(), start + match.end(), "", f"{match[0].split('(')[0].strip()} dropped")
    for pattern, new in EXCHANGED:
        for match in re.finditer(_spaced(pattern), source):
            yield Change(start + match.start(), start + match.end(), new, f"{' '.join(match[0].split())} exchanged")


def _spaced(pattern: str) -> str:
    return (r"\b" if pattern[0].isalpha() else "") + pattern.replace(" ", r"\s+")


def _values(statement: Sequence[_Token]) -> Iterator[Change]:
    """Numbers one more; a text that something is compared with, or that a key is, another."""
    in_list: list[int] = []
    for number, token in enumerate(statement):
        before = statement[number - 1] if number else None
        if before is not None and before.word == "IN" and token.text == "(":
            in_list.append(token.depth)
        elif token.text == ")" and in_list and in_list[-1] == token.depth:
            in_list.pop()
        if token.kind == "number" and "." not in token.text:
            yield Change(token.start, token.end, str(int(token.text) + 1), "number")
        elif token.kind == "string" and before is not None:
            compared = before.kind == "operator" and before.text not in ("::", "||", ":=", "=>")
            listed = bool(in_list) and before.text in "(,"
            if (compared or listed) and len(token.text) > 2:
                yield Change(token.start, token.end, f"'x{token.text[1:]}", "value")
