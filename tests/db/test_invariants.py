"""verify passes after up, and each of its checks fails when the one thing it speaks of is broken.

A check without a breakage here fails test_every_check_has_a_breakage, so a check that cannot fail cannot come in.
"""

# ruff: noqa: E501 - each breakage is one line of SQL.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.conftest import connect

from callctl import migrate
from callctl.baselines import Baseline, create_database, drop_database, fill
from callctl.config import Settings
from callctl.files import sql_names, step_directories
from callctl.postgres import Server
from callctl.script import load_script
from callctl.verify import Report, verify


@dataclass(frozen=True)
class Breakage:
    """What breaks it, and on which database: a baseline, up to a step."""

    sql: str
    baseline: Baseline = "documented"
    to: int = 13
    deferred: bool = False


ONE_CALL = """
  WITH bot AS (SELECT id, company_id FROM chatapp.chatbots WHERE enabled_call ORDER BY id LIMIT 1)
  INSERT INTO chatapp.calls (company_id, chatbot_id, source, direction, started_at, answered_at, ended_at, duration)
  SELECT {company}, bot.id, 'web', 'inbound', {times} FROM bot;
"""
RIGHT_TIMES = "'2025-01-01 10:00:00+00', '2025-01-01 10:00:05+00', '2025-01-01 10:01:05+00', 60"
TRANSCRIPT = """
  INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration)
  SELECT id, 'user', 'hello', {start}, {start} + 100, 100 FROM chatapp.calls;
"""
ONE_CALL_BOT = "(SELECT id FROM chatapp.chatbots WHERE enabled_call ORDER BY id LIMIT 1)"
BREACH = f"""
  ALTER TABLE chatapp.chatbots DISABLE TRIGGER check_chatbot_capabilities;
  UPDATE chatapp.chatbots SET package_id = (SELECT id FROM chatapp.chatbot_packages WHERE NOT enable_call LIMIT 1)
  WHERE id = {ONE_CALL_BOT};
  ALTER TABLE chatapp.chatbots ENABLE TRIGGER check_chatbot_capabilities;
"""

