"""verify passes after up, and each of its checks of rows fails when the one thing it speaks of is broken.

A check without a breakage here fails test_every_check_has_a_breakage, so a check that cannot fail cannot come in. The
catalog has its own proof: test_mutations.py. Each breakage is rolled back, so that one database does for all.
"""

# ruff: noqa: E501 - each breakage is one line of SQL.

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from tests.support.db.migrated import Migrated, State, connection_to

from callctl.config.sections import KeyConfig, KeyEntry, SecretField
from callctl.config.settings import Settings
from callctl.files import read_sql, sql_names, step_directories
from callctl.migration.checks.verify import Report, examine
from callctl.secrets.envelope.fields import ARRAY, DECLARED
from callctl.statements.script import load_script

FULL = State("documented")
DEPLOYED = State("deployed")
DEFERRED = State("documented", deferred=True)
DEPLOYED_DEFERRED = State("deployed", deferred=True)
ARCHIVED = State("deployed", back=4)


@dataclass(frozen=True)
class Breakage:
    """What breaks it, in which state; ``says`` is what the report must say of it beside the check's id.

    ``oldest``: the first major version that can be broken so.
    """

    sql: str
    state: State = FULL
    says: str = ""
    oldest: int = 12

    def can_be(self, db: psycopg.Connection[Any]) -> bool:
        """Whether this server can be broken so."""
        return db.info.server_version >= self.oldest * 10_000


CALL = """
  ALTER TABLE chatapp.calls DROP CONSTRAINT calls_call_quality_check, DROP CONSTRAINT calls_sentiment_score_check;
  WITH bot AS (SELECT id, company_id FROM chatapp.chatbots WHERE enabled_call ORDER BY id LIMIT 1)
  INSERT INTO chatapp.calls (company_id, chatbot_id, source, direction, status, started_at, answered_at, ended_at, duration{columns})
  SELECT bot.company_id, bot.id, 'web', 'inbound', {status}, {started}, {answered}, {ended}, {duration}{values} FROM bot;
"""
OTHER_COMPANY = "(SELECT c.id FROM chatapp.companies c WHERE c.id <> bot.company_id ORDER BY id LIMIT 1)"
TEN = "'2025-01-01 10:00:00+00'::timestamptz"


def key_config(*ids: str, legacy: bool = False) -> KeyConfig:
    """Keys that are named in callctl.yaml; nothing here reads one."""
    return KeyConfig(ids[0], tuple(KeyEntry(key_id, "env", ("NOWHERE",), legacy=legacy) for key_id in ids))


def call(status: str = "completed", columns: str = "", values: str = "", started: str | None = TEN, answered: str | None = f"{TEN} + interval '5s'",
         ended: str | None = f"{TEN} + interval '65s'", duration: str | None = "60") -> str:  # fmt: skip
    """One call, right unless told otherwise."""
    return CALL.format(
        status=f"'{status}'", started=started or "NULL", answered=answered or "NULL", ended=ended or "NULL",
        duration=duration or "NULL", columns=columns and f", {columns}", values=values and f", {values}",
    )  # fmt: skip


def transcript(start: int, end: int, duration: int | None = None, content: str = "hello") -> str:
    """One line of a transcript of every call."""
    loose = " ".join(
        f"ALTER TABLE chatapp.call_transcripts DROP CONSTRAINT call_transcripts_{name}_check;"
        for name in ("time", "duration", "content")
    )
    return f"""{loose} INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration)
        SELECT id, 'user', '{content}', {start}, {end}, {end - start if duration is None else duration} FROM chatapp.calls;"""


SECRET = '{"v":1,"alg":"A256GCM","kid":"k1","iv":"00112233445566778899aabb","encrypted":"c0ffee","authTag":"00112233445566778899aabbccddeeff"}'
BARE = '{"iv":"00112233445566778899aabbccddeeff","encrypted":"c0ffee","authTag":"00112233445566778899aabbccddeeff"}'
# With an authTag of 15, 4 and 17 bytes: shorter ones can be guessed, and no reader of callctl's opens any of them.
TAG = "00112233445566778899aabbccddeeff"
CUT = [text.replace(TAG, tag) for tag in (TAG[:-2], TAG[:8], f"{TAG}00") for text in (SECRET, BARE)]
TWILIO = f'{{"accountSid":"AC1","phoneNumber":"+15550100","authToken":{SECRET}}}'


def account(kind: str = "twilio", credentials: str = TWILIO, **columns: str) -> str:
    """One account, right unless told otherwise."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    return f"""INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, credentials{names})
        SELECT id, '{kind}', 'one', '{credentials}'{values} FROM chatapp.companies ORDER BY id LIMIT 1;"""


def everywhere(value: str) -> Iterator[tuple[str, str]]:
    """Each declared field by itself, holding a value (JSON) or its text: how verify names it, the account's SQL."""
    for field in DECLARED:
        kind = field.account_type or "twilio"
        if not field.path:
            text = value if value.startswith("{") else json.loads(value)
            yield field.text, account(kind, "{}", **{field.column: f"'{text}'"})
            continue
        content = value
        for part in reversed(field.path):
            content = f"[{content}]" if part == ARRAY else f'{{"{part}":{content}}}'
        yield field.text.replace(ARRAY, "[0]"), account(kind, content)


# A rotation with --bind has finished, and recorded this field.
BOUND = """
  WITH rotation AS (
    INSERT INTO callctl.rotation (kind, to_key, binding, finished_at, outcome, client, callctl_version)
    VALUES ('credentials', 'k1', 'bind', now(), 'done', 'test', 'test') RETURNING id)
  INSERT INTO callctl.bound_field (relation, account_type, path, rotation)
  SELECT 'integration_accounts', '{}', '{}', id FROM rotation;
"""

# What an operator may declare in callctl.yaml: a member, one of each position of an array, a whole text column.
DECLARED_FIELDS = (
    SecretField("companies", None, "settings", ("sip", "password"), optional=True),
    SecretField("companies", None, "settings", ("sip", "trunks", "[]", "secret"), optional=True),
    SecretField("integration_accounts", "custom", "last_error"),
)


def declared(sip: str) -> str:
    """A company with these settings of its telephony."""
    return f"UPDATE chatapp.companies SET settings = jsonb_set(settings, '{{sip}}', '{sip}') WHERE slug = 'company-9';"


ONE_CALL_BOT = "(SELECT id FROM chatapp.chatbots WHERE enabled_call ORDER BY id LIMIT 1)"


def settings(path: str, value: str) -> Breakage:
    """A field of a call bot's settings with another value."""
    return Breakage(
        f"UPDATE chatapp.chatbots SET settings = jsonb_set(settings, '{{call,{path}}}', '{value}') WHERE id = {ONE_CALL_BOT}",
        says=path.replace(",", "."),
    )


def breach(capability: str, other: str) -> str:
    """A chatbot with one capability, and a package that allows only the other."""
    return f"""
      ALTER TABLE chatapp.chatbots DISABLE TRIGGER check_chatbot_capabilities;
      UPDATE chatapp.chatbots SET enabled_{capability} = true, enabled_{other} = false,
        package_id = (SELECT id FROM chatapp.chatbot_packages WHERE NOT enable_{capability} AND enable_{other} LIMIT 1)
      WHERE id = {ONE_CALL_BOT};
      ALTER TABLE chatapp.chatbots ENABLE TRIGGER check_chatbot_capabilities;
    """


