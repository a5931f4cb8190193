"""What may stand on and around a type column in a generated before-database: SQL, by name."""

from __future__ import annotations

from tests.support.db.hung_on_columns import HUNG, TYPES

# What may stand on a type column. {t} is the table, {n} its bare name, {c} the column, {s} the schema.
EXTRAS: dict[str, tuple[str, ...]] = {
    "several columns": ("CREATE INDEX {n}_several ON {t} (name, {c} DESC NULLS LAST)",),
    "partial": ("CREATE INDEX {n}_partial ON {t} (name) WHERE {c} = 'call'",),
    "on live rows": ("CREATE INDEX {n}_live ON {t} ({c}) WHERE is_active AND {c} IS NOT NULL",),
    "unique": (
        'CREATE UNIQUE INDEX "{n} Unique" ON {t} (id, {c})',
        "COMMENT ON INDEX {s}.\"{n} Unique\" IS 'its unique'",
    ),
    "covering": ("CREATE INDEX {n}_covering ON {t} (name) INCLUDE ({c}) WITH (fillfactor = 70)",),
    "hash": ("CREATE INDEX {n}_hash ON {t} USING hash ({c})",),
    "clustered": (
        "CREATE INDEX {n}_clustered ON {t} ({c}, created_at)",
        "ALTER TABLE {t} CLUSTER ON {n}_clustered",
    ),
    "unique constraint": (
        "ALTER TABLE {t} ADD CONSTRAINT {n}_key UNIQUE (id, {c}, name) DEFERRABLE INITIALLY DEFERRED",
        "COMMENT ON CONSTRAINT {n}_key ON {t} IS 'a key'",
    ),
    "check": (
        "ALTER TABLE {t} ADD CONSTRAINT {n}_type_check CHECK ({c} IN ('chat', 'call', 'Call', 'voice', ''))",
        "COMMENT ON CONSTRAINT {n}_type_check ON {t} IS 'one of these'",
    ),
    "check of several columns": (
        "ALTER TABLE {t} ADD CONSTRAINT \"{n} Several\" CHECK ({c} IS NULL OR name <> '' OR is_active)",
    ),
    "unvalidated check": (
        "ALTER TABLE {t} ADD CONSTRAINT {n}_unvalidated CHECK ({c} NOT IN ('fax', 'it''s', 'tty')) NOT VALID",
        "COMMENT ON CONSTRAINT {n}_unvalidated ON {t} IS 'to be validated'",
    ),
    "statistics": (
        "CREATE STATISTICS {s}.{n}_statistics (ndistinct, dependencies) ON {c}, name FROM {t}",
        "COMMENT ON STATISTICS {s}.{n}_statistics IS 'they go together'",
    ),
    "comment": ("COMMENT ON COLUMN {t}.{c} IS 'what it is: it''s \"chat\" or ''call'''",),
    "grants": (
        "GRANT SELECT ({c}), UPDATE ({c}) ON {t} TO callctl_test_reader",
        "GRANT SELECT ({c}) ON {t} TO callctl_test_application WITH GRANT OPTION",
    ),
    "statistics target": ("ALTER TABLE {t} ALTER COLUMN {c} SET STATISTICS 250",),
    "options": ("ALTER TABLE {t} ALTER COLUMN {c} SET (n_distinct = 2)",),
}
# What every server has, and needs neither a role nor a tablespace.
EXTRAS.update(
    (name, hung.statements)
    for name, hung in HUNG.items()
    if name.startswith(("index", "key")) and hung.since == 12 and hung.only >= TYPES
    if not hung.alone and "tablespace" not in name
)
# These need more of the column than that it is there.
TEXT_EXTRAS: dict[str, tuple[str, ...]] = {
    "expression": ("CREATE INDEX {n}_lower ON {t} (lower({c}))",),
    "partial on some": ("CREATE INDEX {n}_some ON {t} (name) WHERE {c} IN ('call', 'Call', 'voice')",),
    "operator class": ("CREATE INDEX {n}_pattern ON {t} ({c} text_pattern_ops)",),
    "length check": ("ALTER TABLE {t} ADD CONSTRAINT {n}_length CHECK (length({c}) <= 30)",),
    "storage": ("ALTER TABLE {t} ALTER COLUMN {c} SET STORAGE EXTERNAL",),
    "collation": (),  # part of the column itself
    "lookup": (),  # a foreign key; made after the rows
}
NOT_NULL_EXTRAS: dict[str, tuple[str, ...]] = {
    "replica identity": (
        "CREATE UNIQUE INDEX {n}_identity ON {t} ({c}, id)",
        "ALTER TABLE {t} REPLICA IDENTITY USING INDEX {n}_identity",
    ),
}
ENUM_EXTRAS: dict[str, tuple[str, ...]] = {
    "enum partial": ("CREATE INDEX {n}_enum ON {t} (name) WHERE {c} > 'chat'",),
}

