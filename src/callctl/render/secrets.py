"""Draws the answers about secrets: rotations, keys, webhook secrets. Never a value. Never a value."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callctl.redaction import printable, without_query
from callctl.render import console as render
from callctl.render.console import table
from callctl.secrets.rows.row import FOREIGN, PLAINTEXT, UNBOUND

if TYPE_CHECKING:
    from callctl.config.database_url import Target
    from callctl.config.settings import Output
    from callctl.render import documents
    from callctl.secrets.inventory.key_retirement import Retired
    from callctl.secrets.inventory.key_use import Census, Keys, Planned, Secrets
    from callctl.secrets.inventory.plaintext_copies import Copy
    from callctl.secrets.inventory.scan import Scan
    from callctl.secrets.inventory.scan_finder import NotLookedInto
    from callctl.secrets.rotation.rotate import Rotated
    from callctl.secrets.rows.tables import Kept
    from callctl.secrets.webhooks.accounts import Account, Chosen
    from callctl.secrets.webhooks.replace import Done

# How answers about keys look.


def key_document(key: str) -> documents.NewKey:
    return {"key": render.Shown(key)}


def file_document(path: Path) -> documents.NewKeyFile:
    return {"file": path}


def key_generated(key: str, path: Path | None, output: Output) -> None:
    """A new key: itself, or the file that it was written to."""
    if path is None:
        render.answer(output, lambda: key_document(key), lambda: render.own(key))
    else:
        render.answer(output, lambda: file_document(path), lambda: render.out(str(path)))
    if path is not None:
        render.note("The new key is in this file, which only you can read; keep a copy elsewhere before you use it")
    elif render.is_terminal(sys.stdout):
        render.warning("the key is now in the terminal's scrollback; --out FILE puts it into a file instead")


# How the answers about webhook secrets look: which providers have to be told. Never a value.

SHOWN = 20


def _account_document(account: Account) -> documents.WebhookAccount:
    return {
        "account_id": account.account_id,
        "company_id": account.company_id,
        "account_type": account.account_type,
        "account_name": account.account_name,
        "webhook_url": without_query(account.webhook_url),
        "fingerprint": account.fingerprint,
    }


def webhooks_chosen(chosen: Chosen, output: Output) -> None:
    """Print the plan of a run."""
    render.answer(output, lambda: chosen_document(chosen), lambda: _chosen_text(chosen))


def chosen_document(chosen: Chosen) -> documents.ChosenWebhooks:
    return {
        "direction": chosen.direction,
        "scope": chosen.scope,
        "accounts": [_account_document(account) for account in chosen.accounts],
        "deleted": chosen.deleted,
        "without": chosen.without,
    }


def _chosen_text(chosen: Chosen) -> None:
    _webhook_accounts(chosen.accounts)
    if chosen.direction == "new":
        _passed_over(chosen.deleted, chosen.without)
    effect = (
        "would get a new webhook secret" if chosen.direction == "new" else "would get its previous webhook secret back"
    )
    render.out(f"{render.counted(len(chosen.accounts), 'account')} {effect}; nothing was changed")


def webhooks_done_document(result: Done, target: Target | None = None) -> documents.ReplacedWebhooks:
    """The last line of a run in JSON."""
    return {
        "event": "webhook_secrets_replaced" if result.direction == "new" else "webhook_secrets_put_back",
        "direction": result.direction,
        "scope": result.scope,
        "rotation": result.rotation,
        "started_at": result.started_at,
        "accounts": [_account_document(account) for account in result.accounts],
        "before": result.before,
        "left": result.left,
        "deleted": result.deleted,
        "without": result.without,
        "file": result.file,
        "keep_until": result.keep_until,
        "target": target,
    }


def webhooks_done(result: Done, output: Output, target: Target | None = None) -> None:
    """Print the result of a run, and who needs the new secrets."""
    render.answer(
        output, lambda: webhooks_done_document(result, target), lambda: _done_text(result, target), _after_run(result)
    )


def _after_run(result: Done) -> render.Next | None:
    """No command of callctl's: a person enters the secrets at the providers."""
    if result.direction == "back":
        text = "enter the previous secret at the provider of each account again; only your file has the new secrets"
        return render.Next(None, text) if result.accounts else None
    if result.file is None or result.keep_until is None:
        return None
    return render.Next(None, "enter the new secrets at the provider of each account, then delete the file")


