"""Follows names through modules, and finds files that import a symbol of the column's name under another one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from callctl.coderefs.languages import captures, grammar_of, parsed, scripts

_ECMASCRIPT = """
  (import_statement
    (import_clause (named_imports (import_specifier name: _ @name alias: _? @alias))) source: (_) @source)
  (import_statement (import_clause (identifier) @default) source: (_) @source)
  (export_statement (export_clause (export_specifier name: _ @name alias: _? @alias)) source: (_)? @source)
  (export_statement . "*" @all . "from" source: (_) @source)
  (export_statement value: (_) @value)
  (export_statement (_ (variable_declarator name: (_) @alias value: (_) @value)))
  (export_statement (type_alias_declaration name: (_) @alias value: (_) @value))
"""
_QUERIES = {
    "typescript": _ECMASCRIPT,
    "tsx": _ECMASCRIPT,
    "python": """
      (import_from_statement module_name: (_) @source
        name: [(dotted_name) @name (aliased_import name: (_) @name alias: (_) @alias)])
      (import_from_statement module_name: (_) @source (wildcard_import) @all)
      (module (expression_statement (assignment left: (identifier) @alias right: (_) @value)))
    """,
}
_DOTTED = re.compile(r"(?:[\w$]+\??\.)*[\w$]+")


@dataclass(frozen=True)
class Link:
    """``alias`` is here what ``name`` is in the module ``source``, or in this one where that is None.

    '*' is every name, 'default' the module's default, 'a.b' a member. ``start`` and ``end``: where the name is written,
    of a member its last part.
    """

    source: str | None
    name: str
    alias: str
    start: int
    end: int


def links(file: str, text: str) -> Iterator[Link]:
    """Yield the imports and exports of a source file, and the names that it uses for them.

    None of a language without modules.
    """
    for offset, grammar, script in scripts(file, text):
        data = script.encode("utf-8", "replace")
        for match in captures(grammar, _QUERIES[grammar], parsed(grammar, script)):
            nodes = {capture: found[0] for capture, found in match.items()}
            words = {capture: data[node.start_byte : node.end_byte].decode() for capture, node in nodes.items()}
            source = words["source"].strip("'\"") if "source" in words else None
            capture = next(capture for capture in ("value", "name", "default", "all") if capture in words)
            name = {"default": "default", "all": "*"}.get(capture, words[capture])
            if capture == "value" and not _DOTTED.fullmatch(name):
                continue
            alias = words.get("alias") or words.get("default") or (name if capture != "value" else "default")
            end = offset + len(data[: nodes[capture].end_byte].decode())
            yield Link(source, name, alias, end - len(words[capture].rpartition(".")[2]), end)


def renamed(files: Mapping[str, list[Link]], bears: Callable[[str, Link], bool]) -> dict[str, list[Link]]:
    """The imports and exports of each file that take from another module a symbol of the column's under another name.

    ``bears`` says whether a link of a file is itself written with the column's name.
    """
    names = {file: {link.alias for link in of_file if bears(file, link)} for file, of_file in files.items()}
    result: dict[str, list[Link]] = {}
    size = -1  # of the names known; each may be passed on again
    while size != sum(map(len, names.values())):
        size, result = sum(map(len, names.values())), {}
        bearing = {file: own for file, own in names.items() if own}
        known = {"*"}.union(*bearing.values())
        for file, link in ((file, link) for file, of_file in files.items() for link in of_file if link.name in known):
            modules = [file] if link.source is None else [m for m in bearing if _is_module(link.source, file, m)]
            there = {name for module in modules for name in names[module]}
            if link.name == "*":
                names[file] |= there - {"default"}
            elif link.name in there:
                names[file].add(link.alias)
                result.setdefault(file, []).append(link)
    return result


def _is_module(source: str, importer: str, file: str) -> bool:
    """Return whether ``source``, as ``importer`` writes it, is this file.

    Of a path that a setting resolves, by its end.
    """
    stem = re.sub(r"(/index|/__init__)$", "", os.path.splitext(file)[0])  # noqa: PTH122
    if grammar_of(importer) == "python":
        dots = len(source) - len(source.lstrip("."))
        source = f"./{'../' * (dots - 1)}" * bool(dots) + source[dots:].replace(".", "/")
    if source.startswith("."):
        source = os.path.normpath(os.path.join(os.path.dirname(importer), source))  # noqa: PTH118, PTH120
        return stem == re.sub(r"(/index)?(\.[cm]?[jt]sx?|\.vue|\.svelte)?$", "", source)
    parts = re.sub(r"(/index)?(\.[cm]?[jt]sx?)?$", "", source).split("/")
    ends = "/".join(parts[1:] if parts[0][:1] in "@~#" and len(parts) > 1 else parts)
    return bool(ends) and f"/{stem}".removesuffix("/src").endswith(f"/{ends}")
