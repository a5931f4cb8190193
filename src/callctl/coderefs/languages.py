"""Finds the strings and comments of a source file, in each language that callctl reads."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, lru_cache, partial
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree

# What the lexers of source code answer with: which stretches of a text are strings, and which are comments.


class Kind(StrEnum):
    """The role of a stretch of source text in its language."""

    CODE = "code"
    STRING = "string"
    SQL = "sql"
    COMMENT = "comment"


@dataclass(frozen=True)
class Span:
    """``text[start:end]``; a string's or a comment's own marks belong to it."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True)
class Spans:
    """The strings and comments of a text, in order and without overlap. What lies between is ``between``.

    ``sure`` is false where the lexer lost its way (a quote or a bracket that never closes). A comment in such
    a text may be anything, so :meth:`kind` calls none one.
    """

    spans: tuple[Span, ...]
    between: Kind = Kind.CODE
    sure: bool = True

    def kind(self, offset: int) -> Kind:
        """Return the role of the character at ``offset``."""
        # One end mark serves all comparisons: a span that starts here has a lower one.
        place = bisect_right(self.spans, offset, key=lambda span: span.start) - 1
        if place < 0 or self.spans[place].end <= offset:
            return self.between
        kind = self.spans[place].kind
        return self.between if kind is Kind.COMMENT and not self.sure else kind

    def comments(self) -> tuple[Span, ...]:
        """Return the stretches that are certainly comments."""
        return tuple(span for span in self.spans if span.kind is Kind.COMMENT) if self.sure else ()


def shifted(spans: Spans, by: int) -> tuple[Span, ...]:
    """The spans of a text that begins ``by`` characters into a larger one."""
    return tuple(Span(span.start + by, span.end + by, span.kind) for span in spans.spans)


# ---- TypeScript, JavaScript and Python: by tree-sitter -------------------------------------------------

# Of each grammar, what a node is. A node inside another counts for itself: the code in a template is code.
_ECMASCRIPT = """
  [(comment) (html_comment) (hash_bang_line)] @comment
  [(string) (template_string) (template_literal_type) (regex)] @string
  [(template_substitution) (template_type)] @code
"""
_QUERIES = {
    "typescript": _ECMASCRIPT,
    "tsx": f"{_ECMASCRIPT} (jsx_text) @string",
    "python": """
      (comment) @comment
      [(string) (format_specifier)] @string
      [(interpolation) (format_expression)] @code
      ((expression_statement . (string) @docstring .) (#match? @docstring "^[rRuU]?[^a-zA-Z]"))
    """,
}
# Where these are left in code, a string or a comment did not end, and what follows may be anything.
_UNCLOSED = re.compile(r"""['"`]|/\*""")


@cache
def grammar(name: str) -> Language:
    """A grammar of tree-sitter: 'typescript', 'tsx' (JavaScript too) or 'python'."""
    from tree_sitter import Language

    if name == "python":
        import tree_sitter_python

        return Language(tree_sitter_python.language())
    import tree_sitter_typescript

    return Language(getattr(tree_sitter_typescript, f"language_{name}")())


@lru_cache(maxsize=1)  # a text is asked for its strings, then for its imports
def parsed(name: str, text: str) -> Tree:
    """A text as the grammar of that name reads it."""
    from tree_sitter import Parser

    # A zero byte would end the text.
    return Parser(grammar(name)).parse(text.replace("\0", " ").encode("utf-8", "surrogatepass"))


def captures(name: str, query: str, tree: Tree) -> list[dict[str, list[Node]]]:
    """Return the matches of a query: for each match its nodes, by the names in the query."""
    from tree_sitter import QueryCursor

    return [match for _, match in QueryCursor(_query(name, query)).matches(tree.root_node)]


@cache
def _query(name: str, query: str) -> Query:
    from tree_sitter import Query

    return Query(grammar(name), query)


_MARKS = (Kind.CODE, Kind.STRING, Kind.COMMENT)


def grammar_spans(text: str, *, name: str) -> Spans:
    """Strings (templates, regular expressions and JSX text too) and comments, by one of tree-sitter's grammars."""
    tree = parsed(name, text)
    found: dict[str, list[Node]] = {}
    for match in captures(name, f"{_QUERIES[name]} (ERROR) @error", tree):
        for kind, nodes in match.items():
            found.setdefault(kind, []).extend(nodes)
    errors = found.pop("error", [])
    # A string that is a statement on a line of its own (a docstring) is never read: it counts as a comment.
    alone = [node for node in found.pop("docstring", []) if ";" not in (_beside(node, -1), _beside(node, 1))]
    comments = found["comment"] = [*found.get("comment", ()), *alone]
    data = text.encode("utf-8", "surrogatepass")
    marks = bytearray(len(data))
    places = sorted((node.start_byte, -node.end_byte, _MARKS.index(kind)) for kind in found for node in found[kind])
    for start, minus_end, mark in places:  # what is inside comes later; of two on one node, the comment
        marks[start:-minus_end] = bytes([mark]) * (-minus_end - start)
    if not text.isascii():
        marks = bytearray(mark for mark, byte in zip(marks, data, strict=True) if byte & 0xC0 != 0x80)
    spans = [Span(*run.span(), _MARKS[run[0][0]]) for run in re.finditer(rb"\x01+|\x02+", marks)]
    inside = any(error.start_byte <= node.start_byte < error.end_byte for error in errors for node in comments)
    code = "".join(character for character, mark in zip(text, marks, strict=True) if not mark) if errors else ""
    return Spans(tuple(spans), sure=not (inside or _UNCLOSED.search(code)))


