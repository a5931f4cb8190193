"""The shapes of JSON output, as docs/reference/json-output.md promises them, and their JSON Schema.

Each type here, or the frozen result of a command where that is printed as it is, says which keys a document has. mypy
holds the functions that make documents against these types, and a test holds what each command prints against the
schema. No command imports this module: it needs pydantic and every room.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict  # pydantic brings it, and takes no other before Python 3.12

from callctl.backup.file import MANIFEST_FORMAT, Manifest
from callctl.backup.restore import Restored
from callctl.backup.take import PlannedBackup
from callctl.coderefs.search import Skipped
from callctl.config.database_url import Target
from callctl.config.overview import Origin
from callctl.database.steering import StepOfRun, Word
from callctl.database.store import ChangedRecords, Saved
from callctl.errors import Code, Remains
from callctl.events import Direction, Event, Holder, Waiting
from callctl.explanations import Explanation
from callctl.loadtest.measure import Client, QueryTimes, Removed, Server, Wait
from callctl.loadtest.run import Leftover
from callctl.migration.adoption import Adopted
from callctl.migration.live_runs import Committed
from callctl.migration.migrate import MigratedStep
from callctl.migration.planning import ForSubscribers
from callctl.rehearsal.stages import RehearsedStep, Result, StageName
from callctl.rehearsal.survey import LeftOut
from callctl.render.console import VERSION, event_name
from callctl.sandbox.demo import Story, Told
from callctl.sandbox.lifecycle import Baseline
from callctl.secrets.inventory.key_use import Foreign, Keys, Ledger, Unreadable
from callctl.secrets.inventory.plaintext_copies import Copy
from callctl.secrets.rotation.rotate import ForeignLeft, Left
from callctl.secrets.rows.tables import Kept
from callctl.secrets.webhooks.accounts import NotPutBack
from callctl.tenants.accounts import DevelopmentAccount as DevAccount
from callctl.tenants.call_settings import Offence, Unlisted
from callctl.tenants.seeding import Difference
from callctl.watch.look import Replica, Rotation

# ---- explain -------------------------------------------------------------------------------------------


class Explanations(TypedDict):
    explanations: Sequence[Explanation]


# ---- log -----------------------------------------------------------------------------------------------


class LogEntry(TypedDict):
    at: datetime
    command: str
    outcome: str
    started_at: datetime | None
    database_role: str | None
    client: str | None
    callctl_version: str | None
    relation: str
    id: str
    detail: Mapping[str, Any]


class Log(TypedDict):
    entries: Sequence[LogEntry]


# ---- doctor ----------------------------------------------------------------------------------------


class DoctorPart(TypedDict):
    id: str
    level: Literal["fails", "warns", "unknown", "ok"]
    what: str
    do: str | None


class Doctor(TypedDict):
    parts: Sequence[DoctorPart]


# ---- config ----------------------------------------------------------------------------------------


class ShownSettings(TypedDict):
    file: str | None
    file_source: str | None
    settings: Sequence[Origin]


class ConfigProblem(TypedDict):
    code: Code
    message: str
    hint: str | None


class CheckedConfig(TypedDict):
    file: str
    keys: Sequence[str]
    problems: Sequence[ConfigProblem]


# ---- migrate -------------------------------------------------------------------------------------------


class CalledHere(TypedDict):
    table: str
    documented: str
    actual: str


State: TypeAlias = Literal["pending", "applied", "adopted", "edited", "half up", "half down"]


class StatusStep(TypedDict):
    number: int
    name: str
    state: State
    deferred: bool
    at: datetime | None
    by: str | None
    client: str | None
    seconds: float | None


class LiveSession(TypedDict):
    pid: int
    application: str | None
    state: str | None
    statement: str | None
    seconds: float | None
    waits_for: str | None
    held_by: Sequence[Holder]
    building: str | None
    seen: bool


class LiveRun(TypedDict):
    command: str | None
    direction: Direction | None
    step: int | None
    of_steps: int | None
    pid: int
    role: str | None
    application: str | None
    host: str | None
    since: datetime | None
    seconds: float | None
    silent_seconds: float | None
    seen: bool
    committed: Committed | None
    uncommitted: bool | None
    sessions: Sequence[LiveSession]


class LiveRuns(TypedDict):
    runs: Sequence[LiveRun]
    left: Sequence[LiveSession]
    unseen: str | None


class Seconds(TypedDict):
    low: float
    expected: float
    high: float


class WatchedRun(LiveRun):
    steps: Sequence[StepOfRun] | None
    seconds_left: Seconds | None
    brake: Waiting | None
    share: int | None
    waiting_before: int | None


class WatchedLook(TypedDict):
    event: Literal["watched"]
    runs: Sequence[WatchedRun]
    unseen: str | None
    rotation: Rotation | None
    waiting: int
    replicas: Sequence[Replica]


class EndedWatch(TypedDict):
    event: Literal["ended"]
    steps_left: Sequence[int] | None


class OrderedRun(TypedDict):
    pid: int
    command: str | None
    obeyed: bool | None
    share: int | None
    brake: Waiting | None


class GivenOrder(TypedDict):
    order: Word
    id: int
    runs: Sequence[OrderedRun]


class WithheldModel(TypedDict):
    key: str
    inserted: bool


class Status(TypedDict):
    schema: str
    names: Sequence[CalledHere]
    steps: Sequence[StatusStep]
    runs: Sequence[LiveRun]
    left: Sequence[LiveSession]
    unseen: str | None
    withheld_models: Sequence[WithheldModel]


Blocked: TypeAlias = Literal["reads", "writes"]


class PlannedLock(TypedDict):
    schema: str
    table: str
    mode: str
    blocks: Sequence[Blocked]
    certain: bool


class PlannedStatement(TypedDict):
    sql: str
    kind: str
    source: str
    line: int
    directives: Sequence[str]
    does: str
    weight: Literal["shown", "own", "new"]
    transaction: int
    only_if_rows: bool
    locks: Sequence[PlannedLock]
    rewrites: Sequence[str]
    breaks: Sequence[str]
    rows_read: int | None
    rows_written_at_most: int | None
    rows_written_estimate: int | None
    rows_counted: bool
    seconds: Seconds | None
    hold_seconds: Seconds | None
    unknown: Sequence[str]
    hazards: Sequence[str]


class PlannedStep(TypedDict):
    number: int
    name: str
    direction: Direction
    subscribers: ForSubscribers | None
    back: str | None
    seconds: Seconds | None
    statements: Sequence[PlannedStatement]


class LongestWait(TypedDict):
    step: int
    seconds: Seconds


class ObservedLock(TypedDict):
    table: str
    mode: str
    steps: Sequence[int]
    looks: int
    free: int
    longest_seconds: float
    in_the_way: Mapping[str, int]
    best_hour_utc: int | None


class Observation(TypedDict):
    seconds: float
    interval_seconds: float
    locks: Sequence[ObservedLock]


class Forecast(TypedDict):
    seconds: Seconds | None
    longest_wait: LongestWait | None
    lock_timeout_seconds: float | None
    lock_hold_seconds: float | None
    disk_bytes: int
    wal_bytes: int
    rates: Literal["shipped", "measured", "learned"]
    atomic: bool
    observed: Observation | None


class PlannedFile(TypedDict):
    file: str
    seconds: Seconds | None
    statements: Sequence[PlannedStatement]


class PlanOfFiles(TypedDict):
    forecast: Forecast
    files: Sequence[PlannedFile]


class Plan(TypedDict):
    direction: Direction
    deferred: Sequence[int]
    forecast: Forecast
    before: Sequence[PlannedStatement]
    steps: Sequence[PlannedStep]


class PreflightFinding(TypedDict):
    id: str
    level: Literal["blocks", "warns", "unknown", "ok"]
    what: str
    why: str
    do: str
    objects: Sequence[str]


class RehearsedStage(TypedDict):
    stage: StageName
    result: Result
    what: str
    details: Sequence[str]
    hint: str | None
    seconds: float


class RehearsedTable(TypedDict):
    schema: str
    table: str
    target_rows: int | None
    wanted: int
    rows: int
    problem: str | None


class RehearsedLock(TypedDict):
    direction: Direction
    schema: str
    table: str
    told: str | None
    seen: str | None
    seconds: float


class RehearsedForecast(TypedDict):
    step: int
    rows_at_most: int | None
    seconds: Seconds | None


class Rehearsal(TypedDict):
    held: bool
    postgresql: str
    target_postgresql: str
    most_rows: int
    seconds: float
    stages: Sequence[RehearsedStage]
    tables: Sequence[RehearsedTable]
    left_out: Sequence[LeftOut]
    steps: Sequence[RehearsedStep]
    locks: Sequence[RehearsedLock]
    target_forecast: Sequence[RehearsedForecast]
    findings: Sequence[PreflightFinding]


class HistoryStep(TypedDict):
    id: int
    step: int
    direction: Direction
    file: str
    sha256: str
    started_at: datetime
    finished_at: datetime
    database_role: str
    client: str
    callctl_version: str
    adopted: bool
    seconds: float


class History(TypedDict):
    steps: Sequence[HistoryStep]
    deferred: Sequence[int]


class Finished(TypedDict):
    """The last line of ``migrate up`` and ``migrate down``."""

    event: Literal["finished"]
    direction: Direction
    seconds: float
    steps: Sequence[MigratedStep]
    deferred: Sequence[int]
    withheld_models: Sequence[WithheldModel]
    kept: Sequence[Saved]
    notes: Sequence[str]
    target: Target | None


class FinishedAdoption(TypedDict):
    """The last line of ``migrate adopt``."""

    event: Literal["finished"]
    steps: Sequence[Adopted]
    exit_code: int
    target: Target | None


class FinishedAcceptance(TypedDict):
    """The last line of ``migrate adopt --changed-records``."""

    event: Literal["finished"]
    changed_records: Sequence[ChangedRecords]
    exit_code: int
    target: Target | None


class FailedState(TypedDict):
    database: Remains
    step: int | None
    direction: Direction | None


class Failed(TypedDict):
    """An error: the one line of a command that failed or was refused, or the last line of long work."""

    event: Literal["failed"]
    code: Code
    message: str
    hint: str | None
    state: FailedState
    exit_code: int
    target: Target | None


# ---- preflight, verify, purge --------------------------------------------------------------------------


class Preflight(TypedDict):
    ready: bool
    pending: Sequence[int]
    findings: Sequence[PreflightFinding]


class AcceptedDifference(TypedDict):
    object: str
    difference: str
    reason: str


class Check(TypedDict):
    id: str
    sentence: str
    step: int | None
    result: Literal["passed", "warns", "failed"]
    source: str
    error: str | None
    count: int
    sample: Sequence[Mapping[str, Any]]
    means: str
    mends: Sequence[str]


class Verify(TypedDict):
    passed: bool
    steps: Sequence[int]
    objects: int
    fast: bool
    accepted: Sequence[AcceptedDifference]
    checks: Sequence[Check]


class DriftEntry(TypedDict):
    kind: Literal["missing", "changed", "added", "not gone"]
    object: str
    difference: str
    step: int | None
    fix: Sequence[str]
    safe: bool
    reason: str | None


class Diff(TypedDict):
    drift: Sequence[DriftEntry]
    objects: int
    applied: Sequence[int]
    pending: Sequence[int]
    accepted: Sequence[AcceptedDifference]


class Purged(TypedDict):
    deleted: Sequence[Saved]
    target: Target | None


# ---- backup, restore -----------------------------------------------------------------------------------


class BackedUp(TypedDict):
    """The last line of ``backup``."""

    event: Literal["backed_up"]
    file: Path
    manifest: Path
    bytes: int
    sha256: str
    taken_at: datetime
    database: str
    server: str
    pg_dump: str
    steps: Sequence[int]
    keys: Sequence[str]
    tables: int
    rows: int
    left_out_schemas: Sequence[str]
    left_out_tables: Sequence[str]
    recorded: bool
    seconds: float
    target: Target | None


class RestoredLine(TypedDict):
    """The last line of ``restore``."""

    event: Literal["restored"]
    file: Path
    database: str
    server: str
    taken_at: datetime
    taken_of: str
    steps: Sequence[int]
    keys: Sequence[str]
    tables: int
    rows: int
    owners_kept: bool
    settings_left: Sequence[str]
    dry_run: bool
    seconds: float
    target: Target | None


# ---- secrets -------------------------------------------------------------------------------------------


class SecretsUse(TypedDict):
    target: str
    where: Literal["live", "archived", "saved"]
    account_type: str | None
    field: str
    state: Literal["sealed", "plaintext", "unreadable", "foreign", "misshapen"]
    key: str | None
    version: int | None
    due: bool
    unbound: bool
    values: int


class TenantSecrets(TypedDict):
    company_id: str
    values: int
    due: int
    unreadable: int
    unbound: int


class CredentialsShape(TypedDict):
    account_type: str
    field: str
    trouble: Literal["missing", "extra", "wrong type"]
    accounts: int


class OutsideField(TypedDict):
    kind: Literal["envelope", "piece", "plaintext"]
    table: str
    field: str
    key: str | None
    values: int
    rows: Sequence[str]


class NotScanned(TypedDict):
    name: str
    why: str


class Scanned(TypedDict):
    outside: Sequence[OutsideField]
    not_scanned: Sequence[NotScanned]


class Secrets(TypedDict):
    key: str | None
    binding: Literal["keep", "bind", "unbind"]
    rows: int
    values: int
    due: int
    plaintext: int
    unreadable: int
    unbound: int
    misshapen: int
    fields: Sequence[SecretsUse]
    tenants: Sequence[TenantSecrets]
    left: Sequence[Unreadable]
    shapes: Sequence[CredentialsShape]
    foreign: Sequence[Foreign]
    outside: Sequence[OutsideField]
    not_scanned: Sequence[NotScanned]
    copies: Sequence[Copy]
    under_way: Ledger | None
    last: Ledger | None
    kept_webhook_secrets: Sequence[Kept]


# A key may be a word of Python's.
ChangedValues = TypedDict(
    "ChangedValues",
    {"account_type": str | None, "field": str, "from": str, "values": int},
)


class BoundField(TypedDict):
    table: str
    account_type: str | None
    field: str


class Rotated(TypedDict):
    """The last line of ``rotate-secrets``."""

    event: Literal["rotated"]
    rotation: int
    key: str
    binding: Literal["keep", "bind", "unbind"]
    joined: bool
    started_at: datetime
    finished_at: datetime | None
    rows_read: int
    rows_written: int
    values: int
    changed: Sequence[ChangedValues]
    failures: int
    left: Sequence[Left]
    misshapen: Mapping[str, int]
    foreign: Sequence[ForeignLeft]
    outside: Sequence[OutsideField]
    not_scanned: Sequence[NotScanned]
    bound: Sequence[BoundField]
    copies: Sequence[Copy]
    seconds: float
    target: Target | None


class WebhookAccount(TypedDict):
    account_id: str
    company_id: str
    account_type: str
    account_name: str
    webhook_url: str | None
    fingerprint: str | None


class ChosenWebhooks(TypedDict):
    direction: Literal["new", "back"]
    scope: str
    accounts: Sequence[WebhookAccount]
    deleted: int
    without: int


class ReplacedWebhooks(TypedDict):
    """The last line of ``webhooks rotate`` and ``webhooks restore``."""

    event: Literal["webhook_secrets_replaced", "webhook_secrets_put_back"]
    direction: Literal["new", "back"]
    scope: str
    rotation: int
    started_at: datetime
    accounts: Sequence[WebhookAccount]
    before: int
    left: Sequence[NotPutBack]
    deleted: int
    without: int
    file: Path | None
    keep_until: datetime | None
    target: Target | None


class RetiredKey(TypedDict):
    id: str
    retired_at: datetime
    rows: int
    tables: int
    schemas: int
    not_scanned: Sequence[NotScanned]
    warnings: Sequence[str]
    target: Target | None


class NewKey(TypedDict):
    key: str


class NewKeyFile(TypedDict):
    file: Path


# ---- the platform's rows -------------------------------------------------------------------------------


class SeededModel(TypedDict):
    key: str
    provider: str
    type: str
    id: str | None
    outcome: Literal["insert", "update", "unchanged", "kept", "deleted"]
    differences: Sequence[Difference]


class Seeded(TypedDict):
    catalogue: str
    dry_run: bool
    models: Sequence[SeededModel]
    accounts: Sequence[DevAccount] | None
    warnings: Sequence[str]
    target: Target | None
    withheld_models: Sequence[WithheldModel]


class CompanyFacts(TypedDict):
    id: str
    slug: str | None
    name: str | None
    call_enabled: bool | None
    problem: str | None
    call_chatbots: int


class ListedCompany(CompanyFacts):
    taking_calls: int


class Companies(TypedDict):
    companies: Sequence[ListedCompany]
    total: int
    enabled: int
    call_chatbots: int
    taking_calls: int


class SwitchedCompany(CompanyFacts):
    before: bool | None


class Switched(TypedDict):
    enable: bool
    dry_run: bool
    changed: Sequence[SwitchedCompany]
    unchanged: Sequence[CompanyFacts]
    call_chatbots: int
    target: Target | None


class IntegrationAccount(TypedDict):
    id: str
    account_type: str
    account_name: str
    company_id: str
    company_slug: str | None
    company_name: str | None
    status: str
    is_active: bool
    last_error_at: datetime | None
    last_verified_at: datetime | None
    token_expires_at: datetime | None
    webhook_url: str | None
    seen_at: datetime
    troubles: Sequence[Literal["error", "token", "webhook missing", "webhook malformed", "status", "unbound"]]
    error_seconds: float | None
    problems: Sequence[str]


class Accounts(TypedDict):
    accounts: Sequence[IntegrationAccount]
    total: int
    with_problems: int


class CheckedSettings(TypedDict):
    chatbots: int
    offences: Sequence[Offence]
    unlisted: Sequence[Unlisted]
    missing: int


class InitialSettings(TypedDict):
    dry_run: bool
    chatbots: Sequence[str]
    target: Target | None


# ---- loadtest ------------------------------------------------------------------------------------------


class LoadQuery(TypedDict):
    query: str
    documented: str
    does: str
    sql: str


class LoadPreview(TypedDict):
    database: str
    sessions: int
    connections: int
    seconds: float
    calls: int | None
    call_seconds: float
    history: int
    room: int
    max_connections: int
    fits: bool
    leftovers: Sequence[Leftover]
    queries: Sequence[LoadQuery]


class LoadTested(TypedDict):
    """The last line of ``loadtest``."""

    event: Literal["load_tested"]
    passed: bool
    over: Sequence[str]
    errors: int
    client_late: bool
    database: str
    postgresql: str
    started_at: datetime
    sessions: int
    connections: int
    call_seconds: float
    history: int
    seconds: float
    limit_ms: float
    interrupted: bool
    stopped: str | None
    calls_started: int
    calls_completed: int
    lines: int
    queries: Sequence[QueryTimes]
    client: Client
    server: Server | None
    samples: int
    waits: Sequence[Wait]
    removed: Sequence[Removed]
    slowest_ms: Sequence[float]
    cpus: Sequence[float]
    target: Target | None


class Cleaned(TypedDict):
    """The last line of ``loadtest --clean``."""

    event: Literal["cleaned"]
    removed: Sequence[Removed]
    target: Target | None


# ---- code-refs, sandbox --------------------------------------------------------------------------------


class CodeReference(TypedDict):
    file: str
    line: int
    column: int
    kind: Literal["code", "string", "sql", "comment"]
    identifier: str
    related: bool
    text: str


class CodeReferences(TypedDict):
    clear: bool
    columns: Sequence[str]
    files: int
    counts: Mapping[str, int]
    references: Sequence[CodeReference]
    skipped: Sequence[Skipped]
    unread: Sequence[str]


class RunningSandbox(TypedDict):
    url: str
    baseline: Baseline
    rows: int
    seed: int
    refused_shapes: bool
    postgresql: str
    directory: Path


# ---- what is published ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """One document: what its schema is called, the commands that print it, its type, and what the page says of it."""

    name: str
    commands: str
    type: Any
    text: str

    @property
    def file(self) -> str:
        """The name of its schema's file."""
        return f"{self.name}.schema.json"


