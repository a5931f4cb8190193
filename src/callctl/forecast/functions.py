"""The statements that callctl's own functions send to the server: so their locks come from the one table.

A function of ``sql/store`` that locks no table of the platform is in ``QUIET``. One that does has a way here that
yields its statements for this database. ``tests/unit/forecast/test_functions.py`` fails for a function of
``sql/store`` that has neither, and ``tests/faults/test_forecast.py`` compares each with what a run has locked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from callctl.statements.naming import ROWS, VALUES
from callctl.statements.tokens import identifier, literal

if TYPE_CHECKING:
    from callctl.forecast.catalog import Catalog, Name, Relation


class Sent(NamedTuple):
    """A statement that a function sends; ``certain`` where it does so whatever rows there are."""

    sql: str
    certain: bool = True


Way: TypeAlias = Callable[[Sequence[str], "Catalog"], Iterator[Sent]]

SAVED = ".".join(VALUES)
QUIET = frozenset(
    """with_children fires_after not_at_once in_the_way is_subscribed write_definition storage_name compression_name
    as_written length_limit give_statistics name_index_columns index_settings statistics_settings
    indexes_of statistics_of behind column_forms remember_forms
    remembered_length remember_column forget_default_privileges remember_enum drop_unused_types
    remember_missing_columns make_touch_function drop_made_function keys_that_refuse remember_keys key_statements
    let_keys_follow let_keys_refuse remember_trigger remember_newest table_shape remember_archived archive_changes
    assert_not_archived rows_referring_to row_as_stored is_as_left active_column column_facts shadow_check
    shadow_agrees forms_agree sync_triggers forms_that_differ flags_filled unsaved_forms with_call_flag
    call_flag_before without_call_flag default_call_settings without_call_settings row_digest set_writes
    counted_tables followed_tables count_rows compare_rows changed_records begin_count settle_removed_rows spare_rows
    give_to_owner sequences_behind""".split()  # noqa: SIM905
)
"""The functions that lock no table of the platform but to read it: they read, and write callctl's own tables.

