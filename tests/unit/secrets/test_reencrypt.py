"""What a rotation would write about one row: the secrets, under the primary key, and not a digit of anything else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from callctl.secrets.envelope.cipher import Decrypter, Encrypter, NotDecrypted, NotTheSame, Place, read_envelope
from callctl.secrets.envelope.fields import DECLARED
from callctl.secrets.envelope.ring import Key, KeyRing, check_value
from callctl.secrets.rows.decisions import Decider
from callctl.secrets.rows.fast_path import LONGEST_DOCUMENT
from callctl.secrets.rows.reencrypt import Reencrypter
from callctl.secrets.rows.row import NotReadable, Part, Row, Rule, SecretTable, decode, encode

KEYS = {
    id: Key(id, f"test {id}", id == "k1", bytes([n] * 32), check_value(bytes([n] * 32)))
    for n, id in enumerate(("k1", "k2"))
}
RING = KeyRing(KEYS["k2"], KEYS)
PART = Part("integration_accounts", "credentials", "json", tuple(each for each in DECLARED if each.path))
TARGET = SecretTable("accounts", "integration_accounts", "live", ("s", "t"), "", "", "", "", "", "", (PART,))

# What jsonb can hold and Python's own numbers can't.
DIGITS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", fullmatch=True),
    st.sampled_from(["1.10", "1e400", "-0.0", "1.0", "9" * 4400, "0." + "0" * 40 + "1", "1e-400"]),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)

OTHER_FIELDS = frozenset(each.path[0] for each in DECLARED if each.path)


@dataclass(frozen=True)
class Digits:
    """A number as it is written."""

    text: str


LEAVES = st.one_of(st.none(), st.booleans(), TEXTS, DIGITS.map(Digits))
VALUES = st.recursive(
    LEAVES, lambda each: st.one_of(st.lists(each, max_size=3), st.dictionaries(TEXTS, each, max_size=3)), max_leaves=12
)
SECRETS = st.one_of(TEXTS.filter(lambda text: text and read_is_plain(text)), DIGITS.map(Digits), st.none(), st.just(""))


def read_is_plain(text: str) -> bool:
    try:
        return read_envelope(text) is None
    except ValueError:
        return False


def written(value: Any) -> str:
    """JSON with the digits of each number as they are."""
    if isinstance(value, Digits):
        return value.text
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {written(each)}" for key, each in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def exact(text: str) -> Any:
    """JSON with exact numbers: equal where jsonb is."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def reencrypted(credentials: str, account_type: str) -> Any:
    row = Row("key", "1", "row", "company", account_type, (credentials,))
    return Reencrypter(RING, "keep", lambda: 1000).reencrypt(TARGET, [row])[0]


@given(st.dictionaries(TEXTS, VALUES, max_size=4), SECRETS, st.lists(st.tuples(SECRETS, VALUES), max_size=3))
def test_only_the_secrets_change(others: dict[str, Any], password: Any, turns: list[tuple[Any, Any]]) -> None:
    servers = [{"credential": secret, "urls": other} for secret, other in turns]
    text = written({**others, "password": password, "turnServers": servers})
    result = reencrypted(text, "custom")
    patch = exact(result.values[0] or "{}")
    # Exactly what PostgreSQL's || makes of it.
    after, before = {**exact(text), **patch}, exact(text)
    decrypter = Decrypter(RING)
    places = [(after, before, "password", "credentials.password")]
    places += [
        (new, old, "credential", "credentials.turnServers[].credential")
        for new, old in zip(after["turnServers"], before["turnServers"], strict=True)
    ]
    changed = 0
    for new, old, key, path in places:
        if isinstance(old[key], str) and old[key]:
            encrypted = {name: int(each) if name == "v" else each for name, each in new[key].items()}
            envelope = read_envelope(encrypted)
            assert envelope is not None
            opened = decrypter.decrypt(envelope, Place("company", "integration_accounts", "row", path))
            assert (opened.plaintext, opened.key.id, opened.version) == (old[key], "k2", 1)
            new[key] = old[key]
            changed += 1
    assert after == before
    assert len(result.changes) == changed
    assert set(patch) <= {"password", "turnServers"}
    numbers = sum(isinstance(each, Digits) for each in (password, *(secret for secret, _ in turns)))
    # Others may have the name of a secret: those are found, and left.
    assert len([each for each in result.failures if not each.reason.startswith("misshapen: ")]) == numbers