DOCUMENTS = (
    Document(
        "migrate-status",
        "migrate status",
        Status,
        """`state` is `pending`, `applied`, `adopted`, `edited`, `half up` or `half down`. `deferred` is true of a
pending step 5 or 6 that waits although a later step is applied (`migrate up --defer-drops`). `names` lists only the
names that differ from the specification.

`runs` are the callctl runs that hold the migration lock now. Either one run applies steps or purges, or several
other commands share the lock (`rotate-secrets`, `backup`, …). `command` and `step` are what the run reports; null
if it reports nothing. `since` is the time of its connection, and `host` is `local` for a local socket.

`committed` is the progress of the step in callctl's own tables. It has the last statement with a checkpoint, the
number of statements in the file, and the rows of its list. It is null if nothing is committed (`uncommitted` is
true), or if this role could not read it.

`sessions` work for the run; `seconds` is the age of each session's state. `silent_seconds` is the time since a
session of the run last had a statement under way. If `seen` is false, this role may not see the session (`GRANT
pg_monitor`), and PostgreSQL's hidden values are null. `left` are sessions of an earlier run that still hold its
work lock. `unseen` says why no run could be seen from here, such as on a standby.""",
    ),
    Document(
        "migrate-watch",
        "migrate watch",
        WatchedLook,
        """One line for each look, and a last line with the event `ended`. `runs` are as in `migrate status`. `steps`,
`brake`, `share` and `waiting_before` are what the run says of itself; null if it says nothing or this role may not
read `callctl.run_state`. `steps` has the seconds taken (null until the step is done) and those expected.
`seconds_left` is the time until the end of the run: what is expected, and the interval of four in five. `brake` is
what the run waits for between two transactions. It works one part of `share` of its time. `waiting` counts the
sessions of others that wait for a lock now, and `waiting_before` those when the run began. `rotation` is the
progress of the rotation under way: rows, values that do not open, seconds since its start.

In the last line `steps_left` are the steps of the run that were not done at its end; null if this role could not read
the history, or the run takes no steps.""",
    ),
    Document(
        "migrate-order",
        "migrate pause, resume, slower, faster",
        GivenOrder,
        """`id` is the row of the order in `callctl.action`. `obeyed` is false if the run had not obeyed after three
seconds, since a statement was under way; null if the run does not say. It works one part of `share` of its time;
`brake` is what it waits for.""",
    ),
    Document(
        "migrate-plan",
        "migrate plan, up --dry-run, down --dry-run",
        Plan,
        """`sql` is the statement in the names of this database, without its semicolon; `does` says it in words.
`deferred` are the pending steps that `--defer-drops` leaves out. `before` is what callctl does to its own
schema first.

Statements with the same `transaction` (counted in each step) are sent in one; with `forecast.atomic` all of
them are. A statement that runs again at the end of its step is there twice. `weight` is `shown` for what
matters to the platform, `own` for callctl's bookkeeping, `new` for a table that no client uses yet. With
`only_if_rows` it is sent only where there are rows for it. `locks`: a lock with `certain` false is taken
only where a row is found; `blocks` says which of the clients' reads and writes wait. `breaks` are the
columns and tables that code must not name any more. `hold_seconds` is how long clients wait behind the
transaction; null where they do not. `unknown` says what cannot be told, and why: it is empty where all is
known. Rows and bytes come from the server's statistics, but where `rows_counted` is true. A time is what is
expected and the interval in which four of five runs end; null is not known. `forecast.rates` says where
that is from: `shipped` rates, rates `measured` on this server, or `learned` from earlier runs, too.
`back` is the command that takes a step back.""",
    ),
    Document(
        "migrate-plan-files",
        "migrate plan FILE.sql",
        PlanOfFiles,
        """Statements as in a plan of the steps. Those with the same `transaction` (counted in each file) are sent in
one: between BEGIN and COMMIT, or with `--atomic` all of a file. `lock_timeout_seconds` and
`lock_hold_seconds` are null: the session that runs the file has its own. `hazards` are the ids of [their
page](hazards.md). `step` of `longest_wait` is the number of the file.""",
    ),
    Document(
        "migrate-rehearse",
        "migrate rehearse",
        Rehearsal,
        """What held on a PostgreSQL of callctl's own, with synthetic rows. `held` is true if every stage was rehearsed
and held. `result` is `held`, `did not hold` or `not rehearsed`; `details` and `hint` say more. `target_rows` is null
if the rows of the target are not known. `wanted` rows are those of the target, at most `most_rows`; `problem` says
why `rows` are fewer. `left_out` is what the rehearsal does without. `bytes` are those that a step reads whole,
builds an index of or rewrites here. A lock is null in `told` if the forecast tells of none, and in `seen` if no look
saw one. `target_forecast` is the forecast of the target's full size, a step each; step 0 is callctl's own schema.""",
    ),
    Document(
        "preflight",
        "preflight",
        Preflight,
        "`level` is `blocks`, `warns`, `unknown` or `ok`; `ready` is false if one blocks.",
    ),
    Document(
        "verify",
        "verify",
        Verify,
        """`result` is `passed`, `warns` or `failed`. `sample` holds at most ten of the `count` offending rows;
`error` says why a query failed.""",
    ),
    Document(
        "diff",
        "diff",
        Diff,
        """`fix` holds the statements that remove the difference; none if no statement does. `safe`: they lose nothing
and block clients only for a short lock; `reason` says why not. No row is read.""",
    ),
    Document(
        "migrate-history",
        "migrate history",
        History,
        "The oldest row is first. `deferred` is as in a plan.",
    ),
    Document(
        "log",
        "log",
        Log,
        """The newest entry is first. `outcome` is `done`, `given up` or `under way`. `at` is when it ended, or when it
began while it is under way. `relation` is the table of callctl's that has it, with the `id` there: `history` (steps),
`rotation`, `encryption_key` (retired keys) or `action` (every other command). `detail` is what the table records of
it; its keys depend on the command, and it has no secret. Null: the table does not record it.""",
    ),
    Document(
        "doctor",
        "doctor",
        Doctor,
        """`level` is `fails`, `warns`, `unknown` (not examined; `what` says why) or `ok`. `id` is `server`, `pooler`,
`role` (one for each right that is missing), `store` (callctl's own schema), `clock`, a program, `disk`, `temporary
files` or `keys`.""",
    ),
    Document(
        "config-show",
        "config show",
        ShownSettings,
        """Every setting and section of callctl.yaml. `source` is an option, the name of a variable (of libpq perhaps
several), a place in the file, or `default`. `value` is null if it is not set; a password or a key in it is `***`.
`file` is the settings file, and `file_source` says who named it; null if there is none.""",
    ),
    Document(
        "config-check",
        "config check",
        CheckedConfig,
        """`keys` are those of the file that callctl knows. `problems` has the first problem of each key, in the form
of an error.""",
    ),
    Document(
        "purge",
        "purge",
        Purged,
        "The deleted rows and values, after their deletion.",
    ),
    Document(
        "backup-dry-run",
        "backup --dry-run",
        PlannedBackup,
        "`bytes` is the size of the tables on the server; `left_out_tables` are unlogged tables, on a standby.",
    ),
    Document(
        "restore-dry-run",
        "restore --dry-run",
        Restored,
        """The plan of the restore. `taken_of` is the database of the dump. `keys` are the ids of the keys that its
secrets need. `settings_left` are settings of the old database that the new one does not have.""",
    ),
    Document(
        "seed-models",
        "seed-models",
        Seeded,
        """`outcome` of a model is `insert`, `update` (at least one field was written), `unchanged`, `kept` (nothing
was written, a value differs) or `deleted` (soft-deleted, skipped). With `dry_run` nothing was written yet.
`differences` are in the units of the [catalog](model-catalogue.md); `here` is null if the database has no value. A
difference that is not `written` is an administrator's value, which callctl keeps. `accounts` is null without
`--dev-accounts`.""",
    ),
    Document(
        "secrets",
        "rotate-secrets --status, --dry-run",
        Secrets,
        """`fields` counts values by their place, state and key. `where` is `live`, `archived` or `saved`. `state`
is `sealed`, `plaintext`, `unreadable`, `foreign` (it looks like another tool's ciphertext) or `misshapen` (no
declared path reaches it). `version` 0 is the form without a key id. `due` is true of values that a rotation would
write. `unbound` is true of values that a rotation would skip, because they are not bound in a field that [`--bind`
has bound](../how-to/bind-secrets.md).

`left` (at most 1,000) are values that a rotation skips; `reason` says why. They do not decrypt, no path reaches
them, or they are unbound. `foreign` values stay, too, without `--encrypt-foreign`; unbound ones are in `left`
instead. In a tenant's counts, `unreadable` are all skipped values that are not `unbound`.

`copies` are triggers and rules that fire on a written row, and places that hold or get copies of the row. `shapes`
are credentials that differ from the specification's. `outside` are values outside the declared fields that look
like a secret, with the first few rows; `kind` is `envelope`, `piece` or `plaintext`. `not_scanned` are tables that
were not scanned completely, with the reason.

`key` is null if callctl.yaml names no keys; then callctl decrypted nothing. `kept_webhook_secrets` can be restored
until `keep_until`; `fingerprint` is that of the [new secret](webhook-secrets.md).""",
    ),
    Document(
        "webhooks-dry-run",
        "webhooks rotate --dry-run, restore --dry-run",
        ChosenWebhooks,
        """`direction` is `new`, or `back` for `restore`. The run would skip `deleted` (soft-deleted accounts with a
webhook secret) and `without` (accounts without one). A URL is shown without its password and its query.""",
    ),
    Document(
        "keys-list",
        "keys list",
        Keys,
        "`state` is `primary`, `legacy`, `in the ring`, `retired` or `not in the ring`. The numbers are values.",
    ),
    Document(
        "keys-retire",
        "keys retire",
        RetiredKey,
        """`rows` have declared fields; `tables` in `schemas` were scanned for other values under the key.
`not_scanned` are tables that callctl did not scan and that `--not-scanned` named; `warnings` are about backups.""",
    ),
    Document(
        "loadtest-dry-run",
        "loadtest --dry-run",
        LoadPreview,
        """The plan of the load test; nothing was changed. `calls` is null if only the time bounds the number.
`room` connections are free, and `fits` says whether they are enough. `leftovers` are companies of killed load
tests; the run first removes those that are `removable`. `queries` lists each query with its SQL in the names of
this database.""",
    ),
    Document(
        "companies-list",
        "companies list",
        Companies,
        """`call_enabled` is null if the flag is not set, which counts as off. `problem` says if the flag is not a
boolean, or if the settings cannot hold it. `call_chatbots` are enabled for calls and not deleted; `taking_calls` of
them are in an enabled company.""",
    ),
    Document(
        "companies-switch",
        "companies enable, disable",
        Switched,
        """The changes, or with `dry_run` the planned changes. `before` is the flag's earlier value. `call_chatbots`
begin or cease to take calls.""",
    ),
    Document(
        "accounts",
        "accounts",
        Accounts,
        """`troubles` are any of `error`, `token`, `webhook missing`, `webhook malformed`, `status` and `unbound`;
`problems` say the same in words. `last_error_at` and `error_seconds`, its age, are null if there is no error, or if
its time is not known. A URL is shown without its password and its query. `--problems` lists only accounts with a
problem; `total` counts all.""",
    ),
    Document(
        "settings-check",
        "settings check",
        CheckedSettings,
        """`chatbots` are enabled for calls. `path` is below `settings.call`, or is `call` or `settings` itself.
`missing` counts chatbots without any call settings. The voices of `unlisted` providers were not checked.""",
    ),
    Document(
        "settings-init",
        "settings init",
        InitialSettings,
        "The chatbots that got the defaults, or with `dry_run` would get them.",
    ),
    Document(
        "code-refs",
        "code-refs",
        CodeReferences,
        """`kind` is `code`, `string`, `sql` or `comment`. `clear` is false if there is a reference that is not a
comment and not `related`. Comments and related references are listed only with `--comments` and `--related`, and
always counted; `related` references count under no other kind. `skipped` (`file`, `why`) are files that were not
read completely. `unread` are files of other kinds that name a column.""",
    ),
    Document(
        "keys-generate",
        "keys generate",
        NewKey,
        "The new key, 64 hexadecimal digits.",
    ),
    Document(
        "keys-generate-out",
        "keys generate --out",
        NewKeyFile,
        "The file that holds the new key.",
    ),
    Document(
        "explain",
        "explain",
        Explanations,
        """`id` is a code, a finding of preflight or a check of verify. For the latter two `database` and `then` are
null, and `customers` says why it matters. Without a CODE the document has all codes.""",
    ),
    Document(
        "sandbox",
        "sandbox start, url, reset",
        RunningSandbox,
        "The running sandbox.",
    ),
)
ERROR = Document(
    "error",
    "errors",
    Failed,
    """A command that fails or refuses ends stdout with this line. It takes the place of the command's document,
or follows the lines of long work. A command line that callctl cannot read ends so too, if it or
`CALLCTL_OUTPUT` asks for JSON. A run that was interrupted after its result has no such line: the result reports
it.

`code` is one of [these](errors.md). `state.database` says only what callctl knows or has checked:

- `not touched`: callctl was not connected;
- `unchanged`: nothing of this command's work is in the database;
- `partly done`: earlier commits stay, the rest was rolled back;
- `partly applied`: so is `step`, in its `direction`;
- `unknown`.

In each case callctl may have made its own schema.""",
)
LINES = "lines.schema.json"
DEMO = "demo-lines.schema.json"
MANIFEST = "backup-manifest.schema.json"
ENDS = (
    Finished,
    FinishedAdoption,
    FinishedAcceptance,
    Rotated,
    ReplacedWebhooks,
    BackedUp,
    RestoredLine,
    EndedWatch,
    LoadTested,
    Cleaned,
    Failed,
)
# What docstrings mark as code or as a name.
_MARKUP = re.compile(r"(?::\w+:)?`+~?([^`]+)`+")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VERSION = {"const": VERSION, "description": "The version of the output format."}
_NEXT = {
    "anyOf": [{"type": "string"}, {"type": "null"}],
    "description": "The command to run next. Null if there is none, or if a person has to decide something first.",
}


