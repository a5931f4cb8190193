"""Which language a file is in, by its name, and what its strings and comments are."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import PurePath

from callctl.coderefs import plain as source_plain
from callctl.coderefs.script import script
from callctl.coderefs.spans import Kind, Span, Spans, shifted

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
    while found := _MARKUP.search(text, position):
        position = found.end()
        if found["lost"]:
            return Spans(tuple(spans), sure=False)
        elif found["comment"]:
            spans.append(Span(found.start(), position, Kind.COMMENT))
        elif not found["attributes"].endswith("/"):
            closing = re.compile(rf"</{found['tag']}\s*>", re.IGNORECASE).search(text, position)
            end = closing.start() if closing else len(text)
            inside = text[position:end]
            if found["tag"].lower() == "script":
                read = script(inside, jsx=bool(re.search(r"""lang=["']?[jt]sx""", found["attributes"])))
                sure = sure and read.sure
                spans += shifted(read, position)
            else:
                comments = _CSS_COMMENT.finditer(inside)
                spans += (Span(position + each.start(), position + each.end(), Kind.COMMENT) for each in comments)
            position = end
    return Spans(tuple(spans), sure=sure)


_READERS: tuple[tuple[str, Callable[[str], Spans]], ...] = (
    (".ts .mts .cts", partial(script, jsx=False)),
    (".tsx .js .jsx .mjs .cjs", partial(script, jsx=True)),
    (".vue .svelte .html .htm", _component),
    (".py .pyi", source_plain.python),
    (".sql .psql .pgsql .ddl", source_plain.sql),
    (".graphql .graphqls .gql", source_plain.graphql),
    (".json .jsonc .json5 .prisma", source_plain.json),
    (".yaml .yml", source_plain.yaml),
)
READERS = {suffix: read for suffixes, read in _READERS for suffix in suffixes.split()}


def reader(name: str) -> Callable[[str], Spans] | None:
    """What finds the strings and comments in a file of this name; None for a kind that callctl cannot read."""
    return READERS.get(PurePath(name).suffix.lower())
