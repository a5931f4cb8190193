"""The rows of a load test and the queries it runs: a company of its own; made, found again, removed.

The transaction that makes it writes its id to ``callctl.load_test``. The id is part of its slug, and the ids of its
other rows follow from it. Only a company that has both is ever removed, so the next load test finds everything that a
killed one left. Rows of others that now belong to it are named, and then nothing of it is removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callctl import __version__
from callctl.database import actions, store
from callctl.database import connection as database
from callctl.database.guarded import guarded, in_transaction, with_retries
from callctl.database.store import in_store
from callctl.errors import Code, Refused, quoted
from callctl.events import OnEvent, ignore
from callctl.files import sql_names
from callctl.loadtest.measure import Removed
from callctl.statements.adaptation import adapt
from callctl.statements.naming import Naming
from callctl.statements.script import Script, load_script

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection

# The queries of a load test: those of the specification, in this database's names, and the ones about its own rows.


@dataclass(frozen=True)
class Query:
    """One statement with PostgreSQL's own ``$1``, ``$2``, … for its ``parameters``, in that order.

    ``documented`` are the specification's lines; ``indexes`` those that serve it; ``scans`` says why it reads a whole
    table, where it must; ``loaded`` whether a load test runs it.
    """

    name: str
    text: str
    sql: str
    parameters: tuple[str, ...]
    documented: str
    who: str
    indexes: tuple[str, ...]
    scans: str | None
    loaded: bool


def documented_queries(naming: Naming) -> dict[str, Query]:
    """Every query of the specification, by its file's name."""
    queries = (_query(load_script(name), naming) for name in sql_names("loadtest"))
    return {query.name: query for query in queries}


def run_own(connection: Connection, naming: Naming, name: str, **values: object) -> psycopg.Cursor[tuple[Any, ...]]:
    """Execute one of the statements about the load test's own rows."""
    query = _query(load_script(f"loadtest/own/{name}.sql"), naming)
    return run_query(connection, query, values)


def run_query(connection: Connection, query: Query, values: dict[str, object]) -> psycopg.Cursor[tuple[Any, ...]]:
    """Execute a query with the values that it names."""
    import psycopg

    cursor: psycopg.RawCursor[tuple[Any, ...]] = psycopg.RawCursor(connection)
    # As bytes: in a session of an SQL_ASCII database this cursor would send text as ASCII, and names may be anything.
    return cursor.execute(query.sql.encode(), [values[name] for name in query.parameters] or None)


def _query(script: Script, naming: Naming) -> Query:
    (statement,) = script.statements
    header = script.header
    return Query(
        name=script.name.rpartition("/")[2].removesuffix(".sql"),
        text=" ".join(statement.comment.split()),
        sql=adapt(statement, naming).sql,
        parameters=tuple(name for name in _listed(header["parameters"]) if name != "none"),
        documented=header.get("from", ""),
        who=header.get("who", ""),
        indexes=tuple(_listed(header.get("index", ""))),
        scans=header.get("scans"),
        loaded=header.get("load") != "no",
    )


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


# The rows of a load test: a company of its own and what belongs to it; made, found again, removed.

# Few: the platform's keys have no index for a deleted parent, so each one removed reads the table of calls once.
END_USERS = 4
# Calls of one transaction; each has a dozen lines.
CALLS_AT_ONCE = 200
LINES_OF_HISTORY = 12
SLUG = "callctl-loadtest-"
# The query that makes the call that the others are about.
FIRST = "start_call"


class NotItsOwn(Refused):
    """A load test's company has rows that the load test did not make; nothing was removed."""


@dataclass(frozen=True)
class Own:
    """The ids of a load test's own rows."""

    company: str
    chatbot: str
    end_users: tuple[str, ...]
    conversation: str
    account: str

    @property
    def slug(self) -> str:
        return f"{SLUG}{self.company}"

    def ids(self, table: str) -> list[str]:
        """The ids of its rows in a table; none of a table whose rows have ids that the server gives."""
        return {
            "companies": [self.company],
            "chatbots": [self.chatbot],
            "end_users": list(self.end_users),
            "conversations": [self.conversation],
            "integration_accounts": [self.account],
        }.get(table, [])


