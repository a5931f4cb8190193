"""--bind makes no moved value genuine: what is unbound in a bound field is left, until its row is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import connect
from tests.db.conftest import ACCOUNTS, Callctl
from tests.support.db import accounts

from callctl.config.sections import SecretField
from callctl.config.settings import Settings
from callctl.errors import ConfigError, Interrupted, Refused
from callctl.events import Event, Notice
from callctl.migration import migrate
from callctl.migration.checks import verify
from callctl.migration.steps.call_models import OWN, load_catalogue
from callctl.secrets.envelope.cipher import BOUND, Decrypter, Encrypter, Place, envelope_text, read_envelope
from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.inventory import key_retirement, key_use
from callctl.secrets.rotation.rotate import Rotated, rotate
from callctl.secrets.rows.row import FieldName
from callctl.secrets.rows.tables import bound_fields
from callctl.secrets.webhooks import replace as webhook_secrets
from callctl.secrets.webhooks.accounts import Scope
from callctl.tenants import accounts as accounts_listed
from callctl.tenants.seeding import SeedOptions, seed

pytestmark = pytest.mark.one_server

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "envelope.md"

Database = psycopg.Connection[Any]

TOKEN = "SELECT credentials -> 'authToken' FROM chatapp.integration_accounts WHERE id = %s"
PUT = "UPDATE chatapp.integration_accounts SET credentials = jsonb_set(credentials, '{authToken}', %s) WHERE id = %s"


def one(db: Database, statement: str, *values: object) -> Any:
    row = db.execute(statement.encode(), values).fetchone()
    return row and row[0]


@dataclass
class Attack:
    """Rows of a bound table in which an attacker has put what is not theirs, by what it is."""

    rows: dict[str, str]
    values: dict[str, Any]
    reasons: dict[str, str]


def twilio(db: Database, number: int) -> list[tuple[str, str]]:
    """The ids and companies of so many accounts with credentials.authToken."""
    return db.execute(
        "SELECT id::text, company_id::text FROM chatapp.integration_accounts WHERE account_type = 'twilio'"
        " AND jsonb_typeof(credentials -> 'authToken') = 'object' ORDER BY id LIMIT %s",
        (number,),
    ).fetchall()


def attack(db: Database, settings: Settings) -> Attack:
    """Copy a victim's older envelopes, and plaintext, into other accounts of the same table."""
    ring = accounts.ring_of(settings)
    victim, *others = twilio(db, 6)
    place = Place(victim[1], "integration_accounts", victim[0], "credentials.authToken")
    encrypt = Encrypter(ring.keys["k1"]).encrypt
    kinds = {
        "version 1": (encrypt(f"{accounts.CANARY} moved", place, 1), "unbound"),
        "no version": (accounts.bare(ring, f"{accounts.CANARY} moved"), "unbound"),
        "plaintext": (f"{accounts.CANARY} put there", "unbound"),
        "another place's": (encrypt(f"{accounts.CANARY} moved", place, BOUND), "tampered"),
        "primary": (Encrypter(ring.primary).encrypt(f"{accounts.CANARY} moved", place, 1), "unbound"),
    }
    rows = {}
    for (id, _), (kind, (value, _)) in zip(others, kinds.items(), strict=True):
        db.execute(PUT, (Jsonb(value), id))
        rows[kind] = id
    return Attack(
        rows, {kind: value for kind, (value, _) in kinds.items()}, {kind: why for kind, (_, why) in kinds.items()}
    )


def left(rotated: Rotated) -> dict[str, str]:
    return {each.row_id: each.reason.split(":")[0] for each in rotated.left}


@pytest.mark.parametrize("binding", ["bind", "keep"])
@pytest.mark.parametrize("key", ["k2", "k3"])
def test_what_was_moved_into_a_bound_table_is_left_and_listed(url: str, keys: Path, binding: Any, key: str) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        assert rotate(settings, binding="bind").failures == 0
        settings = accounts.settings_of(url, keys, *dict.fromkeys((key, "k2", "k1")))
        there = attack(db, settings)
        for workers in (1, 2):
            rotated = rotate(settings, binding=binding, workers=workers)
            assert left(rotated) == {id: there.reasons[kind] for kind, id in there.rows.items()}
            assert {each.field for each in rotated.left} == {"credentials.authToken"}
            assert {kind: one(db, TOKEN, id) for kind, id in there.rows.items()} == there.values
            assert accounts.CANARY not in repr(rotated)
        # The other values of the same rows are done.
        assert {
            (each.key, each.version)
            for where, each in accounts_that_open(db, settings).items()
            if where.split()[0] not in there.rows.values()
        } == {(key, BOUND)}
        beside = (
            "SELECT DISTINCT credentials #>> '{apiKeySecret,kid}' FROM chatapp.integration_accounts"
            " WHERE id = ANY (%s::uuid[])"
        )
        assert db.execute(beside, (list(there.rows.values()),)).fetchall() == [(key,)]


