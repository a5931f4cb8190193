"""The columns of ai_models as they are, and whether they keep what a catalogue says, to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from types import MappingProxyType
from typing import TYPE_CHECKING

from callctl.errors import Refused
from callctl.files import read_sql
from callctl.migration.steps.catalogue import COLUMNS, OWN, Model, Value, stored

if TYPE_CHECKING:
    from callctl.database.connection import Connection
    from callctl.statements.naming import Naming, TableNaming

TABLE = "ai_models"
# What every insert fills beside the catalogue's fields.
STAMPS = ("created_at", "updated_at")
_WHOLE = MappingProxyType({"smallint": 2**15, "integer": 2**31, "bigint": 2**63})


@dataclass(frozen=True)
class Column:
    """One column. ``required``: NOT NULL, and nothing fills it by itself. ``length`` in characters."""

    name: str
    required: bool
    type: str
    precision: int | None
    scale: int | None
    length: int | None
    labels: Sequence[str] | None

    def misfit(self, value: Value) -> str | None:
        """Why it does not keep this value as it is, or None. What is not known here the server says."""
        if isinstance(value, bool):
            return None
        if isinstance(value, str):
            if self.labels is not None and value not in self.labels:
                return f"has no label {value} (its labels are {', '.join(self.labels)})"
            if self.length is not None and len(value) > self.length:
                return f"keeps {self.length} characters, and this has {len(value)}"
            return None
        number = Decimal(value)
        if self.length is not None and len(as_sent(number)) > self.length:
            return f"keeps {self.length} characters, too few for {_short(number)}"
        if self.type in _WHOLE:
            if number != number.to_integral_value():
                return f"keeps whole numbers and would round {_short(number)}"
            return None if abs(number) < _WHOLE[self.type] else f"is {self.type}, too small for {_short(number)}"
        if self.precision is not None and self.scale is not None:
            if number != round(number, self.scale):
                return f"keeps {self.scale} decimals and would round {_short(number)}"
            if abs(number) >= Decimal(10) ** (self.precision - self.scale):
                return (
                    f"has room for {self.precision - self.scale} digits before the point, too few for {_short(number)}"
                )
        return None


def read_columns(connection: Connection, naming: Naming) -> dict[str, Column]:
    """The columns of this database's table, by name."""
    rows = connection.execute(read_sql("migration/steps/model_columns.sql"), {"schema": naming.schema}).fetchall()
    return {row[0]: Column(*row) for row in rows}


def assert_it_fits(connection: Connection, models: Sequence[Model], naming: Naming) -> None:
    """Raise Refused where step 13 could not insert these models. A column that step 7 will add is not asked about."""
    table = naming.tables[TABLE]
    columns = read_columns(connection, naming)
    raise_misfits([*unfilled(models, columns, table), *misfits(models, columns, table, missing=False)], OWN)


def raise_misfits(problems: Sequence[str], catalogue: str) -> None:
    """Raise Refused with these problems, if there are any."""
    if problems:
        raise Refused(
            f"the models of {catalogue} do not fit table {TABLE}: {'; '.join(problems)}",
            hint="widen the column, give it a default, or change the catalogue; nothing was written",
        )


def unfilled(models: Sequence[Model], columns: Mapping[str, Column], table: TableNaming) -> list[str]:
    """What a new row of each of these models would lack: a model, and the field or column that needs a value."""
    known = {table.columns.get(column, column): field for field, column in COLUMNS.items()}
    problems = []
    for column in columns.values():
        if not column.required or column.name in ("id", *STAMPS):
            continue
        field = known.get(column.name)
        without = [model.key for model in models if field is None or getattr(model, field) is None]
        if without:
            what = f"the catalogue has no {field}" if field else "nothing in a catalogue fills it"
            problems.append(f"{_named(without)}: column {column.name} is NOT NULL without a default, and {what}")
    return problems


def misfits(
    models: Iterable[Model], columns: Mapping[str, Column], table: TableNaming, *, missing: bool = True
) -> list[str]:
    """What the columns would not keep as it is: model, field, column, why. ``missing`` columns count as well."""
    problems = []
    for model in models:
        for field, value in model.fields().items():
            name, kept = stored(field, value, table)
            column = columns.get(name)
            why = ("is not there" if missing else None) if column is None else column.misfit(kept)
            if why is not None:
                problems.append(f"model {model.key}: {field}: column {name} {why}")
    return problems


def as_sent(value: Value) -> str:
    """A value as it is sent to the server, which knows the column's type: a number as it is, without zeros at its end.

    An integer column takes 5 and not 5.00, and a text column keeps what it is given.
    """
    if isinstance(value, Decimal):
        with localcontext(prec=200):
            return f"{value.normalize():f}"
    return as_text(value)


def as_text(value: Value) -> str:
    """A value as it is shown and recorded."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def says(text: str | None, value: Value) -> bool:
    """Whether what a column gives as text is this value; 5 and 5.0000 are the same."""
    if text is None:
        return False
    if isinstance(value, bool):
        return text in (("true", "t", "1") if value else ("false", "f", "0"))
    return text == value if isinstance(value, str) else _number(text) == value


def in_catalogue(field: str, text: str | None, table: TableNaming) -> str | None:
    """What a column gives as text, in the catalogue's unit for this field, to be shown."""
    column = COLUMNS[field]
    number = _number(text) if text is not None and column.endswith("_per_token") else None
    if number is None or not number.is_finite():
        return text
    with localcontext(prec=200):
        return f"{(number / table.units.get(column, 1) * 1_000_000).normalize():f}"


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def _short(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _named(keys: Sequence[str]) -> str:
    return f"model {keys[0]}" if len(keys) == 1 else f"models {', '.join(keys)}"