def as_jsonb(envelope: Any) -> dict[str, Any]:
    """An envelope in the order in which PostgreSQL prints it."""
    return {name: envelope[name] for name in ("v", "iv", "alg", "kid", "authTag", "encrypted")}


@given(
    # A secret field of another account type is named as misshapen, which other tests are about.
    st.dictionaries(TEXTS.filter(lambda name: name not in OTHER_FIELDS), VALUES, max_size=3),
    st.lists(st.sampled_from(("k1", "k2", "bound", "k9", "broken")), max_size=3),
    st.sampled_from(("k1", "k2", "plaintext", "in a string", "nowhere")),
    DIGITS,
)
def test_what_callctl_wrote_is_cut_out_and_nothing_around_it_moves(
    others: dict[str, Any], turns: list[str], password: str, port: str
) -> None:
    def value(form: str, path: str) -> Any:
        place = Place("company", "integration_accounts", "row", path)
        made = as_jsonb(
            Encrypter(KEYS["k2" if form == "k2" else "k1"]).encrypt(f"a {form}", place, 1 + (form == "bound"))
        )
        if form == "k9":
            return {**made, "kid": "k9"}
        if form == "broken":
            return {**made, "authTag": "00" * 16}
        return {"plaintext": "a plaintext", "in a string": f'x": {json.dumps(made)}'}.get(form, made)

    path = "credentials.turnServers[].credential"
    servers = [{"port": Digits(port), "credential": value(each, path)} for each in turns]
    text = written({**others, "password": value(password, "credentials.password"), "turnServers": servers})
    if password == "nowhere":
        text = text.replace('"password"', '"elsewhere"')
    result = reencrypted(text, "custom")
    due = [each for each in turns if each in ("k1", "bound")] + [password] * (password in ("k1", "plaintext"))
    assert len(result.changes) == len(due)
    bad = sum(each in ("k9", "broken") for each in turns) + (password == "in a string")
    assert len(result.failures) == bad
    patch = exact(result.values[0] or "{}")
    assert set(patch) <= {"password", "turnServers"}
    if "turnServers" in patch and not bad:
        before, after = exact(text)["turnServers"], patch["turnServers"]
        assert [each["credential"]["kid"] for each in after] == ["k2"] * len(turns)
        decrypter = Decrypter(RING)
        place = Place("company", "integration_accounts", "row", "credentials.turnServers[].credential")
        for old, new in zip(before, after, strict=True):
            assert old["port"] == new["port"]
            was, now = (read_envelope({**each["credential"], "v": int(each["credential"]["v"])}) for each in (old, new))
            assert was is not None
            assert now is not None
            assert decrypter.decrypt(was, place).plaintext == decrypter.decrypt(now, place).plaintext


ODD = ('x", "password": "y', "\\", '\\"', '"}', '"], "', "{0}", "%s", "a\nb", '{"v": 1, "iv": "')
LETTERS = st.one_of(TEXTS, st.sampled_from(ODD), TEXTS)