def _beside(node: Node, way: int) -> str:
    """The kind of what is before (-1) or behind (1) the statement that is this node."""
    statement = node.parent
    sibling = statement and (statement.prev_sibling if way < 0 else statement.next_sibling)
    return sibling.type if sibling else ""


# SQL, GraphQL, Prisma, JSON, YAML and markup: a few patterns and one speciality each. PostgreSQL's dollar quotes hold
# SQL, YAML's block scalars hold anything.

# ---- SQL -----------------------------------------------------------------------------------------------

_SQL = re.compile(
    r"""--[^\n]*|/\*|(?<![\w$])[eE]'|'|"|(?<![\w$])(?P<tag>\$(?:[^\W\d]\w*)?\$)""",
)
_SQL_COMMENT = re.compile(r"/\*|\*/")
_SQL_REST = {
    "'": re.compile(r"[^']*(?:''[^']*)*'"),
    '"': re.compile(r'[^"]*(?:""[^"]*)*"'),
    "e'": re.compile(r"[^'\\]*(?:(?:''|\\.)[^'\\]*)*'", re.DOTALL),
}
_OTHER_LANGUAGE = re.compile(r"\blanguage\s+['\"]?pl(?!pgsql)", re.IGNORECASE)


def sql_spans(text: str) -> Spans:
    """Strings and comments of SQL as PostgreSQL reads it. What a dollar quote holds is read as SQL too."""
    return _sql(text, bodies=not _OTHER_LANGUAGE.search(text))


def _sql(text: str, *, bodies: bool) -> Spans:
    spans: list[Span] = []
    position = 0
    while match := _SQL.search(text, position):
        start, token = match.start(), match[0]
        if token.startswith("--"):
            position = match.end()
            spans.append(Span(start, position, Kind.COMMENT))
        elif token == "/*":
            end = _comment_end(text, match.end())
            if end is None:
                return Spans(tuple(spans), between=Kind.SQL, sure=False)
            position = end
            spans.append(Span(start, position, Kind.COMMENT))
        elif tag := match["tag"]:
            end = text.find(tag, match.end())
            if end < 0:
                return Spans(tuple(spans), between=Kind.SQL, sure=False)
            position = end + len(tag)
            inside = _sql(text[match.end() : end], bodies=True) if bodies else None
            # Text that is no SQL (an apostrophe that closes nothing) is a string as a whole.
            spans += shifted(inside, match.end()) if inside and inside.sure else (Span(start, position, Kind.STRING),)
        else:
            rest = _SQL_REST[token.lower()].match(text, match.end())
            if rest is None:
                return Spans(tuple(spans), between=Kind.SQL, sure=False)
            position = rest.end()
            if token != '"':  # a quoted name is a name
                spans.append(Span(start, position, Kind.STRING))
    return Spans(tuple(spans), between=Kind.SQL)


def _comment_end(text: str, position: int) -> int | None:
    """Return the end of a comment that may contain comments; None if it does not end."""
    depth = 1
    while match := _SQL_COMMENT.search(text, position):
        position = match.end()
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return position
    return None


# ---- schema and data files -----------------------------------------------------------------------------