def _done_text(result: Done, target: Target | None) -> None:
    _webhook_accounts(result.accounts)
    if result.left:
        label = render.styled("left as they are", "error", sys.stdout)
        render.out(f"{label}: {render.counted(len(result.left), 'account')}")
        for account in result.left[:SHOWN]:
            render.out(render.folded(f"{account.account_id}: {account.reason}", sys.stdout, indent=2, hanging=2))
        if len(result.left) > SHOWN:
            render.out(f"  and {len(result.left) - SHOWN:,} more; the table callctl.rotation_failure has all")
        render.out()
    if result.direction == "new":
        _passed_over(result.deleted, result.without)
    if result.before:
        render.note(f"{render.counted(result.before, 'account')} were done by the earlier run that was stopped")
    number = render.counted(len(result.accounts), "account")
    if result.direction == "back" and not result.accounts:
        render.out("restored no webhook secret")
    elif result.direction == "back":
        render.out(f"restored the previous webhook secret of {number}")
        render.written(target)
    elif result.file is None or result.keep_until is None:
        render.out("no account has a webhook secret that was to be replaced; no file was written")
    else:
        render.out(f"{number} with a new webhook secret; the new ones are in {result.file}")
        render.written(target)
        render.out(f"the previous ones are kept until {result.keep_until:%Y-%m-%d %H:%M:%S%z}")
        render.note("to put the previous ones back: callctl webhooks restore --all")


def _webhook_accounts(accounts: Sequence[Account]) -> None:
    if not accounts:
        return
    table(
        ("account", "company", "type", "name", "webhook URL at the provider"),
        (
            (
                account.account_id,
                account.company_id,
                account.account_type,
                printable(account.account_name),
                printable(without_query(account.webhook_url) or "none: no provider has to be told"),
            )
            for account in accounts
        ),
    )
    render.out()


def _passed_over(deleted: int, without: int) -> None:
    if deleted:
        render.note(f"{render.counted(deleted, 'soft-deleted account')} with a webhook secret: left alone")
    if without:
        render.note(f"{render.counted(without, 'account')} without a webhook secret: left alone")


def kept_webhook_secrets(secrets: Sequence[Kept]) -> None:
    """The webhook secrets that can be put back, and until when."""
    if not secrets:
        return
    render.out("replaced webhook secrets that can be restored:")
    table(
        ("account", "company", "replaced", "kept until", "run", "new one"),
        (
            (
                kept_secret.account_id,
                kept_secret.company_id,
                f"{kept_secret.kept_at:%Y-%m-%d %H:%M:%S%z}",
                f"{kept_secret.keep_until:%Y-%m-%d %H:%M:%S%z}",
                str(kept_secret.rotation),
                kept_secret.fingerprint,
            )
            for kept_secret in secrets[:SHOWN]
        ),
        right=("run",),
    )
    if len(secrets) > SHOWN:
        render.out(f"and {len(secrets) - SHOWN:,} more; --output json lists them")
    render.out()


# Rotations, where the secrets are, and the keys.

_TROUBLE = {
    "missing": "is missing",
    "extra": "is not in the specification",
    "wrong type": "has another type than in the specification",
}


# ---- copies of a plaintext -----------------------------------------------------------------------------

GUIDE = "docs/how-to/encrypt-secrets-for-the-first-time.md"


def _copies(copies: Sequence[Copy]) -> None:
    """Each place that gets, or holds, a plaintext."""
    for copy in copies:
        render.warning(copy.text)


def _fire(copies: Sequence[Copy], tense: str) -> None:
    """In one line, what acts for each row that is written: also where no plaintext is written."""
    acting = [f"{copy.kind} {copy.name} on {copy.table}" for copy in copies if copy.fires]
    if acting:
        render.note(f"{tense} for each row written: {', '.join(acting)}")


def rotation_planned(plan: Planned, *, encrypt_foreign: bool) -> None:
    """Print the plan of a rotation, and the places that get copies, before the question."""
    counted = plan.counted
    if counted is not None:
        rows = f"{render.counted(counted.uses.total(), 'value')} in {render.counted(counted.rows, 'row')}"
        render.note(f"{rows}: {_to_do(counted)}")
        _foreign(counted, encrypt_foreign=encrypt_foreign)
    if plan.plaintext or (plan.plaintext is None and plan.first):
        if plan.plaintext:
            render.warning(_in_plaintext(plan.plaintext))
        else:
            render.warning(f"no rotation of this database has finished, so values may be in plaintext. {_COPIES}")
        _copies(plan.copies)
        render.note(f"how to handle each copy: {GUIDE}")
    else:
        _fire(plan.copies, "fires")