# What may stand elsewhere in the database.
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "columns": (
        "ALTER TABLE {s}.chatbots ADD COLUMN \"Extra Data\" jsonb DEFAULT '{{}}'",
        "ALTER TABLE {s}.chatbots ADD COLUMN shout text GENERATED ALWAYS AS (upper(name)) STORED",
        "ALTER TABLE {s}.companies ADD COLUMN position integer GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE {s}.ai_models ADD COLUMN tags text[] NOT NULL DEFAULT '{{}}'",
    ),
    "avatar index": (
        "CREATE INDEX users_avatar ON {s}.users (avatar_url)",
        "CREATE INDEX users_avatar_hash ON {s}.users (md5(avatar_url)) WHERE length(avatar_url) < 400",
        "ALTER TABLE {s}.users ADD CONSTRAINT users_avatar_check CHECK (avatar_url <> 'none')",
    ),
    "avatar column": (
        "ALTER TABLE {s}.users ALTER COLUMN avatar_url SET DEFAULT 'https://example.com/nobody.png'",
        "COMMENT ON COLUMN {s}.users.avatar_url IS 'a picture'",
        "GRANT SELECT (avatar_url) ON {s}.users TO callctl_test_reader",
        "ALTER TABLE {s}.users ALTER COLUMN avatar_url SET STATISTICS 90",
        "ALTER TABLE {s}.users ALTER COLUMN avatar_url SET STORAGE EXTERNAL",
    ),
    "avatar collation": ('ALTER TABLE {s}.users ALTER COLUMN avatar_url TYPE {a} COLLATE "C"',),
    "settings index": (
        "CREATE INDEX companies_settings ON {s}.companies USING gin (settings)",
        "CREATE INDEX chatbots_settings ON {s}.chatbots USING gin (settings jsonb_path_ops)",
    ),
    "comments": (
        "COMMENT ON TABLE {s}.chatbots IS 'the bots'",
        "COMMENT ON SCHEMA {s} IS 'the platform'",
    ),
    "grants": (
        "GRANT USAGE ON SCHEMA {s} TO callctl_test_application, callctl_test_reader",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {s} TO callctl_test_application",
        "GRANT SELECT ON {s}.chatbots TO callctl_test_reader WITH GRANT OPTION",
    ),
    "other tables": (
        "CREATE TABLE {s}.integrations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), status text)",
        "CREATE TABLE public.chatbots (id integer PRIMARY KEY, chatbottype text)",
        "INSERT INTO public.chatbots VALUES (1, 'mine')",
        "CREATE VIEW {s}.company_names AS SELECT id, name FROM {s}.companies",
    ),
}

# The columns of ai_models, in four families.
MODEL_COLUMNS = {
    "documented": """provider text NOT NULL, model_name text NOT NULL, display_name text NOT NULL, description text,
      supports_audio boolean NOT NULL DEFAULT false, input_cost_per_token numeric(18,12),
      output_cost_per_token numeric(18,12), audio_cost_per_second_input numeric(12,6),
      audio_cost_per_second_output numeric(12,6), context_window integer, max_output_tokens integer""",
    "deployed": """provider {provider} NOT NULL, model_id varchar(100) NOT NULL UNIQUE,
      display_name varchar(100) NOT NULL, description text, input_limit integer NOT NULL, output_limit integer NOT NULL,
      input_price_per_million numeric(10,4), output_price_per_million numeric(10,4), cached_input_price numeric(10,4),
      settings_schema jsonb NOT NULL DEFAULT '{{}}', is_default boolean NOT NULL DEFAULT false""",
    "mixed": """provider varchar(30) NOT NULL, model_name varchar(120) NOT NULL UNIQUE,
      input_price_per_million numeric(12,6), output_cost_per_token numeric(20,14), context_window bigint,
      "maxOutputTokens" integer, supports_audio boolean""",
    "bare": """provider text NOT NULL, model_name text NOT NULL""",
}