@given(
    VALUES,
    st.lists(st.sampled_from(("k1", "k2", "bound", "plaintext", "")), min_size=1, max_size=3),
    st.lists(LETTERS, min_size=1, max_size=6),
    LETTERS.filter(lambda text: bool(text) and read_is_plain(text)),
    st.binary(max_size=40),
)
def test_a_form_learned_from_one_document_holds_for_another(
    other: Any, forms: list[str], letters: list[str], plaintext: str, secret: bytes
) -> None:
    """What the regular expression of a form takes apart comes out as from the parser."""

    def document(texts: list[str], plaintext: str, secret: str) -> str:
        again = iter(texts * 1_000)

        def refilled(value: Any) -> Any:
            if isinstance(value, str):
                return next(again)
            if isinstance(value, list):
                return [refilled(each) for each in value]
            return {key: refilled(each) for key, each in value.items()} if isinstance(value, dict) else value

        def value(form: str, path: str) -> Any:
            if form in ("plaintext", ""):
                return plaintext if form else ""
            place = Place("company", "integration_accounts", "row", path)
            key = KEYS["k2" if form == "k2" else "k1"]
            return as_jsonb(Encrypter(key).encrypt(secret, place, 1 + (form == "bound")))

        path = "credentials.turnServers[].credential"
        servers = [{"urls": next(again), "credential": value(each, path), "a": refilled(other)} for each in forms]
        first = {"domain": refilled(other), "password": value(forms[0], "credentials.password")}
        return written({**first, "turnServers": servers, "username": next(again)})

    def opened(result: Any, text: str) -> Any:
        def plain(value: Any) -> Any:
            if isinstance(value, dict) and "authTag" in value:
                envelope = read_envelope({**value, "v": int(value["v"])})
                assert envelope is not None
                for path in ("credentials.password", "credentials.turnServers[].credential"):
                    with contextlib.suppress(NotDecrypted):
                        found = decrypter.decrypt(envelope, Place("company", "integration_accounts", "row", path))
                        return ("opened", found.plaintext, found.key.id, found.version)
                raise AssertionError("does not open")
            if isinstance(value, dict):
                return {key: plain(each) for key, each in value.items()}
            return [plain(each) for each in value] if isinstance(value, list) else value

        assert result.failures == ()
        return plain(exact(result.values[0] or "{}")), sorted(result.changes), result.misshapen, plain(exact(text))

    decrypter = Decrypter(RING)
    first, second = document(["a"], "a plaintext", "a secret"), document(letters, plaintext, secret.hex())
    assume(len(first) < LONGEST_DOCUMENT and len(second) < LONGEST_DOCUMENT)
    row = Row("key", "1", "row", "company", "custom", (first,))
    reencrypter = Reencrypter(RING, "keep", lambda: 1000)
    with mock.patch.object(Reencrypter, "_thoroughly", side_effect=AssertionError("not of a form")):
        reencrypter.reencrypt(TARGET, [row])
        with mock.patch(
            "callctl.secrets.rows.fast_path.form_of_document", side_effect=AssertionError("not of that form")
        ):
            (found,) = reencrypter.reencrypt(TARGET, [row._replace(values=(second,))])
    with mock.patch("callctl.secrets.rows.fast_path.Quick.reencrypt", lambda self, target, rows: [None] * len(rows)):
        (parsed,) = reencrypter.reencrypt(TARGET, [row._replace(values=(second,))])
    assert opened(found, second) == opened(parsed, second)


def test_rows_together_come_out_as_each_alone() -> None:
    """One that does not open is left, and counted, among others that are written."""

    def row(number: int, form: str) -> Row:
        place = Place("company", "integration_accounts", "row", "credentials.password")
        made = as_jsonb(Encrypter(KEYS["k2" if form == "k2" else "k1"]).encrypt(form, place, 1))
        if form == "broken":
            made["encrypted"] = "00" * 4
        value = "a plaintext" if form == "plaintext" else made
        return Row(f"{number}", "1", f"row {number}", "company", "custom", (json.dumps({"password": value}),))

    forms = ["k1", "broken", "k2", "plaintext", "broken", "k1"]
    reencrypter = Reencrypter(RING, "keep", lambda: 1)
    together = reencrypter.reencrypt(TARGET, [row(number, form) for number, form in enumerate(forms)])
    assert [len(each.changes) for each in together] == [1, 0, 0, 1, 0, 1]
    assert [len(each.failures) for each in together] == [0, 1, 0, 0, 1, 0]
    assert reencrypter.unused == 0
    decrypter = Decrypter(RING)
    for form, each in zip(forms, together, strict=True):
        if each.changes:
            envelope = read_envelope(json.loads(each.values[0] or "")["password"])
            assert envelope is not None
            opened = decrypter.decrypt(envelope, Place("", "", "", ""))
            assert (opened.plaintext, opened.key.id) == ("a plaintext" if form == "plaintext" else form, "k2")


