"""Python, SQL, GraphQL, Prisma, JSON, YAML and markup: where their strings and comments are.

Each of these needs a few patterns and one speciality: Python's f-strings hold code, PostgreSQL's dollar quotes
hold SQL, YAML's block scalars hold anything.
"""

from __future__ import annotations

import re
from dataclasses import replace

from callctl.coderefs.spans import Kind, Span, Spans, shifted

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
        while self.lost < _LOST and (found := _PYTHON.search(self.text, position)):
            position = found.end()
            if found[0] in ("(", "[", "{"):
                depth += 1
            elif found[0] in (")", "]", "}"):
                depth -= 1
            elif found["quote"] or found[0] in ("'", '"'):
                position = self._string_or_not(found, statement=depth == 0)
            else:
                self.spans.append(Span(found.start(), found.end(), Kind.COMMENT))
        return Spans(tuple(self.spans), sure=not self.lost and depth == 0)

    def _string_or_not(self, found: re.Match[str], *, statement: bool) -> int:
        kept = len(self.spans)
        try:
            end = self._string(found)
        except (_Unclosed, RecursionError):
            del self.spans[kept:]
            self.lost += 1
            return found.end()
        if statement and len(self.spans) == kept + 1 and self._documents(found.start(), end):
            self.spans[kept] = Span(found.start(), end, Kind.COMMENT)
        return end

    def _documents(self, start: int, end: int) -> bool:
        """Whether a string is a statement of its own, as a docstring is: nothing ever reads it."""
        line = self.text.rfind("\n", 0, start) + 1
        after = self.text.find("\n", end)
        rest = self.text[end : len(self.text) if after < 0 else after].strip()
        alone = not self.text[line:start].strip() and (not rest or rest.startswith("#"))
        return alone and not self.text.endswith("\\\n", 0, line)

    def _string(self, found: re.Match[str]) -> int:
        """The end of the string that begins at ``found``; its spans are noted. Raises _Unclosed."""
        quote, prefix = found["quote"] or found[0], (found["prefix"] or "").lower()
        if "f" in prefix or prefix in ("t", "tr", "rt"):
            return self._formatted(found.start(), found.end(), quote)
        rest = _REST[quote].match(self.text, found.end())
        if rest is None:
            raise _Unclosed
        self.spans.append(Span(found.start(), rest.end(), Kind.STRING))
        return rest.end()

    def _formatted(self, start: int, position: int, quote: str, *, field: bool = False) -> int:
        """The end of an f-string, or of the format at the end of a replacement field, up to its brace."""
        ends = "}" if field else quote
        pattern = re.compile(rf"\\.|\{{\{{|\{{|\n|{re.escape(ends)}" if not field else r"\\.|\{|\n|\}", re.DOTALL)
        while found := pattern.search(self.text, position):
            position = found.end()
            if found[0] == ends:
                stop = found.start() if field else position
                if stop > start:
                    self.spans.append(Span(start, stop, Kind.STRING))
                return stop
            if found[0] == "\n" and len(quote) == 1:
                break
            if found[0] == "{":
                self.spans.append(Span(start, position, Kind.STRING))
                start = position = self._field(position, quote)
        raise _Unclosed

    def _field(self, position: int, quote: str) -> int:
        """The offset of the brace that closes the replacement field whose text begins here."""
        depth = 0
        while found := _IN_FIELD.search(self.text, position):
            position, said = found.end(), found[0]
            if said in ("(", "[", "{"):
                depth += 1
            elif said == "}" and depth == 0:
                return found.start()
            elif said in (")", "]", "}"):
                depth -= 1
            elif said == ":":
                if depth == 0:
                    return self._formatted(position, position, quote, field=True)
            elif said in ("!", "!="):
                pass  # a conversion such as !r, or a comparison
            elif said.startswith("#"):
                if len(quote) == 1:  # a field on one line can hold no comment: the text is not what it seems
                    raise _Unclosed
                self.spans.append(Span(found.start(), position, Kind.COMMENT))
            elif found["quote"] == quote and depth == 0 and len(quote) == 1 and self._ends_early(found):
                raise _Unclosed
            else:
                position = self._string(found)
        raise _Unclosed

    def _ends_early(self, found: re.Match[str]) -> bool:
        return _REST[found["quote"]].match(self.text, found.end()) is None


def python(text: str) -> Spans:
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


def sql(text: str) -> Spans:
    """Strings and comments of SQL as PostgreSQL reads it. What a dollar quote holds is read as SQL too."""
    return _sql(text, bodies=not _OTHER_LANGUAGE.search(text))


def _sql(text: str, *, bodies: bool) -> Spans:
    spans: list[Span] = []
    position = 0
    while found := _SQL.search(text, position):
        start, said = found.start(), found[0]
        if said.startswith("--"):
            position = found.end()
            spans.append(Span(start, position, Kind.COMMENT))
        elif said == "/*":
            end = _comment_end(text, found.end())
            if end is None:
                return Spans(tuple(spans), between=Kind.SQL, sure=False)
            position = end
            spans.append(Span(start, position, Kind.COMMENT))
        elif tag := found["tag"]:
            end = text.find(tag, found.end())
            if end < 0:
                return Spans(tuple(spans), between=Kind.SQL, sure=False)
            position = end + len(tag)
            inside = _sql(text[found.end() : end], bodies=True) if bodies else None
            # Text that is no SQL (an apostrophe that closes nothing) is a string as a whole.
            spans += shifted(inside, found.end()) if inside and inside.sure else (Span(start, position, Kind.STRING),)
        else:
            rest = _SQL_REST[said.lower()].match(text, found.end())
            if rest is None:
                return Spans(tuple(spans), between=Kind.SQL, sure=False)
            position = rest.end()
            if said != '"':  # a quoted name is a name
                spans.append(Span(start, position, Kind.STRING))
    return Spans(tuple(spans), between=Kind.SQL)


def _comment_end(text: str, position: int) -> int | None:
    """Where a comment ends that holds comments; None if it does not."""
    depth = 1
    while found := _SQL_COMMENT.search(text, position):
        position = found.end()
        depth += 1 if found[0] == "/*" else -1
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


def json(text: str) -> Spans:
    """Strings and comments of JSON, and of Prisma's schema language, which has the same."""
    return _patterned(_JSON, text)


def graphql(text: str) -> Spans:
    """Strings and comments of GraphQL. A description counts as a comment; a value stands after a mark."""
    found = _patterned(_GRAPHQL, text)
    spans = tuple(
        replace(span, kind=Kind.COMMENT)
        if not text[text.rfind("\n", 0, span.start) + 1 : span.start].strip()
        and not text[: span.start].rstrip().endswith((":", "=", "[", ","))
        else span
        for span in found.spans
    )
    return replace(found, spans=spans)


def _patterned(pattern: re.Pattern[str], text: str) -> Spans:
    spans: list[Span] = []
    for found in pattern.finditer(text):
        if found.lastgroup == "lost":
            return Spans(tuple(spans), sure=False)
        kind = Kind.COMMENT if found.lastgroup == "comment" else Kind.STRING
        spans.append(Span(found.start(), found.end(), kind))
    return Spans(tuple(spans))


def yaml(text: str) -> Spans:
    """Strings (block scalars too) and comments of YAML."""
    spans: list[Span] = []
    position = 0
    while found := _YAML.search(text, position):
        position = found.end()
        if found.lastgroup == "comment":
            spans.append(Span(found.start(), position, Kind.COMMENT))
        elif found.lastgroup == "string":
            spans.append(Span(found.start(), position, Kind.STRING))
        else:
            start, position = position, _block_end(text, found.start(), position)
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