``name_index_columns`` locks an index that its step has just made; the outlook is of tables.
"""


def sent_by(function: str, arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent] | None:
    """The statements that a function of callctl's schema sends, in this database; None where it is not declared.

    ``arguments`` are written as in the call. A trigger's function is called with its table. What a statement changes is
    in the catalog before the next one is asked for.
    """
    if function in QUIET:
        return iter(())
    way = WAYS.get(function) or next((way for prefix, way in _TRIGGERS.items() if function.startswith(prefix)), None)
    return None if way is None else way(arguments, catalog)


def text_of(argument: str) -> str:
    """Return what the literal in an argument says: ``'chatapp.users'::regclass`` is chatapp.users."""
    found = re.search(r"'((?:[^']|'')*)'", argument)
    return found[1].replace("''", "'") if found else argument


def _table(argument: str, catalog: Catalog) -> tuple[str, Relation | None]:
    """A table as SQL writes it, and its facts."""
    written = text_of(argument)
    words = tuple(a or b for a, b in re.findall(r'"((?:[^"]|"")+)"|(\w+)', written))
    return written, catalog.relation(catalog.named(words))


def _lock_table(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    yield Sent(f"LOCK TABLE {text_of(arguments[0])} IN ACCESS EXCLUSIVE MODE")


def _follow_rows(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    saved, relation = _table(arguments[0], catalog)
    column, (table, target) = text_of(arguments[1]), _table(arguments[2], catalog)
    if relation is None or target is None:
        return
    if not any(key.refers_to == target.name and key.columns == (column,) for key in relation.foreign_keys()):
        yield Sent(f"ALTER TABLE {saved} ADD FOREIGN KEY ({identifier(column)}) REFERENCES {table} (id)")
        relation.constraints[f"{relation.name.name}_{column}_fkey"].on_delete = "c"


_SYNC = ("sync_1_type", "sync_2_flags", "sync_3_insert", "sync_4_other", "keep_insert", "keep_update")


def _drop_sync(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[0], catalog)
    for trigger in sorted(relation.triggers) if relation else ():
        if relation is not None and relation.triggers[trigger].function.schema == "callctl":
            yield Sent(f"DROP TRIGGER {identifier(trigger)} ON {table}")


def _make_sync(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[0], catalog)
    yield from list(_drop_sync(arguments, catalog))
    named = relation.name.name if relation else ""
    for trigger in _SYNC:
        events = {"insert": "INSERT", "keep_insert": "INSERT"}.get(trigger.partition("_3_")[2] or trigger, "UPDATE")
        function = f"callctl.{identifier(trigger.partition('_')[0] + '_' + named)}"
        when = "BEFORE" if trigger.startswith("sync") else "AFTER"
        name = f"zzz_callctl_{trigger}"
        yield Sent(f"CREATE TRIGGER {name} {when} {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")
        yield Sent(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _end_sync(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    yield from _lock_table(arguments, catalog)
    yield from _drop_sync(arguments, catalog)


def _prove_forms(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[2], catalog)
    if relation is None or not {text_of(argument) for argument in arguments[3:6]} <= set(relation.columns):
        return
    made = [trigger for trigger in relation.triggers.values() if trigger.function.schema == "callctl"]
    if len(made) != len(_SYNC):
        yield from list(_make_sync(arguments[2:], catalog))
    yield Sent(f"SELECT FROM {table}")
    proved = relation.constraints.get("callctl_forms_agree")
    if proved is None or not proved.validated:
        again = "DROP CONSTRAINT IF EXISTS callctl_forms_agree, ADD CONSTRAINT callctl_forms_agree"
        yield Sent(f"ALTER TABLE {table} {again} CHECK (true) NOT VALID")
        relation.constraints["callctl_forms_agree"].columns = tuple(text_of(each) for each in arguments[3:6])
        yield Sent(f"ALTER TABLE {table} VALIDATE CONSTRAINT callctl_forms_agree")


def _made(step: str, kind: str, catalog: Catalog) -> list[str] | None:
    rows = catalog.query(
        f"SELECT name FROM callctl.made WHERE step = {int(step)} AND kind = {literal(kind)} ORDER BY name"
    )
    return None if rows is None else [str(name) for (name,) in rows]


def _save_made_columns(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    yield Sent(f"INSERT INTO {SAVED} (ai_model_id) SELECT id", bool(_made(arguments[0], "column", catalog)))


def _drop_made_columns(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[1], catalog)
    for column in _made(arguments[0], "column", catalog) or ():
        yield Sent(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {identifier(column)}")


def _put_back_made_columns(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    # model_type is in any case among them: step 7 has made it.
    table, _ = _table(arguments[1], catalog)
    yield Sent(f"UPDATE {table} SET model_type = model_type")


def _definitions(condition: str, catalog: Catalog) -> Iterator[Sent]:
    """The statements that callctl has written down."""
    query = f"SELECT ddl FROM callctl.definition WHERE {condition} ORDER BY ordinal"
    for (ddl,) in catalog.query(query) or ():
        yield Sent(str(ddl))


def _remember_settings(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    catalog.settings[f"settings {arguments[0]}"] = f"{text_of(arguments[1])} {text_of(arguments[2])}"
    yield from ()


def _put_back_settings(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    remembered = catalog.settings.pop(f"settings {arguments[0]}", None)
    if remembered is not None:
        # Written down by a statement above: the marks of the column's indexes. The rest of it locks no table.
        table, column = remembered.rsplit(" ", 1)
        _, relation = _table(table, catalog)
        for index in list(relation.indexes.values()) if relation else ():
            if column in index.columns and index.clustered:
                yield Sent(f"ALTER TABLE {table} CLUSTER ON {identifier(index.name.name)}")
            if column in index.columns and index.identity:
                yield Sent(f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX {identifier(index.name.name)}")
        return
    yield from _definitions(f"step = {int(arguments[0])} AND kind = 'column setting'", catalog)


def _leave_room(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[1], catalog)
    kept = catalog.query(f"SELECT 1 FROM callctl.definition WHERE step = {int(arguments[0])} AND kind = 'fillfactor'")
    if relation is not None and relation.kind == "r" and not kept:
        catalog.settings[f"room {arguments[0]}"] = table
        yield Sent(f"ALTER TABLE {table} SET (fillfactor = 50)")


def _leave_no_more_room(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table = catalog.settings.pop(f"room {arguments[0]}", None)
    if table is not None:
        yield Sent(f"ALTER TABLE {table} RESET (fillfactor)")
    else:
        yield from _definitions(f"step = {int(arguments[0])} AND kind = 'fillfactor'", catalog)


def _key_validations(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[1], catalog)
    for key in list(relation.foreign_keys()) if relation else ():
        if not key.validated:
            yield Sent(f"ALTER TABLE {table} VALIDATE CONSTRAINT {identifier(key.name)}")


def _protect_new_table(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, made = _table(arguments[0], catalog)
    wanted = catalog.settings.get("callctl.new_tables_row_security", "inherit")
    beside = [
        relation
        for relation in catalog.relations.values()
        if made is not None
        and relation.name.schema == made.name.schema
        and relation.name.name in ("chatbots", "companies")
    ]
    if wanted == "on" or (wanted == "inherit" and any(relation.row_security for relation in beside)):
        yield Sent(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def _add_missing_constraint(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[0], catalog)
    name = text_of(arguments[1])
    if relation is not None and name not in relation.constraints:
        yield Sent(f"ALTER TABLE {table} ADD CONSTRAINT {identifier(name)} {text_of(arguments[2])}")


def _any(query: str, catalog: Catalog) -> bool:
    return bool(catalog.query(f"{query} LIMIT 1"))


def _bring_back_rows(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[0], catalog)
    if _any(f"SELECT 1 FROM {'.'.join(ROWS)} WHERE superseded_at IS NULL", catalog):
        yield Sent(f"INSERT INTO {table} SELECT", certain=False)


def _put_away_made_rows(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[1], catalog)
    if _made(arguments[0], "row", catalog):
        yield Sent(f"DELETE FROM {table}")


def _withhold_model(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[0], catalog)
    yield Sent(f"UPDATE {table} SET is_active = false", certain=False)
    yield Sent(f"DELETE FROM {table}", certain=False)


def _release_models(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[0], catalog)
    yield Sent(f"SELECT FROM {table} FOR NO KEY UPDATE", certain=False)
    yield Sent(f"UPDATE {table} SET is_active = true", certain=False)


def _shadow_name(catalog: Catalog) -> str:
    return catalog.settings.get("shadow", "callctl_avatar_url")


def _begin_shadow(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[1], catalog)
    column, shadow = text_of(arguments[2]), text_of(arguments[3])
    begun = catalog.query(f"SELECT 1 FROM callctl.definition WHERE step = {int(arguments[0])} AND kind = 'shadow'")
    if relation is None or begun:
        return
    catalog.settings["shadow"] = shadow
    kind = catalog.query(
        f"SELECT detail ->> 'type' FROM callctl.definition WHERE step = {int(arguments[0])} AND kind = 'column type'"
    )
    written = str(kind[0][0]) if kind else "text"
    yield Sent(f"ALTER TABLE {table} ADD COLUMN {identifier(shadow)} {written}")
    for trigger in ("zzz_callctl_shadow_1_fill", "zzz_callctl_shadow_2_keep"):
        # What they run locks nothing: they copy one column of the row to the other.
        function = f"callctl.shadow_{identifier(relation.name.name)}"
        yield Sent(f"CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")
        yield Sent(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
    yield Sent(f"COMMENT ON COLUMN {table}.{identifier(shadow)} IS ''")
    catalog.settings["shadow column"], catalog.settings["shadow table"] = column, table


def sent_for(query: str, catalog: Catalog) -> Iterator[Sent]:
    """The statements that a query of callctl's definitions will return which are written down by then, not yet now.

    Of a shadow column: the indexes, CHECKs and statistics objects that its column has.
    """
    table, column = catalog.settings.get("shadow table"), catalog.settings.get("shadow column")
    found = re.search(r"kind = 'shadow ([a-z ]+)'", query)
    if table is None or column is None or found is None:
        return
    _, relation = _table(table, catalog)
    if relation is None:
        return
    shadow = identifier(_shadow_name(catalog))
    indexes = [index for index in relation.indexes.values() if column in index.columns]
    checks = [check for check in relation.constraints.values() if check.kind == "c" and column in check.columns]
    numbered = [(f"callctl_shadow_{number}", check) for number, check in enumerate(checks, 1)]
    if found[1] in ("index", "unique index"):
        for number, index in enumerate(indexes, len(checks) + 1):
            if index.unique == (found[1] == "unique index"):
                unique = "UNIQUE " if index.unique else ""
                yield Sent(f"CREATE {unique}INDEX CONCURRENTLY callctl_shadow_{number} ON {table} ({shadow})")
    elif found[1] == "check":
        for name, check in numbered:
            later = " NOT VALID" if check.validated else ""
            yield Sent(
                f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK (true){later}"
            )
    elif found[1] == "validate":
        for name, check in numbered:
            if check.validated:
                yield Sent(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    elif found[1] == "statistics":
        query = (
            "SELECT s.stxname FROM pg_statistic_ext AS s JOIN pg_attribute AS a ON a.attrelid = s.stxrelid"
            f" AND a.attnum = ANY (s.stxkeys) WHERE s.stxrelid = to_regclass({literal(table)})"
            f" AND a.attname = {literal(column)}"
        )
        for number, _ in enumerate(catalog.query(query) or (), len(checks) + len(indexes) + 1):
            yield Sent(f"CREATE STATISTICS callctl_shadow_{number} ON {shadow} FROM {table}")


def _run_in_tablespace(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    yield Sent(text_of(arguments[1]))


def _promise_shadow(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[0], catalog)
    if relation is not None and "callctl_shadow_agrees" not in relation.constraints:
        again = "DROP CONSTRAINT IF EXISTS callctl_shadow_agrees, ADD CONSTRAINT callctl_shadow_agrees"
        yield Sent(f"ALTER TABLE {table} {again} CHECK (true) NOT VALID")


def _prove_shadow(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[0], catalog)
    yield from list(_promise_shadow(arguments, catalog))
    yield Sent(f"ALTER TABLE {table} VALIDATE CONSTRAINT callctl_shadow_agrees")


def _swap_shadow(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[1], catalog)
    column = identifier(text_of(arguments[2]))
    yield Sent(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    yield Sent(f"DROP TRIGGER zzz_callctl_shadow_1_fill ON {table}")
    yield Sent(f"DROP TRIGGER zzz_callctl_shadow_2_keep ON {table}")
    yield Sent(f"ALTER TABLE {table} DROP CONSTRAINT callctl_shadow_agrees")
    yield Sent(f"ALTER TABLE {table} DROP COLUMN {column}")
    yield Sent(f"ALTER TABLE {table} RENAME COLUMN {identifier(_shadow_name(catalog))} TO {column}")
    yield Sent(f"COMMENT ON COLUMN {table}.{column} IS ''")


def _drop_shadow(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, _ = _table(arguments[1], catalog)
    yield Sent(f"DROP TRIGGER zzz_callctl_shadow_1_fill ON {table}")
    shadow = identifier(_shadow_name(catalog))
    yield Sent(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS callctl_shadow_agrees, DROP COLUMN IF EXISTS {shadow}")


def _drop_unfinished_table(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    table, relation = _table(arguments[1], catalog)
    if relation is not None:
        yield Sent(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield Sent(f"DROP TABLE {table}")


def _put_away_row(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    yield Sent(f"DELETE FROM {text_of(arguments[0])}")


def _saves(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    """A trigger of callctl.make_sync(): what one form cannot say of the other is saved, or its record superseded."""
    if catalog.relation(_saved()) is not None:
        column = arguments[0].rpartition(".")[2].strip('"').removesuffix("s") + "_id"
        yield Sent(f"INSERT INTO {SAVED} ({column}) SELECT 1", certain=False)
        yield Sent(f"UPDATE {SAVED} SET superseded_at = now()", certain=False)
        yield Sent(f"DELETE FROM {SAVED}", certain=False)


def _saved() -> Name:
    from callctl.forecast.catalog import Name

    return Name(*VALUES)


def _nothing(arguments: Sequence[str], catalog: Catalog) -> Iterator[Sent]:
    yield from ()


WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "lock_table": _lock_table,
        "follow_rows": _follow_rows,
        "drop_sync": _drop_sync,
        "make_sync": _make_sync,
        "end_sync": _end_sync,
        "prove_forms": _prove_forms,
        "save_made_columns": _save_made_columns,
        "drop_made_columns": _drop_made_columns,
        "put_back_made_columns": _put_back_made_columns,
        "remember_settings": _remember_settings,
        "remember_column_type": _remember_settings,
        "put_back_settings": _put_back_settings,
        "run_in_tablespace": _run_in_tablespace,
        "leave_room": _leave_room,
        "leave_no_more_room": _leave_no_more_room,
        "key_validations": _key_validations,
        "protect_new_table": _protect_new_table,
        "add_missing_constraint": _add_missing_constraint,
        "drop_unfinished_table": _drop_unfinished_table,
        "bring_back_rows": _bring_back_rows,
        "put_away_row": _put_away_row,
        "put_away_made_rows": _put_away_made_rows,
        "withhold_model": _withhold_model,
        "release_models": _release_models,
        "begin_shadow": _begin_shadow,
        "promise_shadow": _promise_shadow,
        "prove_shadow": _prove_shadow,
        "swap_shadow": _swap_shadow,
        "drop_shadow": _drop_shadow,
    }
)
"""The functions that lock a table of the platform: what they send."""

_TRIGGERS: Mapping[str, Way] = MappingProxyType(
    {"sync_": _saves, "keep_": _saves, "shadow_": _nothing, "fill_": _nothing}
)
# The trigger functions that callctl makes on the way, by the beginning of their names.

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "lock_table": "lock {0}",
        "follow_rows": "let {0} follow the rows of {2}: add its foreign key",
        "make_sync": "make the triggers that keep the type column and the flags of {0} in step",
        "end_sync": "lock {0}, drop the triggers that kept its type column and flags in step",
        "prove_forms": "prove in every row that the type column and the flags of {2} say the same, by a CHECK",
        "save_made_columns": "save what the columns of {1} hold that go",
        "drop_made_columns": "drop the columns of {1} that callctl added",
        "put_back_made_columns": "restore the saved values of the columns of {1}",
        "put_back_settings": "give indexes and statistics objects the settings that they had",
        "leave_room": "leave room on the pages of {1} for a later update (fillfactor)",
        "leave_no_more_room": "restore the fillfactor",
        "key_validations": "check every row of {1} against its foreign keys",
        "let_keys_follow": "let the foreign keys of {0} follow changed keys",
        "protect_new_table": "enable row-level security of {0} where the platform has it",
        "add_missing_constraint": "add CHECK {1} to {0}, unless it is there",
        "bring_back_rows": "insert the saved rows of {0} again",
        "put_away_made_rows": "save and delete the rows of {1} that callctl inserted",
        "withhold_model": "make the inserted models of {0} inactive",
        "release_models": "make the inserted models of {0} active",
        "remember_newest": "note the newest row of {1}",
        "begin_shadow": "add shadow column {3} to {1}, with two triggers",
        "promise_shadow": "add a CHECK on the shadow column of {0}, for new rows only",
        "prove_shadow": "prove in every row of {0} that the shadow column is the same, by a CHECK",
        "swap_shadow": "drop {2} of {1}; the shadow column gets its name",
    }
)
"""What a function does, in plain words; ``{0}`` is its first argument."""


def words_of(function: str, arguments: Sequence[str]) -> str | None:
    """Return what a call of one of callctl's functions does, in plain words; None where it has none: bookkeeping."""
    words = WORDS.get(function)
    if words is None:
        return None
    names = [text_of(argument).rpartition(".")[2] for argument in arguments]
    return words.format(*names)
