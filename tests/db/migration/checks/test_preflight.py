"""Each question of preflight, in a database where the answer is not well."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from tests.conftest import connect
from tests.support.db.hung_on_columns import tablespace
from tests.support.db.preflight_asking import SETTINGS, Connection, ask, objects, of
from tests.support.steps import ALL

from callctl.database.store import schema_sql
from callctl.migration.checks import preflight as module
from callctl.migration.checks.findings import Finding, parse_question, questions
from callctl.migration.checks.preflight import preflight
from callctl.statements.naming import read_naming


@dataclass(frozen=True)
class Case:
    """What is done to a copy of a baseline, and the finding that must come of it."""

    id: str
    level: str
    object: str | None
    setup: str
    says: str = ""
    baseline: str = "documented"
    pending: Sequence[int] = ALL
    direction: str = "up"
    before: Sequence[str] = field(default=())
    # The oldest major version that can be set up so.
    oldest: int = 12

    def __str__(self) -> str:
        return f"{self.id}-{self.baseline}-{self.object or self.level}".replace(" ", "_")


TRIGGER = "CREATE FUNCTION chatapp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
FLAGS = """
    ALTER TABLE chatapp.chatbots ADD enabled_chat boolean NOT NULL DEFAULT true,
        ADD enabled_call boolean NOT NULL DEFAULT false;
    ALTER TABLE chatapp.chatbot_packages ADD enable_chat boolean NOT NULL DEFAULT true,
        ADD enable_call boolean NOT NULL DEFAULT false;
"""
CALLS = """
    CREATE TABLE chatapp.calls (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), status text,
        created_at timestamptz DEFAULT now(), deleted_at timestamptz);
"""

# An archived table, and a foreign key of it that going down has written down.
AGENT_KEY = """
    CREATE TABLE callctl.calls (id uuid PRIMARY KEY, agent uuid);
    INSERT INTO callctl.definition (step, ordinal, relation, kind, name, ddl, detail)
    VALUES (10, 1, 'calls', 'foreign key', 'calls_agent_fkey', 'FOREIGN KEY (agent) REFERENCES chatapp.agents(id)',
            '{"validated": true}');