@pytest.mark.parametrize(
    "first", [json.dumps(Encrypter(KEYS["k1"]).encrypt("a", Place("", "", "", ""), 1)), "authTag", ""]
)
def test_a_secret_that_no_path_reaches_is_listed_whatever_a_like_row_had_there(first: str) -> None:
    """The form of a row that has an envelope under another type's field also fits one that has plaintext there."""
    reencrypter = Reencrypter(RING, "keep", lambda: 1000)
    for password, listed in ((first, 0), ("plaintext", 1)):
        row = Row("key", "1", "row", "company", "twilio", (json.dumps({"authToken": "b", "password": password}),))
        (result,) = reencrypter.reencrypt(TARGET, [row])
        assert [each.path for each in result.failures] == ["credentials.password"] * listed
        assert [each.path for each in result.changes] == ["credentials.authToken"]


def test_the_census_calls_unreadable_what_a_rotation_leaves_for_its_bytes() -> None:
    """In a database of encoding SQL_ASCII: it was counted as plaintext that a rotation would encrypt."""
    row = Row("key", "1", "row", "company", "custom", ('{"password": "caf\udce9"}',))
    for decider in (Decider(RING, Rule()), Decider(None, Rule())):
        ((secret,),) = (decider.decided(TARGET, row).secrets,)
        assert (secret.state, secret.wanted) == ("unreadable", None)
    (left,) = Reencrypter(RING, "keep", lambda: 1).reencrypt(TARGET, [row])[0].failures
    assert left.reason == secret.reason


@given(VALUES)
def test_a_document_keeps_its_digits(value: Any) -> None:
    text = written(value)
    assert exact(encode(decode(text))) == exact(text)


def test_what_is_nested_too_deeply_is_left() -> None:
    with pytest.raises(NotReadable):
        decode("[" * 100_000 + "]" * 100_000)
    result = reencrypted('{"password": ' + "[" * 100_000 + "]" * 100_000 + "}", "custom")
    assert (result.values, result.changes) == ((None,), ())
    assert [failure.reason for failure in result.failures] == ["malformed: nested too deeply"]


def test_a_value_that_would_not_decrypt_again_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    encrypt = Encrypter.encrypt_texts

    def wrong(self: Encrypter, plaintexts: Sequence[bytes], *more: Any) -> list[str]:
        return encrypt(self, [each + b"x" for each in plaintexts], *more)

    monkeypatch.setattr(Encrypter, "encrypt_texts", wrong)
    for credentials in ('{"password": "secret"}', '{"password": "secret", "turnServers": [{"credential": 1}]}'):
        with pytest.raises(NotTheSame):
            reencrypted(credentials, "custom")


def test_encryptions_are_asked_for_before_they_are_made() -> None:
    asked: list[int] = []

    def more() -> int:
        asked.append(1)
        return 2

    reencrypter = Reencrypter(RING, "keep", more)
    row = Row(
        "key",
        "1",
        "row",
        "company",
        "custom",
        ('{"password": "a", "turnServers": [{"credential": "b"}, {"credential": "c"}]}',),
    )
    reencrypter.reencrypt(TARGET, [row])
    assert (len(asked), reencrypter.unused) == (2, 1)
