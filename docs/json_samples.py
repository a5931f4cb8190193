"""The reference page of JSON output: what the real renderers print for made-up answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from callctl import explanations
from callctl.backup.file import Manifest, TableRows
from callctl.backup.restore import Restored
from callctl.backup.take import Backup, PlannedBackup
from callctl.coderefs.languages import Kind
from callctl.coderefs.search import CodeRefs, Reference
from callctl.config.database_url import Target
from callctl.config.overview import CheckedFile, Origin, Overview
from callctl.config.settings import Settings
from callctl.database.log import Entry
from callctl.database.steering import RunState, StepOfRun
from callctl.database.store import ChangedRecords, HistoryRow, Saved
from callctl.doctor.examination import Examined
from callctl.errors import Code, ConfigError, State, StepFailed
from callctl.events import (
    BackupProgress,
    BatchFinished,
    Event,
    Holder,
    IndexProgress,
    LoadProgress,
    MigrationStarted,
    Notice,
    RotationProgress,
    StatementStarted,
    StepFinished,
    StepStarted,
    Waiting,
)
from callctl.forecast.catalog import Name
from callctl.forecast.drift import Drift, DriftReport
from callctl.forecast.durations import Interval, Work
from callctl.forecast.effects import Effects
from callctl.forecast.locks import Mode
from callctl.forecast.outlook import Line, Outlook, StepOutlook, Transaction
from callctl.loadtest.measure import Client, LoadTest, QueryTimes, Removed, Server, Spread, Wait
from callctl.loadtest.rows import documented_queries
from callctl.loadtest.run import Leftover, Preview
from callctl.loadtest.sessions import Workload
from callctl.migration.adoption import Adopted
from callctl.migration.checks.findings import CONTRACT_COLUMNS, CheckResult, Finding, Report
from callctl.migration.live_runs import Committed, Live, LiveRun, Session
from callctl.migration.migrate import Migrated, MigratedStep, Plan, PlannedStep, Status, StepState
from callctl.migration.steps.call_models import load_catalogue
from callctl.migration.steps.numbered import Step, all_steps
from callctl.rehearsal.filling import Filled
from callctl.rehearsal.lock_samples import LockResult
from callctl.rehearsal.rehearse import Rehearsal
from callctl.rehearsal.stages import RehearsedStep, Stage
from callctl.rehearsal.survey import LeftOut, TableName
from callctl.render import backup as render_backup
from callctl.render import checks as render_checks
from callctl.render import coderefs as render_code_refs
from callctl.render import config as render_config
from callctl.render import console as render
from callctl.render import demo as render_demo
from callctl.render import doctor as render_doctor
from callctl.render import drift as render_drift
from callctl.render import explain as render_explain
from callctl.render import loadtest as render_loadtest
from callctl.render import log as render_log
from callctl.render import migration as render_answers
from callctl.render import progress as render_progress
from callctl.render import rehearsal as render_rehearsal
from callctl.render import sandbox as render_sandbox
from callctl.render import secrets as render_secrets
from callctl.render import tenants as render_tenants
from callctl.render import watch as render_watch
from callctl.render.documents import DEMO, DOCUMENTS, ERROR, LINES, MANIFEST, schemas
from callctl.sandbox.demo import Change, Changes, Story
from callctl.sandbox.lifecycle import Baseline, Sandbox
from callctl.secrets.inventory.key_retirement import Retired
from callctl.secrets.inventory.key_use import Census, Foreign, Keys, KeyUse, Ledger, Secrets, Shape, Unreadable, Use
from callctl.secrets.inventory.plaintext_copies import Copy
from callctl.secrets.inventory.scan import Scan
from callctl.secrets.inventory.scan_finder import NotLookedInto, Outside
from callctl.secrets.rotation.rotate import Changed, ForeignLeft, Left, Rotated
from callctl.secrets.rows.decisions import foreign_text
from callctl.secrets.rows.row import FieldName, unbound
from callctl.secrets.rows.tables import Kept
from callctl.secrets.webhooks.accounts import Account, Chosen, NotPutBack
from callctl.secrets.webhooks.replace import Done
from callctl.statements.naming import DOCUMENTED, Naming
from callctl.statements.script import Statement
from callctl.tenants import accounts
from callctl.tenants.accounts import DevelopmentAccount as DevAccount
from callctl.tenants.call_settings import Checked, Missing, Offence, Unlisted
from callctl.tenants.companies import Company, Switch
from callctl.tenants.seeding import Difference, Seed, Seeded
from callctl.watch.look import Replica, Watched
from callctl.watch.steer import Given, Told

_AT = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)
_TARGET = Target("platform", "db.example", 5432, "migrator", "18.0", "production", "chatapp")
_ROW = "1daa822f-1530-d254-a20f-1a19f9c124c6"
_COMPANY = "1b4d2d86-df3f-6aa8-b16f-21b431107028"
_SHA = "024783bf14ac9c6e3d2f4a4d1c4f6f2a8e7b5d9013c2f1e0a9b8c7d6e5f40312"


def _naming() -> Naming:
    chatbots = DOCUMENTED.tables["chatbots"]
    moved = replace(chatbots, columns=MappingProxyType({**chatbots.columns, "chatbottype": "chatbot_type"}))
    return replace(DOCUMENTED, tables=MappingProxyType({**DOCUMENTED.tables, "chatbots": moved}))


_HOLDER = Holder(26358, "psql", "idle in transaction", "00:04:10")
_RUN = LiveRun(
    command="migrate up",
    direction="up",
    step=4,
    pid=4711,
    role="migrator",
    application="callctl lock",
    host="local",
    since=_AT,
    seconds=723.4,
    silent_seconds=None,
    seen=True,
    committed=Committed(4, "up", 5, 17, 4000, 20000),
    uncommitted=False,
)


def _status() -> None:
    first, second = all_steps()[:2]
    applied = StepState(first.number, first.name, True, False, _AT, "migrator", "ops@deploy", 0.0712, False, None)
    pending = StepState(second.number, second.name, False, False, None, None, None, None, False, None)
    session = Session(
        4712, "callctl migrate", "active", "UPDATE", 0.0612, "a lock on chatapp.chatbots", (_HOLDER,), None, True
    )
    live = Live((replace(_RUN, sessions=(session,)),))
    render_answers.status(Status(_naming(), (applied, pending)), Settings(output="json"), live)


def _watched() -> None:
    steps = (
        StepOfRun(3, "chatbot_capabilities", 0.412, 0.2, 0.3, 0.6),
        StepOfRun(4, "backfill_capabilities", None, 20.1, 30.2, 46.0),
    )
    waits = Waiting("a lock on chatbots", 6.1, 300.0, (_HOLDER,))
    state = RunState(_RUN.pid, "migrate up", steps, 4, 42.1, 8.2, waits, 17, 2, 0, 0.4)
    render_watch.once(Watched(Live((_RUN,)), {_RUN.pid: state}, 3, (Replica("east", 16384),)), "json")


def _order() -> None:
    waits = Waiting("callctl migrate resume (paused by ops@deploy)", 0.2)
    render_watch.given(Given(17, "pause", (Told(_RUN, True, 1, waits),)), "json")


def _plan() -> None:
    step, statement, taken = _outlook()
    planned = PlannedStep(step.number, step.name, "up", (statement,))
    assert taken.seconds is not None
    longest = (taken.seconds, step.number)
    expected = Outlook((taken,), seconds=Interval(1.1, 1.7, 2.6), longest=longest)
    render_answers.plan(Plan("up", DOCUMENTED, (planned,)), expected, "json")


def _plan_of_files() -> None:
    _, _, taken = _outlook()
    file = replace(taken, number=1, name="our.sql", file=True)
    render_answers.plan_of_files(Outlook((file,), seconds=file.seconds, lock_timeout=None, hold_limit=None), "json")


def _rehearsal() -> None:
    _, _, taken = _outlook()
    users = TableName("chatapp", "users")
    render_rehearsal.answer(
        Rehearsal(
            version="18.0",
            target_version="15.4",
            most_rows=20_000,
            stages=(
                Stage("preflight", "held", "ready: 0 block, 3 warn, 1 unknown", seconds=0.8),
                Stage("up to step 4", "did not hold", "step 1 stopped", ("users is locked",), "run it again", 0.1),
                Stage("down", "not rehearsed", "up to step 4 did not hold"),
            ),
            tables=(Filled(users, 2_000_000, 20_000, 20_000),),
            left_out=(LeftOut("extension", "postgis", "the rehearsal's server does not have it"),),
            steps=(RehearsedStep(1, "users_avatar_url", "up", 0.12, 0, 0),),
            locks=(LockResult("up", "chatapp", "users", Mode.ACCESS_EXCLUSIVE, Mode.ACCESS_EXCLUSIVE, 0.004),),
            forecast=Outlook((taken,), seconds=taken.seconds),
            findings=(),
            seconds=9.3,
            url="postgresql:///rehearsal",
        ),
        "json",
    )


def _outlook() -> tuple[Step, Statement, StepOutlook]:
    step = all_steps()[0]
    (statement,) = (each for each in step.script("up").statements if each.kind == "alter table")
    users = Name("chatapp", "users")
    effects = Effects(
        ["alter column type"], ["change users.avatar_url to text"], {(users, Mode.ACCESS_EXCLUSIVE): True}
    )
    hold = Interval(0.0005, 0.0015, 0.05)
    transaction = Transaction((Line(statement, effects, Work(), "shown"),), seconds=hold, hold=hold, held_from=0)
    return step, statement, StepOutlook(step.number, step.name, "up", (transaction,), hold)


def _asked() -> None:
    finding = Finding(
        "package-rule",
        "warns",
        'chatbots of type "call" in a package of another type: 1',
        "step 6 brings a trigger that refuses such a chatbot when it is written",
        "allow the capability in the package, or move the chatbot, before step 6",
        (_ROW,),
    )
    render_checks.preflight([finding], [4, 5, 6], "json")


def _diff() -> None:
    render_drift.report(
        DriftReport(
            560,
            tuple(step.number for step in all_steps()),
            (),
            (
                Drift(
                    "missing",
                    "index chatapp.idx_calls_company_id",
                    "missing",
                    10,
                    ("CREATE INDEX CONCURRENTLY idx_calls_company_id ON chatapp.calls USING btree (company_id)",),
                    True,
                    None,
                    ("index chatapp.idx_calls_company_id", "missing"),
                ),
            ),
            (),
        ),
        "json",
    )


def _verify() -> None:
    check = CheckResult(
        id="chatbots-capable",
        sentence="every chatbot, deleted or not, handles chat or call",
        step=None,
        passed=False,
        warns=False,
        count=1,
        columns=("id",),
        sample=((_ROW,),),
        source="verify/chatbots_capable.sql:6",
        means="such a chatbot answers neither chats nor calls",
        mends=("UPDATE the chatbot: set enabled_chat or enabled_call",),
    )
    index = CheckResult(
        id="calls-indexes",
        sentence="the 10 indexes of calls are as step 10 left them",
        step=10,
        passed=False,
        warns=False,
        count=1,
        columns=CONTRACT_COLUMNS,
        sample=(("missing", "index chatapp.idx_calls_status", None, None, None),),
        source="contract/10_calls.json",
        means="calls can't be recorded as the application expects, or are slow to list",
        mends=("CREATE INDEX CONCURRENTLY idx_calls_status ON chatapp.calls USING btree (status, company_id);",),
    )
    render_checks.verify_report(Report((1, 2, 3, 4), (check, index), 127), "json")


def _history() -> None:
    file = all_steps()[0].file("up")
    row = HistoryRow(1, 1, "up", file, _SHA, _AT, _AT, "migrator", "ops@deploy", "0.1.0", False)
    render_answers.history([row], (), "json")


def _backup_plan() -> None:
    render_backup.plan(
        PlannedBackup("platform", "15.18", "15.18", "/usr/lib/postgresql/15/bin", 27, 958464, (), ()), "json"
    )


def _manifest() -> None:
    manifest = Manifest(
        bytes=463209,
        sha256=_SHA,
        pg_dump="15.18",
        taken_at=_AT,
        callctl_version="0.1.0",
        server_version="15.18",
        server_version_num=150018,
        database="platform",
        encoding="UTF8",
        collate="C",
        ctype="C",
        standby=False,
        database_settings=("timezone",),
        owners=("platform",),
        grantees=("reporting",),
        extensions=("pgcrypto",),
        schema="chatapp",
        names={"chatbots.chatbotType": "chatbot_type"},
        steps=(1, 2, 3),
        half_done=(),
        keys=("k1",),
        left_out_schemas=("analytics",),
        left_out_tables=(),
        tables=(TableRows("chatapp", "users", 1000),),
        search_path=("chatapp", "public"),
        grants=("GRANT SELECT ON table chatapp.calls TO reporting",),
        policy_roles=("reporting",),
    )
    render.own(manifest.text().rstrip())


def _restored(*, dry_run: bool = False) -> None:
    render_backup.restored(
        Restored(
            file=Path("before.dump"),
            database="restored",
            server="15.18",
            taken_at=_AT,
            taken_of="platform",
            steps=(1, 2, 3),
            keys=("k1",),
            tables=27,
            rows=2483,
            owners_kept=True,
            settings_left=("timezone",),
            dry_run=dry_run,
            seconds=0.9,
        ),
        "json",
        _TARGET,
    )


def _restorable() -> None:
    _restored(dry_run=True)


def _backup() -> None:
    render_progress.json_event(BackupProgress("dump", "chatapp.users", 81920, 958464, "bytes", 20480))
    render_progress.json_event(BackupProgress("check", "before.dump", 463209, 463209, "bytes", 463209))
    render_backup.backed_up(
        Backup(
            file=Path("before.dump"),
            manifest=Path("before.dump.manifest.json"),
            bytes=463209,
            sha256=_SHA,
            taken_at=_AT,
            database="platform",
            server="15.18",
            pg_dump="15.18",
            steps=(1, 2, 3),
            keys=("k1",),
            tables=27,
            rows=2483,
            left_out_schemas=("analytics",),
            left_out_tables=(),
            recorded=True,
            seconds=0.7,
        ),
        "json",
        _TARGET,
    )


def _restoring() -> None:
    render_progress.json_event(BackupProgress("rows", "chatapp.users", 1000, 2483, "rows"))
    _restored()


def _purge() -> None:
    render_answers.purged([Saved("saved value", "chatbots.settings.call", 250, 0)], "json", _TARGET)


def _seeded() -> None:
    difference = Difference("input_price_usd_per_million_tokens", "0.5", "0.75", False)
    seed = Seed(load_catalogue()[2], _ROW, "kept", (difference,))
    account = DevAccount("twilio", "Test Twilio Account", _ROW, "insert")
    render_tenants.seeded(Seeded("models.yaml", (seed,), (account,), ("…",)), "json", dry_run=False, target=_TARGET)


def _code_refs() -> None:
    text = "const isCall = bot.chatbotType === 'call';"
    reference = Reference("src/bot.ts", 12, 20, Kind.CODE, "chatbotType", False, text)
    answer = CodeRefs(("chatbot_type",), 214, (reference,), 1, (), ("scripts/report.sh",))
    render_code_refs.code_refs(answer, answer.references, "json")


def _key_printed() -> None:
    render_secrets.key_generated("b33e2ce390e6a01dd51becac7c4e36b679f8c86aabc72edff05233a8f0c63e59", None, "json")


def _key_written() -> None:
    with redirect_stderr(io.StringIO()):
        render_secrets.key_generated("", Path("secrets/k2.key"), "json")


def _sandbox() -> None:
    render_sandbox.sandbox(
        Sandbox(
            url="postgresql:///sandbox?host=/tmp/callctl-k3v9x2qa&port=5432&user=postgres",
            baseline="documented",
            rows=1000,
            seed=1,
            refused_shapes=False,
            version="18",
            directory=Path("~/.local/state/callctl/sandbox"),
        ),
        "json",
    )


def _outside() -> Scan:
    return Scan(
        (Outside("plaintext", "chatbots", "settings.api_key", None, 1, [_ROW]),),
        (NotLookedInto("crm.contacts", "it is a foreign table: its rows are on another server"),),
        31,
        2,
    )


def _copy() -> Copy:
    table, name = "chatapp.integration_accounts", "audit"
    description = (
        f"trigger {name} on {table} (AFTER UPDATE, function chatapp.audit()) reads OLD, the row with its plaintext"
    )
    return Copy("trigger", table, name, description)


def _secrets() -> None:
    counted = Census(rows=1)
    counted.uses[Use("integration_accounts", "live", "twilio", "credentials.authToken", "sealed", "k1", 1, True)] = 1
    counted.uses[
        Use("integration_accounts", "live", "twilio", "credentials.apiKeySecret", "unreadable", "k0", 1, False)
    ] = 1
    counted.uses[Use("integration_accounts", "live", "twilio", "access_token", "sealed", "k1", 1, False, True)] = 1
    counted.uses[Use("integration_accounts", "live", "twilio", "refresh_token", "foreign", None, None, False)] = 1
    counted.tenants[_ROW] = [4, 1, 2, 1]
    counted.shapes[Shape("twilio", "credentials.phoneNumber", "missing")] = 1
    counted.unreadable.append(
        Unreadable("integration_accounts", _ROW, "credentials.apiKeySecret", "unknown-key: the ring has no key k0")
    )
    counted.unreadable.append(Unreadable("integration_accounts", _ROW, "access_token", unbound(1, "k1")))
    form = Foreign("integration_accounts", "refresh_token", "Fernet", 1, [_ROW])
    counted.foreign[form.table, form.field, form.form] = form
    last = Ledger(1, "k1", _AT, _AT, "migrator", "ops@deploy", 0)
    kept = Kept(_ROW, _COMPANY, 7, _AT, _AT, "9193d0e209b5")
    render_secrets.secrets(Secrets("k2", "keep", counted, _outside(), None, last, (kept,), (_copy(),)), "json")


def _keys() -> None:
    key = KeyUse("k2", "primary", "env ENCRYPTION_KEY_2", "57739154a6be", _AT, None, 1983, 1243, 0, 0)
    render_secrets.keys(Keys((key,), 0, 1), "json")


def _retired() -> None:
    render_secrets.retired(Retired("k1", _AT, 700, 31, 2, (), ()), "json", _TARGET)


def _rotated() -> None:
    render_progress.json_event(RotationProgress(2000, 10_000, 0, 1.7))
    left_value = Left("integration_accounts", _ROW, "credentials.appSecret", "unknown-key: the ring has no key k0")
    changed = Changed("twilio", "credentials.authToken", "k1", 9_876)
    reason = f"foreign: {foreign_text('Fernet')}"
    other = ForeignLeft("integration_accounts", "access_token", reason, 1, (_ROW,))
    counts = (10_000, 9_876, (changed,), 2, (left_value,), {"twilio": 1}, (other,))
    bound = (FieldName("integration_accounts", "twilio", "credentials.authToken"),)
    rotated = Rotated(2, "k2", "bind", False, _AT, _AT, *counts, _outside(), (_copy(),), 2.2, bound)
    render_secrets.rotated(rotated, "json", _TARGET)


def _account(fingerprint: str | None) -> Account:
    return Account(_ROW, _COMPANY, "twilio", "Main line", "https://hooks.example/1?token=x", fingerprint)


def _chosen() -> None:
    render_secrets.webhooks_chosen(Chosen("new", "all accounts", (_account(None),), 1, 1), "json")


def _webhooks() -> None:
    account = _account("9193d0e209b5")
    replaced = Done("new", "all accounts", 7, _AT, (account,), 0, (), 1, 1, Path("new-secrets.jsonl"), _AT)
    render_secrets.webhooks_done(replaced, "json", _TARGET)
    not_put_back = NotPutBack(_ROW, "its secret was changed since, not by callctl")
    back = Done("back", "all accounts", 8, _AT, (_account(None),), 0, (not_put_back,), 1, 1, None, None)
    render_secrets.webhooks_done(back, "json", _TARGET)


def _load_preview() -> None:
    plan = Workload(100, 100, 30.0, None, 10.0)
    leftover = Leftover(_COMPANY, _AT, "ops@deploy", True)
    queries = (documented_queries(DOCUMENTED)["find_call"],)
    render_loadtest.preview(Preview("platform", plan, 1000, 194, 200, (leftover,), queries), "json")


def _load_tested() -> None:
    render_progress.json_event(LoadProgress(42, 12.0, 18.0))
    query = QueryTimes("find_call", 780, {}, Spread(1.1, 3.4, 6.2, 14.8), Spread(0.8, 2.9, 5.6, 14.1), False)
    load_test = LoadTest(
        database="platform",
        version="18.0",
        started_at=_AT,
        sessions=100,
        connections=100,
        call_seconds=10.0,
        history=1000,
        seconds=30.0,
        limit_ms=100.0,
        interrupted=False,
        stopped=None,
        calls_started=300,
        calls_completed=224,
        lines=5312,
        queries=(query,),
        client=Client(Spread(0.3, 1.1, 2.0, 6.5), Spread(0.0, 0.0, 0.1, 0.2), 0.18),
        server=Server(8, 0.74, 1.12, 312.5),
        samples=288,
        waits=(Wait("Lock", "transactionid", 3, 0, 41.5),),
        removed=(Removed(_COMPANY, _AT, "ops@deploy", 1030),),
        slowest_ms=(6.1, 14.8),
        cpus=(0.7, 1.12),
    )
    render_loadtest.measured(load_test, "json", _TARGET)
    render_loadtest.cleaned(load_test.removed, "json", _TARGET)


def _doctor() -> None:
    lack = "role app may not see the sessions of other roles (needed by migrate status and preflight)"
    parts = (
        Examined("server", "ok", "PostgreSQL 18.6; the connection is encrypted"),
        Examined("role", "warns", lack, "GRANT pg_monitor TO app;"),
    )
    render_doctor.examined(parts, "json")


def _config_shown() -> None:
    database = Origin("database", "postgresql://ops:***@db.example/platform", "CALLCTL_DATABASE_URL")
    schema = Origin("schema", "chat", "callctl.yaml:1:1")
    render_config.shown(Overview(Path("callctl.yaml"), "current directory", (database, schema)), "json")


def _config_checked() -> None:
    message = "callctl.yaml:2:1: unknown key 'shema'"
    problem = ConfigError(Code.CONFIG_KEY, message, hint="did you mean 'schema'?")
    render_config.checked(CheckedFile(Path("callctl.yaml"), ("database",), (problem,)), "json")


def _log() -> None:
    done = ("done", "postgres", "ops@deploy", "0.1.0")
    companies = {"companies": [{"id": _COMPANY, "slug": "acme", "before": None, "after": True}]}
    retired = Entry("encryption_key", "k0", None, _AT, "keys retire", "done", None, None, None, {"key": "k0"})
    enabled = Entry("action", "3", None, _AT, "companies enable", *done, companies)
    render_log.log([enabled, retired], "json", filtered=False)


def _companies() -> None:
    render_tenants.companies_listed([_one_company(True)], "json")


def _one_company(enabled: bool) -> Company:
    return Company(_COMPANY, "acme", "Acme", False, enabled, None, 4)


def _switched() -> None:
    render_tenants.switched(Switch(True, (_one_company(False),), ()), "json", target=_TARGET)


def _checked() -> None:
    offence = Offence(_ROW, _COMPANY, False, "silenceTimeout", "is 29, not from 30 to 300")
    render_tenants.settings_checked(Checked(30, (offence,), (Unlisted("google", 2),)), "json")


def _without_settings() -> None:
    render_tenants.settings_missing(Missing((_ROW,), 0), "json", dry_run=True, target=_TARGET)


def _integration_accounts() -> None:
    url = "https://chat.example/api/webhooks/twilio/voice/" + _ROW
    whose = (_COMPANY, "acme", "Acme")
    account = accounts.Account(
        _ROW, "twilio", "Main line", *whose, "active", True, None, _AT, _AT, url, _AT + timedelta(days=3), ("token",)
    )
    render_tenants.accounts([account], "json", problems=False)


def _events() -> None:
    step = all_steps()[3]
    statement = step.script("up").statements[0]
    source, line = statement.source, statement.line
    events: tuple[Event, ...] = (
        Waiting("the migration lock", 2.0),
        MigrationStarted(
            direction="up",
            database="platform",
            server="db.example:5432",
            postgresql="18.0",
            role="migrator",
            client="operator@laptop",
            schema="chatapp",
            names=(("users", "avatar_url", "avatarUrl"),),
            steps=tuple(step.number for step in all_steps()[3:]),
            atomic=False,
        ),
        Notice("the file of step 1 has been edited since it was applied"),
        StepStarted(step.number, step.name, "up", 1, 10),
        StatementStarted(step.number, "up", source, line, "UPDATE chatapp.chatbot_packages SET …"),
        BatchFinished(step.number, source, line, 2000, 10_000, 2000, 1.7),
        IndexProgress(step.number, "building index: loading tuples in tree", 4_000, 10_000, 0),
        StepFinished(step.number, step.name, "up", 0.55, 106),
    )
    for event in events:
        render_progress.json_event(event)


def _finished() -> None:
    render_answers.run(Migrated("up", (MigratedStep(4, "backfill_capabilities", 0.55, 106),), 0.61), "json", _TARGET)


def _adopted() -> None:
    render_answers.adopted([Adopted(1, "users_avatar_url", True, ())], "json", 0, _TARGET)


def _accepted() -> None:
    changed = ChangedRecords("saved_value", "chatbots.chatbot_type", 500, 461, "rows are missing")
    render_answers.accepted([changed], "json", _TARGET)


def _told() -> None:
    render_demo.json_line(Changes((Change("chatbots that take calls", 0, 4),)))
    render_demo.json_line(Story(True, Baseline.deployed, 3000, 1, 21.4))


def _failed() -> None:
    where = "steps/03_chatbot_capabilities/up.sql:5"
    error = StepFailed(Code.LOCK_TIMEOUT, f"{where}: no lock on chatbots in 300 s (lock_wait); …", hint="end that …")
    render.begin()
    render.failed(error, State("partly applied", "", 3, "up"), _TARGET, "json")


def _explained() -> None:
    render_explain.explanation(explanations.explained("lock-held", ()), "json")


_SAMPLES: dict[str, Callable[[], None]] = {
    "migrate-status": _status,
    "migrate-watch": _watched,
    "migrate-order": _order,
    "migrate-plan": _plan,
    "migrate-plan-files": _plan_of_files,
    "migrate-rehearse": _rehearsal,
    "preflight": _asked,
    "verify": _verify,
    "diff": _diff,
    "migrate-history": _history,
    "log": _log,
    "doctor": _doctor,
    "config-show": _config_shown,
    "config-check": _config_checked,
    "purge": _purge,
    "backup-dry-run": _backup_plan,
    "restore-dry-run": _restorable,
    "seed-models": _seeded,
    "secrets": _secrets,
    "webhooks-dry-run": _chosen,
    "keys-list": _keys,
    "keys-retire": _retired,
    "loadtest-dry-run": _load_preview,
    "companies-list": _companies,
    "companies-switch": _switched,
    "accounts": _integration_accounts,
    "settings-check": _checked,
    "settings-init": _without_settings,
    "code-refs": _code_refs,
    "keys-generate": _key_printed,
    "keys-generate-out": _key_written,
    "sandbox": _sandbox,
    "explain": _explained,
}


def page(generated: str) -> str:
    lines = [
        "# JSON output",
        "",
        generated,
        "With `--output json` stdout holds only JSON. Every document has the `version` of the output format, and",
        "`next`, the callctl command to run next. `next` is null if there is no such command, or if a person has to",
        "decide something first. Replace capital letters in it (`URL`) by your own value.",
        "",
        "`target` is the connected database, as the server names it, without a password. It is in the result of a",
        "command that can write, and in the last line of work that failed. It is null if the connection failed;",
        "`environment` is null if it is not set. The first line on stderr of every command that connects has the same",
        "facts. Times are ISO 8601 with an offset, durations are seconds. Errors and hints go to stderr too, and the",
        "[exit code](exit-codes.md) says how the command ended.",
        "",
        "These shapes are a contract. New keys may appear. A key is renamed, removed or changed in meaning only with",
        "another `version`. Each shape has a JSON Schema, which is also in the installed package (`callctl/schemas`).",
        "",
        "## Errors: one line",
        "",
        *ERROR.text.splitlines(),
        "",
        f"Schema: [{ERROR.file}](schemas/{ERROR.file}).",
        "",
        *_block(_failed),
        "",
        "## Questions: one document",
    ]
    for document in DOCUMENTS:
        text = f"{document.text}\n\nSchema: [{document.file}](schemas/{document.file})."
        lines += ["", f"### {document.commands}", "", text, "", "```json", _printed(_SAMPLES[document.name]), "```"]
    lines += [
        "",
        "## Long work: a JSON object a line",
        "",
        "Each line has a `version`. The last line says how the work ended, and has `next`, too. Schema:",
        f"[{LINES}](schemas/{LINES}).",
        "",
        "`migrate up` and `migrate down` print a line for each event while they run. `total` of a",
        "`batch_finished` is the planner's estimate.",
        "",
        *_block(_events),
        "",
        "The last line of a run that succeeded; `deferred` as in a plan:",
        "",
        *_block(_finished),
        "",
        "`migrate adopt` ends with the steps that it checked:",
        "",
        *_block(_adopted),
        "",
        "`migrate adopt --changed-records` ends with what it accepted:",
        "",
        *_block(_accepted),
        "",
        "`rotate-secrets` reports the progress of the rotation, of all its processes, and ends with a summary.",
        "`left` and `outside` are as in `--status`. `misshapen` counts, by type, the accounts whose credentials differ",
        "from the specification's. `bound` are the fields that this rotation was the first to bind:",
        "",
        *_block(_rotated),
        "",
        "`webhooks rotate` and `webhooks restore` end with the accounts whose providers need the new secrets.",
        "An earlier run that was stopped did the `before` accounts. `left` accounts are not restored. The new",
        "secrets are in `file` [and nowhere else](webhook-secrets.md):",
        "",
        *_block(_webhooks),
        "",
        "`backup` reports its progress, at most four times a second, and ends with the contents of the backup.",
        "`phase` is `dump`, `count` (the rows of the manifest) or `check` (reading the file). `recorded` is false if",
        "the database is read-only:",
        "",
        *_block(_backup),
        "",
        "`restore` does the same; `phase` is `check`, `definitions`, `rows`, `indexes`, `compare` (with the manifest)",
        "or `analyze`:",
        "",
        *_block(_restoring),
        "",
        "`loadtest` reports its progress, and ends with its measurements. The times of a query's `response` count",
        "from its planned start; the times of its `server` count from the moment of sending. `over` are the queries",
        "whose 95th percentile exceeds `limit_ms`. `client` says how late the client itself was, and how long it",
        "waited for a connection. `server` (CPUs on average and at the peak, private memory) is null if its processes",
        "are not visible. `waits` are sightings in `samples` looks. `slowest_ms` is the longest response of each",
        "quarter second, `cpus` the CPUs used in each second. `loadtest --clean` ends with the rows that it removed;",
        "`kept` says why it did not remove a company:",
        "",
        *_block(_load_tested),
        "",
        "The last line of a run that failed is an [error](#errors-one-line).",
        "",
        "`demo` prints a line for each scene, and the last line is a `story`. Schema:",
        f"[{DEMO}](schemas/{DEMO}).",
        "",
        *_block(_told),
        "",
        "## The manifest of a backup",
        "",
        "`FILE.manifest.json`, beside the dump. `tables` has the rows of the dump's own snapshot, `taken_at`;",
        "`owners`, `grantees` and `extensions` must be there before a restore; `keys` are the ids of those that",
        "secrets in it need; `half_done` are steps that a run had begun; `database_settings` are names, without",
        "values; `search_path` are the schemas in which the database and its roles look for a name; `grants` is what",
        "is granted beyond what a kind of object brings with it, and what of that was revoked; `policy_roles` are the",
        "roles that policies name. A callctl reads the manifests of its own format, `callctl_backup`.",
        f"Schema: [{MANIFEST}](schemas/{MANIFEST}).",
        "",
        "```json",
        _printed(_manifest),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _block(show: Callable[[], None]) -> Iterator[str]:
    text = _printed(show)
    for line in text.splitlines():
        json.loads(line)
    yield from ("```json", text, "```")


def _printed(show: Callable[[], None]) -> str:
    with redirect_stdout(io.StringIO()) as printed:
        show()
    return printed.getvalue().rstrip()


def published() -> dict[str, str]:
    """The published schemas, each as a file, by name."""
    return {name: json.dumps(schema, ensure_ascii=True, indent=2) + "\n" for name, schema in schemas().items()}