def accounts_that_open(db: Database, settings: Settings) -> dict[str, accounts.Seen]:
    """As accounts.seen, without the one value that does not open."""
    with db.transaction(force_rollback=True):
        db.execute(
            "DELETE FROM chatapp.integration_accounts WHERE credentials #>> '{authToken,v}' = %s"
            " AND credentials #>> '{authToken,kid}' = 'k1'",
            (str(BOUND),),
        )
        return accounts.seen(db, accounts.ring_of(settings))


def test_a_named_row_is_bound_and_no_other(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, "k3", "k2", "k1")
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        rotate(settings, binding="bind")
        there = attack(db, settings)
        named = [there.rows["version 1"], f"integration_accounts:{there.rows['plaintext']}"]
        rotated = rotate(settings, bind_new=[*named, named[0]])
        assert sorted(left(rotated)) == sorted(
            there.rows[kind] for kind in ("no version", "another place's", "primary")
        )
        for kind, was in (("version 1", "k1"), ("plaintext", "plaintext")):
            id = there.rows[kind]
            company = one(db, "SELECT company_id::text FROM chatapp.integration_accounts WHERE id = %s", id)
            envelope = read_envelope(one(db, TOKEN, id))
            assert envelope is not None
            opened = Decrypter(ring).decrypt(
                envelope, Place(company, "integration_accounts", id, "credentials.authToken")
            )
            assert (opened.key.id, opened.version) == ("k3", BOUND)
            assert was in {each.was for each in rotated.changed}
        # A value that belongs to another place is never made genuine, whoever names it.
        again = rotate(settings, binding="bind", bind_new=list(there.rows.values()))
        assert left(again) == {there.rows["another place's"]: "tampered"}
        assert one(db, TOKEN, there.rows["another place's"]) == there.values["another place's"]
        # The ledger says which rows were named.
        assert one(db, "SELECT counts -> 'named' FROM callctl.rotation WHERE id = %s", rotated.rotation) == [
            ["integration_accounts", id] for id in sorted(there.rows[kind] for kind in ("version 1", "plaintext"))
        ]


def test_new_rows_are_listed_until_they_are_named(url: str, keys: Path) -> None:
    """callctl cannot tell an application's new row from an attacker's."""
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        rotate(settings, binding="bind")
        accounts.fill(db, accounts.ring_of(settings), 5, seed=7, forms=("k1", "plaintext", "bare"))
        news = {
            row[0]
            for row in db.execute("SELECT id::text FROM chatapp.integration_accounts ORDER BY created_at DESC LIMIT 5")
        }
        rotated = rotate(settings, binding="bind")
        assert rotated.values == 0
        assert set(left(rotated)) <= news
        done = rotate(settings, bind_new=sorted(set(left(rotated))))
        assert done.failures == 0
        assert {each.version for each in accounts.seen(db, accounts.ring_of(settings)).values()} == {BOUND}
        # Bound by an application itself, a new row is no alarm.
        accounts.fill(db, accounts.ring_of(settings), 5, seed=8, forms=("bound",))
        assert rotate(settings).failures == 0


@contextmanager
def stopped(settings: Settings, **options: Any) -> Iterator[None]:
    """A rotation that is interrupted half-way."""

    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        rotate(settings, on_event=stop, **options)
    yield