def new() -> Own:
    """The ids of a load test that begins."""
    return of(str(uuid.uuid4()))


def of(company: str) -> Own:
    """The ids of the load test that made a company: they follow from the company's, so a row is known by its id."""

    def derived(name: str) -> str:
        return str(uuid.uuid5(uuid.UUID(company), f"callctl load test: {name}"))

    end_users = tuple(derived(f"end user {number}") for number in range(END_USERS))
    return Own(company, derived("chatbot"), end_users, derived("conversation"), derived("account"))


class Rows:
    """The rows that a load test writes beside its load, on a ``connection`` of its own in autocommit."""

    def __init__(self, connection: Connection, settings: Settings, naming: Naming, on_event: OnEvent = ignore) -> None:
        self._connection = connection
        self._settings = settings
        self._naming = naming
        self._on_event = on_event
        # Tables that the platform's triggers fill when a load test writes: found in try_out.
        self._filled: frozenset[str] = frozenset()

    def try_out(self, queries: dict[str, Query]) -> None:
        """Make one of everything, run each query, remove it all, and roll back.

        callctl's schema is there. Raises Refused if the platform's tables do not let a load test in, or not out.
        """
        import psycopg

        doing = "its rows cannot be made"

        def attempt() -> None:
            nonlocal doing
            with guarded(self._connection, self._settings, shared=True, rolled_back=True):
                own = new()
                self._make(own)
                self._history(own, 1, 1)
                values = values_of(own, str(uuid.uuid4()))
                for query in sorted(queries.values(), key=lambda candidate: candidate.name != FIRST):
                    doing = f"{query.name} cannot be run"
                    run_query(self._connection, query, values)
                doing = "its rows cannot be removed"
                self._filled = frozenset(table for table, _ in self._others(own, ""))
                self._remove_company(own)

        try:
            with_retries(self._settings, "a lock", attempt, self._on_event)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.ConnectionException):
            raise
        except psycopg.Error as error:
            raise Refused(
                Code.LOADTEST_IMPOSSIBLE,
                f"a load test cannot run here: {doing}: {database.error_text(error)}; nothing was changed",
                hint="check for a trigger, a rule, or a NOT NULL column without a default: "
                "the load test fills documented columns only",
            ) from error

    def make_ready(self) -> None:
        """Make callctl's schema, or bring it up to date."""
        in_store(self._connection, self._settings, lambda: None, self._on_event)

    def make(self, own: Own) -> None:
        """The company and what its calls refer to, in one transaction."""
        self._transaction(lambda: self._make(own))

    def history(self, own: Own, calls: int) -> None:
        """Write finished calls and their transcripts, some in a transaction.

        If they are a large part of their tables, the planner gets to know them at once, not when autovacuum comes.
        """
        for first in range(1, calls + 1, CALLS_AT_ONCE):
            last = min(first + CALLS_AT_ONCE - 1, calls)
            self._transaction(lambda first=first, last=last: self._history(own, first, last))  # type: ignore[misc]

        if calls and run_own(
            self._connection, self._naming, "stale", calls=calls, lines=calls * LINES_OF_HISTORY
        ).fetchone() == (True,):
            for name in ("analyze_calls", "analyze_lines"):
                self._transaction(lambda name=name: self._own(name))  # type: ignore[misc]

    def leftovers(self) -> list[tuple[Any, ...]]:
        """Return the companies that load tests left: when, by which client, and whether each is unchanged."""
        if not database.relation_exists(self._connection, "callctl", "load_test"):
            return []
        return run_own(self._connection, self._naming, "leftovers").fetchall()

    def unrecorded(self) -> list[str]:
        """Companies that are called like a load test's, and that no load test has written down."""
        recorded = {company for company, *_ in self.leftovers()}
        unrecorded_rows = run_own(self._connection, self._naming, "unrecorded").fetchall()
        return [company for (company,) in unrecorded_rows if company not in recorded]

    def remove_leftovers(self) -> tuple[Removed, ...]:
        """Remove what killed load tests have left. The caller makes sure that none is running."""
        return tuple(self._leftover(*row) for row in self.leftovers())

    def _leftover(self, company: str, started_at: Any, client: str, there: bool, is_own: bool) -> Removed:
        if there and not is_own:
            return Removed(
                company, started_at, client, 0, "its slug was changed since, so it may be a real company now"
            )
        try:
            calls = self.remove(company, "loadtest --clean")
        except NotItsOwn as others:
            return Removed(company, started_at, client, 0, others.message)
        return Removed(company, started_at, client, calls)

    def remove(self, company: str, command: str, detail: dict[str, Any] | None = None) -> int:
        """Remove a load test's company and all that is its own; returns how many calls went. Writes the audit row.

        Raises NotItsOwn, with nothing removed, if rows that it has not made would go with it.
        """
        own = of(company)
        self._transaction(lambda: self._assert_alone(own))
        calls = 0
        if store.absence(self._connection, self._settings.schema, "calls") is None:
            while removed := self._transaction(lambda: self._remove_calls(own)):
                calls += removed

        def end() -> None:
            self._assert_alone(own)
            self._remove_company(own)
            run_own(self._connection, self._naming, "forget", company=company)
            full_detail = {**(detail or {}), "company_id": company, "calls_removed": calls}
            actions.record_action(self._connection, command, full_detail)

        self._transaction(end)
        return calls

    # ---- inside a transaction ----------------------------------------------------------------------------

    def _make(self, own: Own) -> None:
        values = {"company": own.company, "slug": own.slug}
        self._own("record", **values, client=store.client(), version=__version__)
        self._own("company", **values)
        if self._naming.tables["companies"].soft_delete:
            self._own("hide", **values)
        self._own("chatbot", company=own.company, chatbot=own.chatbot)
        for end_user in own.end_users:
            self._own("end_user", company=own.company, end_user=end_user)
        self._own(
            "conversation",
            company=own.company,
            chatbot=own.chatbot,
            conversation=own.conversation,
            end_user=own.end_users[0],
        )
        self._own("account", company=own.company, account=own.account)

    def _history(self, own: Own, first: int, last: int) -> None:
        self._own(
            "history",
            company=own.company,
            chatbot=own.chatbot,
            end_users=list(own.end_users),
            conversation=own.conversation,
            account=own.account,
            first=first,
            last=last,
        )

    def _assert_alone(self, own: Own) -> None:
        held = run_own(self._connection, self._naming, "hold", company=own.company).fetchone()
        if held is None:
            return
        others = [(table, ids) for table, ids in self._others(own, held[0]) if table not in self._filled]
        if others:
            named = "; ".join(
                f"{len(ids):,} {'row' if len(ids) == 1 else 'rows'} of {table} (id {quoted(ids)})"
                for table, ids in others
            )
            raise NotItsOwn(
                Code.LOADTEST_ROWS_MIXED,
                f"rows that the load test did not make belong to its company: {named}",
                hint="move those rows to another company or delete them, then run callctl loadtest --clean",
            )

    def _others(self, own: Own, written_by: str) -> list[tuple[str, list[str]]]:
        """The rows that would go with a load test's rows, or hold them, and are not its own: by table, with their ids.

        Rows of the transaction ``written_by``, which made its company, are those that the platform's triggers added.
        """
        from psycopg import sql

        rows_by_table: dict[str, dict[str, None]] = {}
        keys = run_own(self._connection, self._naming, "references", schema=self._naming.schema).fetchall()
        for schema, relation, attribute, target, own_table in keys:
            if own_table == "call_transcripts" and target == "calls":
                continue
            table = sql.Identifier(schema, relation)
            conditions = [sql.SQL("r.xmin::text <> {}").format(sql.Literal(written_by))]
            ids = own.ids(target)
            if ids:
                conditions.append(
                    sql.SQL("r.{} = ANY ({}::uuid[])").format(sql.Identifier(attribute), sql.Literal(ids))
                )
            else:
                conditions.append(sql.SQL("r.{} IN ({})").format(sql.Identifier(attribute), self._calls(own, target)))
            if own_table == "calls":
                mine = sql.SQL(" AND ").join(
                    sql.SQL("r.{} IS NOT DISTINCT FROM {}::uuid").format(
                        sql.Identifier(name), sql.Literal(value)
                    )
                    for name, value in (("company_id", own.company), ("chatbot_id", own.chatbot),
                                        ("integration_account_id", own.account))
                )  # fmt: skip
                conditions.append(sql.SQL("NOT ({})").format(mine))
            elif own_table:
                conditions.append(sql.SQL("r.id <> ALL ({}::uuid[])").format(sql.Literal(own.ids(own_table))))
            query = sql.SQL("SELECT coalesce(to_jsonb(r) ->> 'id', 'none') FROM {} AS r WHERE {}").format(
                table, sql.SQL(" AND ").join(conditions)
            )
            rows = self._connection.execute(query).fetchall()
            if rows:
                rows_by_table.setdefault(f"{schema}.{relation}", {}).update(dict.fromkeys(row[0] for row in rows))
        return [(table, list(rows)) for table, rows in rows_by_table.items()]

    def _calls(self, own: Own, target: str) -> sql.Composable:
        """The ids of its calls, or of their transcripts, where these tables are."""
        from psycopg import sql

        schema = self._settings.schema
        if store.absence(self._connection, schema, "calls") is not None:
            schema = "callctl"
        # Tables of the steps: their columns have the documented names everywhere.
        calls = sql.SQL("SELECT id FROM {} WHERE company_id = {}::uuid").format(
            sql.Identifier(schema, "calls"), sql.Literal(own.company)
        )
        if target == "calls":
            return calls
        return sql.SQL("SELECT id FROM {} WHERE call_id IN ({})").format(
            sql.Identifier(schema, "call_transcripts"), calls
        )

    def _remove_calls(self, own: Own) -> int:
        return self._own(
            "remove_calls", company=own.company, chatbot=own.chatbot, account=own.account, most=CALLS_AT_ONCE
        )

    def _remove_company(self, own: Own) -> None:
        self._own("remove_conversations", company=own.company, conversation=own.conversation)
        self._own("remove_company", company=own.company, slug=own.slug)
        if self._own("still_there", company=own.company):
            raise Refused(
                Code.LOADTEST_IMPOSSIBLE,
                "the load test's company still exists after its deletion: a trigger or a rule of the "
                "platform keeps rows; a load test cannot run here",
                hint="run the load test on a copy of the database that has no such trigger",
            )

    def _own(self, name: str, **values: object) -> int:
        return run_own(self._connection, self._naming, name, **values).rowcount

    def _transaction(self, work: Callable[[], Any]) -> Any:
        return in_transaction(self._connection, self._settings, work, shared=True, on_event=self._on_event)


def values_of(own: Own, call: str, *, number: int = 0) -> dict[str, object]:
    """Every value that a documented query can ask for, for one call of the load test's."""
    return {
        "call": call,
        "company": own.company,
        "chatbot": own.chatbot,
        "end_user": own.end_users[number % len(own.end_users)],
        "conversation": own.conversation,
        "account": own.account,
        "call_sid": "CA" + call.replace("-", ""),
        "from_number": f"+1555010{number % 10000:04d}",
        "to_number": "+15550100",
        "word": "refund",
        "role": "user",
        "content": "I want a refund for the order of last week, please.",
        "start_time": 0,
        "end_time": 3000,
        "confidence": "0.9500",
    }
