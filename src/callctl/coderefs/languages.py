"""Where the strings and comments of a source file are, in each language that callctl reads."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import PurePath

# What the lexers of source code answer with: which stretches of a text are strings, and which are comments.


class Kind(StrEnum):
    """What a stretch of source text is to the language it is written in."""

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
        """What the character at ``offset`` belongs to."""
        # One end mark serves all comparisons: a span that starts here has a lower one.
        place = bisect_right(self.spans, offset, key=lambda span: span.start) - 1
        if place < 0 or self.spans[place].end <= offset:
            return self.between
        kind = self.spans[place].kind
        return self.between if kind is Kind.COMMENT and not self.sure else kind

    def comments(self) -> tuple[Span, ...]:
        """What is surely a comment."""
        return tuple(span for span in self.spans if span.kind is Kind.COMMENT) if self.sure else ()


def shifted(spans: Spans, by: int) -> tuple[Span, ...]:
    """The spans of a text that stands ``by`` characters into a larger one."""
    return tuple(Span(span.start + by, span.end + by, span.kind) for span in spans.spans)


# Python, SQL, GraphQL, Prisma, JSON, YAML and markup: where their strings and comments are.
#
# Each of these needs a few patterns and one speciality: Python's f-strings hold code, PostgreSQL's dollar quotes hold
# SQL, YAML's block scalars hold anything.

# ---- Python --------------------------------------------------------------------------------------------

_PYTHON = re.compile(r"""\#[^\n]*|(?<!\w)(?P<prefix>[A-Za-z]{0,2})(?P<quote>'''|\"\"\"|'|")|[\[\](){}]|['"]""")
_IN_FIELD = re.compile(
    r"""\#[^\n]*|(?<!\w)(?P<prefix>[A-Za-z]{0,2})(?P<quote>'''|\"\"\"|'|")|[\[\](){}]|!=|[:!]|['"]"""
)
_REST = {
    "'": re.compile(r"[^'\\\n]*(?:\\.[^'\\\n]*)*'", re.DOTALL),
    '"': re.compile(r'[^"\\\n]*(?:\\.[^"\\\n]*)*"', re.DOTALL),
    "'''": re.compile(r"[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''", re.DOTALL),
    '"""': re.compile(r'[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""', re.DOTALL),
}


_LOST = 10  # strings that do not end, after which it is no use to go on


class _Unclosed(Exception):
    """A string or a replacement field does not end where it must."""


