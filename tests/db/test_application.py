"""What the platform's application meets while callctl is at work, between two steps, and after: deterministic, no threads."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql

from callctl import migrate
from callctl.config import Settings
from callctl.errors import Refused
from tests.conftest import MakeDatabase, connect
from tests.db.application import FLAGS
from tests.db.before import DEPLOYED, DOCUMENTED, Before, TypeColumn, build, insert, make_roles
from tests.db.expectation import flags
from tests.db.snapshot import assert_same, take, touched_columns

QUOTED = Before(
    schema="Chat App",
    types=(TypeColumn("chatbotType", "text", default=None), TypeColumn("chatbot_type", "varchar(50)", default="'call'")),
    soft=(None, None, "deletedAt", None, None),
)
ENUMS = Before(
    types=(
        TypeColumn("chatbot_type", ("own", "kind"), extras=frozenset({"partial", "comment"})),
        TypeColumn("chatbottype", ("own", "kind")),
    ),
    enums=((("own", "kind"), ("chat", "call", "voice")),),
)
SHAPES = {"documented": DOCUMENTED, "deployed": DEPLOYED, "quoted": QUOTED, "enums": ENUMS}

CHAT, CALL, HYBRID = (True, False), (False, True), (True, True)


class Bots:
    """Rows of both typed tables, written one form or the other, and what each must come to."""

    def __init__(self, db: psycopg.Connection[Any], before: Before) -> None:
        self.db, self.before = db, before
        self.flags: dict[tuple[str, str], tuple[bool, bool]] = {}
        self.types: dict[tuple[str, str], str | None] = {}
        db.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(before.schema)))
        self.company = db.execute("SELECT id::text FROM companies LIMIT 1").fetchone()

    def add(self, table: str, right: tuple[bool, bool], kind: str | None, **values: Any) -> str:
        """Insert a row; later its flags must be ``right``, and after down its type ``kind``."""
        key = str(uuid.uuid4())
        row: dict[str, Any] = {"id": key, "name": f"added {values}"}
        if table == "chatbots":
            row |= {"company_id": self.company and self.company[0], "settings": "{}"}
        insert(self.db, self.before.schema, table, row | self._named(table, values))
        return self.expect(table, key, right, kind)

    def change(self, table: str, key: str, right: tuple[bool, bool], kind: str | None, **values: Any) -> None:
        """Update a row."""
        named = self._named(table, values)
        self.db.execute(
            sql.SQL("UPDATE {} SET {} WHERE id = {}").format(
                sql.Identifier(table),
                sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in named.items()),
                sql.Literal(key),
            )
        )
        self.expect(table, key, right, kind)

    def _named(self, table: str, values: dict[str, Any]) -> dict[str, Any]:
        names = {"type": self.before.type_of(table).name, "chat": FLAGS[table][0], "call": FLAGS[table][1]}
        return {names[name]: value for name, value in values.items()}

    def expect(self, table: str, key: str, right: tuple[bool, bool], kind: str | None) -> str:
        """Note what must come of a row."""
        self.flags[table, key], self.types[table, key] = right, kind
        return key

    def odd(self, table: str) -> list[str | None]:
        """Types that the flags can't say, as far as this column takes them."""
        column = self.before.type_of(table)
        known = dict(self.before.enums)[column.kind] if isinstance(column.kind, tuple) else ("voice",)
        return [*(["voice"] if "voice" in known else []), *([None] if column.nullable else [])]

    def write_types(self, table: str) -> None:
        """The old application."""
        self.add(table, CHAT, "chat", type="chat")
        self.add(table, CALL, "call", type="call")
        for kind in self.odd(table):
            self.add(table, CHAT, kind, type=kind)
            self.change(table, self.add(table, CALL, "call", type="call"), CHAT, kind, type=kind)
            self.change(table, self.add(table, CHAT, kind, type=kind), CALL, "call", type="call")
        self.change(table, self.add(table, CHAT, "chat", type="chat"), CALL, "call", type="call")
        self.change(table, self.add(table, CALL, "call", type="call"), CHAT, "chat", type="chat")

    def write_flags(self, table: str) -> None:
        """The new application."""
        self.add(table, CALL, "call", chat=False, call=True)
        # A hybrid says chat; where it was inserted without a type and the column has no default, nothing contradicts NULL.
        unsaid = None if self.before.type_of(table).default is None else "chat"
        self.add(table, HYBRID, unsaid if self._types_exist(table) else "chat", chat=True, call=True)
        row = self.add(table, CALL, "call", chat=False, call=True)
        self.change(table, row, HYBRID, "chat", chat=True, call=True)
        self.change(table, row, CHAT, "chat", chat=True, call=False)

    def _types_exist(self, table: str) -> bool:
        row = self.db.execute(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s AND NOT attisdropped",
            (table, self.before.type_of(table).name),
        ).fetchone()
        return row == (1,)

    def write_both(self, table: str) -> None:
        """Both forms at once, or one after the other: the one written wins, the flags on a tie."""
        self.add(table, CALL, "call", type="chat", chat=False, call=True)
        row = self.add(table, CHAT, "chat", type="chat")
        self.change(table, row, CALL, "call", type="chat", chat=False, call=True)
        self.change(table, row, CHAT, "chat", type="chat")
        self.change(table, row, HYBRID, "chat", chat=True, call=True)
        self.change(table, row, HYBRID, "chat", type="chat")  # says nothing new
        row = self.add(table, HYBRID, "chat", chat=True, call=True)
        self.change(table, row, CALL, "call", type="call")
        for kind in self.odd(table):
            row = self.add(table, CHAT, kind, type=kind)
            self.change(table, row, HYBRID, kind, chat=True, call=True)
            row = self.add(table, CHAT, kind, type=kind)
            self.change(table, row, CALL, "call", chat=False, call=True)


