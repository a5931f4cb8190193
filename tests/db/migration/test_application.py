"""What the platform's application meets while callctl is at work and after. Deterministic, no threads."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import MakeDatabase, connect
from tests.support.db.application import FLAGS
from tests.support.db.before import DEPLOYED, DOCUMENTED, Before, TypeColumn
from tests.support.db.before_rows import build, insert
from tests.support.db.expectation import flags
from tests.support.db.snapshot import take

from callctl.config.settings import Settings
from callctl.migration import migrate

QUOTED = Before(
    schema="Chat App",
    types=(
        TypeColumn("chatbotType", "text", default=None),
        TypeColumn("chatbot_type", "varchar(50)", default="'call'"),
    ),
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
                sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in named.items()
                ),
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
        # A hybrid says chat; inserted without a type where that has no default, nothing contradicts NULL.
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
    """Whatever either writes after up --to N stands after the other steps, and after down as a type."""
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
        kinds = {(table, key): downed.table(table)[key][before.type_of(table).name] for table, key in bots.types}
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


@pytest.mark.applied
class TestTheInheritanceRule:
    """A chatbot may enable only what its package allows (L394-412)."""

    @pytest.fixture
    def db(self, documented: str) -> psycopg.Connection[Any]:
        """A migrated database with a package of each kind."""
        db = connect(documented)
        db.execute("SET search_path = chatapp")
        for name, pair in (("only chat", CHAT), ("only call", CALL), ("both", HYBRID)):
            db.execute(
                "INSERT INTO chatbot_packages (name, enable_chat, enable_call) VALUES (%s, %s, %s)",
                (name, *pair),
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

    def test_narrowing_a_package_and_enabling_a_capability_wait_for_each_other(
        self, db: psycopg.Connection[Any], documented: str
    ) -> None:
        """The second session waits for the first one's transaction; here it gives up after its lock_timeout."""
        bot = self.bot(db, "both", CHAT)
        narrow = "UPDATE chatapp.chatbot_packages SET enable_call = false WHERE name = 'both'"
        enable = f"UPDATE chatapp.chatbots SET enabled_call = true WHERE id = '{bot}'"
        with connect(documented, options="-c lock_timeout=50ms") as other:
            for first, second in ((enable, narrow), (narrow, enable)):
                with db.transaction(force_rollback=True):
                    db.execute(first.encode())
                    with pytest.raises(psycopg.errors.LockNotAvailable):
                        other.execute(second.encode())
            db.execute(narrow.encode())
            with pytest.raises(psycopg.errors.CheckViolation):
                other.execute(enable.encode())

    @pytest.mark.applied(4)
    def test_it_comes_with_step_6_and_goes_with_it(self, documented: str) -> None:
        """While the type column exists, code that knows only the type is not stopped."""
        settings = Settings(database_url=documented)
        statement = (
            "UPDATE chatapp.chatbots SET package_id = (SELECT id FROM chatapp.chatbot_packages"
            " WHERE chatbottype = 'chat' LIMIT 1), chatbottype = 'call' WHERE name = 'Chatbot 33'"
        )
        with connect(documented) as db:
            db.execute(statement)
            migrate.up(settings)
            migrate.down(settings, to=0)
            db.execute(statement)