def test_a_first_bind_that_was_stopped_goes_on(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, batch_size=50)
    with connect(url) as db:
        with stopped(settings, binding="bind"):
            versions = [each.version for each in accounts.seen(db, accounts.ring_of(settings)).values()]
            assert 0 < versions.count(BOUND) < len(versions)
            assert bound_fields(db) == frozenset()
        there = attack(db, settings)
        rotated = rotate(settings, binding="bind")
        assert rotated.joined
        assert set(left(rotated)) <= {there.rows["another place's"]}
        assert {field.path for field in bound_fields(db)} == {*(each.text for each in DECLARED), "webhook_secret"}
        assert set(rotated.bound) == bound_fields(db)
        assert rotate(settings, binding="bind").bound == ()


def test_a_rotation_without_bind_in_between_records_nothing(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, batch_size=50)
    with connect(url) as db:
        with stopped(settings, binding="bind"):
            pass
        assert rotate(settings).failures == 0  # the unbound rest is not bound yet, so that it is no alarm
        assert bound_fields(db) == frozenset()
        assert rotate(settings, binding="bind").failures == 0
        assert bound_fields(db)


def test_unbind_forgets_what_was_bound_as_soon_as_it_begins(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, batch_size=50)
    with connect(url) as db:
        rotate(settings, binding="bind")
        with stopped(settings, binding="unbind"):
            assert bound_fields(db) == frozenset()
        assert rotate(settings).failures == 0
        assert rotate(settings, binding="unbind").failures == 0
        assert {each.version for each in accounts.seen(db, accounts.ring_of(settings)).values()} == {1}
        assert rotate(settings, binding="bind").failures == 0
        assert {each.version for each in accounts.seen(db, accounts.ring_of(settings)).values()} == {BOUND}


def test_a_run_that_names_rows_is_not_joined_by_one_that_does_not(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys, batch_size=50)
    with connect(url) as db:
        rotate(settings, binding="bind")
        id = twilio(db, 1)[0][0]
        with stopped(settings, bind_new=[id]):
            pass
        db.execute(PUT, (Jsonb("put there"), id))
        events: list[Event] = []
        rotated = rotate(settings, on_event=events.append)
        assert (left(rotated), rotated.joined) == ({id: "unbound"}, False)
        assert any(isinstance(event, Notice) and "replaces it" in event.text for event in events)