_COPIES = "Encrypting removes no copy of a plaintext. These hold copies, get copies, or fire on the rows written:"


def _in_plaintext(number: int) -> str:
    return f"{render.counted(number, 'value')} in plaintext. {_COPIES}"


def _to_do(counted: Census, to: str = "") -> str:
    """Return the number of values that a rotation encrypts under the primary key, and that it leaves."""
    text = f"{counted.due:,} to encrypt{to}, {counted.total('unreadable'):,} that do not open"
    foreign = sum(
        number for use, number in counted.uses.items() if use.state == "foreign" and not (use.due or use.unbound)
    )
    if foreign:
        text += f", {foreign:,} in ciphertext of other tools"
    if misshapen := counted.total("misshapen"):
        text += f", {misshapen:,} that no declared path reaches"
    if counted.unbound:
        text += f", {counted.unbound:,} unbound in a bound field"
    return text


def _foreign(counted: Census, *, encrypt_foreign: bool) -> None:
    """Print the values that another tool seems to have encrypted."""
    effect = "to be encrypted again" if encrypt_foreign else "not encrypted again without --encrypt-foreign"
    for foreign in counted.foreign.values():
        number = f"{render.counted(foreign.values, 'value')} with the form of ciphertext of {foreign.form}"
        render.warning(
            f"{number}: {foreign.table}, {foreign.field}, {_rotation_rows(foreign.rows, foreign.values)}; {effect}"
        )


def _rotation_rows(rows: Sequence[str], number: int) -> str:
    return f"row {', '.join(rows)}{' and others' if number > len(rows) else ''}"


# ---- rotate-secrets ------------------------------------------------------------------------------------


def rotated_document(result: Rotated, target: Target | None = None) -> documents.Rotated:
    """The last line of a rotation in JSON."""
    return {
        "event": "rotated",
        "rotation": result.rotation,
        "key": result.key,
        "binding": result.binding,
        "joined": result.joined,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "rows_read": result.rows_read,
        "rows_written": result.rows_written,
        "values": result.values,
        "changed": [
            {"account_type": change.account_type, "field": change.field, "from": change.was, "values": change.values}
            for change in result.changed
        ],
        "failures": result.failures,
        "left": list(result.left),
        "misshapen": dict(result.misshapen),
        "foreign": list(result.foreign),
        **_outside_document(result.outside),
        "bound": [
            {"table": field.table, "account_type": field.account_type or None, "field": field.path}
            for field in result.bound
        ],
        "copies": list(result.copies),
        "seconds": round(result.seconds, 3),
        "target": target,
    }


def rotated(result: Rotated, output: Output, target: Target | None = None) -> None:
    """Print the result of a rotation."""
    render.answer(
        output, lambda: rotated_document(result, target), lambda: _rotated_text(result, target), _after_rotation(result)
    )


def _after_rotation(result: Rotated) -> render.Next:
    unbound = [left_value for left_value in result.left if left_value.reason.startswith(UNBOUND)]
    if unbound:
        return _next_of_unbound(unbound[0].row_id)
    if result.failures:
        text = "fix or rewrite the values that were left, then run callctl rotate-secrets again"
        return render.Next("callctl rotate-secrets", text)
    was = sorted({change.was for change in result.changed} - {PLAINTEXT, FOREIGN, result.key})
    return render.Next(f"callctl keys retire {was[0]}" if was else "callctl keys list")


