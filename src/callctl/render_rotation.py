"""How the answers about secrets look: a rotation, how the secrets stand, the keys. Never a value."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from callctl import render, render_webhooks
from callctl.render_table import table

if TYPE_CHECKING:
    from callctl.config import Output
    from callctl.key_retirement import Retired
    from callctl.key_use import Keys, Secrets
    from callctl.rotation import Rotated
    from callctl.secret_scan import Scan

SHOWN = 20
_TROUBLE = {
    "missing": "is missing",
    "extra": "is nothing that the specification has",
    "wrong type": "is of another type than in the specification",
}


# ---- rotate-secrets ------------------------------------------------------------------------------------


def rotated_document(done: Rotated) -> dict[str, object]:
    """The last line of a rotation in JSON."""
    return {
        "event": "rotated",
        "rotation": done.rotation,
        "key": done.key,
        "binding": done.binding,
        "joined": done.joined,
        "started_at": done.started_at,
        "finished_at": done.finished_at,
        "rows_read": done.rows_read,
        "rows_written": done.rows_written,
        "values": done.values,
        "changed": [
            {"account_type": each.account_type, "field": each.field, "from": each.was, "values": each.values}
            for each in done.changed
        ],
        "failures": done.failures,
        "left": list(done.left),
        "misshapen": dict(done.misshapen),
        **_outside_document(done.outside),
        "seconds": round(done.seconds, 3),
    }


def rotated(done: Rotated, output: Output) -> None:
    """What a rotation has done."""
    if output == "json":
        render.line(rotated_document(done))
        return
    if done.changed:
        table(
            ("account type", "field", "was", "values"),
            ((each.account_type or "", each.field, each.was, f"{each.values:,}") for each in done.changed),
            right=("values",),
        )
        render.out()
    _left([(each.target, each.row_id, each.field, each.reason) for each in done.left], done.failures)
    for account_type, number in done.misshapen.items():
        accounts = render.counted(number, f"{account_type} account")
        render.warning(
            f"{accounts} with credentials that differ from the specification's; they stay as they are, and"
            " callctl rotate-secrets --status says where"
        )
    _outside(done.outside)
    written = f"{render.counted(done.values, 'value')} in {render.counted(done.rows_written, 'row')} brought under"
    answer = f"{written} key {done.key}" if done.values else f"every value that opens is under key {done.key} already"
    render.out(f"{answer} ({render.counted(done.rows_read, 'row')} read, {done.seconds:.1f} s)")
    if done.failures:
        render.note("next: mend what does not open, or write it anew, and run callctl rotate-secrets again")
        return
    was = sorted({each.was for each in done.changed} - {"plaintext", done.key})
    render.note(f"next: callctl keys retire {was[0]}" if was else "next: callctl keys list")


def _left(rows: Sequence[tuple[str, str, str, str]], total: int) -> None:
    if not total:
        return
    label = render.styled("left as they were", "error", sys.stdout)
    render.out(f"{label}: {render.counted(total, 'value')}")
    for target, row_id, field, reason in rows[:SHOWN]:
        render.out(render.folded(f"{target}, row {row_id}, {field}: {reason}", sys.stdout, indent=2, hanging=2))
    if total > SHOWN:
        render.out(
            f"  and {total - SHOWN:,} more; --output json lists more of them, the table callctl.rotation_failure all"
        )
    render.out()


# ---- --status and --dry-run ----------------------------------------------------------------------------


def secrets_document(found: Secrets) -> dict[str, object]:
    counted = found.counted
    return {
        "key": found.key,
        "binding": found.binding,
        "rows": counted.rows,
        "values": counted.uses.total(),
        "due": counted.due,
        "plaintext": counted.total("plaintext"),
        "unreadable": counted.total("unreadable"),
        "fields": [{**use._asdict(), "values": number} for use, number in sorted(counted.uses.items(), key=_sorted)],
        "tenants": [tenant._asdict() for tenant in counted.by_tenant()],
        "left": list(counted.unreadable),
        "shapes": [
            {**shape._asdict(), "accounts": number} for shape, number in sorted(counted.shapes.items(), key=_sorted)
        ],
        **_outside_document(found.outside),
        "under_way": found.under_way,
        "last": found.last,
        "kept_webhook_secrets": list(found.kept),
    }


def secrets(found: Secrets, output: Output) -> None:
    """How the secrets stand."""
    if output == "json":
        render.document(secrets_document(found))
        return
    counted = found.counted
    table(
        ("where", "account type", "field", "under", "version", "values", "to rotate"),
        (
            (
                use.target,
                use.account_type or "",
                use.field,
                (use.key or "no known key") if use.state != "plaintext" else "plaintext",
                "" if use.version is None else str(use.version or "without id"),
                f"{number:,}",
                "does not open" if use.state == "unreadable" else f"{number:,}" if use.due else "",
            )
            for use, number in sorted(counted.uses.items(), key=_sorted)
        ),
        right=("values", "to rotate"),
    )
    render.out()
    tenants = [tenant for tenant in counted.by_tenant() if tenant.due or tenant.unreadable]
    if tenants:
        table(
            ("company", "values", "to rotate", "do not open"),
            (
                (tenant.company_id, f"{tenant.values:,}", f"{tenant.due:,}", f"{tenant.unreadable:,}")
                for tenant in tenants[:SHOWN]
            ),
            right=("values", "to rotate", "do not open"),
        )
        if len(tenants) > SHOWN:
            render.out(f"and {len(tenants) - SHOWN:,} more companies; --output json lists them")
        render.out()
    _left(
        [(each.target, each.row_id, each.field, each.reason) for each in counted.unreadable],
        counted.total("unreadable"),
    )
    for shape, number in sorted(counted.shapes.items(), key=_sorted):
        accounts = render.counted(number, f"{shape.account_type} account")
        render.warning(f"{accounts}: {shape.field} {_TROUBLE[shape.trouble]}; it stays as it is")
    _outside(found.outside)
    render_webhooks.kept(found.kept)
    if found.under_way is not None:
        begun = f"{found.under_way.started_at:%Y-%m-%d %H:%M:%S%z} by {found.under_way.client}"
        render.note(f"rotation {found.under_way.rotation} to key {found.under_way.key} is under way, begun {begun}")
    to = f" under key {found.key}" if found.key else ""
    rows = f"{render.counted(counted.uses.total(), 'value')} in {render.counted(counted.rows, 'row')}"
    render.out(f"{rows}: {counted.due:,} to bring{to}, {counted.total('unreadable'):,} that do not open")
    if found.key is None:
        render.note("callctl.yaml names no keys: nothing was decrypted")
    render.note("next: callctl rotate-secrets" if counted.due else "next: callctl keys list")


def _sorted(item: tuple[Any, int]) -> list[str]:
    return [str(part if part is not None else "") for part in item[0]]


def _outside_document(outside: Scan) -> dict[str, object]:
    found = [
        {
            "kind": each.kind,
            "table": each.table,
            "field": each.field,
            "key": each.key,
            "values": each.values,
            "rows": each.rows,
        }
        for each in outside.found
    ]
    return {"outside": found, "not_scanned": list(outside.not_looked_into)}


def _outside(outside: Scan) -> None:
    from callctl.secret_scan import warnings

    lines = list(warnings(outside))
    for text in lines[:SHOWN]:
        render.warning(text)
    if len(lines) > SHOWN:
        render.warning(f"and {len(lines) - SHOWN:,} more such fields; callctl rotate-secrets --status --output json")


# ---- keys ----------------------------------------------------------------------------------------------


def keys(found: Keys, output: Output) -> None:
    """The keys, and what is under each."""
    if output == "json":
        render.document(found)
        return
    table(
        ("key", "state", "source", "check value", "live", "archived", "saved", "encryptions"),
        (
            (
                key.id,
                key.state,
                key.source or "",
                key.check_value or "",
                *_numbers((key.live, key.archived, key.saved, key.encryptions)),
            )
            for key in found.keys
        ),
        right=("live", "archived", "saved", "encryptions"),
    )
    if found.plaintext:
        render.note(f"{render.counted(found.plaintext, 'value')} in plaintext, under no key")
    if found.unreadable:
        render.note(
            f"{render.counted(found.unreadable, 'value')} that do not open: callctl rotate-secrets --status lists them"
        )
    ready = [
        key
        for key in found.keys
        # One that has encrypted nothing may be the next primary.
        if (key.state == "legacy" or (key.state == "in the ring" and key.encryptions))
        and not key.live + key.archived + key.saved
    ]
    if found.plaintext or any(
        key.state in ("legacy", "in the ring") and key.live + key.archived + key.saved for key in found.keys
    ):
        render.note("next: callctl rotate-secrets")
    elif ready:
        render.note(f"next: callctl keys retire {ready[0].id}")


def _numbers(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{number:,}" if number else "" for number in numbers)


def retired(done: Retired, output: Output) -> None:
    """A key that is retired."""
    for text in done.warnings:
        render.warning(text)
    if output == "json":
        render.document(done)
        return
    tables = f"{render.counted(done.tables, 'table')} in {render.counted(done.schemas, 'schema')}"
    left = tuple(dict.fromkeys(each.name for each in done.not_scanned))
    render.out(f"key {done.id} is retired: no value under it was found")
    render.out(
        f"looked at: {render.counted(done.rows, 'row')} with declared fields; every row of {tables} for other values"
    )
    if left:
        render.out(render.folded(f"not looked into: {', '.join(left)}", sys.stdout, indent=0, hanging=2))
    render.note(f"next: take {done.id} out of callctl.yaml when no application needs it any more")
