"""The possible meanings of a name in a query: tables, derived tables, and the columns they show to the rest of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from callctl.statements.naming import TableNaming


def folded(node: exp.Expr | None) -> str:
    """A name as the catalog would hold it; the empty string where there is none."""
    if not isinstance(node, exp.Identifier):
        return ""
    return str(node.this) if node.args.get("quoted") else str(node.this).lower()


@dataclass(frozen=True)
class Exposed:
    """One column under a documented name: of a table (spelled as that table does), or plain (spelled so)."""

    name: str
    table: TableNaming | None = None

    @property
    def absent(self) -> bool:
        return self.table is not None and self.name in self.table.absent

    @property
    def actual(self) -> str:
        return self.name if self.table is None else self.table.columns.get(self.name, self.name)

    @property
    def factor(self) -> int | None:
        return None if self.table is None else self.table.units.get(self.name)

    @property
    def documented(self) -> bool:
        """Whether the specification spells it so; deleted_at of chatbots, say, is understood all the same."""
        return self.table is None or self.table.is_documented_spelling(self.name)


@dataclass
class Outputs:
    """The columns of a query: by name, and those among them that its select list names (not by ``*``).

    ``open`` when it may have columns we cannot know of.
    """

    columns: dict[str, list[Exposed]] = field(default_factory=dict)
    explicit: set[str] = field(default_factory=set)
    open: bool = False

    def name(self, name: str) -> None:
        self.columns.setdefault(name, []).append(Exposed(name))
        self.explicit.add(name)

    def include(self, other: Mapping[str, Sequence[Exposed]], *, is_open: bool) -> None:
        for name, exposed in other.items():
            self.columns.setdefault(name, []).extend(exposed)
        self.open = self.open or is_open

    def renamed(self, names: Sequence[str]) -> Outputs:
        """The same under a column alias list."""
        if not names:
            return self
        starred = any(name not in self.explicit for name in self.columns)
        result = Outputs(open=self.open and bool(self.columns or not names))
        if starred:
            result.include({k: v for k, v in self.columns.items() if k not in names}, is_open=self.open)
        for name in names:
            result.columns[name] = [Exposed(name)]
            result.explicit.add(name)
        return result


@dataclass
class Source:
    """One item of a FROM list; ``written`` is how SQL writes the name it goes by."""

    name: str
    written: str
    outputs: Outputs
    table: TableNaming | None = None
    schema: str = ""

    def lookup(self, name: str) -> list[Exposed]:
        return self.outputs.columns.get(name, [])


@dataclass
class Scope:
    """The sources that a name is looked up in, innermost first."""

    sources: list[Source] = field(default_factory=list)
    outer: Scope | None = None

    def levels(self) -> Iterator[Scope]:
        level: Scope | None = self
        while level is not None:
            yield level
            level = level.outer

    def named(self, name: str) -> Source | None:
        """The source of that name, the nearest first."""
        for level in self.levels():
            for source in level.sources:
                if source.name == name:
                    return source
        return None


def table_outputs(table: TableNaming) -> Outputs:
    """Return the names that a table of the platform shows: each known documented name, or that it is absent."""
    names = (*table.columns, *sorted(table.absent))
    return Outputs({name: [Exposed(name, table)] for name in names})


def output_name(item: exp.Expr) -> tuple[str, exp.Identifier | None]:
    """Return PostgreSQL's name for an item of a select list, and the column that gave the name, if any.

    Follows FigureColname of its parser: a cast, a collation, a subscript or CASE … ELSE takes the name of the column
    inside.
    """
    if isinstance(item, exp.Alias):
        return folded(item.args.get("alias")), None
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Identifier):
        return folded(item.this), item.this
    if isinstance(item, exp.Dot) and isinstance(item.expression, exp.Identifier):
        return folded(item.expression), item.expression
    if isinstance(item, exp.Paren | exp.Cast | exp.Collate | exp.Bracket):
        return output_name(item.this)
    if isinstance(item, exp.Case) and item.args.get("default") is not None:
        return output_name(item.args["default"])
    if isinstance(item, exp.Subquery):
        # The query inside is given the name itself.
        inner = item.unnest()
        return (output_name(inner.expressions[0])[0], None) if inner.expressions else ("", None)
    return (item.name.lower() if isinstance(item, exp.Anonymous) else item.key), None