def schemas() -> dict[str, dict[str, Any]]:
    """Each published schema, by the name of its file."""
    published = {document.file: _document(document) for document in DOCUMENTS}
    published[ERROR.file] = _document(ERROR)
    published[LINES] = _lines()
    published[DEMO] = _demo_lines()
    manifest = _of(Manifest)
    _put_first(manifest, "callctl_backup", {"const": MANIFEST_FORMAT})
    published[MANIFEST] = {"$schema": _DIALECT, "title": "The manifest of a callctl backup", **manifest}
    return published


def _document(document: Document) -> dict[str, Any]:
    (schema,), definitions = _branches([(_of(document.type), True)])
    schema.pop("description", None)
    return {
        "$schema": _DIALECT,
        "title": f"callctl {document.commands}",
        "description": " ".join(document.text.split()),
        **schema,
        **({"$defs": definitions} if definitions else {}),
    }


def _lines() -> dict[str, Any]:
    """One line of long work: an event, or how it ended."""
    looks = [(_of(WatchedLook), False)]
    branches, definitions = _branches([*_events(Event), *looks, *((_of(kind), True) for kind in ENDS)])
    return {
        "$schema": _DIALECT,
        "title": "A line of callctl's long work",
        "description": "An event of the work; the last line says how it ended, and has a key `next`.",
        "anyOf": branches,
        "$defs": definitions,
    }