_STRING = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_JSON = re.compile(rf"(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<string>{_STRING})|(?P<lost>/\*|\")", re.DOTALL)
_BLOCK_STRING = r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
_GRAPHQL = re.compile(rf'(?P<comment>\#[^\n]*)|(?P<string>{_BLOCK_STRING}|{_STRING})|(?P<lost>")', re.DOTALL)
# A quote begins a string only where a value may begin, a # a comment only after a space.
_YAML = re.compile(
    r"""(?P<comment>(?:^|(?<=\s))\#[^\n]*)
      | (?P<block>(?:(?<=[:\-?]\s)|(?<=[:\-?]\s\s))[ \t]*(?:[!&][^\s]*[ \t]+)*[|>][-+0-9]*[ \t]*(?:\#[^\n]*)?$)
      | (?P<string>(?:^[ \t]*|(?<=[\s,\[{]))(?:'[^']*(?:''[^']*)*'|"[^"\\]*(?:\\.[^"\\]*)*")
          (?=[ \t]*(?:$|[,:\]}]|[ \t]\#)))""",
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


def json_spans(text: str) -> Spans:
    """Strings and comments of JSON, and of Prisma's schema language, which has the same."""
    return _patterned(_JSON, text)


def graphql_spans(text: str) -> Spans:
    """Strings and comments of GraphQL. A description counts as a comment; a value follows a mark."""
    all_spans = _patterned(_GRAPHQL, text)
    spans = tuple(
        replace(span, kind=Kind.COMMENT)
        if not text[text.rfind("\n", 0, span.start) + 1 : span.start].strip()
        and not text[: span.start].rstrip().endswith((":", "=", "[", ","))
        else span
        for span in all_spans.spans
    )
    return replace(all_spans, spans=spans)


def _patterned(pattern: re.Pattern[str], text: str) -> Spans:
    spans: list[Span] = []
    for match in pattern.finditer(text):
        if match.lastgroup == "lost":
            return Spans(tuple(spans), sure=False)
        kind = Kind.COMMENT if match.lastgroup == "comment" else Kind.STRING
        spans.append(Span(match.start(), match.end(), kind))
    return Spans(tuple(spans))


def yaml_spans(text: str) -> Spans:
    """Strings (block scalars too) and comments of YAML."""
    spans: list[Span] = []
    position = 0
    while match := _YAML.search(text, position):
        position = match.end()
        if match.lastgroup == "comment":
            spans.append(Span(match.start(), position, Kind.COMMENT))
        elif match.lastgroup == "string":
            spans.append(Span(match.start(), position, Kind.STRING))
        else:
            start, position = position, _block_end(text, match.start(), position)
            spans.append(Span(start, position, Kind.STRING))
    return Spans(tuple(span for span in spans if span.end > span.start))


def _block_end(text: str, mark: int, position: int) -> int:
    """Return the end of the block scalar whose ``|`` or ``>`` is at ``mark``: a line no deeper than its own."""
    line = text[text.rfind("\n", 0, mark) + 1 : mark]
    own = len(line) - len(line.lstrip(" "))
    while position < len(text):
        end = text.find("\n", position + 1)
        following = text[position + 1 : len(text) if end < 0 else end]
        if following.strip() and len(following) - len(following.lstrip(" ")) <= own:
            return position
        if end < 0:
            return len(text)
        position = end
    return position


# Which language a file is in, by its name, and what its strings and comments are.

_MARKUP = re.compile(
    r"""(?P<comment><!--.*?-->) | <(?P<tag>script|style)\b(?P<attributes>(?:"[^"]*"|'[^']*'|[^'"<>])*)>
      | (?P<lost><!--)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def _component(text: str) -> Spans:
    """A Vue, Svelte or HTML file: its script is read as such, its markup is code."""
    spans: list[Span] = []
    sure = True
    for match, inside in _elements(text):
        if match["lost"]:
            return Spans(tuple(spans), sure=False)
        elif match["comment"]:
            spans.append(Span(*match.span(), Kind.COMMENT))
        elif match["tag"].lower() == "script":
            read = grammar_spans(inside, name=_script_grammar(match))
            sure = sure and read.sure
            spans += shifted(read, match.end())
        else:
            comments = Spans(tuple(Span(*comment.span(), Kind.COMMENT) for comment in _CSS_COMMENT.finditer(inside)))
            spans += shifted(comments, match.end())
    return Spans(tuple(spans), sure=sure)


def _elements(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The comments, scripts and styles of markup, each with what is inside it."""
    position = 0
    while match := _MARKUP.search(text, position):
        position = match.end()
        inside = ""
        if match["tag"] and not match["attributes"].endswith("/"):
            closing = re.compile(rf"</{match['tag']}\s*>", re.IGNORECASE).search(text, position)
            inside = text[position : closing.start() if closing else len(text)]
        yield match, inside
        position += len(inside)


def _script_grammar(match: re.Match[str]) -> str:
    return "tsx" if re.search(r"""lang=["']?[jt]sx""", match["attributes"]) else "typescript"


def scripts(name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the parts of a file in languages of tree-sitter: offset, grammar and text of each."""
    grammar = grammar_of(name)
    if grammar:
        yield 0, grammar, text
    elif reader(name) is _component:
        for match, inside in _elements(text):
            if inside and match["tag"].lower() == "script":
                yield match.end(), _script_grammar(match), inside


_GRAMMARS = {
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    **dict.fromkeys((".tsx", ".js", ".jsx", ".mjs", ".cjs"), "tsx"),
    **dict.fromkeys((".py", ".pyi"), "python"),
}


def grammar_of(name: str) -> str | None:
    """The grammar of tree-sitter for a file of this name, if that is what reads it as a whole."""
    return _GRAMMARS.get(PurePath(name).suffix.lower())


_READERS: tuple[tuple[str, Callable[[str], Spans]], ...] = (
    (".vue .svelte .html .htm", _component),
    (".sql .psql .pgsql .ddl", sql_spans),
    (".graphql .graphqls .gql", graphql_spans),
    (".json .jsonc .json5 .prisma", json_spans),
    (".yaml .yml", yaml_spans),
)
READERS = {suffix: read for suffixes, read in _READERS for suffix in suffixes.split()}
READERS |= {suffix: partial(grammar_spans, name=name) for suffix, name in _GRAMMARS.items()}


def reader(name: str) -> Callable[[str], Spans] | None:
    """Return the function that finds strings and comments in such a file; None for an unknown kind of file."""
    return READERS.get(PurePath(name).suffix.lower())
