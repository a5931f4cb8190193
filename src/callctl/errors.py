"""The possible errors: a code for each situation, the exit code, and what is in the database then.

Every error a person or a server can cause is one of these: a code, a message that names the thing, a hint that says
what to do next, and an exit code. Anything else that escapes is a bug (exit code 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, ClassVar, Literal, TypeAlias


class Code(StrEnum):
    """A situation that an operator handles in one way; stable. Each has a page: see ``explanations``."""

    @staticmethod
    def _generate_next_value_(name: str, *_: Any) -> str:
        return f"CALLCTL-{name.replace('_', '-')}"

    # The command line, and what it names.
    USAGE = auto()
    OPTION_VALUE = auto()
    OPTION_MISSING = auto()
    OPTIONS_CONFLICT = auto()
    NO_SUCH_CODE = auto()
    CONFIRMATION_NEEDED = auto()
    NOT_CONFIRMED = auto()
    WRONG_DATABASE = auto()
    FILE_UNREADABLE = auto()
    FILE_UNWRITABLE = auto()
    FILE_EXISTS = auto()
    NO_SOURCE_FILES = auto()
    STDOUT_LOST = auto()
    INTERRUPTED = auto()
    NOT_UTF8 = auto()
    SYSTEM_ERROR = auto()
    INTERNAL = auto()
    INSTALLATION_BROKEN = auto()
    SQL_FILE = auto()
    NOT_MADE_BY_CALLCTL = auto()
    # Settings.
    CONFIG_SYNTAX = auto()
    CONFIG_KEY = auto()
    CONFIG_VALUE = auto()
    VARIABLE_EMPTY = auto()
    # The way to the server.
    NO_DATABASE = auto()
    URL_MALFORMED = auto()
    CANNOT_CONNECT = auto()
    LOGIN_REFUSED = auto()
    DATABASE_MISSING = auto()
    TOO_MANY_CONNECTIONS = auto()
    NOT_POSTGRESQL = auto()
    SERVER_TOO_OLD = auto()
    POOLER = auto()
    CONNECTION_LOST = auto()
    # What the server answers.
    LOCK_TIMEOUT = auto()
    STATEMENT_TIMEOUT = auto()
    PERMISSION_DENIED = auto()
    ROWS_HIDDEN = auto()
    READ_ONLY = auto()
    DISK_FULL = auto()
    SERVER_RESOURCES = auto()
    CONSTRAINT_VIOLATED = auto()
    VALUE_REFUSED = auto()
    OBJECT_MISSING = auto()
    TRIGGER_REFUSED = auto()
    TRIGGER_INTERFERES = auto()
    NOT_STORED = auto()
    SERVER_FAILED = auto()
    SERVER_ERROR = auto()
    # Other runs, and callctl's own schema.
    LOCK_HELD = auto()
    LOCK_LOST = auto()
    SESSION_LEFT = auto()
    REPLICA_BEHIND = auto()
    BRAKED = auto()
    NO_RUN = auto()
    PROGRAM_MISSING = auto()
    RUNNING_AS_ROOT = auto()
    STORE_NAME_TAKEN = auto()
    STORE_OTHER_SCHEMA = auto()
    STORE_UNREADABLE = auto()
    STORE_VERSION = auto()
    STORE_HOOKED = auto()
    # The platform's schema and its names.
    WRONG_SCHEMA = auto()
    NAMES_UNCLEAR = auto()
    STATEMENT_UNFIT = auto()
    NO_BATCH_KEY = auto()
    CATALOG_UNREADABLE = auto()
    # The steps.
    PREFLIGHT_BLOCKERS = auto()
    PLAN_OUTDATED = auto()
    PLAN_FILE = auto()
    STEP_NOT_APPLIED = auto()
    STEP_PARTLY_APPLIED = auto()
    CHECK_FAILED = auto()
    STEP_RESULT_DIFFERS = auto()
    LOCK_HOLD = auto()
    INDEX_INVALID = auto()
    SHADOW_IMPOSSIBLE = auto()
    HISTORY_GAP = auto()
    HISTORY_UNKNOWN_STEPS = auto()
    NOTHING_TO_VERIFY = auto()
    NOTHING_RECORDED = auto()
    RECORDS_LOST = auto()
    MODEL_CATALOG = auto()
    MODELS_DO_NOT_FIT = auto()
    MODEL_DUPLICATE = auto()
    # Secrets.
    NO_KEYS = auto()
    KEY_UNREADABLE = auto()
    KEY_MISMATCH = auto()
    KEY_RETIRED = auto()
    KEY_EXHAUSTED = auto()
    KEY_UNKNOWN = auto()
    KEY_PRIMARY = auto()
    KEY_IN_USE = auto()
    TABLES_NOT_SCANNED = auto()
    FIELD_UNKNOWN = auto()
    FIELD_UNFIT = auto()
    BIND_NEW = auto()
    ROTATION_BUSY = auto()
    ROUND_TRIP_FAILED = auto()
    ACCOUNT_UNKNOWN = auto()
    NO_WEBHOOK_SECRET = auto()
    # The platform's rows.
    NOT_DEVELOPMENT = auto()
    NO_COMPANY = auto()
    COMPANY_UNFIT = auto()
    SETTINGS_UNFIT = auto()
    ROW_DELETED = auto()
    # Backups.
    BACKUP_BUSY = auto()
    BACKUP_DAMAGED = auto()
    BACKUP_FORMAT = auto()
    BACKUP_MANIFEST_MISSING = auto()
    BACKUP_UNFIT = auto()
    NOT_A_BACKUP = auto()
    SCHEMA_NEEDED = auto()
    PG_DUMP_FAILED = auto()
    PG_RESTORE_FAILED = auto()
    DATABASE_NOT_EMPTY = auto()
    RESTORE_NEEDS = auto()
    RESTORE_DIFFERS = auto()
    # The load test, the rehearsal and the sandbox.
    LOADTEST_IMPOSSIBLE = auto()
    LOADTEST_ROWS_LEFT = auto()
    LOADTEST_ROWS_MIXED = auto()
    REHEARSAL_IMPOSSIBLE = auto()
    SANDBOX_MISSING = auto()
    SANDBOX_DIFFERS = auto()
    SANDBOX_DAMAGED = auto()
    SANDBOX_BUSY = auto()
    SANDBOX_DIRECTORY = auto()
    SANDBOX_START = auto()


Remains: TypeAlias = Literal["not touched", "unchanged", "partly done", "partly applied", "unknown"]


@dataclass(frozen=True)
class State:
    """The state of the database after a command that did not finish, as far as callctl checked it.

    ``text`` is for messages.

    ``not touched``: no connection. ``unchanged``: nothing of this command's work is in it. ``partly done``: what was
    committed before stays, the rest was rolled back. ``partly applied``: so is ``step``, in its ``direction``.
    """

    database: Remains
    text: str = ""
    step: int | None = None
    direction: Literal["up", "down"] | None = None

    def __str__(self) -> str:
        return self.text


UNCHANGED = State("unchanged", "nothing was changed")
UNKNOWN = State("unknown")


class CallctlError(Exception):
    """Base of everything callctl reports on purpose.

    ``message`` is one lowercase sentence without a full stop; ``hint`` is the next thing to do. ``state`` is what is in
    the database; the default of the class where the error says no other.
    """

    exit_code: ClassVar[int] = 1
    state: State = UNKNOWN

    def __init__(self, code: Code, message: str, *, hint: str | None = None, state: State | None = None) -> None:
        super().__init__(code, message)  # what a process that gets it from another one makes it of
        self.code = code
        self.message = message
        self.hint = hint
        if state is not None:
            self.state = state

    def __str__(self) -> str:
        return self.message


class UsageError(CallctlError):
    """The command line does not say what to do, or says two things."""

    exit_code = 2
    state = UNCHANGED


class Refused(CallctlError):
    """callctl will not do it, and has changed nothing but where ``state`` says so."""

    exit_code = 3
    state = UNCHANGED


class ConfigError(CallctlError):
    """A setting, a file or a key is not usable."""

    exit_code = 4
    state = UNCHANGED


class ConnectionFailed(CallctlError):
    """The database cannot be reached, or is not one that callctl can work with."""

    exit_code = 4


class StepFailed(CallctlError):
    """A step stopped part-way; the message says what state the database is in."""

    exit_code = 5


class LockHeld(CallctlError):
    """Another callctl is at work on this database."""

    exit_code = 6
    state = UNCHANGED


class Interrupted(CallctlError):
    """The operator pressed Ctrl-C; the message says what state the database is in."""

    exit_code = 130


def quoted(names: Iterable[str]) -> str:
    """Some names in a message: the first five, and how many more there are."""
    listed = list(names)
    others = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + others