FLAG_GONE = "UPDATE chatapp.companies SET settings = settings #- '{{features,callEnabled}}', deleted_at = {deleted} WHERE slug = 'company-{number}'"
HOOK = "'https://chat.example.com/api/webhooks/"

CALL_KEYS = ("company_id", "chatbot_id", "end_user_id", "conversation_id", "integration_account_id")


def unchecked(sql: str) -> str:
    """Statements that no trigger sees, and so no foreign key."""
    return f"SET LOCAL session_replication_role = replica; {sql}; SET LOCAL session_replication_role = origin;"


def orphan(table: str, column: str, rows: str) -> Breakage:
    """Rows, one column of which names no row."""
    return Breakage(rows + unchecked(f"UPDATE {table} SET {column} = gen_random_uuid()"), says=column)


def saved_orphan(column: str) -> Breakage:
    """A saved value whose row is gone."""
    return Breakage(
        unchecked(f"INSERT INTO callctl.saved_value ({column}, field, saved_by) VALUES (gen_random_uuid(), 'x', 'up')")
    )


SECRETS = (
    "chatapp.integration_accounts",
    "callctl.kept_webhook_secret",
    "callctl.saved_value",
    "callctl.saved_row",
    "callctl.removed_row",
)
# A role that may pass on what it may read.
LENT = """CREATE ROLE mid; CREATE ROLE evil; GRANT USAGE ON SCHEMA chatapp, callctl TO mid, evil;
  GRANT SELECT ON chatapp.integration_accounts, callctl.saved_row TO mid WITH GRANT OPTION"""
REPLICA = "SET session_replication_role = replica"
WRITES = "SET callctl.writes = on"
READ_ONLY = "SET default_transaction_read_only = on"
ON_THIS = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {setting}', current_database()); END $$"
ON_ROLE_HERE = "DO $$ BEGIN EXECUTE format('ALTER ROLE loader IN DATABASE %I {setting}', current_database()); END $$"

# As callctl itself writes it, so that only what is written is wrong.
COUNTED = "SET callctl.writes = 'on';"