def _demo_lines() -> dict[str, Any]:
    told = list(_events(Told))
    for schema, _ in told:
        if schema["properties"]["event"]["const"] in ("proof", "again"):
            schema["properties"]["holds"] = {"type": "boolean"}
            schema["required"].append("holds")
    branches, definitions = _branches([*_events(Event), *told, (_of(Failed), True)])
    return {
        "$schema": _DIALECT,
        "title": "A line of callctl demo",
        "description": "What the demo tells and the events of its runs; the last line has a key `next`.",
        "anyOf": branches,
        "$defs": definitions,
    }


def _events(union: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """The schema of each event of a union, by the name that JSON gives it; and whether it is the last."""
    for kind in get_args(union):
        schema = _of(kind)
        _put_first(schema, "event", {"const": event_name(kind)})
        yield schema, kind is Story


def _branches(schemas: Iterable[tuple[dict[str, Any], bool]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schemas with the keys that every document has, ``next`` where one ``ends``; and their common definitions."""
    branches: list[dict[str, Any]] = []
    definitions: dict[str, Any] = {}
    for schema, ends in schemas:
        for name, facts in schema.pop("$defs", {}).items():
            assert definitions.setdefault(name, facts) == facts, f"two types are called {name}"
        _put_first(schema, "version", _VERSION)
        if ends:
            schema["properties"]["next"] = _NEXT
            schema["required"].append("next")
        branches.append(schema)
    return branches, dict(sorted(definitions.items()))


def _put_first(schema: dict[str, Any], key: str, facts: dict[str, Any]) -> None:
    schema["properties"] = {key: facts, **schema["properties"]}
    schema["required"] = [key, *schema["required"]]


class _EveryKey(GenerateJsonSchema):
    """A document that always prints every key, even one with a default."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return True


def _of(kind: Any) -> dict[str, Any]:
    """The schema of a type as it is printed, without the titles that pydantic adds for forms."""
    schema = TypeAdapter(kind).json_schema(mode="serialization", schema_generator=_EveryKey)
    for facts in (schema, *schema.get("$defs", {}).values()):
        facts.pop("title", None)
        if "description" in facts:
            facts["description"] = _MARKUP.sub(r"`\1`", " ".join(facts["description"].split()))
        for value in facts.get("properties", {}).values():
            value.pop("title", None)
            value.pop("default", None)
    return schema