def _rotated_text(result: Rotated, target: Target | None) -> None:
    if result.changed:
        table(
            ("account type", "field", "was", "values"),
            ((change.account_type or "", change.field, change.was, f"{change.values:,}") for change in result.changed),
            right=("values",),
        )
        render.out()
    _rotation_left(
        [
            (left_value.table, left_value.row_id, left_value.field, left_value.reason)
            for left_value in result.left
            if not left_value.reason.startswith("foreign: ")
        ],
        result.failures,
        sum(foreign.values for foreign in result.foreign),
    )
    least = "at least " if result.failures > len(result.left) else ""
    for foreign in result.foreign:
        text = f"{least}{render.counted(foreign.values, 'value')} left: {foreign.reason.removeprefix('foreign: ')}"
        render.warning(f"{foreign.table}, {foreign.field}: {text}; {_rotation_rows(foreign.rows, foreign.values)}")
    for account_type, number in result.misshapen.items():
        accounts = render.counted(number, f"{account_type} account")
        render.warning(
            f"{accounts} with credentials that differ from the specification's; they stay as they are; "
            "callctl rotate-secrets --status lists the places"
        )
    _outside(result.outside)
    if result.plaintext:
        were = "was" if result.plaintext == 1 else "were"
        render.warning(f"{render.counted(result.plaintext, 'value')} {were} in plaintext. {_WERE_COPIED}")
        _copies(result.copies)
        render.note(f"remove each copy, then change the secrets at the providers: {GUIDE}")
    elif result.rows_written:
        _fire(result.copies, "fired")
    if result.bound:
        render.out("recorded as bound, since this rotation was the first to bind them:")
        for name in dict.fromkeys(field.table for field in result.bound):
            fields = ", ".join(str(field) for field in result.bound if field.table == name)
            render.out(render.folded(f"{name}: {fields}", sys.stdout, indent=2, hanging=2))
    render.out(f"{_rotation_answer(result)} ({render.counted(result.rows_read, 'row')} read, {result.seconds:.1f} s)")
    if result.rows_written:
        render.written(target)
    unbound = sum(left_value.reason.startswith(UNBOUND) for left_value in result.left)
    if unbound:
        render.note(_OF_UNBOUND)
        if unbound < min(result.failures, len(result.left)):
            render.note("fix or rewrite the other values that were left, then run callctl rotate-secrets again")


_OF_UNBOUND = (
    "an unbound value may have been copied from another row; it is neither bound nor re-encrypted under another key"
)


def _next_of_unbound(row_id: str) -> render.Next:
    """No command for a program: a person has to look at each secret first."""
    return render.Next(
        None,
        f"check each secret with the customer, then run callctl rotate-secrets --bind-new {shlex.quote(row_id)}"
        " (repeat the option for more rows), or store the secret again through the application",
    )


_WERE_COPIED = "No copy was removed. These hold copies, got copies, or fired on the rows written:"


def _rotation_answer(result: Rotated) -> str:
    """Return the result in one line. That every value is under the key is said only where nothing else was found."""
    if result.values:
        written = f"{render.counted(result.values, 'value')} in {render.counted(result.rows_written, 'row')}"
        return f"{written} encrypted under key {result.key}"
    beside = []
    if result.failures:
        beside.append(f"{render.counted(result.failures, 'value')} left, see above")
    if outside := sum(field.values for field in result.outside.places):
        beside.append(f"{render.counted(outside, 'value')} outside the declared fields, see the warnings")
    if tables := len(result.outside.cut_short):
        beside.append(f"{render.counted(tables, 'table')} not scanned to the end")
    if beside:
        return f"no value was written; {', '.join(beside)}"
    if not result.rows_read:
        return "no value was written: the declared fields have no rows"
    return f"every value of the declared fields is under key {result.key} already"


def _rotation_left(rows: Sequence[tuple[str, str, str, str]], total: int, warned: int = 0) -> None:
    """The values left, a line each; ``warned`` of them are not among ``rows``, and are warned of by field."""
    if not total:
        return
    label = render.styled("left as they were", "error", sys.stdout)
    render.out(f"{label}: {render.counted(total, 'value')}")
    for target, row_id, field, reason in rows[:SHOWN]:
        render.out(render.folded(f"{target}, row {row_id}, {field}: {reason}", sys.stdout, indent=2, hanging=2))
    if total - warned > SHOWN:
        render.out(
            f"  and {total - warned - SHOWN:,} more; --output json lists more of them, the table"
            " callctl.rotation_failure all"
        )
    if warned:
        render.out(f"  and {warned:,} in the form of another tool's ciphertext, see the warnings")
    render.out()


# ---- --status and --dry-run ----------------------------------------------------------------------------