class _Python:
    def __init__(self, text: str) -> None:
        self.text = text
        self.spans: list[Span] = []
        self.lost = 0

    def read(self) -> Spans:
        position = depth = 0
        while self.lost < _LOST and (match := _PYTHON.search(self.text, position)):
            position = match.end()
            if match[0] in ("(", "[", "{"):
                depth += 1
            elif match[0] in (")", "]", "}"):
                depth -= 1
            elif match["quote"] or match[0] in ("'", '"'):
                position = self._string_or_not(match, statement=depth == 0)
            else:
                self.spans.append(Span(match.start(), match.end(), Kind.COMMENT))
        return Spans(tuple(self.spans), sure=not self.lost and depth == 0)

    def _string_or_not(self, match: re.Match[str], *, statement: bool) -> int:
        kept = len(self.spans)
        try:
            end = self._string(match)
        except (_Unclosed, RecursionError):
            del self.spans[kept:]
            self.lost += 1
            return match.end()
        if statement and len(self.spans) == kept + 1 and self._documents(match.start(), end):
            self.spans[kept] = Span(match.start(), end, Kind.COMMENT)
        return end

    def _documents(self, start: int, end: int) -> bool:
        """Whether a string is a statement of its own, as a docstring is: nothing ever reads it."""
        line = self.text.rfind("\n", 0, start) + 1
        after = self.text.find("\n", end)
        rest = self.text[end : len(self.text) if after < 0 else after].strip()
        alone = not self.text[line:start].strip() and (not rest or rest.startswith("#"))
        return alone and not self.text.endswith("\\\n", 0, line)

    def _string(self, match: re.Match[str]) -> int:
        """The end of the string that begins at ``match``; its spans are noted. Raises _Unclosed."""
        quote, prefix = match["quote"] or match[0], (match["prefix"] or "").lower()
        if "f" in prefix or prefix in ("t", "tr", "rt"):
            return self._formatted(match.start(), match.end(), quote)
        rest = _REST[quote].match(self.text, match.end())
        if rest is None:
            raise _Unclosed
        self.spans.append(Span(match.start(), rest.end(), Kind.STRING))
        return rest.end()

    def _formatted(self, start: int, position: int, quote: str, *, field: bool = False) -> int:
        """The end of an f-string, or of the format at the end of a replacement field, up to its brace."""
        ends = "}" if field else quote
        pattern = re.compile(rf"\\.|\{{\{{|\{{|\n|{re.escape(ends)}" if not field else r"\\.|\{|\n|\}", re.DOTALL)
        while match := pattern.search(self.text, position):
            position = match.end()
            if match[0] == ends:
                stop = match.start() if field else position
                if stop > start:
                    self.spans.append(Span(start, stop, Kind.STRING))
                return stop
            if match[0] == "\n" and len(quote) == 1:
                break
            if match[0] == "{":
                self.spans.append(Span(start, position, Kind.STRING))
                start = position = self._field(position, quote)
        raise _Unclosed

    def _field(self, position: int, quote: str) -> int:
        """The offset of the brace that closes the replacement field whose text begins here."""
        depth = 0
        while match := _IN_FIELD.search(self.text, position):
            position, token = match.end(), match[0]
            if token in ("(", "[", "{"):
                depth += 1
            elif token == "}" and depth == 0:
                return match.start()
            elif token in (")", "]", "}"):
                depth -= 1
            elif token == ":":
                if depth == 0:
                    return self._formatted(position, position, quote, field=True)
            elif token in ("!", "!="):
                pass  # a conversion such as !r, or a comparison
            elif token.startswith("#"):
                if len(quote) == 1:  # a field on one line can hold no comment: the text is not what it seems
                    raise _Unclosed
                self.spans.append(Span(match.start(), position, Kind.COMMENT))
            elif match["quote"] == quote and depth == 0 and len(quote) == 1 and self._ends_early(match):
                raise _Unclosed
            else:
                position = self._string(match)
        raise _Unclosed

    def _ends_early(self, match: re.Match[str]) -> bool:
        return _REST[match["quote"]].match(self.text, match.end()) is None


def python_spans(text: str) -> Spans:
    """Strings and comments of Python. A string that is a whole statement (a docstring) counts as a comment."""
    return _Python(text).read()


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
    """Where a comment ends that holds comments; None if it does not."""
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
    """Strings and comments of GraphQL. A description counts as a comment; a value stands after a mark."""
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
    """Where the block scalar ends whose ``|`` or ``>`` stands at ``mark``: at a line no deeper than its own."""
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