"""

CASES = (
    # What the server is.
    Case("server-features", "blocks", "plpgsql", "DROP EXTENSION plpgsql CASCADE"),
    Case(
        "server-features",
        "blocks",
        "english",
        "ALTER TEXT SEARCH CONFIGURATION pg_catalog.english RENAME TO e",
    ),
    # What the tables are.
    Case("expected-tables", "blocks", "chatapp.end_users", "ALTER TABLE chatapp.end_users RENAME TO gone"),
    Case(
        "expected-tables",
        "blocks",
        "chatapp.conversations",
        """ALTER TABLE chatapp.conversations RENAME TO stored;
           CREATE VIEW chatapp.conversations AS SELECT * FROM chatapp.stored""",
        says="a view",
    ),
    Case(
        "expected-tables",
        "blocks",
        "chatapp.conversations",
        """ALTER TABLE chatapp.conversations RENAME TO stored;
           CREATE TABLE chatapp.conversations (id uuid PRIMARY KEY) PARTITION BY HASH (id)""",
        says="partitioned table",
    ),
    Case(
        "inheritance-children",
        "blocks",
        "archived",
        "CREATE TABLE public.archived () INHERITS (chatapp.users)",
    ),
    Case(
        "expected-columns",
        "blocks",
        "chatapp.companies.settings",
        "ALTER TABLE chatapp.companies ALTER settings TYPE json USING settings::json",
        says="json; the step needs jsonb",
    ),
    Case(
        "expected-columns",
        "blocks",
        "chatapp.users.avatar_url",
        "ALTER TABLE chatapp.users RENAME avatar_url TO picture",
    ),
    Case(
        "expected-columns",
        "blocks",
        "chatapp.users.avatar_url",
        "ALTER TABLE chatapp.users ALTER avatar_url TYPE bytea USING NULL",
        says="bytea",
        baseline="deployed",
    ),
    Case(
        "expected-columns",
        "blocks",
        "chatapp.end_users.id",
        "ALTER TABLE chatapp.end_users DROP CONSTRAINT end_users_pkey CASCADE",
        says="no primary key",
    ),
    Case(
        "type-column",
        "blocks",
        "chatapp.chatbots.chatbot_type",
        "ALTER TYPE public.chatbot_type RENAME VALUE 'call' TO 'phone'",
        says="no label 'call'",
        baseline="deployed",
    ),
    Case(
        "type-column",
        "blocks",
        "chatapp.chatbot_packages.chatbottype",
        """CREATE DOMAIN public.kind AS text;
           ALTER TABLE chatapp.chatbot_packages ALTER chatbottype TYPE public.kind""",
        says="kind",
    ),
    Case(
        "model-columns",
        "blocks",
        "chatapp.ai_models.supports_audio",
        """ALTER TABLE chatapp.ai_models ALTER supports_audio DROP DEFAULT,
               ALTER supports_audio TYPE text""",
        says="should be bool",
    ),
    Case(
        "model-columns",
        "blocks",
        "chatapp.ai_models.input_limit",
        "ALTER TABLE chatapp.ai_models ALTER input_limit TYPE text",
        baseline="deployed",
    ),
    Case(
        "model-columns",
        "blocks",
        "chatapp.ai_models.owner",
        """ALTER TABLE chatapp.ai_models ADD owner text NOT NULL DEFAULT '';
           ALTER TABLE chatapp.ai_models ALTER owner DROP DEFAULT""",
    ),
    Case(
        "model-columns",
        "blocks",
        "ai_model_provider",
        "ALTER TYPE public.ai_model_provider RENAME VALUE 'google' TO 'alphabet'",
        says="no label 'google'",
        baseline="deployed",
    ),
    Case(
        "updated-at-function",
        "blocks",
        "chatapp.update_updated_at_column()",
        "CREATE FUNCTION chatapp.update_updated_at_column() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        says="integer",
        baseline="deployed",
    ),
    # What depends on what changes.
    *(
        Case("dependents", "blocks", object, setup.format(type=type), says=says, baseline=baseline)
        for baseline, type in (("documented", "chatbottype"), ("deployed", "chatbot_type"))
        for object, says, setup in (
            ("bots", "step 6 drops", "CREATE VIEW public.bots AS SELECT id, {type} FROM chatapp.chatbots"),
            (
                "packs",
                "step 5 drops",
                "CREATE VIEW public.packs AS SELECT {type} FROM chatapp.chatbot_packages",
            ),
            ("faces", "view faces", "CREATE VIEW public.faces AS SELECT avatar_url FROM chatapp.users"),
            (
                "sums",
                "materialized view",
                "CREATE MATERIALIZED VIEW public.sums AS SELECT {type} FROM chatapp.chatbots",
            ),
            (
                "rule loud on table chatapp.chatbots",
                "step 6 drops",
                """CREATE RULE loud AS ON UPDATE TO chatapp.chatbots WHERE NEW.{type} IS NULL
                   DO ALSO DELETE FROM chatapp.messages""",
            ),
            (
                "policy mine on table chatapp.chatbots",
                "step 6 drops",
                "CREATE POLICY mine ON chatapp.chatbots USING ({type} IS NOT NULL)",
            ),
            (
                "chatapp.chatbots.kind",
                "generated column",
                "ALTER TABLE chatapp.chatbots ADD kind boolean GENERATED ALWAYS AS ({type} IS NULL) STORED",
            ),
            (
                "trigger t on table chatapp.users",
                "avatar_url",
                TRIGGER + "CREATE TRIGGER t BEFORE UPDATE OF avatar_url ON chatapp.users FOR EACH ROW "
                "EXECUTE FUNCTION chatapp.nothing()",
            ),
            (
                "trigger w on table chatapp.chatbots",
                "step 6 drops",
                TRIGGER + "CREATE TRIGGER w BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW "
                "WHEN (NEW.{type} IS NULL) EXECUTE FUNCTION chatapp.nothing()",
            ),
        )
    ),
    Case(
        "dependents",
        "blocks",
        "holder.who",
        "CREATE TABLE public.holder (who chatapp.users)",
        says="rows of the type",
    ),
    Case(
        "functions-mentioning-type",
        "warns",
        "chatapp.kind(uuid)",
        """CREATE FUNCTION chatapp.kind(uuid) RETURNS text LANGUAGE plpgsql AS
           'BEGIN RETURN (SELECT ChatbotType FROM chatapp.chatbots WHERE id = $1); END'""",
    ),
    Case(
        "functions-mentioning-type",
        "warns",
        "kind()",
        """CREATE FUNCTION public.kind() RETURNS text LANGUAGE sql AS
           'SELECT max(chatbot_type::text) FROM chatapp.chatbots'""",
        baseline="deployed",
    ),
    Case(
        "event-triggers",
        "warns",
        "watch",
        """CREATE FUNCTION public.seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
           CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.seen()""",
    ),
    Case(
        "platform-triggers",
        "warns",
        "update_chatbots_updated_at on chatapp.chatbots",
        "SELECT",
        says="step 3 or 4 or 6 or 12",
    ),
    Case(
        "platform-triggers",
        "warns",
        "untouched on chatapp.companies",
        "CREATE RULE untouched AS ON UPDATE TO chatapp.companies DO INSTEAD NOTHING",
        says="rule untouched on chatapp.companies rewrites what step 12 writes",
    ),
    Case(
        "type-column",
        "blocks",
        "chatapp.chatbots.chatbottype",
        """CREATE COLLATION public.odd (provider = libc, locale = 'C');
           ALTER TABLE chatapp.chatbots ALTER COLUMN chatbottype TYPE varchar(50) COLLATE public.odd;
           UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'odd'""",
        says="different spellings are equal",
    ),
    *(
        Case(
            "platform-triggers",
            "warns",
            "odd on chatapp.companies",
            f"""CREATE FUNCTION chatapp.odd() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE r record; BEGIN {body} END';
               CREATE TRIGGER odd BEFORE UPDATE ON chatapp.companies FOR EACH ROW EXECUTE FUNCTION chatapp.odd()""",
            says=says,
        )
        for body, says in (
            ("RETURN NULL;", "step 12 writes; it may swallow the row (RETURN NULL)"),
            ("RETURN r;", "step 12 writes; not known whether it keeps the row (RETURN r)"),
        )
    ),
    Case(
        "platform-triggers",
        "blocks",
        "zzzz_last on chatapp.chatbots",
        """CREATE FUNCTION chatapp.last() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
           CREATE TRIGGER zzzz_last BEFORE UPDATE ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION chatapp.last()""",
        says="fires behind callctl's",
    ),
    Case(
        "avatar-indexes",
        "warns",
        "chatapp.users_avatar_idx",
        "CREATE INDEX users_avatar_idx ON chatapp.users (avatar_url)",
    ),
    Case(
        "statistics-objects",
        "warns",
        "chatapp.pair",
        "CREATE STATISTICS chatapp.pair ON chatbottype, company_id FROM chatapp.chatbots",
    ),
    Case(
        "dependents",
        "blocks",
        "chats_once on chatapp.chatbots",
        """ALTER TABLE chatapp.chatbots ADD CONSTRAINT chats_once
           EXCLUDE USING btree (id WITH =) WHERE (chatbottype = 'chat')""",
    ),
    *(
        Case(
            "dependents",
            "blocks",
            "sequence chatapp.types",
            f"CREATE SEQUENCE chatapp.types OWNED BY chatapp.{table}.chatbot_type",
            says=f"which step {step} drops",
            baseline="deployed",
        )
        for step, table in ((5, "chatbot_packages"), (6, "chatbots"))
    ),
    Case(
        "avatar-exclusion",
        "blocks",
        "chatapp.avatars_once",
        """ALTER TABLE chatapp.users ADD CONSTRAINT avatars_once
           EXCLUDE USING btree (id WITH =, avatar_url WITH =) USING INDEX TABLESPACE callctl_test_space""",
        says="is in tablespace callctl_test_space",
        before=("tablespace",),
    ),
    *(
        Case(
            "security-labels",
            "warns",
            f"chatapp.{table}.chatbottype",
            f"""INSERT INTO pg_seclabel (objoid, classoid, objsubid, provider, label)
                SELECT attrelid, 'pg_class'::regclass, attnum, 'anon', 'MASKED' FROM pg_attribute
                WHERE attrelid = 'chatapp.{table}'::regclass AND attname = 'chatbottype'""",
            says="has a security label of anon",
            before=("labels",),
        )
        for table in ("chatbots", "chatbot_packages")
    ),
    # What is there already.
    *(
        Case("target-objects", "blocks", object, setup, says=f"step {step} is", baseline="deployed")
        for step, object, setup in (
            (3, "chatapp.chatbots.enabled_call", "ALTER TABLE chatapp.chatbots ADD enabled_call integer"),
            (7, "chatapp.ai_models.model_type", "ALTER TABLE chatapp.ai_models ADD model_type text"),
            (10, "chatapp.calls", "CREATE TABLE chatapp.calls (id integer)"),
            (9, "chatapp.integration_accounts", "CREATE TYPE chatapp.integration_accounts AS ENUM ('a')"),
            (
                4,
                "chatapp.idx_chatbots_capabilities",
                "CREATE INDEX idx_chatbots_capabilities ON chatapp.chatbots(id)",
            ),
            (
                4,
                "chatbots_capability_check on chatapp.chatbots",
                "ALTER TABLE chatapp.chatbots ADD CONSTRAINT chatbots_capability_check CHECK (true)",
            ),
            (
                6,
                "chatapp.check_chatbot_capabilities()",
                "CREATE FUNCTION chatapp.check_chatbot_capabilities() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ),
            (
                6,
                "check_chatbot_capabilities on chatapp.chatbots",
                TRIGGER + "CREATE TRIGGER check_chatbot_capabilities BEFORE UPDATE ON chatapp.chatbots "
                "FOR EACH ROW EXECUTE FUNCTION chatapp.nothing()",
            ),
        )
    ),
    Case(
        "store",
        "blocks",
        "callctl",
        "CREATE SCHEMA callctl; CREATE TABLE callctl.theirs ()",
        says="belongs to another program",
    ),
    Case(
        "store",
        "blocks",
        "other",
        "INSERT INTO callctl.installation (platform_schema) VALUES ('other')",
        before=["store"],
    ),
    Case(
        "superseded-values",
        "warns",
        "chatbots",
        """INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, superseded_at)
           VALUES (gen_random_uuid(), 'chatbot_type', 'up', now())""",
        says="chatbots.chatbot_type that were replaced by a newer write: 1",
        before=["store"],
    ),
    # What the rows say.
    Case(
        "type-values",
        "warns",
        "chatbots",
        """UPDATE chatapp.chatbots SET chatbottype = 'Voice'
           WHERE id IN (SELECT id FROM chatapp.chatbots LIMIT 3)""",
        says='chatbots of type "Voice": 3,',
    ),
    Case(
        "type-values",
        "warns",
        "chatbot_packages",
        "UPDATE chatapp.chatbot_packages SET chatbottype = NULL",
        says="NULL: ",
    ),
    Case(
        "type-values",
        "warns",
        "chatbots",
        "UPDATE chatapp.chatbots SET chatbottype = ''",
        says='of type "": 200',
    ),
    Case(
        "type-values",
        "ok",
        "chatbots",
        "UPDATE chatapp.chatbots SET chatbot_type = 'call'",
        says=": 200",
        baseline="deployed",
    ),
    Case(
        "avatar-lengths",
        "ok",
        None,
        "UPDATE chatapp.users SET avatar_url = repeat('x', 480)",
        says="has 480 characters, longer than 400: ",
    ),
    Case(
        "package-rule",
        "warns",
        "00000000-0000-0000-0000-00000000000a",
        """INSERT INTO chatapp.chatbot_packages (id, name, chatbottype)
           VALUES ('00000000-0000-0000-0000-00000000000b', 'p', 'chat');
           INSERT INTO chatapp.chatbots (id, company_id, package_id, name, chatbottype)
           SELECT '00000000-0000-0000-0000-00000000000a', id, '00000000-0000-0000-0000-00000000000b',
                  'c', 'call'
           FROM chatapp.companies LIMIT 1""",
        says='of type "call" in a package of another type: ',
    ),
    Case(
        "package-rule",
        "warns",
        None,
        FLAGS + "UPDATE chatapp.chatbots SET enabled_call = true WHERE package_id IS NOT NULL",
        says="that their package does not allow: ",
        pending=(5, 6),
    ),
    *(
        Case(
            "company-settings",
            "blocks",
            "00000000-0000-0000-0000-00000000000c",
            setup,
            says=says,
            baseline="deployed",
        )
        for says, setup in (
            (
                f"{problem}: 1",
                (
                    "INSERT INTO chatapp.companies SELECT (jsonb_populate_record(c, jsonb_build_object('id', "
                    "'00000000-0000-0000-0000-00000000000c', 'name', 'n', 'slug', 'n-n', 'settings', "
                    f"'{value}'::jsonb))).* FROM chatapp.companies AS c LIMIT 1"
                ),
            )
            for problem, value in (
                ("not an object but array", "[1]"),
                ("not an object but string", '"on"'),
                ("settings.features is not an object but number", '{"features": 3}'),
                ("callEnabled is not true or false but string", '{"features": {"callEnabled": "yes"}}'),
            )
        )
    ),
    Case("chatbot-settings", "blocks", None, "UPDATE chatapp.chatbots SET settings = '[]'", says="array: 200"),
    Case(
        "chatbot-settings",
        "warns",
        None,
        "UPDATE chatapp.chatbots SET settings = '{\"call\": 7}'",
        says="number: 200",
    ),
    Case(
        "active-calls",
        "warns",
        None,
        CALLS + "INSERT INTO chatapp.calls (status) VALUES ('ringing'), ('ringing'), ('completed')",
        says="calls that are ringing: 2",
        pending=(12, 13),
    ),
    # What goes on.
    Case(
        "invalid-indexes",
        "warns",
        "chatapp.chatbots_pkey",
        """UPDATE pg_index SET indisvalid = false
           WHERE indexrelid = 'chatapp.chatbots_pkey'::regclass""",
    ),
    Case(
        "unvalidated-constraints",
        "warns",
        "odd on chatapp.users",
        "ALTER TABLE chatapp.users ADD CONSTRAINT odd CHECK (email <> '') NOT VALID",
    ),
    Case("table-sizes", "ok", "chatapp.chatbots", "ANALYZE", says="about 200 rows"),
    Case("table-sizes", "unknown", None, "SELECT", says="how much disk is free"),
    Case("prepared-statements", "warns", None, "SELECT", says="one error"),
    Case(
        "publications",
        "blocks",
        "chatapp.companies",
        """ALTER TABLE chatapp.companies REPLICA IDENTITY NOTHING;
           CREATE PUBLICATION one FOR TABLE chatapp.companies""",
        says="no replica identity",
    ),
    Case(
        "publications",
        "blocks",
        "callctl.saved_value",
        "CREATE PUBLICATION p FOR TABLE callctl.saved_value WHERE (value IS NOT NULL)",
        says="refuses UPDATE and DELETE",
        before=("store",),
        oldest=15,
    ),
    Case("publications", "warns", "everything", "CREATE PUBLICATION everything FOR ALL TABLES"),
    Case(
        "publications",
        "warns",
        "chatapp.users",
        "CREATE PUBLICATION part FOR TABLE chatapp.users",
        says="publication part",
    ),
    # Going down.
    Case(
        "avatar-too-long",
        "blocks",
        None,
        """SELECT callctl.remember_column_type(1, 'chatapp.users', 'avatar_url');
           ALTER TABLE chatapp.users ALTER avatar_url TYPE text;
           UPDATE chatapp.users SET avatar_url = repeat('x', 777)
           WHERE id IN (SELECT id FROM chatapp.users ORDER BY id LIMIT 2)""",
        says="longer than 500 characters: 2 (the longest has 777)",
        direction="down",
        before=["store"],
    ),
    Case(
        "models-in-use",
        "blocks",
        "00000000-0000-0000-0000-00000000000d",
        """INSERT INTO chatapp.ai_models (id, provider, model_name, display_name)
           VALUES ('00000000-0000-0000-0000-00000000000d', 'openai', 'm', 'm');
           INSERT INTO callctl.made (step, kind, relation, name)
           VALUES (13, 'row', 'ai_models', '00000000-0000-0000-0000-00000000000d');
           UPDATE chatapp.chatbots SET ai_model_id = '00000000-0000-0000-0000-00000000000d'""",
        says="used by 200 rows of chatapp.chatbots",
        direction="down",
        before=["store"],
    ),
    Case(
        "removed-dependents",
        "blocks",
        "callers",
        FLAGS + "CREATE VIEW public.callers AS SELECT id FROM chatapp.chatbots WHERE enabled_call",
        says="migrate down from step 3 removes",
        direction="down",
        before=["store"],
    ),
    Case(
        "removed-dependents",
        "blocks",
        "loud",
        """ALTER TABLE chatapp.ai_models ADD note text;
           CREATE VIEW public.loud AS SELECT note FROM chatapp.ai_models;
           INSERT INTO callctl.made (step, kind, relation, name) VALUES (7, 'column', 'ai_models', 'note')""",
        says="step 7 removes",
        direction="down",
        before=["store"],
    ),
    Case(
        "removed-dependents",
        "blocks",
        "chatapp.chatbots.silent",
        FLAGS + "ALTER TABLE chatapp.chatbots ADD silent boolean GENERATED ALWAYS AS (NOT enabled_call) STORED",
        says="generated column",
        direction="down",
        before=["store"],
    ),
    Case(
        "removed-dependents",
        "warns",
        "can_call()",
        """CREATE FUNCTION public.can_call() RETURNS text LANGUAGE plpgsql AS
           'BEGIN RETURN enabled_call; END'""",
        direction="down",
    ),
    Case("applied-tables", "blocks", "chatapp.calls", "SELECT", says="step 10 made it", direction="down"),
    Case(
        "expected-tables",
        "blocks",
        "chatapp.users",
        "ALTER TABLE chatapp.users RENAME TO people",
        says="is not there",
        direction="down",
    ),
    Case(
        "archived-dependents",
        "warns",
        "lately",
        CALLS + "CREATE VIEW public.lately AS SELECT id FROM chatapp.calls",
        direction="down",
    ),
    Case(
        "archived-dependents",
        "warns",
        "bill_call_fkey on bill",
        CALLS + "CREATE TABLE public.bill (call uuid REFERENCES chatapp.calls)",
        direction="down",
    ),
    Case(
        "restored-objects",
        "blocks",
        "chatapp.chatbots.chatbottype",
        """INSERT INTO callctl.definition (step, ordinal, relation, kind, name, ddl)
           VALUES (6, 1, 'chatbots', 'column', 'chatbottype', '')""",
        direction="down",
        before=["store"],
    ),
    *(
        Case(
            "restored-objects",
            "blocks",
            taken,
            f"""INSERT INTO callctl.definition (step, ordinal, relation, kind, name, ddl, detail)
                VALUES (6, 1, 'chatbots', '{kind}', '{name}', '', '{{"type": "chatapp.kind_of"}}'); {sql}""",
            direction="down",
            before=["store"],
        )
        for kind, name, taken, sql in (
            ("index", "by_type", "chatapp.by_type", "CREATE INDEX by_type ON chatapp.chatbots (id)"),
            ("index", "by_type", "chatapp.by_type", "CREATE VIEW chatapp.by_type AS SELECT 1 AS one"),
            (
                "constraint",
                "a_type",
                "a_type on chatapp.chatbots",
                "ALTER TABLE chatapp.chatbots ADD CONSTRAINT a_type CHECK (true)",
            ),
            ("type", "chatbottype", "chatapp.kind_of", "CREATE TYPE chatapp.kind_of AS ENUM ('x')"),
        )
    ),
    Case(
        "restored-objects",
        "blocks",
        "callctl.calls",
        "CREATE TABLE callctl.calls ()",
        direction="down",
        before=["store"],
    ),
    Case(
        "hybrids",
        "warns",
        "chatbots",
        FLAGS + "UPDATE chatapp.chatbots SET enabled_call = true",
        says=": 200",
        direction="down",
    ),
    Case(
        "hybrids",
        "warns",
        "chatbot_packages",
        FLAGS + "UPDATE chatapp.chatbot_packages SET enable_call = true",
        direction="down",
    ),
    Case(
        "hybrids",
        "warns",
        "chatbots",
        FLAGS + "UPDATE chatapp.chatbots SET enabled_call = true",
        direction="down",
        pending=(3,),
    ),
    Case(
        "settings-unknown",
        "warns",
        None,
        "UPDATE chatapp.chatbots SET settings = '{\"call\": {}}' WHERE name = 'Chatbot 1'",
        says="leaves features.callEnabled of",
        before=["store"],
        direction="down",
    ),
    Case("type-column-in-use", "warns", None, FLAGS, says="only code-refs can tell", pending=(5, 6)),
    # What the way back, and the next up, will need.
    Case(
        "temp-files",
        "blocks",
        "chatapp.chatbots",
        "UPDATE pg_class SET reltuples = 1e6 WHERE relname = 'chatbots'; SET temp_file_limit = '1MB'",
        says="an index build of chatapp.chatbots (about 1000000 rows) sorts about 69 MB",
    ),
    Case(
        "temp-files",
        "blocks",
        "chatapp.companies",
        "UPDATE pg_class SET reltuples = 1e5 WHERE relname = 'companies'; SET temp_file_limit = 0",
        says="the list of the rows to write of chatapp.companies (about 100000 rows) sorts about 7031 kB",
    ),
    Case(
        "replica-identity",
        "blocks",
        "chatapp.kinds",
        """CREATE UNIQUE INDEX kinds ON chatapp.chatbots (id, chatbot_type);
           ALTER TABLE chatapp.chatbots REPLICA IDENTITY USING INDEX kinds; CREATE PUBLICATION p FOR ALL TABLES""",
        says="holds column chatbot_type",
        baseline="deployed",
    ),
    Case(
        "replica-identity",
        "warns",
        "chatapp.kinds",
        """CREATE UNIQUE INDEX kinds ON chatapp.chatbots (id, chatbot_type);
           ALTER TABLE chatapp.chatbots REPLICA IDENTITY USING INDEX kinds""",
        says="holds column chatbot_type",
        baseline="deployed",
    ),
    Case(
        "replica-identity",
        "blocks",
        "chatapp.kinds",
        """UPDATE chatapp.chatbot_packages SET chatbottype = 'chat' WHERE chatbottype IS NULL;
           ALTER TABLE chatapp.chatbot_packages ALTER chatbottype SET NOT NULL;
           CREATE UNIQUE INDEX kinds ON chatapp.chatbot_packages (chatbottype, id);
           ALTER TABLE chatapp.chatbot_packages REPLICA IDENTITY USING INDEX kinds;
           CREATE PUBLICATION p FOR TABLE chatapp.chatbot_packages""",
    ),
    Case(
        "replica-identity-down",
        "blocks",
        "chatapp.able",
        FLAGS
        + """CREATE UNIQUE INDEX able ON chatapp.chatbots (id, enabled_call);
           ALTER TABLE chatapp.chatbots REPLICA IDENTITY USING INDEX able;
           CREATE PUBLICATION p FOR TABLE chatapp.chatbots""",
        direction="down",
    ),
    Case(
        "archived-tables",
        "blocks",
        "chatapp.calls_made",
        """CREATE TABLE callctl.calls (id uuid PRIMARY KEY, made int); CREATE INDEX calls_made ON callctl.calls (made);
           CREATE TABLE chatapp.calls_made ()""",
        says="table chatapp.calls_made has the name of callctl.calls_made, which step 10 restores",
        before=("store",),
    ),
    *(
        Case(
            "archived-tables",
            "blocks",
            "calls_agent_fkey on callctl.calls",
            f"{AGENT_KEY} {partner}",
            says=says,
            before=("store",),
        )
        for partner, says in (
            ("SELECT", "refers to chatapp.agents, which does not exist"),
            ("CREATE TABLE chatapp.agents (key uuid)", "refers to column chatapp.agents.id, which does not exist"),
        )
    ),
    Case(
        "archived-tables",
        "blocks",
        "calls_agent_fkey on callctl.calls",
        f"{AGENT_KEY} CREATE TABLE chatapp.agents (id uuid PRIMARY KEY)",
        says="was recorded and is gone",
        before=("store",),
    ),
    Case(
        "archived-tables",
        "blocks",
        "callctl.calls",
        "INSERT INTO callctl.definition (step, ordinal, relation, kind, name, ddl)"
        " VALUES (10, 1, 'calls', 'archived table', 'calls', '')",
        says="which migrate down from step 10 archived with its rows, is not there",
        before=("store",),
    ),
    Case(
        "restored-objects",
        "blocks",
        "callctl.calls",
        f"{CALLS} CREATE TYPE callctl.calls AS ENUM ('x')",
        says="moves chatapp.calls, with its type calls",
        before=("store",),
        direction="down",
    ),
    Case(
        "restored-objects",
        "blocks",
        "callctl.action_pkey",
        f"{CALLS} CREATE INDEX action_pkey ON chatapp.calls (status)",
        says="moves chatapp.calls, with action_pkey",
        before=("store",),
        direction="down",
    ),
    Case(
        "applied-tables",
        "blocks",
        "chatapp.calls",
        "CREATE TABLE chatapp.calls (id uuid) PARTITION BY HASH (id)",
        says="chatapp.calls is a partitioned table, where step 10 made a table",
        direction="down",
    ),
    Case("type-column-in-use", "warns", None, FLAGS, says="only code-refs", pending=(6,), baseline="deployed"),
)


def prepare(connection: Connection, names: Sequence[str]) -> None:
    """Before a case's own setup: callctl's schema, a tablespace, or a session that may write security labels."""
    for name in names:
        if name == "store":
            connection.execute(schema_sql())
        elif name == "tablespace":
            tablespace(connection)
        elif connection.info.server_version >= 130000:
            connection.execute("SET allow_system_table_mods = on")
        else:
            pytest.skip("no session of this server may write a security label without its provider")


@pytest.mark.fewer(40)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_question(case: Case, database: Callable[[str], str]) -> None:
    with connect(database(case.baseline)) as connection:
        if connection.info.server_version < case.oldest * 10_000:
            pytest.skip(f"PostgreSQL {case.oldest} and later can be set up so")
        prepare(connection, case.before)
        connection.execute(case.setup.encode())
        findings = ask(connection, case.pending, case.direction)
        fixes_what_blocks(connection, case, findings)
    answers = of(findings, case.id, case.level)
    assert answers, of(findings, case.id)
    matching = [
        finding
        for finding in answers
        if (case.object is None or case.object in finding.objects) and case.says in finding.what
    ]
    assert matching, answers
    assert all(finding.why and finding.do for finding in matching)
    # A run asks again, under its lock, only what may block; what does must be among it.
    may_block = {question.id for question in questions() if question.may_say("blocks")} | {"pooler", "needed-columns"}
    assert {finding.id for finding in findings if finding.level == "blocks"} <= may_block


# A statement of what a finding tells to do; the words around it are for the reader.
STATEMENT = re.compile(r"\b(?:ALTER|CREATE|DROP|GRANT|UPDATE|DELETE|COMMIT PREPARED|DO \$\$)\b.*?;(?=\s|$)", re.DOTALL)


def fixes_what_blocks(connection: Connection, case: Case, findings: Sequence[Finding]) -> None:
    """The statement that a blocking finding tells to run can be run as it is, and then the finding is gone."""
    for finding in of(findings, case.id, "blocks"):
        statement = STATEMENT.search(finding.do)
        if statement is None or (case.object is not None and case.object not in finding.objects):
            continue
        connection.execute(statement[0].encode())
        if statement[0].startswith("ALTER ROLE"):
            break  # it counts from the next connection on
        remaining = of(ask(connection, case.pending, case.direction), case.id, "blocks")
        assert finding not in remaining, statement[0]
        break


def test_nothing_blocks_on_a_baseline_as_it_is(baseline: str) -> None:
    with connect(baseline) as connection:
        findings = ask(connection, ALL, "up")
    assert of(findings, "server-version", "ok")
    assert [finding for finding in findings if finding.level == "blocks"] == []
    unanswered = [finding for finding in findings if finding.what.startswith("could not be checked")]
    assert unanswered == []


@pytest.mark.applied
def test_nothing_blocks_the_way_down_after_the_steps(baseline: str) -> None:
    with connect(baseline) as connection:
        assert not [finding for finding in ask(connection, ()) if finding.level == "blocks"]
        findings = ask(connection, ALL, "down")
        assert not [finding for finding in findings if finding.level == "blocks"]
        assert not [finding for finding in findings if finding.what.startswith("could not be checked")]
        connection.execute("UPDATE chatapp.users SET avatar_url = repeat('x', 501)")
        connection.execute("CREATE VIEW public.callers AS SELECT id FROM chatapp.chatbots WHERE enabled_call")
        blocking = {finding.id for finding in ask(connection, ALL, "down") if finding.level == "blocks"}
    assert blocking == {"avatar-too-long", "removed-dependents"}


def test_every_question_is_asked_by_a_test() -> None:
    tested = {case.id for case in CASES} | OWN_TESTS | DOWN_TESTS
    assert tested == {question.id for question in questions()}


# Questions whose situation needs a role, a session or another server: test_preflight_sessions.py.
OWN_TESTS = {
    "server-version",
    "subscriptions",
    "subscriptions-down",
    "standby",
    "uuid-function",
    "read-only",
    "session-settings",
    "ownership",
    "privileges",
    "row-security",
    "default-privileges",
    "column-grants",
    "long-transactions",
    "idle-in-transaction",
    "prepared-transactions",
    "lock-holders",
    "replication-lag",
    "replication-slots",
    "connections",
    "synchronous-standby",
    # test_new_tables.py and test_session_settings.py
    "avatar-domain",
    # test_definitions.py
    "statistics-owners",
    "restored-roles",
    # test_restoring.py
    "saved-definitions",
    "privileges-down",
    # test_records.py
    "changed-records",
    "changed-records-down",
}
# Those that need a database with the steps applied: test_preflight_down.py.
DOWN_TESTS = {"settings-shapes"}


def test_sql_body_functions_and_column_lists_block(documented: str) -> None:
    """Both came with later servers: 14 and 15."""
    with connect(documented) as connection:
        server = connection.info.server_version
        wanted: set[str] = set()
        if server >= 140000:
            connection.execute(
                "CREATE FUNCTION public.kinds() RETURNS bigint LANGUAGE sql "
                "BEGIN ATOMIC SELECT count(chatbottype) FROM chatapp.chatbots; END"
            )
            wanted.add("function kinds()")
        if server >= 150000:
            connection.execute("CREATE PUBLICATION part FOR TABLE chatapp.chatbots (id, chatbottype)")
            connection.execute("CREATE PUBLICATION whole FOR TABLES IN SCHEMA chatapp")
            wanted.add("publication of table chatapp.chatbots in publication part")
        findings = ask(connection)
    assert objects(of(findings, "dependents", "blocks")) == wanted
    assert ("whole" in objects(of(findings, "publications", "warns"))) == (server >= 150000)


def test_what_callctl_has_begun_is_its_own(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute(schema_sql())
        connection.execute(FLAGS.encode())
        blocked = objects(of(ask(connection), "target-objects", "blocks"))
        connection.execute(
            "INSERT INTO callctl.checkpoint (step, direction, sha256, statement, finished) "
            "VALUES (3, 'up', '', 1, true)"
        )
        assert "chatapp.chatbots.enabled_chat" in blocked
        remaining = objects(of(ask(connection), "target-objects", "blocks"))
    assert remaining == {"chatapp.chatbot_packages.enable_chat", "chatapp.chatbot_packages.enable_call"}


def test_only_pending_steps_count(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute("CREATE VIEW public.faces AS SELECT avatar_url FROM chatapp.users")
        connection.execute("CREATE TABLE chatapp.calls ()")
        assert of(ask(connection, (1, 10)), "dependents", "blocks")
        findings = ask(connection, (5, 9))
    assert of(findings, "dependents", "ok")
    assert of(findings, "target-objects", "ok")
    assert not of(findings, "company-settings")


def test_truncated_avatars_only_warn(documented: str) -> None:
    case = next(case for case in CASES if case.id == "avatar-too-long")
    with connect(documented) as connection:
        connection.execute(schema_sql())
        connection.execute(case.setup.encode())
        findings = ask(connection, (1,), "down", truncate_avatars=True)
    assert of(findings, "avatar-too-long", "warns")
    assert not of(findings, "avatar-too-long", "blocks")


def test_a_schema_of_another_name(deployed: str) -> None:
    with connect(deployed) as connection:
        connection.execute('ALTER SCHEMA chatapp RENAME TO "Chat app"')
        assert not [finding for finding in ask(connection, schema="Chat app") if finding.level == "blocks"]
        connection.execute('CREATE VIEW public.kinds AS SELECT chatbot_type FROM "Chat app".chatbots')
        connection.execute("UPDATE \"Chat app\".chatbots SET settings = '7'")
        findings = ask(connection, schema="Chat app")
    assert objects(of(findings, "dependents", "blocks")) == {"kinds"}
    assert of(findings, "chatbot-settings", "blocks")
    assert not [finding for finding in findings if finding.what.startswith("could not")]


def test_findings_name_how_many_and_which(documented: str) -> None:
    with connect(documented) as connection:
        connection.execute("UPDATE chatapp.companies SET settings = '[]'")
        row = connection.execute("SELECT count(*) FROM chatapp.companies").fetchone()
        (finding,) = of(ask(connection), "company-settings", "blocks")
    assert row is not None
    assert finding.what.endswith(f": {row[0]}")
    assert len(finding.objects) == 20


def test_a_query_cut_short_is_unknown_and_the_rest_go_on(documented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    header = "-- finding: slow\n-- ok: fine\n-- why: w\n-- do: d\n\n"
    slow = parse_question(header + "SELECT 'ok' AS level, pg_sleep(60)::text AS what;\nSELECT 1 / 0;", "slow.sql")
    monkeypatch.setattr(module, "questions", lambda: (slow, *questions()))
    with connect(documented) as connection:
        naming = read_naming(connection, "chatapp")
        findings = preflight(connection, replace(SETTINGS, statement_timeout_ms=500), naming, ALL)
    assert [finding.level for finding in of(findings, "slow")] == ["unknown", "unknown"]
    assert "500 ms" in of(findings, "slow")[0].what
    assert "division by zero (SQLSTATE 22012)" in of(findings, "slow")[1].what
    assert of(findings, "type-values", "ok")