BREAKAGES: dict[str, Breakage] = {
    "avatar-url-text": Breakage("ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE varchar(600)"),
    "package-flags": Breakage("ALTER TABLE chatapp.chatbot_packages ALTER COLUMN enable_call DROP DEFAULT"),
    "package-flags-in-step": Breakage(
        "ALTER TABLE chatapp.chatbot_packages DISABLE TRIGGER callctl_sync_capabilities", to=4
    ),
    "chatbot-flags": Breakage("ALTER TABLE chatapp.chatbots ALTER COLUMN enabled_chat DROP NOT NULL"),
    "chatbot-flags-in-step": Breakage("DROP TRIGGER callctl_sync_capabilities ON chatapp.chatbots", to=4),
    "capability-checks": Breakage(
        "ALTER TABLE chatapp.chatbots DROP CONSTRAINT chatbots_capability_check, ADD CONSTRAINT"
        " chatbots_capability_check CHECK (enabled_chat = true OR enabled_call = true) NOT VALID"
    ),
    "capability-indexes": Breakage(
        "DROP INDEX chatapp.idx_chatbots_capabilities;"
        "CREATE INDEX idx_chatbots_capabilities ON chatapp.chatbots (enabled_chat, enabled_call)"
    ),
    "package-type-gone": Breakage('ALTER TABLE chatapp.chatbot_packages ADD COLUMN "chatbotType" text'),
    "package-type-remembered": Breakage("DELETE FROM callctl.definition WHERE step = 5"),
    "chatbot-type-gone": Breakage("ALTER TABLE chatapp.chatbots ADD COLUMN chatbot_type text"),
    "chatbot-type-remembered": Breakage("DELETE FROM callctl.definition WHERE step = 6"),
    "type-enum-gone": Breakage("CREATE TYPE public.chatbot_type AS ENUM ('chat', 'call')", baseline="deployed"),
    "inheritance-rule": Breakage("ALTER TABLE chatapp.chatbots DISABLE TRIGGER check_chatbot_capabilities"),
    "model-type-column": Breakage("ALTER TABLE chatapp.ai_models ALTER COLUMN model_type DROP DEFAULT"),
    "model-type-check": Breakage("ALTER TABLE chatapp.ai_models DROP CONSTRAINT ai_models_model_type_check"),
    "model-type-index": Breakage("DROP INDEX chatapp.idx_ai_models_model_type"),
    "model-seed-columns": Breakage("ALTER TABLE chatapp.ai_models DROP COLUMN audio_cost_per_second_output"),
    "every-model-typed": Breakage(
        "ALTER TABLE chatapp.ai_models DROP CONSTRAINT ai_models_model_type_check;"
        "UPDATE chatapp.ai_models SET model_type = 'fax' WHERE model_name = 'gpt-4'"
    ),
    "integration-accounts-columns": Breakage(
        "ALTER TABLE chatapp.integration_accounts ALTER COLUMN access_token TYPE varchar(100)"
    ),
    "integration-accounts-constraints": Breakage(
        "ALTER TABLE chatapp.integration_accounts DROP CONSTRAINT integration_accounts_account_type_check"
    ),
    "integration-accounts-indexes": Breakage("DROP INDEX chatapp.idx_integration_accounts_status"),
    "integration-accounts-touched": Breakage(
        "DROP TRIGGER update_integration_accounts_updated_at ON chatapp.integration_accounts"
    ),
    "calls-columns": Breakage("ALTER TABLE chatapp.calls ALTER COLUMN status DROP DEFAULT"),
    "calls-constraints": Breakage("ALTER TABLE chatapp.calls DROP CONSTRAINT calls_end_user_id_fkey"),
    "calls-indexes": Breakage("DROP INDEX chatapp.idx_calls_date_range"),
    "calls-touched": Breakage("ALTER TABLE chatapp.calls DISABLE TRIGGER update_calls_updated_at"),
    "call-transcripts-columns": Breakage("ALTER TABLE chatapp.call_transcripts ALTER COLUMN end_time DROP NOT NULL"),
    "call-transcripts-constraints": Breakage(
        "ALTER TABLE chatapp.call_transcripts DROP CONSTRAINT call_transcripts_time_check"
    ),
    "call-transcripts-indexes": Breakage("DROP INDEX chatapp.idx_call_transcripts_content_search"),
    "company-flags": Breakage(
        "UPDATE chatapp.companies SET settings = settings #- '{features,callEnabled}' WHERE slug = 'company-3'"
    ),
    "call-settings-present": Breakage(
        f"UPDATE chatapp.chatbots SET settings = settings - 'call' WHERE id = {ONE_CALL_BOT}"
    ),
    "call-models": Breakage("DELETE FROM chatapp.ai_models WHERE model_name = 'gemini-2.0-flash-exp'"),
    "call-models-take-calls": Breakage(
        "UPDATE chatapp.ai_models SET model_type = 'chat' WHERE model_name = 'gemini-2.0-flash-exp'"
    ),
    "call-settings-in-range": Breakage(
        "UPDATE chatapp.chatbots SET settings = jsonb_set(settings, '{call,maxCallDuration}', '59')"
        f" WHERE id = {ONE_CALL_BOT}"
    ),
    "calls-one-tenant": Breakage(
        ONE_CALL.format(
            company="(SELECT c.id FROM chatapp.companies c WHERE c.id <> bot.company_id LIMIT 1)",
            times=RIGHT_TIMES,
        )
    ),
    "calls-timed": Breakage(
        ONE_CALL.format(
            company="bot.company_id",
            times="'2025-01-01 10:00:00+00', '2025-01-01 10:00:05+00', '2025-01-01 09:59:00+00', NULL",
        )
    ),
    "transcripts-in-call": Breakage(
        ONE_CALL.format(company="bot.company_id", times=RIGHT_TIMES) + TRANSCRIPT.format(start=62_000)
    ),
    "packages-capable": Breakage(
        "ALTER TABLE chatapp.chatbot_packages DROP CONSTRAINT chatbot_packages_capability_check;"
        "UPDATE chatapp.chatbot_packages SET enable_chat = false, enable_call = false WHERE name = 'Package 2'"
    ),
    "chatbots-capable": Breakage(
        "ALTER TABLE chatapp.chatbots DROP CONSTRAINT chatbots_capability_check;"
        f"UPDATE chatapp.chatbots SET enabled_chat = false, enabled_call = false WHERE id = {ONE_CALL_BOT}"
    ),
    "package-forms-agree": Breakage(
        "ALTER TABLE chatapp.chatbot_packages DISABLE TRIGGER callctl_sync_capabilities;"
        "UPDATE chatapp.chatbot_packages SET chatbotType = 'call' WHERE name = 'Package 2';"
        "ALTER TABLE chatapp.chatbot_packages ENABLE TRIGGER callctl_sync_capabilities",
        deferred=True,
    ),
    "package-forms-watched": Breakage(
        "DROP TRIGGER callctl_sync_capabilities ON chatapp.chatbot_packages;"
        "CREATE TRIGGER callctl_sync_capabilities BEFORE INSERT OR UPDATE OF enable_chat, enable_call"
        " ON chatapp.chatbot_packages FOR EACH ROW"
        " EXECUTE FUNCTION callctl.sync_chatbot_packages()",
        deferred=True,
    ),
    "chatbot-forms-agree": Breakage(
        "ALTER TABLE chatapp.chatbots DISABLE TRIGGER callctl_sync_capabilities;"
        f"UPDATE chatapp.chatbots SET enabled_chat = true, enabled_call = false WHERE id = {ONE_CALL_BOT};"
        "ALTER TABLE chatapp.chatbots ENABLE TRIGGER callctl_sync_capabilities",
        baseline="deployed",
        deferred=True,
    ),
    "chatbot-forms-watched": Breakage(
        "DROP TRIGGER callctl_sync_capabilities ON chatapp.chatbots;"
        "CREATE TRIGGER callctl_sync_capabilities BEFORE INSERT OR UPDATE OF enabled_chat, enabled_call"
        " ON chatapp.chatbots FOR EACH ROW"
        " EXECUTE FUNCTION callctl.sync_chatbots()",
        baseline="deployed",
        deferred=True,
    ),
    "call-settings-awaited": Breakage(
        f"UPDATE chatapp.chatbots SET settings = settings - 'call' WHERE id = {ONE_CALL_BOT}", deferred=True
    ),
    "company-flag-boolean": Breakage(
        "UPDATE chatapp.companies SET settings = jsonb_set(settings, '{features,callEnabled}', '\"yes\"')"
        " WHERE slug = 'company-3'"
    ),
    "inheritance": Breakage(BREACH),
    "inheritance-recorded": Breakage(
        f"{BREACH} INSERT INTO callctl.inheritance_breach (chatbot_id) SELECT {ONE_CALL_BOT}"
    ),
    "nothing-half-done": Breakage(
        "INSERT INTO callctl.checkpoint (step, direction, sha256, statement, finished) VALUES (13, 'down', 'x', 1, true)"
    ),
    "indexes-valid": Breakage(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chatapp.idx_chatbots_company_id'::regclass"
    ),
    "values-superseded": Breakage(
        "INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, superseded_at)"
        f" SELECT 'chatbots', 'capabilities', 'down', {ONE_CALL_BOT}, now()"
    ),
}