def test_a_field_that_is_declared_later_is_bound_the_first_time(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        db.execute("CREATE TABLE chatapp.tokens (id bigint PRIMARY KEY, token text, other text)")
        db.execute("INSERT INTO chatapp.tokens SELECT n, 'a token', 'another' FROM generate_series(1, 3) AS n")
        rotate(settings, binding="bind")
        settings = accounts.settings_of(url, keys, secret_fields=(SecretField("tokens", None, "token"),))
        rotated = rotate(settings, binding="bind")
        assert (rotated.failures, rotated.values, rotated.bound) == (0, 3, (FieldName("tokens", "", "token"),))
        # Not with what callctl keeps of the column, which was bound before.
        own = (SecretField("integration_accounts", None, "webhook_secret"),)
        db.execute("UPDATE chatapp.integration_accounts SET webhook_secret = 'a secret'")
        rotated = rotate(accounts.settings_of(url, keys, secret_fields=own), binding="bind")
        assert (rotated.failures, rotated.values) == (0, ACCOUNTS)
        both = (*settings.secret_fields, SecretField("tokens", None, "other"))
        db.execute("UPDATE chatapp.tokens SET token = 'put there' WHERE id = 2")
        rotated = rotate(accounts.settings_of(url, keys, secret_fields=both), binding="bind")
        assert (left(rotated), rotated.values) == ({"2": "unbound"}, 3)


def test_names_that_say_no_one_row_are_refused_before_anything(url: str, keys: Path) -> None:
    fields = tuple(SecretField(table, None, "token") for table in ("tokens", "hooks"))
    settings = accounts.settings_of(url, keys, secret_fields=fields)
    with connect(url) as db:
        for table in ("tokens", "hooks"):
            db.execute(f"CREATE TABLE chatapp.{table} (id bigint PRIMARY KEY, token text)".encode())
            db.execute(f"INSERT INTO chatapp.{table} VALUES (7, 'a token')".encode())
        before = accounts.versions(db)
        with pytest.raises(Refused, match="no field of this database is recorded as bound"):
            rotate(settings, binding="bind", bind_new=["7"])
        assert accounts.versions(db) == before
        rotate(settings, binding="bind")
        db.execute("UPDATE chatapp.tokens SET token = 'new'; UPDATE chatapp.hooks SET token = 'new'")
        rotations = one(db, "SELECT count(*) FROM callctl.rotation")
        for name, said in (
            ("8", "no row of hooks, integration_accounts, tokens has the id 8"),
            ("hooks:8", "no row of hooks has the id 8"),
            ("7", r"more than one table has a row of that id \(hooks, tokens\)"),
        ):
            for ask in (
                lambda name=name: rotate(settings, bind_new=[name]),
                lambda name=name: key_use.look(db, settings, bind_new=[name]),
            ):
                with pytest.raises(Refused, match=said):
                    ask()
        assert one(db, "SELECT count(*) FROM callctl.rotation") == rotations
        assert left(rotate(settings, bind_new=["hooks:7"])) == {"7": "unbound"}
        assert one(db, "SELECT token FROM chatapp.tokens") == "new"
        assert json.loads(one(db, "SELECT token FROM chatapp.hooks"))["v"] == BOUND


def test_status_dry_run_keys_and_verify_report_them(url: str, keys: Path, callctl: Callctl, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    config = config_file(keys, tmp_path, "k2", "k1")
    with connect(url) as db:
        rotate(settings, binding="bind")
        assert verify.verify(db, settings).passed
        there = attack(db, settings)
        unbound = sorted(id for kind, id in there.rows.items() if there.reasons[kind] == "unbound")
        for arguments in ((), ("--dry-run",), ("--dry-run", "--bind")):
            code, out, err = callctl(url, "--config", config, "rotate-secrets", *(arguments or ("--status",)))
            assert code == 3
            assert "4 unbound in a bound field" in out
            assert all(id in out for id in unbound)
            assert "--bind-new" in err
            assert accounts.CANARY not in out + err
        found = key_use.look(db, settings)
        assert (found.counted.unbound, found.counted.due, found.counted.total("unreadable")) == (4, 0, 1)
        named = key_use.look(db, settings, bind_new=unbound[:1])
        assert (named.counted.unbound, named.counted.due) == (3, 1)
        assert key_use.look(db, settings, binding="unbind").counted.unbound == 0
        assert key_use.keys(db, settings).unbound == 4
        report = verify.verify(db, settings)
        (failed,) = [check for check in report.checks if check.id == "secrets-bound"]
        assert (failed.passed, failed.count) == (False, 4)
        assert {(row[1], row[3].split(":")[0]) for row in failed.sample} == {(id, "unbound") for id in unbound}
        assert accounts.CANARY not in repr(failed)
        troubled = {each.id for each in accounts_listed.accounts(db, settings) if "unbound" in each.troubles}
        assert troubled == {each.id for each in accounts_listed.accounts(db, settings)} & set(unbound)
        code, out, err = callctl(url, "--config", config, "rotate-secrets", "--yes")
        assert code == 3
        assert "under key k2 already" not in out  # one of them is under k1
        assert f"--bind-new {next(each.row_id for each in rotate(settings).left if 'unbound' in each.reason)}" in err


def config_file(keys: Path, directory: Path, *ids: str) -> str:
    """A callctl.yaml with these keys."""
    lines = ["keys:", f"  primary: {ids[0]}", "  ring:"]
    lines += [
        f"    - {{id: {id}, file: {accounts.key_file(keys, id)}, legacy: {str(id == 'k1').lower()}}}" for id in ids
    ]
    file = directory / "callctl.yaml"
    file.write_text("\n".join([*lines, ""]))
    return str(file)


def test_a_key_that_an_unbound_value_is_under_is_not_retired(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        rotate(settings, binding="bind")
        there = attack(db, settings)
        db.execute(PUT, (Jsonb(f"{accounts.CANARY} x"), there.rows["another place's"]))
        db.execute(PUT, (Jsonb(f"{accounts.CANARY} x"), there.rows["no version"]))
        rotate(settings)
        with pytest.raises(Refused, match="unbound in a bound field") as refused:
            key_retirement.retire(settings, "k1")
        assert "--bind-new ID" in (refused.value.hint or "")
        rotate(settings, bind_new=[there.rows["version 1"]])
        key_retirement.retire(settings, "k1")


def test_archived_saved_and_kept_values_are_guarded_too(url: str, keys: Path, tmp_path: Path) -> None:
    fields = (
        SecretField("chatbots", None, "settings", ("call", "apiKey"), optional=True),
        SecretField("ai_models", None, "description"),
    )
    settings = accounts.settings_of(url, keys, secret_fields=fields)
    ring = accounts.ring_of(settings)
    with connect(url) as db:
        db.execute("UPDATE chatapp.integration_accounts SET webhook_secret = 'secret ' || id")
        account = twilio(db, 1)[0][0]
        webhook_secrets.replace(settings, Scope(account=account), file=str(tmp_path / "new"), grace=timedelta(hours=1))
        db.execute("UPDATE chatapp.ai_models SET description = NULL")
        rotate(settings, binding="bind")
        kept = one(db, "SELECT webhook_secret FROM callctl.kept_webhook_secret")
        assert json.loads(kept)["v"] == BOUND
        moved = envelope_text(Encrypter(ring.keys["k1"]).encrypt("moved", Place("", "", "", ""), 1))
        db.execute("SET callctl.writes = 'on'")
        bot = one(db, "SELECT id::text FROM chatapp.chatbots LIMIT 1")
        db.execute("UPDATE callctl.kept_webhook_secret SET webhook_secret = %s", (moved,))
        db.execute(
            "INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)"
            " VALUES (%s, 'settings.call', 'down', '{\"apiKey\": \"put there\"}')",
            (bot,),
        )
        db.execute(
            "INSERT INTO callctl.saved_row (relation, row_id, contents)"
            " VALUES ('ai_models', gen_random_uuid(), '{\"description\": \"put there\"}')"
        )
        model = one(db, "SELECT row_id::text FROM callctl.saved_row")
        db.execute(PUT, (Jsonb(json.loads(moved)), account))
        wanted = {
            ("kept webhook secrets", account, "webhook_secret"),
            ("saved values of chatbots.settings.call", bot, "settings.call.apiKey"),
            ("saved rows of ai_models", model, "description"),
            ("integration_accounts", account, "credentials.authToken"),
        }
        rotated = rotate(settings)
        assert {(each.table, each.row_id, each.field) for each in rotated.left} == wanted
        assert {each.reason.split(":")[0] for each in rotated.left} == {"unbound"}
        (failed,) = [check for check in verify.verify(db, settings).checks if check.id == "secrets-bound"]
        assert {tuple(row[:3]) for row in failed.sample} == wanted
        # It is not put back either: it may be another account's secret.
        done = webhook_secrets.put_back(settings, Scope(account=account))
        said = "the kept secret is unbound: version 1 under key k1 in a bound field"
        assert [each.reason for each in done.left] == [said]
        assert one(db, "SELECT webhook_secret FROM callctl.kept_webhook_secret") == moved
        rotated = rotate(settings, bind_new=[account, f"chatbots:{bot}", model])
        assert rotated.failures == 0
        db.execute(PUT, (Jsonb(json.loads(moved)), account))
        db.execute("DELETE FROM callctl.saved_row")
        migrate.down(settings, to=8)
        assert {(each.table, each.row_id) for each in rotate(settings).left} == {
            ("archived integration_accounts", account)
        }
        migrate.up(settings, to=9)
        assert left(rotate(settings)) == {account: "unbound"}


def test_a_schema_of_an_older_callctl_gets_its_table(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        rotate(settings)
        db.execute("DROP TABLE callctl.bound_field")
        assert key_use.look(db, settings).counted.unbound == 0
        assert rotate(settings).bound == ()
        assert rotate(settings, binding="bind").rows_read == ACCOUNTS
        assert len(bound_fields(db)) == len(DECLARED) + 1


# ---- an application that writes version 2 itself ---------------------------------------------------------


def write_secret() -> Any:
    """The writer that the page gives to an application in Python."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["write_secret"]


def test_what_the_documented_writer_writes_is_no_alarm(url: str, keys: Path) -> None:
    settings = accounts.settings_of(url, keys)
    ring = accounts.ring_of(settings)
    write = write_secret()
    key = accounts.key_file(keys, "k2").read_text()
    with connect(url) as db:
        rotate(settings, binding="bind")
        company = one(db, "SELECT id::text FROM chatapp.companies ORDER BY id LIMIT 1")
        known = len(accounts.seen(db, ring))
        for secret in ("f4c1d2e3", "pässwörd · 密码 · 🔑", '{"a": "b"}'):
            id = str(uuid4())

            def encrypted(path: str, secret: str = secret, id: str = id) -> Any:
                place = {"company_id": company, "table": "integration_accounts", "row_id": id, "path": path}
                return write(secret, "k2", key, **place)

            credentials = {
                "password": encrypted("credentials.password"),
                "turnServers": [{"credential": encrypted("credentials.turnServers[].credential")} for _ in range(2)],
            }
            db.execute(
                "INSERT INTO chatapp.integration_accounts"
                " (id, company_id, account_type, account_name, credentials, access_token)"
                " VALUES (%s, %s, 'custom', 'new', %s, %s)",
                (id, company, Jsonb(credentials), json.dumps(encrypted("access_token"))),
            )
            found = [each for where, each in accounts.seen(db, ring).items() if where.startswith(id)]
            assert found == [accounts.Seen(secret, "k2", 2)] * 4
        rotated = rotate(settings, binding="bind")
        assert (rotated.failures, rotated.values, len(accounts.seen(db, ring))) == (0, 0, known + 12)
        assert verify.verify(db, settings).passed
        # The same values in another row are.
        db.execute("UPDATE chatapp.integration_accounts SET id = gen_random_uuid() WHERE id = %s", (id,))
        assert rotate(settings).failures == 4


# ---- a retired primary key -----------------------------------------------------------------------------


def test_a_retired_primary_key_is_refused_wherever_it_would_encrypt_or_be_taken_for_good(
    applied_documented: str, keys: Path, tmp_path: Path, callctl: Callctl
) -> None:
    url = applied_documented
    settings = accounts.settings_of(url, keys)
    with connect(url) as db:
        accounts.fill(db, accounts.ring_of(settings), 5)
        db.execute("UPDATE chatapp.integration_accounts SET webhook_secret = 'a secret'")
        rotate(settings)
        assert key_retirement.retire(settings, "k1").id == "k1"
        config = config_file(keys, tmp_path, "k1", "k2")
        before = accounts.versions(db)
        for command in (
            "verify",
            "verify --fast",
            "rotate-secrets --yes",
            "rotate-secrets --status",
            "rotate-secrets --dry-run",
            f"rotate-secrets --webhook-secrets --all --to-file {tmp_path}/new --yes",
            f"rotate-secrets --webhook-secrets --all --to-file {tmp_path}/new --dry-run",
            "keys retire k2 --yes",
            "seed-models --dev-accounts --yes",
            "seed-models --dev-accounts --dry-run",
        ):
            (tmp_path / "callctl.yaml").write_text(
                Path(config).read_text().split("environment")[0] + "environment: development\n"
            )
            more = ("--development-database", one(db, "SELECT current_database()")) if "seed" in command else ()
            code, out, err = callctl(url, "--config", config, *command.split(), *more)
            assert (code, "key k1 is primary in callctl.yaml but was retired in this database at" in err) == (
                4,
                True,
            ), (
                command,
                out,
                err,
            )
        assert accounts.versions(db) == before
        assert not (tmp_path / "new").exists()
        assert key_use.keys(db, accounts.settings_of(url, keys, "k1", "k2")).keys[0].state == "retired"


def test_a_retired_key_under_another_id_is_refused(url: str, keys: Path, tmp_path: Path) -> None:
    settings = accounts.settings_of(url, keys)
    rotate(settings)
    key_retirement.retire(settings, "k1")
    (tmp_path / "k9").symlink_to(accounts.key_file(keys, "k1"))
    (tmp_path / "k2").symlink_to(accounts.key_file(keys, "k2"))
    with pytest.raises(ConfigError, match="is the same key as k1, which was retired in this database"):
        rotate(accounts.settings_of(url, tmp_path, "k9", "k2"))


def test_development_accounts_are_bound_where_their_fields_are(applied_documented: str, keys: Path) -> None:
    url = applied_documented
    settings = accounts.settings_of(url, keys, environment="development", environment_in_file=True)
    with connect(url) as db:
        name = accounts_listed.database_name(db)
        rotate(settings, binding="bind")
        seed(settings, SeedOptions("test", load_catalogue(name=OWN), dev_accounts=True, development_database=name))
        assert {each.version for each in accounts.seen(db, accounts.ring_of(settings)).values()} == {BOUND}
        assert rotate(settings).failures == 0
