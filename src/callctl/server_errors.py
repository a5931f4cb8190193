"""A server's error without the words of its message: the condition, the objects and the SQLSTATE.

What the server says while secrets are written may hold one: a trigger's RAISE can quote the row, and so can a check or
an index expression. The condition's name and the names of objects cannot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from callctl.errors import Code
from callctl.redaction import printable, redact

if TYPE_CHECKING:
    import psycopg

# Where the condition's own name says too little.
_WORDS = {
    "P0001": "an error was raised",
    "42501": "permission denied",
    "55P03": "a lock was not available in time",
    "57014": "the server canceled the statement",
    "57P01": "an administrator ended the connection",
    "57P02": "the server crashed",
    "57P03": "the server does not accept connections now",
    "57P05": "the session was idle for too long",
    "25P03": "the transaction was idle for too long",
    "23502": "a column that may not be null would be",
    "23503": "a foreign key is violated",
    "23505": "a unique constraint is violated",
    "23514": "a check constraint is violated",
    "23P01": "an exclusion constraint is violated",
    # No internal error of callctl's, which is what it would read like.
    "XX000": "the server failed internally",
}
# The parts of PostgreSQL that name objects in their errors. A RAISE can put any text in these fields, too.
_NAME_OBJECTS = {
    "execMain.c",
    "execIndexing.c",
    "execExprInterp.c",
    "nbtinsert.c",
    "ri_triggers.c",
    "domains.c",
    "tablecmds.c",
}
_FUNCTION = re.compile(
    r"\A(?:PL/[A-Za-z]+|SQL) function (?P<name>\"(?:[^\"\n]|\"\")+\"|[^(\n]+?)(?=\(|,? line | statement |\n|\Z)"
)


# The situation for a SQLSTATE, for its first three characters, or for its class.
_CODES = {
    "08": Code.CONNECTION_LOST,
    "57P": Code.CONNECTION_LOST,
    "25P03": Code.CONNECTION_LOST,
    "28": Code.LOGIN_REFUSED,
    "3D000": Code.DATABASE_MISSING,
    "53100": Code.DISK_FULL,
    "53300": Code.TOO_MANY_CONNECTIONS,
    "53": Code.SERVER_RESOURCES,
    "55P03": Code.LOCK_TIMEOUT,
    "40": Code.LOCK_TIMEOUT,
    "57014": Code.STATEMENT_TIMEOUT,
    "42501": Code.PERMISSION_DENIED,
    "25006": Code.READ_ONLY,
    "23": Code.CONSTRAINT_VIOLATED,
    "22": Code.VALUE_REFUSED,
    "P0": Code.TRIGGER_REFUSED,
    "42": Code.OBJECT_MISSING,
    "3F": Code.OBJECT_MISSING,
    "58": Code.SERVER_FAILED,
    "XX": Code.SERVER_FAILED,
}


def code_of(error: psycopg.Error) -> Code:
    """The code of a server's or a driver's error, by its SQLSTATE."""
    state = error.sqlstate
    if not state:
        return Code.CONNECTION_LOST if _is_lost(error) else Code.VALUE_REFUSED
    if state == "57014" and not is_canceled(error):
        return Code.TRIGGER_REFUSED
    return next((_CODES[part] for part in (state, state[:3], state[:2]) if part in _CODES), Code.SERVER_ERROR)


def _is_lost(error: psycopg.Error) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError")


def is_canceled(error: psycopg.Error) -> bool:
    """Return whether the server cut the statement short, by its timeout or for an administrator.

    A function can raise that condition, too; the server names the file of the source where an error came from.
    """
    return error.sqlstate == "57014" and error.diag.source_file == "postgres.c"


def is_rewritten(error: psycopg.Error) -> bool:
    """Return whether the server refused a statement because a rule makes something else of it.

    As :func:`is_canceled`.
    """
    return error.sqlstate == "0A000" and error.diag.source_file == "rewriteHandler.c"


def outline(error: psycopg.Error) -> str:
    """Return the kind and the objects of an error, without the words of the server's message.

    'a check constraint is violated: chatapp.integration_accounts, constraint short (SQLSTATE 23514)'
    """
    if not error.sqlstate:
        # libpq's or the driver's own: of the connection, or of a value.
        return (
            "the connection to the server was lost"
            if _is_lost(error)
            else f"the driver refused it ({type(error).__name__})"
        )
    about = ", ".join([*_objects(error), *_function(error)])
    return f"{_condition(error.sqlstate)}{': ' if about else ''}{about} (SQLSTATE {printable(error.sqlstate)[:5]})"


def _condition(sqlstate: str) -> str:
    """PostgreSQL's name of a condition (manual, appendix A), in words."""
    from psycopg import errors

    if sqlstate in _WORDS:
        return _WORDS[sqlstate]
    try:
        name = errors.lookup(sqlstate).__name__
    except KeyError:
        return "an error that a function of this database defines"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.rstrip("_")).lower()


def _objects(error: psycopg.Error) -> list[str]:
    diag = error.diag
    if diag.source_file not in _NAME_OBJECTS:
        return []
    named = []
    if diag.table_name:
        named.append(".".join(_name(part) for part in (diag.schema_name, diag.table_name) if part))
    for kind, name in (
        ("column", diag.column_name),
        ("constraint", diag.constraint_name),
        ("type", diag.datatype_name),
    ):
        if name:
            named.append(f"{kind} {_name(name)}")
    return named


def _function(error: psycopg.Error) -> list[str]:
    """The function that was running, by the first line of CONTEXT, or the one that was called, by the last.

    Those between may quote a statement, and the first the data.
    """
    lines = (error.diag.context or "").splitlines()
    match = next(filter(None, map(_FUNCTION.match, (lines[0], lines[-1]))), None) if lines else None
    return [] if match is None else [f"in function {_name(match['name'])}"]


def _name(name: str) -> str:
    return redact(printable(name))[:130]