@pytest.mark.parametrize("to", [2, 3, 4, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_applications_write_between_two_steps(database: MakeDatabase, shape: str, to: int) -> None:
    """Whatever either writes after up --to N stands after the other steps, and after down in the other form."""
    before = SHAPES[shape]
    url = database(None)
    settings = Settings(database_url=url, schema=before.schema, batch_size=7)
    with connect(url, prepare_threshold=None) as db:
        build(db, before)
        migrate.up(settings, to=to)
        bots = Bots(db, before)
        for table, flags_from, types_until in (("chatbot_packages", 2, 5), ("chatbots", 3, 6)):
            if to < types_until:
                bots.write_types(table)
            if to >= flags_from:
                bots.write_flags(table)
            if flags_from <= to < types_until:
                bots.write_both(table)
        written = take(db)
        migrate.up(settings)
        upped = take(db)
        found = {(table, key): flags(table, upped.table(table)[key]) for table, key in bots.flags}
        assert found == bots.flags
        migrate.down(settings, to=0)
        downed = take(db)
        kinds = {
            (table, key): downed.table(table)[key][before.type_of(table).name] for table, key in bots.types
        }
        assert kinds == bots.types
        assert set(downed.table("chatbots")) == set(written.table("chatbots"))
        migrate.up(settings)
        again = take(db)
        assert {(table, key): flags(table, again.table(table)[key]) for table, key in bots.flags} == bots.flags


@pytest.mark.parametrize("to", [2, 3, 4, 5])
def test_both_applications_write_between_two_steps_down(database: MakeDatabase, to: int) -> None:
    """The same while the database is on its way back."""
    url = database(None)
    settings = Settings(database_url=url, batch_size=7)
    with connect(url, prepare_threshold=None) as db:
        build(db, DOCUMENTED)
        migrate.up(settings)
        migrate.down(settings, to=to)
        bots = Bots(db, DOCUMENTED)
        for table, flags_from, types_until in (("chatbot_packages", 2, 5), ("chatbots", 3, 6)):
            if to < types_until:
                bots.write_types(table)
            if to >= flags_from:
                bots.write_flags(table)
            if flags_from <= to < types_until:
                bots.write_both(table)
        migrate.down(settings, to=0)
        downed = take(db)
        assert {(t, key): downed.table(t)[key]["chatbottype"] for t, key in bots.types} == bots.types
        migrate.up(settings)
        again = take(db)
        assert {(t, key): flags(t, again.table(t)[key]) for t, key in bots.flags} == bots.flags


class TestTheInheritanceRule:
    """A chatbot may enable only what its package allows (L394-412)."""

    @pytest.fixture
    def db(self, documented: str) -> psycopg.Connection[Any]:
        """A migrated database with a package of each kind."""
        migrate.up(Settings(database_url=documented))
        db = connect(documented)
        db.execute("SET search_path = chatapp")
        for name, pair in (("only chat", CHAT), ("only call", CALL), ("both", HYBRID)):
            db.execute(
                "INSERT INTO chatbot_packages (name, enable_chat, enable_call) VALUES (%s, %s, %s)", (name, *pair)
            )
        return db

    @staticmethod
    def bot(db: psycopg.Connection[Any], package: str | None, pair: tuple[bool, bool]) -> str:
        """Insert a chatbot."""
        row = db.execute(
            "INSERT INTO chatbots (company_id, name, settings, package_id, enabled_chat, enabled_call)"
            " SELECT id, 'bot', '{}', (SELECT p.id FROM chatbot_packages p WHERE p.name = %s), %s, %s"
            " FROM companies LIMIT 1 RETURNING id::text",
            (package, *pair),
        ).fetchone()
        assert row is not None
        return str(row[0])

    @pytest.mark.parametrize(
        ("package", "pair", "allowed"),
        [
            ("only chat", CHAT, True), ("only chat", CALL, False), ("only chat", HYBRID, False),
            ("only call", CHAT, False), ("only call", CALL, True), ("only call", HYBRID, False),
            ("both", CHAT, True), ("both", CALL, True), ("both", HYBRID, True),
            (None, CHAT, True), (None, CALL, True), (None, HYBRID, True),
        ],
    )  # fmt: skip
    def test_on_insert(
        self, db: psycopg.Connection[Any], package: str | None, pair: tuple[bool, bool], allowed: bool
    ) -> None:
        if allowed:
            self.bot(db, package, pair)
            return
        with pytest.raises(psycopg.errors.CheckViolation) as error:
            self.bot(db, package, pair)
        assert error.value.diag.constraint_name == "chatbots_package_capability"

    def test_flags_on_are_refused_and_flags_off_allowed(self, db: psycopg.Connection[Any]) -> None:
        bot = self.bot(db, "only chat", CHAT)
        with pytest.raises(psycopg.errors.CheckViolation):
            db.execute("UPDATE chatbots SET enabled_call = true WHERE id = %s", (bot,))
        bot = self.bot(db, "both", HYBRID)
        db.execute("UPDATE chatbots SET enabled_call = false WHERE id = %s", (bot,))
        db.execute("UPDATE chatbots SET enabled_call = true WHERE id = %s", (bot,))

    def test_a_package_that_allows_less_is_refused(self, db: psycopg.Connection[Any]) -> None:
        bot = self.bot(db, "both", HYBRID)
        for package in ("only chat", "only call"):
            with pytest.raises(psycopg.errors.CheckViolation):
                db.execute(
                    "UPDATE chatbots SET package_id = (SELECT id FROM chatbot_packages WHERE name = %s) WHERE id = %s",
                    (package, bot),
                )
        db.execute("UPDATE chatbots SET package_id = NULL WHERE id = %s", (bot,))

    def test_narrowing_a_package_changes_no_chatbot(self, db: psycopg.Connection[Any]) -> None:
        """And the chatbot that breaks the rule now can still be written, turned down, and not turned up."""
        bot = self.bot(db, "both", HYBRID)
        db.execute("UPDATE chatbot_packages SET enable_call = false WHERE name = 'both'")
        row = db.execute("SELECT enabled_chat, enabled_call FROM chatbots WHERE id = %s", (bot,)).fetchone()
        assert row == HYBRID
        db.execute("UPDATE chatbots SET name = 'still', is_active = false, enabled_chat = true WHERE id = %s", (bot,))
        db.execute("UPDATE chatbots SET enabled_call = false WHERE id = %s", (bot,))
        with pytest.raises(psycopg.errors.CheckViolation):
            db.execute("UPDATE chatbots SET enabled_call = true WHERE id = %s", (bot,))

    def test_it_comes_with_step_6_and_goes_with_it(self, documented: str) -> None:
        """While the type column exists, code that knows only the type is not stopped."""
        settings = Settings(database_url=documented)
        statement = (
            "UPDATE chatapp.chatbots SET package_id = (SELECT id FROM chatapp.chatbot_packages WHERE chatbottype = 'chat'"
            " LIMIT 1), chatbottype = 'call' WHERE name = 'Chatbot 33'"
        )
        with connect(documented) as db:
            migrate.up(settings, to=4)
            db.execute(statement)
            migrate.up(settings)
            migrate.down(settings, to=0)
            db.execute(statement)


@pytest.fixture
def as_application(documented: str) -> psycopg.Connection[Any]:
    """The application's role: rights on the platform's tables, packages apart, and on nothing of callctl's."""
    with connect(documented) as db:
        make_roles(db)
        db.execute("GRANT USAGE ON SCHEMA chatapp TO callctl_test_application")
        db.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chatapp TO callctl_test_application")
        db.execute("REVOKE ALL ON chatapp.chatbot_packages FROM callctl_test_application")
    connection = connect(documented, prepare_threshold=None)
    connection.execute("SET ROLE callctl_test_application")
    connection.execute("SET search_path = chatapp")
    return connection


def test_the_applications_role_writes_at_every_stage(documented: str, as_application: psycopg.Connection[Any]) -> None:
    """The triggers work for a role that has no rights on callctl's schema and none on packages."""
    settings = Settings(database_url=documented)
    add = "INSERT INTO chatbots (company_id, package_id, name, {column}) SELECT company_id, package_id, 'by the application', {value} FROM chatbots WHERE name = 'Chatbot 25' RETURNING id"
    with as_application as app:
        migrate.up(settings, to=4)
        for kind in ("'voice'", "NULL", "'call'", "'chat'"):
            row = app.execute(add.format(column="chatbottype", value=kind).encode()).fetchone()
            assert row is not None
            app.execute("UPDATE chatbots SET chatbottype = 'call' WHERE id = %s", row)
            app.execute("UPDATE chatbots SET enabled_chat = true WHERE id = %s", row)
        migrate.up(settings)
        row = app.execute(add.format(column="enabled_chat", value="true").encode()).fetchone()
        assert row is not None
        with pytest.raises(psycopg.errors.CheckViolation):
            app.execute("UPDATE chatbots SET enabled_call = true WHERE id = %s", row)
        migrate.down(settings, to=4)
        app.execute(add.format(column="chatbottype", value="'voice'").encode())
        migrate.down(settings, to=0)
        app.execute(add.format(column="chatbottype", value="'voice'").encode())


def test_the_applications_role_deletes_while_rows_are_archived(
    documented: str, as_application: psycopg.Connection[Any]
) -> None:
    """A company takes its archived calls, transcripts and accounts along; an end user and a conversation are nulled."""
    settings = Settings(database_url=documented)
    migrate.up(settings)
    with connect(documented) as db:
        db.execute("SET search_path = chatapp")
        db.execute(
            "INSERT INTO integration_accounts (company_id, account_type, account_name, credentials)"
            " SELECT id, 'twilio', slug, '{}' FROM companies"
        )
        db.execute(
            "INSERT INTO calls (company_id, chatbot_id, end_user_id, conversation_id, source, direction, integration_account_id)"
            " SELECT v.company_id, v.chatbot_id, v.end_user_id, v.id, 'web', 'inbound', a.id"
            " FROM conversations v JOIN integration_accounts a ON a.company_id = v.company_id WHERE v.end_user_id IS NOT NULL"
        )
        db.execute(
            "INSERT INTO call_transcripts (call_id, role, content, start_time, end_time, duration)"
            " SELECT id, 'user', 'hello', 0, 5, 5 FROM calls"
        )
        written = take(db)
        migrate.down(settings, to=0)
        with as_application as app:
            companies = app.execute("SELECT company_id FROM conversations GROUP BY 1 ORDER BY count(*) DESC LIMIT 3").fetchall()
            (gone,), (bots,), (people,) = companies
            app.execute("DELETE FROM companies WHERE id = %s", (gone,))
            deleted = app.execute("DELETE FROM chatbots WHERE company_id = %s RETURNING id::text", (bots,)).fetchall()
            app.execute("DELETE FROM end_users WHERE company_id = %s", (people,))
            app.execute("DELETE FROM conversations WHERE company_id = %s", (people,))
        migrate.up(settings)
        again = take(db)
    kept = {
        key: {**row, **({"end_user_id": None, "conversation_id": None} if row["company_id"] == str(people) else {})}
        for key, row in written.table("calls").items()
        if row["company_id"] != str(gone) and (row["chatbot_id"],) not in deleted
    }
    assert 0 < len(kept) < len(written.table("calls"))
    assert again.table("calls") == kept
    assert set(again.table("call_transcripts")) == {
        key for key, row in written.table("call_transcripts").items() if row["call_id"] in kept
    }
    assert set(again.table("integration_accounts")) == {
        key for key, row in written.table("integration_accounts").items() if row["company_id"] != str(gone)
    }


AVATARS = {"499": "a" * 499, "500": "b" * 500, "501": "c" * 501, "spaces": "d" * 499 + "  ", "long": "日本" * 4000}


def test_long_avatars_make_down_refuse_or_are_saved(documented: str) -> None:
    """Without --truncate-avatars nothing changes; with it the full values are back after the next up."""
    settings = Settings(database_url=documented)
    with connect(documented, prepare_threshold=None) as db:
        first = take(db)
        migrate.up(settings)
        for number, avatar in enumerate(AVATARS.values(), 20):
            db.execute("UPDATE chatapp.users SET avatar_url = %s WHERE email = %s", (avatar, f"user{number}@example.com"))
        written = take(db)
        with pytest.raises(Refused, match="avatar"):
            migrate.down(settings, to=0)
        assert_same(written, take(db))
        migrate.down(settings, to=1)
        migrate.up(settings)
        assert take(db).table("users") == written.table("users")
        migrate.down(settings, to=0, truncate_avatars=True)
        shortened = {row["email"]: row["avatar_url"] for row in take(db).table("users").values()}
        for number, avatar in enumerate(AVATARS.values(), 20):
            assert shortened[f"user{number}@example.com"] == avatar[:500]
        # A newer address is newer; the rest comes back whole.
        db.execute("UPDATE chatapp.users SET avatar_url = 'new' WHERE email = 'user22@example.com'")
        migrate.up(settings)
        after = {row["email"]: row["avatar_url"] for row in take(db).table("users").values()}
        before = {row["email"]: row["avatar_url"] for row in written.table("users").values()}
        assert after == {**before, "user22@example.com": "new"}
        listed = db.execute(
            "SELECT value #>> '{}' FROM callctl.saved_value WHERE field = 'avatar_url' AND superseded_at IS NOT NULL"
        ).fetchall()
        assert listed == [(AVATARS["501"],)]
        db.execute("UPDATE chatapp.users SET avatar_url = left(avatar_url, 400)")
        migrate.down(settings, to=0)
        assert take(db).catalog == first.catalog


def test_inserted_models_go_and_return_as_the_same_rows(baseline: str) -> None:
    """With their ids, their times, and what an administrator changed since."""
    settings = Settings(database_url=baseline)
    with connect(baseline, prepare_threshold=None) as db:
        first = take(db)
        migrate.up(settings)
        made = set(take(db).table("ai_models")) - set(first.table("ai_models"))
        assert len(made) == 3
        db.execute(
            "UPDATE chatapp.ai_models SET display_name = 'Ours ✓', model_type = 'both', description = NULL,"
            " created_at = '2020-01-02 03:04:05.678901' WHERE id::text = ANY (%s)",
            (list(made),),
        )
        edited = take(db)
        migrate.down(settings, to=0)
        assert_same(first, take(db), touched_columns(first))
        migrate.up(settings)
        assert take(db).table("ai_models") == edited.table("ai_models")
