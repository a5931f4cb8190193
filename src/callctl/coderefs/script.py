"""JavaScript and TypeScript, with and without JSX: where their strings and comments are.

Three things make it more than a list of patterns. A slash divides or begins a regular expression, which the
token before it decides. A template literal holds code, which holds template literals. JSX text is no code: an
apostrophe in it begins no string. An element is tried where an expression may begin; one whose tags do not
match was a type argument after all, and is read again as such.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from callctl.coderefs.spans import Kind, Span, Spans

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

    what: str  # '(' '{' '${' '{jsx' '`' 'tag' 'element'
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
                if any(frame.what in ("tag", "element") for frame in self.open):
                    raise _Lost
                break
            except _Lost:
                self._read_again()
        return Spans(tuple(self.spans), sure=self.sure and not self.open)

    def _step(self) -> None:
        what = self.open[-1].what if self.open else ""
        if what == "`":
            self._template()
        elif what == "tag":
            self._tag()
        elif what == "element":
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
        found = _TOKEN.match(self.text, self.position)
        assert found is not None  # the last alternative takes anything
        kind, said = found.lastgroup, found[0]
        if kind == "space":
            self.position = found.end()
        elif kind == "comment":
            self._span(found.end(), Kind.COMMENT)
        elif kind == "word":
            self.position = found.end()
            self._after(said, value=self.member or said not in _BEFORE_EXPRESSION)
        elif kind == "string":
            self._span(found.end(), Kind.STRING)
            self._after("'", value=True)
        else:
            self._mark(said)

    def _mark(self, said: str) -> None:
        if said == "/" and not self.value and (regex := _REGEX.match(self.text, self.position)):
            self._span(regex.end(), Kind.STRING)
            self._after("'", value=True)
            return
        if said == "<" and self._begins_element():
            self._open_tag()
            return
        if said == "/" and self.text.startswith("/*", self.position):
            self.sure = False  # a comment that never ends
        if said in ("'", '"'):
            self.sure = False  # a string that does not end on its line
        if said == "`":
            self._span(self.position + 1, Kind.STRING)
            self.open.append(_Frame("`"))
            return
        self.position += len(said)
        if said in ("(", "{"):
            self._open(said)
        elif said in (")", "}"):
            self._close(said)
        elif said == "!" and self.value and not self.text[self.position - 2 : self.position - 1].isspace():
            pass  # TypeScript's own: it says that the value before it is there
        else:
            self._after(said, value=said in ("]", "++", "--", "'", '"'))
            self.member = said == "."

    def _open(self, said: str) -> None:
        if said == "(":
            frame = _Frame("(", value=self.before not in _CONDITIONS)
        else:
            block = self.before in _BEFORE_BLOCK or (self.value and self.before not in ("'", "]"))
            frame = _Frame("{", value=not block)
        self.open.append(frame)
        self._after(said, value=False)

    def _close(self, said: str) -> None:
        if said == ")":
            if self.open and self.open[-1].what == "(":
                self._after(")", value=self.open.pop().value)
            else:
                self.sure = False
            return
        while self.open and self.open[-1].what == "(":
            self.open.pop()
            self.sure = False
        if not self.open:
            self.sure = False
            return
        frame = self.open.pop()
        if frame.what == "${":
            self.position -= 1
            self._span(self.position + 1, Kind.STRING)
        else:
            self._after("}", value=frame.value)

    def _template(self) -> None:
        found = _TEMPLATE_TEXT.match(self.text, self.position)
        assert found is not None  # it matches the empty string
        end = found.end()
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
        found = _TAG_START.match(self.text, self.position)
        assert found is not None  # called where a < stands
        in_code = not self.open or self.open[-1].what != "element"
        name = found["name"] or ""
        if in_code:
            frame = _Frame("tag", name=name, start=self.position, spans=len(self.spans), sure=self.sure)
        else:
            frame = _Frame("tag", name=name)
        self.position = found.end()
        if name and (arguments := _TYPE_ARGUMENTS.match(self.text, self.position)):
            self.position = arguments.end()
        self.open.append(frame)

    def _tag(self) -> None:
        found = _TAG_PART.match(self.text, self.position)
        if found is None:
            raise _Lost
        kind = found.lastgroup
        if kind == "string":
            self._span(found.end(), Kind.STRING)
        elif kind == "comment":
            self._span(found.end(), Kind.COMMENT)
        else:
            self.position = found.end()
        if kind == "brace":
            self.open.append(_Frame("{jsx"))
            self._after("{", value=False)
        elif kind == "end":
            frame = self.open.pop()
            if found[0] == ">":
                self.open.append(replace(frame, what="element"))
            else:
                self._after("'", value=True)

    def _children(self) -> None:
        found = _TEXT.match(self.text, self.position)
        assert found is not None  # it matches the empty string
        self._span(found.end(), Kind.STRING)
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


def script(text: str, *, jsx: bool) -> Spans:
    """The strings (templates and regular expressions too, and JSX text) and comments of a script."""
    return _Reader(text, jsx=jsx).read()