def secrets_document(secrets: Secrets) -> documents.Secrets:
    counted = secrets.counted
    return {
        "key": secrets.key,
        "binding": secrets.binding,
        "rows": counted.rows,
        "values": counted.uses.total(),
        "due": counted.due,
        "plaintext": counted.total("plaintext"),
        "unreadable": counted.total("unreadable"),
        "unbound": counted.unbound,
        "misshapen": counted.total("misshapen"),
        "fields": [
            {
                "target": use.table,
                "where": use.where,
                "account_type": use.account_type,
                "field": use.field,
                "state": use.state,
                "key": use.key,
                "version": use.version,
                "due": use.due,
                "unbound": use.unbound,
                "values": number,
            }
            for use, number in sorted(counted.uses.items(), key=_sorted)
        ],
        "tenants": [
            {
                "company_id": tenant.company_id,
                "values": tenant.values,
                "due": tenant.due,
                "unreadable": tenant.unreadable,
                "unbound": tenant.unbound,
            }
            for tenant in counted.by_tenant()
        ],
        "left": counted.unreadable,
        "shapes": [
            {
                "account_type": shape.account_type,
                "field": shape.field,
                "trouble": shape.trouble,
                "accounts": number,
            }
            for shape, number in sorted(counted.shapes.items(), key=_sorted)
        ],
        "foreign": list(counted.foreign.values()),
        **_outside_document(secrets.outside),
        "copies": list(secrets.copies),
        "under_way": secrets.under_way,
        "last": secrets.last,
        "kept_webhook_secrets": list(secrets.kept),
    }


def secrets(secrets: Secrets, output: Output, *, wide: bool = False) -> None:
    """The secrets counted, and what a rotation would do with them."""
    counted = secrets.counted
    if counted.unbound:
        listed = [left_value.row_id for left_value in counted.unreadable if left_value.reason.startswith(UNBOUND)]
        following = _next_of_unbound(listed[0] if listed else "ID")
    else:
        following = render.Next("callctl rotate-secrets" if counted.due else "callctl keys list")
    render.answer(output, lambda: secrets_document(secrets), lambda: _secrets_text(secrets, wide=wide), following)


def _secrets_text(secrets: Secrets, *, wide: bool) -> None:
    counted = secrets.counted
    table(
        ("where", "account type", "field", "under", "version", "values", "to rotate"),
        (
            (
                use.table,
                use.account_type or "",
                use.field,
                _UNDER.get(use.state, use.key or "no known key"),
                "" if use.version is None else str(use.version or "without id"),
                f"{number:,}",
                UNBOUND if use.unbound else f"{number:,}" if use.due else _STAYS.get(use.state, ""),
            )
            for use, number in sorted(counted.uses.items(), key=_sorted)
        ),
        right=("values", "to rotate"),
        spare=("version", "where", "account type"),
        wide=wide,
    )
    render.out()
    tenants = [tenant for tenant in counted.by_tenant() if tenant.due or tenant.unreadable or tenant.unbound]
    if tenants:
        table(
            ("company", "values", "to rotate", "stay as they are", UNBOUND),
            ((tenant.company_id, *(f"{number:,}" for number in tenant[1:])) for tenant in tenants[:SHOWN]),
            right=("values", "to rotate", "stay as they are", UNBOUND),
        )
        if len(tenants) > SHOWN:
            render.out(f"and {len(tenants) - SHOWN:,} more companies; --output json lists them")
        render.out()
    _rotation_left(
        [(value.table, value.row_id, value.field, value.reason) for value in counted.unreadable],
        counted.total("unreadable") + counted.total("misshapen") + counted.unbound,
    )
    _foreign(counted, encrypt_foreign=any(use.due for use in counted.uses if use.state == "foreign"))
    for shape, number in sorted(counted.shapes.items(), key=_sorted):
        accounts = render.counted(number, f"{shape.account_type} account")
        render.warning(f"{accounts}: {shape.field} {_TROUBLE[shape.trouble]}; it stays as it is")
    _outside(secrets.outside)
    kept_webhook_secrets(secrets.kept)
    if secrets.under_way is not None:
        begun = f"{secrets.under_way.started_at:%Y-%m-%d %H:%M:%S%z} by {secrets.under_way.client}"
        render.note(f"rotation {secrets.under_way.rotation} to key {secrets.under_way.key} is under way, begun {begun}")
    if number := counted.total("plaintext"):
        render.warning(_in_plaintext(number))
        _copies(secrets.copies)
    elif counted.due:
        _fire(secrets.copies, "fires")
    to = f" under key {secrets.key}" if secrets.key else ""
    rows = f"{render.counted(counted.uses.total(), 'value')} in {render.counted(counted.rows, 'row')}"
    render.out(f"{rows}: {_to_do(counted, to)}")
    if secrets.key is None:
        render.note("callctl.yaml names no keys: nothing was decrypted")
    if counted.unbound:
        render.note(_OF_UNBOUND)