BREAKAGES: dict[str, list[Breakage]] = {
    "calls-orphans": [
        *(orphan("chatapp.calls", column, call()) for column in CALL_KEYS),
        Breakage(call() + unchecked("UPDATE chatapp.calls SET conversation_id = gen_random_uuid()"), DEPLOYED, "conversation_id"),
        Breakage(account() + call(columns="integration_account_id", values="(SELECT id FROM chatapp.integration_accounts)")
                 + unchecked("DELETE FROM chatapp.integration_accounts"), says="integration_account_id"),
    ],
    "transcripts-orphans": [orphan("chatapp.call_transcripts", "call_id", call() + transcript(100, 200))],
    "accounts-orphans": [orphan("chatapp.integration_accounts", "company_id", account(webhook_url=f"{HOOK}twilio/voice/one'"))],
    "saved-values-orphans": [saved_orphan(f"{row}_id") for row in ("user", "company", "chatbot", "chatbot_package", "ai_model")],
    "inheritance-orphans": [Breakage(unchecked("INSERT INTO callctl.inheritance_breach (chatbot_id) VALUES (gen_random_uuid())"))],
    "rotation-orphans": [
        Breakage(unchecked("INSERT INTO callctl.bound_field (relation, account_type, path, rotation) VALUES ('integration_accounts', '', 'access_token', 77)"), says="bound_field"),
    ],
    "sessions-checked": [
        Breakage(ON_THIS.format(setting=REPLICA), says="ALTER DATABASE"),
        Breakage(f"ALTER ROLE CURRENT_USER {REPLICA}", DEPLOYED, "RESET session_replication_role"),
        Breakage(f"CREATE ROLE loader LOGIN; GRANT USAGE ON SCHEMA chatapp TO loader; GRANT UPDATE (name) ON chatapp.companies TO loader; ALTER ROLE loader {REPLICA}", says="role loader"),
        Breakage(f"CREATE ROLE writer; GRANT USAGE ON SCHEMA chatapp TO writer; GRANT DELETE ON chatapp.users TO writer; CREATE ROLE loader LOGIN NOINHERIT; GRANT writer TO loader; {ON_ROLE_HERE.format(setting=REPLICA)}", says="role loader in database"),
        Breakage(f"ALTER ROLE ALL {REPLICA}", says="ALTER ROLE ALL RESET"),
        Breakage(f"CREATE FUNCTION chatapp.load() RETURNS void LANGUAGE sql {REPLICA} AS ''", says="function chatapp.load()"),
        Breakage(ON_THIS.format(setting=WRITES), says="RESET callctl.writes"),
        Breakage(f"CREATE ROLE loader LOGIN; GRANT USAGE ON SCHEMA callctl TO loader; GRANT INSERT ON callctl.made TO loader; {ON_ROLE_HERE.format(setting=WRITES)}", DEPLOYED, "counted as callctl's"),
    ],
    "sessions-write": [
        Breakage(ON_THIS.format(setting=READ_ONLY), says="ALTER DATABASE"),
        Breakage(f"ALTER ROLE ALL {READ_ONLY}", says="ALTER ROLE ALL RESET"),
        Breakage(f"CREATE ROLE loader LOGIN; GRANT USAGE ON SCHEMA chatapp TO loader; GRANT INSERT ON chatapp.users TO loader; ALTER ROLE loader {READ_ONLY}", says="role loader"),
        Breakage(f"CREATE ROLE loader SUPERUSER LOGIN; {ON_ROLE_HERE.format(setting=READ_ONLY)}", DEPLOYED, "role loader in database"),
    ],
    "foreign-keys-watched": [
        *(Breakage(f"ALTER TABLE {table} DISABLE TRIGGER ALL", says=table) for table in ("chatapp.companies", "chatapp.conversations", "chatapp.users", "chatapp.calls", "callctl.saved_value", "callctl.rotation")),
        Breakage("ALTER TABLE chatapp.end_users DISABLE TRIGGER ALL", DEPLOYED, "chatapp.end_users"),
    ],
    "triggers-enabled": [
        Breakage(f"CREATE TRIGGER theirs BEFORE UPDATE ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column(); ALTER TABLE chatapp.companies {off} TRIGGER theirs", says="theirs")
        for off in ("DISABLE", "ENABLE REPLICA")
    ],
    "secrets-closed": [
        *(Breakage(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC", says=f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
          for function in ("callctl.count_rows()", "callctl.spare_rows()", "chatapp.check_chatbot_capabilities()")),
        Breakage("CREATE ROLE evil; GRANT USAGE ON SCHEMA callctl TO evil; GRANT UPDATE ON SEQUENCE callctl.tally_id_seq TO evil", says="REVOKE UPDATE ON callctl.tally_id_seq FROM evil"),
        Breakage("CREATE ROLE stranger; GRANT EXECUTE ON FUNCTION callctl.sync_chatbots() TO stranger", DEPLOYED_DEFERRED, "sync_chatbots"),
        *(Breakage(f"GRANT SELECT ON {table} TO PUBLIC", says=f"REVOKE SELECT ON {table} FROM PUBLIC") for table in SECRETS),
        *(Breakage(f"GRANT SELECT ({column}) ON chatapp.integration_accounts TO PUBLIC", says=f"REVOKE SELECT ({column})")
          for column in ("credentials", "access_token", "refresh_token", "webhook_secret")),
        Breakage("CREATE ROLE stranger; GRANT SELECT, UPDATE ON chatapp.integration_accounts TO stranger WITH GRANT OPTION", says="stranger"),
        Breakage("CREATE ROLE stranger; GRANT UPDATE (credentials), SELECT (access_token) ON chatapp.integration_accounts TO stranger", DEPLOYED, "REVOKE SELECT (access_token), UPDATE (credentials)"),
        Breakage("CREATE ROLE reader; GRANT SELECT ON chatapp.chatbots, callctl.saved_value TO reader; GRANT UPDATE ON callctl.saved_value TO reader", says="REVOKE UPDATE ON"),
        Breakage("CREATE ROLE reader; GRANT SELECT ON chatapp.chatbots, chatapp.integration_accounts TO reader; GRANT TRIGGER ON chatapp.integration_accounts TO reader", says="REVOKE TRIGGER ON"),
        Breakage("CREATE ROLE stranger; GRANT SELECT (value) ON callctl.saved_value TO stranger", says="REVOKE SELECT (value)"),
        # By another than the owner: of the application's, or a stranger himself; through several hands; one who can do it no more.
        Breakage(f"{LENT}; GRANT SELECT ON chatapp.chatbots TO mid; SET ROLE mid; GRANT SELECT ON chatapp.integration_accounts TO evil; RESET ROLE", says="SET ROLE mid; REVOKE SELECT ON chatapp.integration_accounts FROM evil; RESET ROLE;"),
        Breakage(f"{LENT}; SET ROLE mid; GRANT SELECT (credentials) ON chatapp.integration_accounts TO evil; GRANT SELECT ON chatapp.integration_accounts TO PUBLIC; RESET ROLE", DEPLOYED, "SET ROLE mid; REVOKE SELECT (credentials)"),
        Breakage(f"{LENT}; CREATE ROLE worse; SET ROLE mid; GRANT SELECT ON chatapp.integration_accounts TO evil WITH GRANT OPTION; SET ROLE evil; GRANT SELECT ON chatapp.integration_accounts TO worse; RESET ROLE", says="SET ROLE evil"),
        Breakage(f"{LENT}; GRANT SELECT ON chatapp.chatbots TO mid; SET ROLE mid; GRANT SELECT ON callctl.saved_row TO evil; RESET ROLE; REVOKE USAGE ON SCHEMA callctl FROM mid", says="REVOKE GRANT OPTION FOR SELECT"),
    ],
    "package-type-gone": [Breakage('ALTER TABLE chatapp.chatbot_packages ADD COLUMN "chatbotType" text')],
    "package-type-remembered": [Breakage("DELETE FROM callctl.definition WHERE step = 5")],
    "chatbot-type-gone": [Breakage("ALTER TABLE chatapp.chatbots ADD COLUMN chatbot_type text")],
    "chatbot-type-remembered": [Breakage("DELETE FROM callctl.definition WHERE step = 6")],
    "type-enum-gone": [Breakage("CREATE TYPE public.chatbot_type AS ENUM ('chat', 'call')", DEPLOYED, "chatbot_type")],
    "every-model-typed": [
        Breakage(
            "ALTER TABLE chatapp.ai_models DROP CONSTRAINT ai_models_model_type_check;"
            "UPDATE chatapp.ai_models SET model_type = 'fax' WHERE model_name = 'gpt-4'"
        )
    ],
    "company-flags": [
        Breakage(FLAG_GONE.format(number=3, deleted="NULL")),
        Breakage(FLAG_GONE.format(number=5, deleted="now()")),
        Breakage(FLAG_GONE.format(number=12, deleted="now()"), DEPLOYED),
        Breakage("UPDATE chatapp.companies SET settings = '[]' WHERE slug = 'company-9'"),
    ],
    "call-settings-present": [
        Breakage(f"UPDATE chatapp.chatbots SET settings = {value} WHERE id = {ONE_CALL_BOT}")
        for value in ("settings - 'call'", "settings || '{\"call\": null}'", "settings || '{\"call\": {}}'", "NULL")
    ],
    "call-models": [Breakage("DELETE FROM chatapp.ai_models WHERE model_name = 'gemini-2.0-flash-exp'", says="gemini")],
    "call-models-take-calls": [
        Breakage("UPDATE chatapp.ai_models SET model_type = 'chat' WHERE model_name = 'gemini-2.0-flash-exp'", says="gemini")
    ],
    "models-priced": [
        Breakage("UPDATE chatapp.ai_models SET output_cost_per_token = NULL WHERE model_name = 'gemini-2.0-flash-exp'", says="output"),
        Breakage("UPDATE chatapp.ai_models SET model_type = 'both', audio_cost_per_second_input = 1 WHERE model_name = 'gpt-4o'", says="second of audio"),
        Breakage("UPDATE chatapp.ai_models SET input_price_per_million = NULL WHERE model_id = 'gpt-4o-realtime-preview'", DEPLOYED, "input"),
    ],
    "call-settings-in-range": [
        settings("voiceId", "7"),
        settings("voiceProvider", '"acme"'),
        settings("voiceSettings,pitch", "1.01"),
        settings("voiceSettings,pitch", "-1.01"),
        settings("voiceSettings,pitch", "[0]"),
        settings("voiceSettings,speed", "0.49"),
        settings("voiceSettings,speed", "2.01"),
        settings("voiceSettings,stability", "-0.01"),
        settings("voiceSettings,stability", "1.01"),
        settings("voiceSettings", "7"),
        settings("voiceSettings", "null"),
        settings("callGreeting", '"' + "x" * 501 + '"'),
        settings("callGreeting", "1"),
        settings("endCallPhrase", "true"),
        settings("silenceTimeout", "29"),
        settings("silenceTimeout", "301"),
        settings("silenceTimeout", "30.5"),
        settings("maxCallDuration", "59"),
        settings("maxCallDuration", "3601"),
        settings("maxCallDuration", "60.5"),
        settings("maxCallDuration", '"600"'),
        settings("recordingEnabled", '"yes"'),
        settings("transcriptionEnabled", "1"),
        settings("interruptionEnabled", "null"),
        settings("callButtonText", '"' + "x" * 51 + '"'),
        settings("callButtonText", "1"),
        settings("callButtonColor", '"green"'),
        settings("callButtonColor", "null"),
        settings("callButtonPosition", '"middle"'),
        settings("vadThreshold", "1.01"),
        settings("vadThreshold", "-0.01"),
        settings("echoCancellation", '"on"'),
        settings("noiseSuppression", "0"),
        Breakage(f"UPDATE chatapp.chatbots SET settings = jsonb_set(settings, '{{call}}', '[1]') WHERE id = {ONE_CALL_BOT}"),
    ],
    "call-settings-voice": [
        Breakage(f"UPDATE chatapp.chatbots SET settings = settings #- '{{call,voiceId}}' WHERE id = {ONE_CALL_BOT}"),
        Breakage(f"UPDATE chatapp.chatbots SET settings = settings #- '{{call,voiceProvider}}' WHERE id = {ONE_CALL_BOT}"),
    ],
    "load-test-removed": [
        Breakage(f"{COUNTED} INSERT INTO callctl.load_test (company_id, slug, client, callctl_version) VALUES (gen_random_uuid(), 'callctl-loadtest-1', 'me@here', '0')", says="me@here"),
        Breakage(f"{COUNTED} INSERT INTO callctl.load_test (company_id, slug, client, callctl_version) SELECT id, slug, 'me@here', '0' FROM chatapp.companies LIMIT 1", DEPLOYED, "me@here"),
    ],
    "call-settings-voice-known": [
        Breakage(f"UPDATE chatapp.chatbots SET settings = jsonb_set(settings, '{{call,voiceId}}', '{value}') WHERE id = {ONE_CALL_BOT}", state, "openai")
        for state in (FULL, DEPLOYED)
        for value in ('"ash"', '"Alloy"', '""')
    ],
    "calls-one-tenant": [
        Breakage(call().replace("SELECT bot.company_id", f"SELECT {OTHER_COMPANY}"), says="of_chatbot"),
        Breakage(call(columns="end_user_id", values="(SELECT id FROM chatapp.end_users e WHERE e.company_id <> bot.company_id LIMIT 1)")),
        Breakage(call(columns="conversation_id", values="(SELECT id FROM chatapp.conversations e WHERE e.company_id <> bot.company_id LIMIT 1)")),
        Breakage(
            account() + "UPDATE chatapp.integration_accounts SET company_id = (SELECT company_id FROM chatapp.chatbots WHERE NOT enabled_call ORDER BY id LIMIT 1);"
            + call(columns="integration_account_id", values="(SELECT id FROM chatapp.integration_accounts)").replace(
                "enabled_call ORDER", "enabled_call AND company_id <> (SELECT company_id FROM chatapp.integration_accounts) ORDER"
            )
        ),
    ],
    "calls-timed": [
        Breakage(call(answered=f"{TEN} - interval '1s'", duration="66")),
        Breakage(call(ended=f"{TEN} + interval '4s'", duration="0")),
        Breakage(call("failed", answered=None, ended=f"{TEN} - interval '1s'", duration=None)),
    ],
    "calls-duration": [
        Breakage(call(duration="58")),
        Breakage(call(duration="62")),
        Breakage(call("failed", answered=None, duration="60")),
        Breakage(call("in_progress", ended=None, duration="-1")),
    ],
    "calls-status": [
        Breakage(call("pending", answered=None, duration=None)),
        Breakage(call("pending", ended=None, duration=None)),
        Breakage(call("ringing", ended=None, duration=None)),
        Breakage(call("ringing", answered=None, duration=None)),
        Breakage(call("in_progress")),
        Breakage(call("in_progress", answered=None, ended=None, duration=None)),
        Breakage(call("completed", answered=None, duration=None)),
        Breakage(call("completed", ended=None)),
        Breakage(call("no_answer")),
        Breakage(call("busy")),
        Breakage(call("canceled")),
    ],
    "calls-failed-unanswered": [Breakage(call("failed"))],
    "calls-e164": [
        Breakage(call(columns=column, values=f"'{number}'"))
        for column in ("from_number", "to_number")
        for number in ("0049 30 123", "+0123456", "+1", "+1234567890123456", "+49 30 123", "+4930123x", "")
    ],
    "calls-rated": [
        Breakage(call(columns="call_quality", values="0")),
        Breakage(call(columns="call_quality", values="6")),
        Breakage(call(columns="sentiment_score", values="-101")),
        Breakage(call(columns="sentiment_score", values="101")),
    ],
    "transcripts-in-call": [
        Breakage(call() + transcript(60_500, 61_500)),
        Breakage(call() + transcript(-1, 100)),
        Breakage(call("failed", answered=None, duration=None) + transcript(0, 100)),
    ],
    "transcripts-ordered": [
        Breakage(call() + transcript(100, 200) + transcript(100, 300).rsplit(";", 2)[1] + ";", says="100"),
    ],
    "transcripts-timed": [
        Breakage(call() + transcript(100, 100)),
        Breakage(call() + transcript(100, 200, 99)),
        Breakage(call() + transcript(100, 200, content="")),
    ],
    "accounts-secrets-encrypted": [
        Breakage(account(credentials='{"authToken":"plain"}'), says="credentials.authToken"),
        Breakage(account(credentials='{"apiKeySecret":7}'), says="credentials.apiKeySecret"),
        Breakage(account("whatsapp", '{"accessToken":"plain"}'), says="credentials.accessToken"),
        Breakage(account("whatsapp", f'{{"appSecret":{SECRET.replace("c0ffee", "c0ffe")}}}'), says="credentials.appSecret"),
        Breakage(account("custom", f'{{"password":{SECRET.replace("00112233445566778899aabb", "0011", 1)}}}'), says="credentials.password"),
        Breakage(account("custom", '{"turnServers":[{"urls":"turn:x"},{"credential":"plain"}]}'), says="turnServers[1].credential"),
        Breakage(account(credentials=TWILIO.replace('"A256GCM"', '"none"')), says="credentials.authToken"),
        Breakage(account(credentials=TWILIO.replace('"v":1', '"v":3')), says="credentials.authToken"),
        Breakage(account(credentials=TWILIO.replace('"c0ffee"', '["c0ffee"]')), says="credentials.authToken"),
        Breakage(account(access_token="'ya29.plain'"), says="access_token"),
        Breakage(account(refresh_token="'{broken'"), says="refresh_token"),
        Breakage(account(refresh_token="'{\"encrypted\": 007}'"), says="refresh_token"),
        *(Breakage(account(credentials=TWILIO.replace(SECRET, cut)), says="credentials.authToken") for cut in CUT),
        *(Breakage(account(access_token=f"'{cut}'"), says="access_token") for cut in CUT),
        *(Breakage(sql, says=field) for field, sql in everywhere('"plain"')),
    ],
    "accounts-secrets-known-key": [
        Breakage(account() + "SET LOCAL callctl.test_keys = 'k2 k3'", says="credentials.authToken (k1)"),
        Breakage(account("custom", f'{{"turnServers":[{{"credential":{SECRET}}}]}}') + "SET LOCAL callctl.test_keys = 'k2'", says="turnServers[0].credential (k1)"),
        Breakage(account(refresh_token=f"'{SECRET}'", credentials="{}") + "SET LOCAL callctl.test_keys = 'k2'", says="refresh_token (k1)"),
        Breakage(account(credentials=TWILIO.replace(SECRET, BARE)) + "SET LOCAL callctl.test_keys = 'k1'", says="credentials.authToken (no id)"),
        *(Breakage(sql + "SET LOCAL callctl.test_keys = 'k2'", says=f"{field} (k1)") for field, sql in everywhere(SECRET)),
    ],
    "accounts-complete": [
        Breakage(account(credentials=f'{{"accountSid":"AC1","authToken":{SECRET}}}')),
        Breakage(account("whatsapp", "{}")),
        Breakage(account("custom", '{"sipUri":"sip:a@b","username":"u"}')),
    ],
    "accounts-errors": [
        Breakage(account(status="'error'"), state) for state in (FULL, DEPLOYED)
    ] + [
        Breakage(account(status="'error'", last_error_at="now() - interval '61 minutes'", last_verified_at="now()")),
        Breakage(account(last_error="'x'", last_error_at="now() - interval '61 minutes'")),
        Breakage(account(status="'error'", last_error_at="now() + interval '1 minute'")),
        Breakage(account(last_error="'x'", last_error_at="now() - interval '61 minutes'", last_verified_at="now() - interval '62 minutes'")),
    ],
    "accounts-tokens": [
        Breakage(account(token_expires_at="now()"), state) for state in (FULL, DEPLOYED)
    ] + [Breakage(account(token_expires_at="now() + interval '6 days 23 hours'"))],
    "accounts-addressed": [
        Breakage(account()),
        Breakage(account(webhook_url="''"), DEPLOYED),
        Breakage(account("whatsapp", f'{{"businessAccountId":"1","phoneNumberId":"1","accessToken":{SECRET}}}', status="'error'")),
    ],
    "accounts-status": [
        Breakage(account(is_active="false"), state) for state in (FULL, DEPLOYED)
    ] + [Breakage(account(status="'inactive'"))],
    "accounts-webhooks": [
        Breakage(account(webhook_url=f"{HOOK}whatsapp/call/one'")),
        Breakage(account(webhook_url=f"{HOOK}twilio/voice/' || gen_random_uuid()")),
        Breakage(account(webhook_url=f"{HOOK}twilio/voice/'")),
        Breakage(account(webhook_url="'http://chat.example.com/api/webhooks/twilio/voice/one'")),
        Breakage(account("whatsapp", f'{{"businessAccountId":"1","phoneNumberId":"1","accessToken":{SECRET}}}', webhook_url=f"{HOOK}twilio/voice/one'")),
        Breakage(account("custom", f'{{"sipUri":"1","username":"1","password":{SECRET}}}', webhook_url="'ftp://x/y'")),
    ],
    "packages-capable": [
        Breakage(
            "ALTER TABLE chatapp.chatbot_packages DROP CONSTRAINT chatbot_packages_capability_check;"
            "UPDATE chatapp.chatbot_packages SET enable_chat = false, enable_call = false WHERE name = 'Package 2'"
        )
    ],
    "chatbots-capable": [
        Breakage(
            "ALTER TABLE chatapp.chatbots DROP CONSTRAINT chatbots_capability_check;"
            f"UPDATE chatapp.chatbots SET enabled_chat = false, enabled_call = false WHERE id = {ONE_CALL_BOT}"
        )
    ],
    "package-types-current": [
        Breakage(
            "INSERT INTO callctl.saved_value (chatbot_package_id, field, saved_by, value, left_there) SELECT id, 'chatbot_type', 'up', '\"voice\"',"
            "jsonb_build_object('chat', NOT enable_chat, 'call', enable_call) FROM chatapp.chatbot_packages WHERE name = 'Package 2'"
        )
    ],
    "chatbot-types-current": [
        Breakage(
            "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value, left_there) SELECT id, 'chatbot_type', 'up', '\"voice\"',"
            f"jsonb_build_object('chat', NOT enabled_chat, 'call', enabled_call) FROM chatapp.chatbots WHERE id = {ONE_CALL_BOT}"
        )
    ],
    "package-forms-agree": [
        Breakage(
            "ALTER TABLE chatapp.chatbot_packages DISABLE TRIGGER USER;"
            "UPDATE chatapp.chatbot_packages SET chatbotType = 'call' WHERE name = 'Package 2';"
            "ALTER TABLE chatapp.chatbot_packages ENABLE TRIGGER USER",
            DEFERRED,
        )
    ],
    "chatbot-forms-agree": [
        Breakage(
            "ALTER TABLE chatapp.chatbots DISABLE TRIGGER USER;"
            f"UPDATE chatapp.chatbots SET enabled_chat = true, enabled_call = false WHERE id = {ONE_CALL_BOT};"
            "ALTER TABLE chatapp.chatbots ENABLE TRIGGER USER",
            state,
        )
        for state in (DEFERRED, DEPLOYED_DEFERRED)
    ],
    "call-settings-awaited": [Breakage(f"UPDATE chatapp.chatbots SET settings = settings - 'call' WHERE id = {ONE_CALL_BOT}", DEFERRED)],
    "company-flag-boolean": [
        Breakage("UPDATE chatapp.companies SET settings = jsonb_set(settings, '{features,callEnabled}', '\"yes\"') WHERE slug = 'company-3'"),
        Breakage("UPDATE chatapp.companies SET settings = jsonb_set(settings, '{features,callEnabled}', 'null') WHERE slug = 'company-3'"),
    ],
    "company-settings-shape": [
        Breakage(f"INSERT INTO chatapp.companies (name, slug, settings) VALUES ('Later', 'later', '{value}')", state)
        for state in (FULL, DEPLOYED)
        for value in ("[]", "null", '"on"', '{"features": "all"}', '{"features": ["callEnabled"]}')
    ],
    "inheritance": [Breakage(breach("call", "chat")), Breakage(breach("chat", "call"))],
    "inheritance-recorded": [
        Breakage(f"INSERT INTO callctl.inheritance_breach (chatbot_id) SELECT {ONE_CALL_BOT}; {broken}")
        for broken in (breach("call", "chat"), breach("chat", "call"))
    ],
    "inheritance-rule-may-read": [
        Breakage(
            "CREATE ROLE powerless; ALTER FUNCTION chatapp.check_chatbot_capabilities() OWNER TO powerless", says="powerless"
        ),
        Breakage(
            "CREATE ROLE powerless; GRANT USAGE ON SCHEMA chatapp TO powerless; GRANT SELECT ON chatapp.chatbot_packages TO powerless;"
            "ALTER FUNCTION chatapp.check_chatbot_capabilities() OWNER TO powerless"
        ),
    ],
    "declared-secrets-encrypted": [
        Breakage(declared('{"password": "open"}'), says="settings.sip.password"),
        Breakage(declared('{"password": "open"}'), DEPLOYED, "settings.sip.password"),
        Breakage(declared(f'{{"trunks": [{{"secret": {SECRET}}}, {{"secret": {SECRET.replace("c0ffee", "C0FFEE")}}}]}}'), says="settings.sip.trunks[].secret"),
        Breakage(declared('{"password": 7}'), says="settings.sip.password"),
        Breakage(account("custom", f'{{"password":{SECRET}}}', last_error="'open'"), says="last_error"),
        *(Breakage(declared(f'{{"password": {cut}}}'), says="settings.sip.password") for cut in CUT),
        *(Breakage(account("custom", f'{{"password":{SECRET}}}', last_error=f"'{cut}'"), says="last_error") for cut in CUT),
    ],
    "declared-secrets-known-key": [
        Breakage(declared(f'{{"password": {SECRET}}}') + "SET LOCAL callctl.test_keys = 'k2'", says="settings.sip.password', 'k1'"),
        Breakage(account("custom", f'{{"password":{SECRET}}}', last_error=f"'{BARE}'") + "SET LOCAL callctl.test_keys = 'k1'", says="last_error', 'no id'"),
    ],
    "new-tables-policies": [
        Breakage("ALTER TABLE chatapp.calls ENABLE ROW LEVEL SECURITY", says="chatapp.calls"),
    ],
    "secrets-bound": [
        Breakage(BOUND.format("", "access_token") + account(access_token="'open'"), says="access_token', 'unbound: no envelope"),
        Breakage(BOUND.format("", "access_token") + account(access_token=f"'{SECRET}'"), says="access_token', 'unbound: version 1"),
        Breakage(BOUND.format("twilio", "credentials.authToken") + account(), says="credentials.authToken', 'unbound: version 1"),
    ],
    "new-tables-granted": [
        Breakage(
            "CREATE ROLE application; GRANT SELECT, INSERT, UPDATE, REFERENCES ON chatapp.chatbots TO application;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA chatapp TO application; GRANT UPDATE ON chatapp.calls TO PUBLIC",
            says="GRANT INSERT ON chatapp.calls TO application",
        ),
        Breakage("GRANT SELECT ON chatapp.chatbots TO PUBLIC", DEPLOYED, "GRANT SELECT ON chatapp.call_transcripts TO PUBLIC"),
    ],
    "nothing-half-done": [
        Breakage("INSERT INTO callctl.checkpoint (step, direction, sha256, statement, finished) VALUES (13, 'down', 'x', 1, true)")
    ],
    "indexes-valid": [
        Breakage("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chatapp.idx_chatbots_company_id'::regclass", says="idx_chatbots_company_id")
    ],
    "values-superseded": [
        Breakage(
            "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, superseded_at)"
            f" SELECT {ONE_CALL_BOT}, 'capabilities', 'down', now()"
        )
    ],
    "nothing-left-in-archive": [Breakage("CREATE TABLE callctl.calls ()", says="calls")],
    "archive-kept": [
        Breakage("ALTER TABLE callctl.calls ADD CONSTRAINT nn CHECK (conversation_id IS NOT NULL) NOT VALID", ARCHIVED, "constraint nn"),
        Breakage("ALTER TABLE callctl.integration_accounts FORCE ROW LEVEL SECURITY", ARCHIVED, "row security"),
        Breakage("CREATE FUNCTION public.eat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                 "CREATE TRIGGER eat BEFORE DELETE OR UPDATE ON callctl.calls FOR EACH ROW EXECUTE FUNCTION public.eat()", ARCHIVED, "trigger eat"),
        Breakage("CREATE INDEX \"Ours\" ON callctl.call_transcripts (role)", ARCHIVED, 'index "Ours"'),
        Breakage("CREATE RULE eat AS ON DELETE TO callctl.calls DO INSTEAD NOTHING", ARCHIVED, "rule eat"),
        Breakage("ALTER TABLE callctl.call_transcripts SET SCHEMA public", ARCHIVED, "the table"),
    ],
    "published-writes": [
        Breakage("CREATE PUBLICATION p FOR TABLE callctl.saved_value WHERE (value IS NOT NULL)", says="column value, which is not part", oldest=15),
        Breakage("CREATE PUBLICATION p FOR TABLE chatapp.calls (status), chatapp.users; ALTER TABLE chatapp.users REPLICA IDENTITY FULL", says="lacks id", oldest=15),
    ],
    "owners-reach-their-tables": [
        Breakage("CREATE ROLE mig; ALTER TABLE chatapp.calls OWNER TO mig", says="GRANT USAGE ON SCHEMA chatapp TO mig"),
        Breakage("CREATE ROLE mig; ALTER TABLE chatapp.integration_accounts OWNER TO mig; GRANT SELECT ON chatapp.chatbots TO mig", DEPLOYED, "chatapp.integration_accounts"),
    ],
    "store-sequences": [
        Breakage("ALTER SEQUENCE callctl.tally_id_seq RESTART 1", says="callctl.tally"),
        Breakage("ALTER SEQUENCE callctl.saved_value_id_seq RESTART 2", DEPLOYED_DEFERRED, "saved_value_id_seq"),
        Breakage("ALTER SEQUENCE callctl.tally_id_seq RESTART 9223372036854775807", says="callctl.tally"),
    ],
    "secrets-row-security": [
        Breakage("ALTER TABLE chatapp.chatbots ENABLE ROW LEVEL SECURITY; ALTER TABLE chatapp.companies ENABLE ROW LEVEL SECURITY",
                 says="ALTER TABLE chatapp.integration_accounts ENABLE"),
    ],
    "secrets-owned": [
        Breakage("CREATE ROLE stranger; ALTER TABLE chatapp.integration_accounts OWNER TO stranger", says="stranger"),
        Breakage("CREATE ROLE stranger; CREATE TABLE public.more () INHERITS (chatapp.integration_accounts); ALTER TABLE public.more OWNER TO stranger",
                 says="ALTER TABLE public.more OWNER TO"),
    ],
    "records-unchanged": [
        Breakage("ALTER TABLE callctl.saved_value ADD COLUMN extra int", says="not compared: its columns differ"),
        Breakage("DELETE FROM callctl.made", says="made"),
        Breakage("UPDATE callctl.definition SET ddl = 'SELECT 1'", DEPLOYED, "contents were changed"),
        Breakage("TRUNCATE callctl.tally", says="not recorded"),
        Breakage("DROP TABLE callctl.seeded_model", says="seeded_model"),
    ],
    "removed-rows-settled": [
        Breakage("INSERT INTO callctl.removed_row (relation, contents) SELECT 'saved_value', s::text FROM callctl.saved_value AS s LIMIT 1", says="saved_value")
    ],
    "no-model-waits": [Breakage(COUNTED + "INSERT INTO callctl.saved_row (relation, row_id, contents) VALUES ('ai_models', gen_random_uuid(), '{}')")],
}  # fmt: skip

# Why the advice of a failing check is no statement that a test could run. Checks that only warn are left out.
COMMAND = "commands of callctl, which test_advice.py runs"
BY_HAND = "what is right is known outside the database: to the customer, the administration or the provider"
NO_STATEMENT: dict[str, str] = {
    **dict.fromkeys(
        ("company-flags", "call-settings-present", "call-models", "no-model-waits", "load-test-removed", "records-unchanged"),
        COMMAND,
    ),
    "removed-rows-settled": "callctl migrate up: tests/db/test_removed_rows.py",
    "nothing-half-done": "a command of callctl's that status names: tests/faults stop a step and finish it",
    "accounts-secrets-encrypted": "rotate-secrets, which needs a key: test_rotation.py; a damaged one is known to the customer alone",
    "accounts-secrets-known-key": "the key is known to the operator alone",
    "declared-secrets-encrypted": "rotate-secrets, which needs a key: test_declared_fields.py",
    "declared-secrets-known-key": "the key is known to the operator alone",
    "secrets-bound": "rotate-secrets --bind-new, which needs a key: test_bound.py",
    "nothing-left-in-archive": "which of the two tables has the newer rows is for a person to say",
    "package-type-remembered": "what was written down comes back from a backup alone",
    "chatbot-type-remembered": "what was written down comes back from a backup alone",
    "rotation-orphans": "a rotation's row comes back from a backup alone",
    **dict.fromkeys(
        ("accounts-webhooks", "call-settings-in-range", "calls-duration", "calls-e164", "calls-rated", "calls-status", "calls-one-tenant", "calls-timed",
         "chatbot-forms-agree", "package-forms-agree", "chatbots-capable", "packages-capable", "company-flag-boolean", "company-settings-shape",
         "inheritance", "call-models-take-calls", "transcripts-in-call", "transcripts-ordered", "transcripts-timed"),
        BY_HAND,
    ),
}  # fmt: skip

# Rows that are as they should be, and that no check may speak of.
RIGHT = {
    "calls": "".join((
        call(columns="from_number, to_number, call_quality, sentiment_score", values="'+15550100', '+4930123456', 5, -100"),
        call(duration="61").split(";", 1)[1], call("in_progress", ended=None, duration=None).split(";", 1)[1],
        call("pending", started=None, answered=None, ended=None, duration=None).split(";", 1)[1],
        call("no_answer", answered=None, duration=None).split(";", 1)[1],
        call("failed", answered=None, ended=None, duration=None).split(";", 1)[1],
    )),
    "transcripts": call() + transcript(0, 61_000) + "".join(
        f"INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration)"
        f" SELECT id, '{role}', 'hello', 0, 100, 100 FROM chatapp.calls;" for role in ("assistant", "system", "system")
    ),
    "accounts": account(access_token=f"'{SECRET}'", refresh_token=f"' {BARE} '") + account(credentials=TWILIO.replace(SECRET, BARE))
    + "UPDATE chatapp.integration_accounts SET webhook_url = 'https://chat.example.com/api/webhooks/twilio/voice/' || id;"
    + account(webhook_url=f"{HOOK}twilio/voice/test-account-id'")
    + account(webhook_url=f"{HOOK}twilio/voice/test-2'", last_error="'x'", last_error_at="now() - interval '59 minutes'", status="'error'",
              token_expires_at="now() + interval '8 days'") + account(status="'inactive'", is_active="false", token_expires_at="now()")
    + account("custom", f'{{"sipUri":"sip:a@b","username":"u","password":{SECRET},"turnServers":[{{"urls":"turn:x","credential":{BARE}}}]}}'),
    "settings": f"UPDATE chatapp.chatbots SET settings = jsonb_set(settings, '{{call}}', '{{\"voiceId\": \"x\", \"voiceProvider\": \"google\", \"silenceTimeout\": 30.0}}') WHERE id = {ONE_CALL_BOT}",
    "secrets of its own": declared(f'{{"password": {SECRET}, "trunks": [{{"secret": {BARE}}}, {{"secret": null}}, {{}}]}}')
    + account("custom", f'{{"sipUri":"sip:a@b","username":"u","password":{SECRET}}}', last_error=f"'{SECRET}'", last_error_at="now() - interval '59 minutes'", status="'error'",
              webhook_url=f"{HOOK}custom/voice/test-3'"),
    "accounts that are deleted, switched off or not set up": "".join((
        *(account(deleted_at="now()", **wrong) for wrong in (
            {"status": "'error'"}, {"token_expires_at": "now()"}, {"credentials": "{}"}, {"is_active": "false"}, {"status": "'inactive'"})),
        account(is_active="false", status="'error'", credentials="{}", token_expires_at="now()"),
        account(status="'pending'"),
        account("custom", f'{{"sipUri":"sip:a@b","username":"u","password":{SECRET}}}', status="'pending'", webhook_url="'https://[2001:db8::1]:8443/a?b=%20'"),
        account(webhook_url=f"{HOOK}twilio/voice/test-4'", last_error="'x'", last_error_at="now() - interval '61 minutes'", last_verified_at="now()"),
    )),
    "settings at the lower ends of their ranges": "".join(
        settings(path, value).sql + ";" for path, value in (
            ("voiceSettings,pitch", "-1"), ("voiceSettings,speed", "0.5"), ("voiceSettings,stability", "0"), ("silenceTimeout", "30"),
            ("maxCallDuration", "60"), ("vadThreshold", "0"), ("callGreeting", '""'), ("callButtonText", '""'),
        )
    ),
    "settings at the upper ends": "".join(
        settings(path, value).sql + ";" for path, value in (
            ("voiceSettings,pitch", "1.0"), ("voiceSettings,speed", "2"), ("voiceSettings,stability", "1"), ("silenceTimeout", "300"),
            ("maxCallDuration", "3600"), ("vadThreshold", "1"), ("callGreeting", '"' + "x" * 500 + '"'), ("callButtonText", '"' + "x" * 50 + '"'),
        )
    ),
    "call settings of what takes no calls": "UPDATE chatapp.chatbots SET settings = '{\"call\": {\"voiceId\": \"ash\", \"silenceTimeout\": 1}}' WHERE NOT enabled_call",
    "prices of models that take no calls": "UPDATE chatapp.ai_models SET output_cost_per_token = NULL, deletedAt = now() WHERE model_name = 'gemini-2.0-flash-exp';"
    "UPDATE chatapp.ai_models SET audio_cost_per_second_input = 1 WHERE model_type = 'chat'",
    "sessions that do not write here": f"CREATE ROLE loader; GRANT USAGE ON SCHEMA chatapp TO loader; GRANT SELECT ON chatapp.users TO loader; ALTER ROLE loader {READ_ONLY};"
    f"ALTER DATABASE template1 {REPLICA}; ALTER DATABASE template1 {READ_ONLY}; CREATE ROLE writer SUPERUSER; ALTER ROLE writer SET default_transaction_read_only = off;"
    f"ALTER ROLE writer {REPLICA}; ALTER ROLE writer {WRITES}; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA chatapp, callctl TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA chatapp, callctl TO reader;"
    f"ALTER ROLE reader {REPLICA}; ALTER ROLE reader {WRITES}; {ON_THIS.format(setting='SET transaction_read_only = on')};"
    "DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$;"
    f"CREATE ROLE elsewhere LOGIN; GRANT USAGE ON SCHEMA chatapp TO elsewhere; GRANT INSERT ON chatapp.users TO elsewhere; ALTER ROLE elsewhere {READ_ONLY}; ALTER ROLE elsewhere {REPLICA}",
    "what a role that owns the platform's tables owns": "CREATE ROLE plat; GRANT USAGE ON SCHEMA chatapp TO plat; GRANT plat TO CURRENT_USER; ALTER TABLE chatapp.chatbots OWNER TO plat;"
    "CREATE ROLE own; GRANT plat TO own; ALTER TABLE chatapp.integration_accounts OWNER TO own",
    "sequences ahead": "ALTER SEQUENCE callctl.tally_id_seq RESTART 100000; ALTER SEQUENCE callctl.history_id_seq RESTART 1000; ALTER SEQUENCE callctl.saved_value_id_seq RESTART 9000000000000000000",
    "a grant on what holds no secret": "CREATE ROLE counter; GRANT USAGE ON ALL SEQUENCES IN SCHEMA callctl TO counter",
    "a company made later": "INSERT INTO chatapp.companies (name, slug) VALUES ('Later', 'later')",
}  # fmt: skip


def check_ids() -> list[str]:
    """Every check of rows, and of what the contract does not say, that verify may run."""
    names = [f"steps/{step.name}/verify.sql" for step in step_directories()] + list(sql_names("verify"))
    return [
        statement.check.id
        for name in names
        for statement in load_script(name).statements
        if statement.check is not None
    ]


def test_every_check_has_a_breakage() -> None:
    ids = check_ids()
    assert sorted(ids) == sorted(set(ids)), "two checks of one id"
    assert set(BREAKAGES) == set(ids)


def test_every_check_says_what_it_means_and_what_mends_it() -> None:
    names = [f"steps/{step.name}/verify.sql" for step in step_directories()] + list(sql_names("verify"))
    assert [name for name in names if not {"means", "fix"} <= set(load_script(name).header)] == []


@pytest.mark.parametrize(
    "state",
    [
        FULL,
        DEPLOYED,
        State("documented", to=4),
        State("documented", to=3),
        State("documented", to=9),
        DEFERRED,
        DEPLOYED_DEFERRED,
        ARCHIVED,
    ],
    ids=str,
)
def test_verify_passes_after_up(migrated: Migrated, state: State) -> None:
    with connection_to(migrated.url(state)) as db:
        report = examine(db, Settings(secret_fields=DECLARED_FIELDS[2:]))
    assert [check for check in report.checks if not check.passed] == []
    assert report.passed


@pytest.mark.fewer(25)
@pytest.mark.parametrize("check", BREAKAGES)
def test_verify_fails_when_it_is_broken(migrated: Migrated, check: str) -> None:
    for breakage in BREAKAGES[check]:
        with connection_to(migrated.url(breakage.state)) as db:
            if not breakage.can_be(db):
                continue
            db.execute(breakage.sql.encode())
            keys = db.execute("SELECT current_setting('callctl.test_keys', true)").fetchone()
            ring = keys[0].split() if keys and keys[0] else []
            report = examine(db, Settings(keys=key_config(*ring) if ring else None, secret_fields=DECLARED_FIELDS))
        failing = {result.id: result for result in report.checks if not result.passed}
        assert check in failing, breakage.sql
        failed = failing[check]
        assert failed.error is None
        assert failed.count > 0
        assert failed.means
        assert failed.mends
        assert breakage.says in f"{failed.columns} {failed.sample}", failed
        assert report.passed == all(result.warns for result in failing.values())


def advised(report: Report) -> list[str]:
    """The statements that a report of verify gives for what fails, in its order."""
    given = []
    for check in report.checks:
        if not check.passed and not check.warns:
            if "statement" in check.columns:
                given += [
                    row[check.columns.index("statement")]
                    for row in check.sample
                    if row[check.columns.index("statement")]
                ]
            given += [statement for statement in check.mends if statement.endswith(";")]
    return given


@pytest.mark.fewer(12)
@pytest.mark.parametrize("check", [check for check in BREAKAGES if check not in NO_STATEMENT])
def test_what_a_failing_check_advises_ends_in_a_passing_verify(migrated: Migrated, check: str) -> None:
    for breakage in BREAKAGES[check]:
        with connection_to(migrated.url(breakage.state)) as db:
            if not breakage.can_be(db):
                continue
            db.execute(breakage.sql.encode())
            report = examine(db, Settings())
            if check not in {result.id for result in report.checks if not result.passed and not result.warns}:
                continue  # it only warns
            # Rows first: a constraint that is missing comes back only where every row keeps it.
            given = sorted(dict.fromkeys(advised(report)), key=lambda text: text.startswith("ALTER TABLE"))
            assert given, breakage.sql
            for statement in given:
                db.execute(statement.replace(" CONCURRENTLY", "").encode())
            failing = [
                (result.id, result.sample)
                for result in examine(db, Settings()).checks
                if not result.passed and not result.warns
            ]
        assert failing == [], (breakage.sql, given)


@pytest.mark.parametrize(
    "then",
    [
        "ALTER ROLE mid SUPERUSER",
        "CREATE ROLE plat; GRANT USAGE ON SCHEMA chatapp TO plat; ALTER TABLE chatapp.users OWNER TO plat; ALTER TABLE chatapp.integration_accounts OWNER TO plat; GRANT plat TO mid",
    ],
)
def test_a_grant_that_no_statement_takes_back(migrated: Migrated, then: str) -> None:
    """Its grantor now acts as the owner: REVOKE, and GRANT OPTION FOR, leave it where it is."""
    lent = f"{LENT}; GRANT SELECT ON chatapp.chatbots TO mid; SET ROLE mid; GRANT SELECT ON chatapp.integration_accounts TO evil; RESET ROLE; "
    with connection_to(migrated.url(FULL)) as db:
        db.execute(f"{lent}{then}".encode())
        (check,) = (result for result in examine(db, Settings(), fast=True).checks if result.id == "secrets-closed")
        assert [row[1] for row in check.sample] == ["evil"]
        assert "mid granted it before it became a superuser, or a member of " in check.sample[0][3]
        db.execute("ALTER ROLE mid NOSUPERUSER")
        if "plat" in then:
            db.execute("REVOKE plat FROM mid")
        (check,) = (result for result in examine(db, Settings(), fast=True).checks if result.id == "secrets-closed")
        db.execute(check.sample[0][3].encode())
        assert examine(db, Settings(), fast=True).passed


@pytest.mark.parametrize("rows", RIGHT)
def test_verify_has_nothing_to_say_of_what_is_right(migrated: Migrated, rows: str) -> None:
    with connection_to(migrated.url(FULL)) as db:
        db.execute(RIGHT[rows].encode())
        report = examine(db, Settings(keys=key_config("k1", legacy=True), secret_fields=DECLARED_FIELDS))
    about = {"calls-constraints", "call-transcripts-constraints"}  # dropped on the way
    assert [check for check in report.checks if not check.passed and check.id not in about] == []


def test_every_foreign_key_has_a_check_for_orphans(migrated: Migrated) -> None:
    """Those of the new tables and of callctl's own; test_mutations.py plants orphans under those of the new tables."""
    texts = [read_sql(name) for name in sql_names("verify") if name.endswith("_orphans.sql")]
    with connection_to(migrated.url(FULL)) as db:
        keys = db.execute(
            "SELECT k.conrelid::regclass::text, a.attname FROM pg_constraint k"
            " JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)"
            " WHERE k.contype = 'f' AND (k.connamespace = 'callctl'::regnamespace OR k.conrelid::regclass::text = ANY (%s))",
            (["chatapp.calls", "chatapp.call_transcripts", "chatapp.integration_accounts"],),
        ).fetchall()
    assert len(keys) >= 17
    assert [key for key in keys if not any(key[0] in text and f".{key[1]}" in text for text in texts)] == []