# JavaScript and TypeScript, with and without JSX: where their strings and comments are.
#
# Three things make it more than a list of patterns. A slash divides or begins a regular expression, which the token
# before it decides. A template literal holds code, which holds template literals. JSX text is no code: an apostrophe in
# it begins no string. An element is tried where an expression may begin; one whose tags do not match was a type
# argument after all, and is read again as such.

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<word>[\w$]+)
      | (?P<string>'[^'\\\n]*(?:\\.[^'\\\n]*)*'|"[^"\\\n]*(?:\\.[^"\\\n]*)*")
      | (?P<mark>=>|\+\+|--|.)""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?![*/])(?:[^\\/\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+/\w*")
_TEMPLATE_TEXT = re.compile(r"[^`\\$]*(?:(?:\\.|\$(?!\{))[^`\\$]*)*", re.DOTALL)
_TAG_START = re.compile(r"<(?P<name>[A-Za-z_$][\w$.:-]*)?")
_TYPE_PARAMETER = re.compile(r"<\s*(?:const\s+[\w$]+|[\w$]+\s*(?:,|extends\s+[^=>\s/]))")
_TYPE_ARGUMENTS = re.compile(r"<[^<>{}]*(?:<[^<>{}]*>[^<>{}]*)*>")
_TAG_PART = re.compile(
    r"""(?P<space>\s+) | (?P<string>"[^"]*"|'[^']*') | (?P<comment>/\*.*?\*/|//[^\n]*)
      | (?P<end>/>|>) | (?P<brace>\{) | (?P<other>[\w$:.=-]+)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING_TAG = re.compile(r"</\s*(?P<name>[\w$.:-]*)\s*>")
_TEXT = re.compile(r"[^<{]*")

# An expression follows these words; any other word is one, or ends one.
_BEFORE_EXPRESSION = frozenset(
    """return typeof instanceof in of new delete void throw case do else yield await default""".split()  # noqa: SIM905
)
_BEFORE_BLOCK = frozenset({"", ";", "{", "}", ")", "=>", "else", "do"})
_CONDITIONS = frozenset({"if", "while", "for", "with"})
_ATTEMPTS = 12  # each may read the rest of the text


@dataclass(frozen=True)
class _Frame:
    """One thing that is open: ``(``, ``{`` or code's own brackets; a template; a tag or an element of JSX.

    ``value`` says for a bracket whether its end ends a value; ``name`` is an element's; the rest is how
    things stood where an element in code begins (``start``), so that it can be read again.
    """

    kind: str  # '(' '{' '${' '{jsx' '`' 'tag' 'element'
    value: bool = False
    name: str = ""
    start: int = -1
    spans: int = 0
    sure: bool = True


class _Lost(Exception):
    """The tags do not match, or end too early."""


class _Reader:
    def __init__(self, text: str, *, jsx: bool) -> None:
        self.text = text
        self.jsx = jsx
        self.position = 0
        self.spans: list[Span] = []
        self.open: list[_Frame] = []
        self.before = ""  # the last mark or word
        self.value = False  # whether it ends a value: a slash after it divides, a < compares
        self.member = False  # whether it is a dot: a word after it is a name, whatever it says
        self.sure = True
        self.no_elements: set[int] = set()  # where a < was taken for an element and was none

    def read(self) -> Spans:
        if self.text.startswith("#!"):
            self._span(self.text.find("\n") if "\n" in self.text else len(self.text), Kind.COMMENT)
        while True:
            try:
                while self.position < len(self.text):
                    self._step()
                if any(frame.kind in ("tag", "element") for frame in self.open):
                    raise _Lost
                break
            except _Lost:
                self._read_again()
        return Spans(tuple(self.spans), sure=self.sure and not self.open)

    def _step(self) -> None:
        kind = self.open[-1].kind if self.open else ""
        if kind == "`":
            self._template()
        elif kind == "tag":
            self._tag()
        elif kind == "element":
            self._children()
        else:
            self._code()

    def _span(self, end: int, kind: Kind) -> None:
        if end > self.position:
            self.spans.append(Span(self.position, end, kind))
        self.position = end

    def _after(self, before: str, *, value: bool) -> None:
        self.before, self.value, self.member = before, value, False

    # ---- code ----------------------------------------------------------------------------------------------

    def _code(self) -> None:
        match = _TOKEN.match(self.text, self.position)
        assert match is not None  # the last alternative takes anything
        kind, token = match.lastgroup, match[0]
        if kind == "space":
            self.position = match.end()
        elif kind == "comment":
            self._span(match.end(), Kind.COMMENT)
        elif kind == "word":
            self.position = match.end()
            self._after(token, value=self.member or token not in _BEFORE_EXPRESSION)
        elif kind == "string":
            self._span(match.end(), Kind.STRING)
            self._after("'", value=True)
        else:
            self._mark(token)

    def _mark(self, token: str) -> None:
        if token == "/" and not self.value and (regex := _REGEX.match(self.text, self.position)):
            self._span(regex.end(), Kind.STRING)
            self._after("'", value=True)
            return
        if token == "<" and self._begins_element():
            self._open_tag()
            return
        if token == "/" and self.text.startswith("/*", self.position):
            self.sure = False  # a comment that never ends
        if token in ("'", '"'):
            self.sure = False  # a string that does not end on its line
        if token == "`":
            self._span(self.position + 1, Kind.STRING)
            self.open.append(_Frame("`"))
            return
        self.position += len(token)
        if token in ("(", "{"):
            self._open(token)
        elif token in (")", "}"):
            self._close(token)
        elif token == "!" and self.value and not self.text[self.position - 2 : self.position - 1].isspace():
            pass  # TypeScript's own: it says that the value before it is there
        else:
            self._after(token, value=token in ("]", "++", "--", "'", '"'))
            self.member = token == "."

    def _open(self, token: str) -> None:
        if token == "(":
            frame = _Frame("(", value=self.before not in _CONDITIONS)
        else:
            block = self.before in _BEFORE_BLOCK or (self.value and self.before not in ("'", "]"))
            frame = _Frame("{", value=not block)
        self.open.append(frame)
        self._after(token, value=False)

    def _close(self, token: str) -> None:
        if token == ")":
            if self.open and self.open[-1].kind == "(":
                self._after(")", value=self.open.pop().value)
            else:
                self.sure = False
            return
        while self.open and self.open[-1].kind == "(":
            self.open.pop()
            self.sure = False
        if not self.open:
            self.sure = False
            return
        frame = self.open.pop()
        if frame.kind == "${":
            self.position -= 1
            self._span(self.position + 1, Kind.STRING)
        else:
            self._after("}", value=frame.value)

    def _template(self) -> None:
        match = _TEMPLATE_TEXT.match(self.text, self.position)
        assert match is not None  # it matches the empty string
        end = match.end()
        if self.text.startswith("${", end):
            self._span(end + 2, Kind.STRING)
            self.open.append(_Frame("${"))
            self._after("{", value=False)
            return
        self._span(min(end + 1, len(self.text)), Kind.STRING)
        if end < len(self.text) and self.text[end] == "`":
            self.open.pop()
            self._after("'", value=True)

    # ---- JSX -----------------------------------------------------------------------------------------------

    def _begins_element(self) -> bool:
        if not self.jsx or self.value or self.position in self.no_elements:
            return False
        follows = self.text[self.position + 1 : self.position + 2]
        if not (follows.isalpha() or follows in ("_", "$", ">")):
            return False
        return _TYPE_PARAMETER.match(self.text, self.position) is None

    def _open_tag(self) -> None:
        match = _TAG_START.match(self.text, self.position)
        assert match is not None  # called where a < stands
        in_code = not self.open or self.open[-1].kind != "element"
        name = match["name"] or ""
        if in_code:
            frame = _Frame("tag", name=name, start=self.position, spans=len(self.spans), sure=self.sure)
        else:
            frame = _Frame("tag", name=name)
        self.position = match.end()
        if name and (arguments := _TYPE_ARGUMENTS.match(self.text, self.position)):
            self.position = arguments.end()
        self.open.append(frame)

    def _tag(self) -> None:
        match = _TAG_PART.match(self.text, self.position)
        if match is None:
            raise _Lost
        kind = match.lastgroup
        if kind == "string":
            self._span(match.end(), Kind.STRING)
        elif kind == "comment":
            self._span(match.end(), Kind.COMMENT)
        else:
            self.position = match.end()
        if kind == "brace":
            self.open.append(_Frame("{jsx"))
            self._after("{", value=False)
        elif kind == "end":
            frame = self.open.pop()
            if match[0] == ">":
                self.open.append(replace(frame, kind="element"))
            else:
                self._after("'", value=True)

    def _children(self) -> None:
        match = _TEXT.match(self.text, self.position)
        assert match is not None  # it matches the empty string
        self._span(match.end(), Kind.STRING)
        if self.text.startswith("{", self.position):
            self.position += 1
            self.open.append(_Frame("{jsx"))
            self._after("{", value=False)
        elif closing := _CLOSING_TAG.match(self.text, self.position):
            if closing["name"] != self.open[-1].name:
                raise _Lost
            self.open.pop()
            self.position = closing.end()
            self._after("'", value=True)
        elif self.text[self.position + 1 : self.position + 2].isalpha() or self.text.startswith("<>", self.position):
            self._open_tag()
        else:
            raise _Lost

    def _read_again(self) -> None:
        """Go back to where the innermost element that stands in code began; its < was an operator."""
        starts = [place for place, frame in enumerate(self.open) if frame.start >= 0]
        if len(self.no_elements) >= _ATTEMPTS or not starts:
            again = _Reader(self.text, jsx=False)
            self.spans, self.sure = list(again.read().spans), False
            self.position, self.open = len(self.text), []
            return
        frame = self.open[starts[-1]]
        self.no_elements.add(frame.start)
        del self.open[starts[-1] :]
        del self.spans[frame.spans :]
        self.position, self.sure = frame.start, frame.sure
        self._after("", value=False)


def script_spans(text: str, *, jsx: bool) -> Spans:
    """The strings (templates and regular expressions too, and JSX text) and comments of a script."""
    return _Reader(text, jsx=jsx).read()


# Which language a file is in, by its name, and what its strings and comments are.

_MARKUP = re.compile(
    r"""(?P<comment><!--.*?-->) | <(?P<tag>script|style)\b(?P<attributes>(?:"[^"]*"|'[^']*'|[^'"<>])*)>
      | (?P<lost><!--)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def _component(text: str) -> Spans:
    """A Vue, Svelte or HTML file: what stands in its script is read as such, its markup is code."""
    spans: list[Span] = []
    position, sure = 0, True
    while match := _MARKUP.search(text, position):
        position = match.end()
        if match["lost"]:
            return Spans(tuple(spans), sure=False)
        elif match["comment"]:
            spans.append(Span(match.start(), position, Kind.COMMENT))
        elif not match["attributes"].endswith("/"):
            closing = re.compile(rf"</{match['tag']}\s*>", re.IGNORECASE).search(text, position)
            end = closing.start() if closing else len(text)
            inside = text[position:end]
            if match["tag"].lower() == "script":
                read = script_spans(inside, jsx=bool(re.search(r"""lang=["']?[jt]sx""", match["attributes"])))
                sure = sure and read.sure
                spans += shifted(read, position)
            else:
                comments = _CSS_COMMENT.finditer(inside)
                spans += (
                    Span(position + comment.start(), position + comment.end(), Kind.COMMENT) for comment in comments
                )
            position = end
    return Spans(tuple(spans), sure=sure)


_READERS: tuple[tuple[str, Callable[[str], Spans]], ...] = (
    (".ts .mts .cts", partial(script_spans, jsx=False)),
    (".tsx .js .jsx .mjs .cjs", partial(script_spans, jsx=True)),
    (".vue .svelte .html .htm", _component),
    (".py .pyi", python_spans),
    (".sql .psql .pgsql .ddl", sql_spans),
    (".graphql .graphqls .gql", graphql_spans),
    (".json .jsonc .json5 .prisma", json_spans),
    (".yaml .yml", yaml_spans),
)
READERS = {suffix: read for suffixes, read in _READERS for suffix in suffixes.split()}


def reader(name: str) -> Callable[[str], Spans] | None:
    """What finds the strings and comments in a file of this name; None for a kind that callctl cannot read."""
    return READERS.get(PurePath(name).suffix.lower())
