"""Which version a value gets, of any form, in any field, whichever fields are bound and whichever rows are named."""

from __future__ import annotations

import json
import os
from typing import Any, get_args
from unittest import mock

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from callctl.secrets.envelope.cipher import BOUND, VERSIONS, Decrypter, Encrypter, Place, envelope_text, read_envelope
from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.envelope.ring import Key, KeyRing, check_value
from callctl.secrets.rows.reencrypt import Reencrypter
from callctl.secrets.rows.row import Binding, FieldName, Part, Reencrypted, Row, RowName, Rule, SecretTable

TABLE = "integration_accounts"
KEYS = {
    id: Key(id, f"test {id}", id == "k1", bytes([n] * 32), check_value(bytes([n] * 32)))
    for n, id in enumerate(("k1", "k2"))
}
RING = KeyRing(KEYS["k2"], KEYS)
PARTS = (
    Part(TABLE, "credentials", "json", tuple(each for each in DECLARED if each.path)),
    *(Part(TABLE, each.column, "text", (each,)) for each in DECLARED if not each.path),
)
TARGET = SecretTable("accounts", TABLE, "live", ("s", "t"), "", "", "", "", "", "", PARTS)

FORMS = ("absent", "plaintext", "bare", "k1", "k2", "bound k1", "bound k2", "of another row")
PATHS = ("credentials.authToken", "credentials.apiKeySecret", "access_token", "refresh_token")
FIELDS = [FieldName(each.table, each.account_type or "", each.text) for each in DECLARED]


def made(form: str, row_id: str, path: str) -> Any:
    """A value of this form."""
    text = f"{form} {path}"
    if form == "plaintext":
        return text
    if form == "bare":
        iv = os.urandom(16)
        ciphertext = AESGCM(KEYS["k1"].secret).encrypt(iv, text.encode(), None)
        return {"encrypted": ciphertext[:-16].hex(), "iv": iv.hex(), "authTag": ciphertext[-16:].hex()}
    place = Place("company", TABLE, "another" if form == "of another row" else row_id, path)
    return Encrypter(KEYS[form[-2:] if form[-2:] in KEYS else "k1"]).encrypt(text, place, 1 if form in KEYS else BOUND)


def as_jsonb(value: Any) -> Any:
    """A value in the order in which PostgreSQL prints its members, which the quick way is for."""
    return (
        {name: value[name] for name in sorted(value, key=lambda name: (len(name), name))}
        if isinstance(value, dict)
        else value
    )


def row(row_id: str, forms: tuple[str, ...]) -> Row:
    credentials: dict[str, Any] = {"weight": 1}
    tokens: list[Any] = []
    for path, form in zip(PATHS, forms, strict=True):
        value = None if form == "absent" else made(form, row_id, path)
        if path.startswith("credentials."):
            credentials[path.removeprefix("credentials.")] = as_jsonb(value)
        else:
            tokens.append(envelope_text(value) if isinstance(value, dict) else value)
    return Row(row_id, "1", row_id, "company", "twilio", (json.dumps(credentials), *tokens))


def written(result: Reencrypted) -> dict[str, Any]:
    """The new values, by path."""
    credentials, *tokens = result.values
    found = {f"credentials.{name}": value for name, value in json.loads(credentials or "{}").items()}
    return found | {path: value for path, value in zip(PATHS[2:], tokens, strict=True) if value is not None}


@given(
    st.lists(st.tuples(*[st.sampled_from(FORMS)] * len(PATHS)), min_size=1, max_size=4),
    st.sampled_from(get_args(Binding)),
    st.frozensets(st.sampled_from(FIELDS)),
    st.sets(st.integers(0, 3)),
)
def test_no_unbound_value_of_a_bound_field_is_touched_unless_its_row_is_named(
    forms: list[tuple[str, ...]], binding: Binding, bound: frozenset[FieldName], numbers: set[int]
) -> None:
    named = frozenset(RowName(TABLE, f"row {number}") for number in numbers)
    # A row of another table that has the same id is not named with it.
    others = frozenset(RowName("another", f"row {number}") for number in range(4))
    rows = [row(f"row {number}", each) for number, each in enumerate(forms)]
    reencrypter = Reencrypter(RING, binding, lambda: 1000, bound=bound, named=named | others)
    with mock.patch("callctl.secrets.rows.fast_path.Quick.reencrypt", lambda self, target, rows: [None] * len(rows)):
        parsed = reencrypter.reencrypt(TARGET, rows)
    decrypter = Decrypter(RING)
    for results in (reencrypter.reencrypt(TARGET, rows), parsed):
        for number, result in enumerate(results):
            new, left = written(result), {each.path: each.reason.split(":")[0] for each in result.failures}
            for path, form in zip(PATHS, forms[number], strict=True):
                is_bound = FieldName(TABLE, "" if "." not in path else "twilio", path) in bound
                guarded = is_bound and binding != "unbind" and number not in numbers
                version = BOUND if form.startswith("bound") else 1
                if form == "absent":
                    assert path not in left.keys() | new.keys()
                    continue
                if form == "of another row":
                    assert (left.get(path), path in new) == ("tampered", False)
                    continue
                if version == 1 and guarded:
                    assert (left.get(path), path in new) == ("unbound", False)
                    continue
                assert path not in left
                wanted = {"bind": BOUND, "unbind": 1, "keep": BOUND if is_bound else version}[binding]
                if form.endswith("k2") and version == wanted:
                    assert path not in new
                    continue
                envelope = read_envelope(new[path])
                assert envelope is not None
                opened = decrypter.decrypt(envelope, Place("company", TABLE, f"row {number}", path))
                assert (opened.plaintext, opened.key.id, opened.version) == (f"{form} {path}", "k2", wanted)


@given(st.sampled_from(get_args(Binding)), st.sampled_from((0, *VERSIONS)))
def test_without_bound_fields_each_version_is_as_before(binding: Binding, version: int) -> None:
    wanted = {"bind": BOUND, "unbind": 1, "keep": max(version, 1)}[binding]
    assert Rule(binding).version(TABLE, RowName(TABLE, "1"), None, "access_token", version) == wanted


def test_a_field_of_one_type_guards_rows_of_that_type() -> None:
    rule = Rule("bind", frozenset({FieldName(TABLE, "custom", "credentials.password"), FieldName(TABLE, "", "x")}))
    guarded = [rule.requires_bound(TABLE, kind, "credentials.password") for kind in ("custom", "twilio", None)]
    assert guarded == [True, False, False]
    assert [rule.requires_bound(TABLE, kind, "x") for kind in ("custom", None)] == [True, True]
    assert not rule.requires_bound("calls", "custom", "x")