# How a value that is under no key is shown, and one that stays as it is.
_UNDER = {"plaintext": "plaintext", "foreign": "other tool", "misshapen": "no path"}
_STAYS = {"unreadable": "does not open", "foreign": "stays", "misshapen": "not reached"}


def _sorted(item: tuple[Any, int]) -> list[str]:
    return [str(part if part is not None else "") for part in item[0]]


def _outside_document(outside: Scan) -> documents.Scanned:
    fields: list[documents.OutsideField] = [
        {
            "kind": field.kind,
            "table": field.table,
            "field": field.field,
            "key": field.key,
            "values": field.values,
            "rows": field.rows,
        }
        for field in outside.places
    ]
    return {"outside": fields, "not_scanned": not_scanned_documents(outside.not_looked_into)}


def not_scanned_documents(tables: Sequence[NotLookedInto]) -> list[documents.NotScanned]:
    return [{"name": table.name, "why": table.why} for table in tables]


def _outside(outside: Scan) -> None:
    from callctl.secrets.inventory.scan import warnings

    lines = list(warnings(outside))
    for text in lines[:SHOWN]:
        render.warning(text)
    if len(lines) > SHOWN:
        render.warning(f"and {len(lines) - SHOWN:,} more such fields; callctl rotate-secrets --status --output json")


# ---- keys ----------------------------------------------------------------------------------------------


def keys(keys: Keys, output: Output, *, wide: bool = False) -> None:
    """The keys, and what is under each."""
    render.answer(output, lambda: keys, lambda: _keys_text(keys, wide=wide), _after_keys(keys))


def _after_keys(keys: Keys) -> render.Next | None:
    used = [key for key in keys.keys if key.live + key.archived + key.saved]
    if keys.plaintext or any(key.state in ("legacy", "in the ring") for key in used):
        return render.Next("callctl rotate-secrets")
    for key in keys.keys:
        # One that has encrypted nothing may be the next primary.
        if key not in used and (key.state == "legacy" or (key.state == "in the ring" and key.encryptions)):
            return render.Next(f"callctl keys retire {key.id}")
    return None


def _keys_text(keys: Keys, *, wide: bool) -> None:
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
            for key in keys.keys
        ),
        right=("live", "archived", "saved", "encryptions"),
        spare=("encryptions", "check value"),
        wide=wide,
    )
    if keys.plaintext:
        render.note(f"{render.counted(keys.plaintext, 'value')} in plaintext, under no key")
    for number, description in (
        (keys.unreadable, "that do not open"),
        (keys.foreign, "with the form of another tool's ciphertext"),
        (keys.misshapen, "that no declared path reaches"),
        (keys.unbound, "unbound in a bound field"),
    ):
        if number:
            render.note(f"{render.counted(number, 'value')} {description}: callctl rotate-secrets --status lists them")


def _numbers(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{number:,}" if number else "" for number in numbers)


def retired(result: Retired, output: Output, target: Target | None = None) -> None:
    """A key that is retired."""
    for text in result.warnings:
        render.warning(text)
    render.answer(
        output,
        lambda: retired_document(result, target),
        lambda: _retired_text(result, target),
        render.Next(None, f"take {result.id} out of callctl.yaml when no application needs it any more"),
    )


def retired_document(result: Retired, target: Target | None) -> documents.RetiredKey:
    return {
        "id": result.id,
        "retired_at": result.retired_at,
        "rows": result.rows,
        "tables": result.tables,
        "schemas": result.schemas,
        "not_scanned": not_scanned_documents(result.not_scanned),
        "warnings": result.warnings,
        "target": target,
    }


def _retired_text(result: Retired, target: Target | None) -> None:
    tables = f"{render.counted(result.tables, 'table')} in {render.counted(result.schemas, 'schema')}"
    unscanned = tuple(dict.fromkeys(left_out.name for left_out in result.not_scanned))
    render.out(f"key {result.id} is retired: no value under it was found")
    rows = f"{render.counted(result.rows, 'row')} with declared fields"
    looked_at = f"looked at: {rows}; every row of {tables} for other values"
    terminal = render.is_terminal(sys.stdout)
    render.out(render.folded(looked_at, sys.stdout, hanging=2) if terminal else looked_at)
    render.written(target)
    if unscanned:
        render.out(render.folded(f"not looked into: {', '.join(unscanned)}", sys.stdout, indent=0, hanging=2))