def check_ids() -> list[str]:
    """Every check that verify may run."""
    names = [f"steps/{step.name}/verify.sql" for step in step_directories()] + list(sql_names("verify"))
    return [each.check.id for name in names for each in load_script(name).statements if each.check is not None]


def test_every_check_has_a_breakage() -> None:
    ids = check_ids()
    assert sorted(ids) == sorted(set(ids)), "two checks of one id"
    assert set(BREAKAGES) == set(ids)


# Rows that the baselines hold on purpose, and that a check warns of from the start.
SETTLE = """
  UPDATE chatapp.chatbots SET package_id = NULL WHERE id IN (SELECT chatbot_id FROM callctl.inheritance_breach);
  DELETE FROM callctl.inheritance_breach;
"""


class Migrated:
    """Copies of migrated databases, each kind made once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.templates: dict[tuple[str, int, bool], str] = {}
        self.copies = 0

    def copy(self, baseline: Baseline, to: int, deferred: bool = False) -> str:
        """The URL of a new copy."""
        kind = baseline, to, deferred
        with connect(self.server.url("postgres")) as admin:
            if kind not in self.templates:
                name = f"invariants_{baseline}_{to}{'_deferred' * deferred}"
                create_database(admin, name)
                fill(self.server.url(name), baseline, rows=40)
                migrate.up(Settings(database_url=self.server.url(name)), to=to, defer_drops=deferred)
                if to > 5 and not deferred:
                    with connect(self.server.url(name)) as db:
                        db.execute(SETTLE)
                self.templates[kind] = name
            self.copies += 1
            create_database(admin, f"invariants_{self.copies}", template=self.templates[kind])
        return self.server.url(f"invariants_{self.copies}")


@pytest.fixture(scope="module")
def migrated(server: Server) -> Iterator[Migrated]:
    """All copies are dropped at the end."""
    made = Migrated(server)
    yield made
    with connect(server.url("postgres")) as admin:
        for name in (
            *made.templates.values(),
            *(f"invariants_{number}" for number in range(1, made.copies + 1)),
        ):
            drop_database(admin, name)


def run(url: str) -> Report:
    """Run verify."""
    with connect(url) as db:
        return verify(db, Settings(database_url=url))


@pytest.mark.parametrize(
    ("baseline", "to", "deferred"),
    [
        ("documented", 13, False), ("deployed", 13, False), ("documented", 4, False), ("documented", 3, False),
        ("documented", 13, True), ("deployed", 13, True),
    ],
)  # fmt: skip
def test_verify_passes_after_up(migrated: Migrated, baseline: Baseline, to: int, deferred: bool) -> None:
    report = run(migrated.copy(baseline, to, deferred))
    watched = {"package-forms-watched", "chatbot-forms-watched"} & {check.id for check in report.checks}
    assert len(watched) == (2 if deferred or to == 4 else 0)
    assert [check for check in report.checks if not check.passed] == []
    assert report.passed


@pytest.mark.parametrize("check", BREAKAGES)
def test_verify_fails_when_it_is_broken(migrated: Migrated, check: str) -> None:
    breakage = BREAKAGES[check]
    url = migrated.copy(breakage.baseline, breakage.to, breakage.deferred)
    with connect(url) as db:
        db.execute(breakage.sql)
    report = run(url)
    failing = {found.id: found for found in report.checks if not found.passed}
    assert check in failing
    assert failing[check].error is not None or failing[check].count > 0
    assert report.passed == all(found.warns for found in failing.values())
