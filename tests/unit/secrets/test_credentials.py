"""Which fields hold a secret, and credentials against the shapes of the specification."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callctl.config.settings import Settings
from callctl.secrets.envelope.fields import (
    ACCOUNTS,
    ARRAY,
    CREDENTIALS,
    DECLARED,
    SecretField,
    applicable,
    declared,
    walk,
)
from callctl.secrets.rows.credentials import SHAPES, fit, problems, strays
from callctl.secrets.rows.row import Number

# As the specification shows them (L966-1028).
EXAMPLES: dict[str, dict[str, Any]] = {
    "twilio": {
        "accountSid": "ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "authToken": "encrypted_auth_token_here",
        "phoneNumber": "+15550100",
        "apiKeySid": "SKxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "apiKeySecret": "encrypted_api_key_secret",
    },
    "whatsapp": {
        "businessAccountId": "123456789012345",
        "phoneNumberId": "987654321098765",
        "phoneNumber": "+15550200",
        "accessToken": "encrypted_long_lived_access_token",
        "appId": "123456789012345",
        "appSecret": "encrypted_app_secret",
        "wabizPhoneNumberId": "alternate_id_format",
    },
    "custom": {
        "sipUri": "sip:username@provider.com",
        "username": "sip_username",
        "password": "encrypted_sip_password",
        "domain": "sip.provider.com",
        "proxyServer": "proxy.provider.com:5060",
        "stunServers": ["stun:stun.provider.com:3478"],
        "turnServers": [
            {
                "urls": "turn:turn.provider.com:3478",
                "username": "turn_user",
                "credential": "encrypted_turn_password",
            }
        ],
    },
}
ENVELOPE = {"v": 1, "alg": "A256GCM", "kid": "k1", "iv": "", "encrypted": "", "authTag": ""}
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def fields(account_type: str | None) -> tuple[SecretField, ...]:
    return applicable(DECLARED, ACCOUNTS, CREDENTIALS, account_type)


# ---- secret fields -------------------------------------------------------------------------------------


def test_the_declared_fields_are_what_the_specification_calls_encrypted() -> None:
    """In its examples, every value that begins with 'encrypted_' and no other."""
    for account_type, example in EXAMPLES.items():
        found = {str(value) for *_, value in walk(example, fields(account_type))}
        assert found == set(_texts(example, "encrypted_"))
    columns = [field.column for field in DECLARED if not field.path]
    assert columns == ["access_token", "refresh_token"]
    assert applicable(DECLARED, ACCOUNTS, "access_token", "anything") == (DECLARED[-2],)


def _texts(value: Any, start: str) -> list[str]:
    if isinstance(value, dict | list):
        return [text for each in (value.values() if isinstance(value, dict) else value) for text in _texts(each, start)]
    return [value] if isinstance(value, str) and value.startswith(start) else []


def test_the_fields_of_another_type_table_or_column_do_not_apply() -> None:
    assert {field.account_type for field in fields("twilio")} == {"twilio"}
    assert fields("other") == fields(None) == ()
    assert applicable(DECLARED, "integrations", CREDENTIALS, "twilio") == ()
    assert applicable(DECLARED, ACCOUNTS, "config", "twilio") == ()


def test_fields_of_the_settings_come_after_and_once() -> None:
    own = SecretField("integrations", None, "config", ("apiKey",))
    assert declared(Settings(secret_fields=(own, DECLARED[0]))) == (*DECLARED, own)
    assert declared(Settings()) == DECLARED


def test_a_field_names_its_place() -> None:
    assert [field.text for field in DECLARED] == [
        "credentials.authToken",
        "credentials.apiKeySecret",
        "credentials.accessToken",
        "credentials.appSecret",
        "credentials.password",
        "credentials.turnServers[].credential",
        "access_token",
        "refresh_token",
    ]
    assert SecretField("t", None, "c", ("a", ARRAY, ARRAY, "b")).text == "c.a[][].b"


def test_a_walk_replaces_in_place() -> None:
    custom = copy.deepcopy(EXAMPLES["custom"])
    custom["turnServers"] += [{"credential": "second"}, {"urls": "turn:x"}, "text", None, {"credential": None}]
    seen = []
    for path, container, key, value in walk(custom, fields("custom")):
        seen.append((path, value))
        container[key] = {"encrypted": value}
    assert seen == [
        ("credentials.password", "encrypted_sip_password"),
        ("credentials.turnServers[].credential", "encrypted_turn_password"),
        ("credentials.turnServers[].credential", "second"),
    ]
    assert custom["password"] == {"encrypted": "encrypted_sip_password"}
    assert custom["turnServers"][1] == {"credential": {"encrypted": "second"}}
    assert custom["username"] == "sip_username"


@pytest.mark.parametrize(
    ("path", "credentials", "found"),
    [
        ((ARRAY,), ["a", "b"], ["a", "b"]),
        ((ARRAY, ARRAY), [["a"], "b", ["c", None]], ["a", "c"]),
        (("a", "b", "c"), {"a": {"b": {"c": "x"}}}, ["x"]),
        (("a", "b"), {"a": [{"b": "x"}]}, []),
        (("a", ARRAY), {"a": {"0": "x"}}, []),
        (("a",), ["a"], []),
        (("a",), {"a": ""}, [""]),
        (("a",), {"a": 7}, [7]),
        ((), {"a": 7}, []),
    ],
)
def test_a_walk_goes_where_the_path_says(path: tuple[str, ...], credentials: Any, found: list[object]) -> None:
    assert [value for *_, value in walk(credentials, [SecretField("t", None, "c", path)])] == found


@given(ANY_JSON)
def test_a_walk_of_anything_ends_well(credentials: Any) -> None:
    before = copy.deepcopy(credentials)
    for _, container, key, value in walk(credentials, DECLARED):
        assert container[key] is value
    assert credentials == before


# ---- shapes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account_type", EXAMPLES)
def test_the_examples_of_the_specification_are_as_they_should_be(account_type: str) -> None:
    example = copy.deepcopy(EXAMPLES[account_type])
    assert problems(account_type, example) == ()
    for _, container, key, _ in walk(example, fields(account_type)):
        container[key] = ENVELOPE
    assert problems(account_type, example) == ()
    for name in example:
        assert problems(account_type, {**example, name: 7}) == ((f"credentials.{name}", "wrong type"),)
        assert problems(account_type, {**example, name: None}) == ((f"credentials.{name}", "missing"),)
        rest = {key: value for key, value in example.items() if key != name}
        assert problems(account_type, rest) == ((f"credentials.{name}", "missing"),)
    assert set(SHAPES) == set(EXAMPLES)


def test_an_envelope_is_right_only_where_a_secret_is() -> None:
    twilio = {**EXAMPLES["twilio"], "accountSid": ENVELOPE, "extra": "x"}
    assert problems("twilio", twilio) == (("credentials.accountSid", "wrong type"), ("credentials.extra", "extra"))


def test_lists_are_looked_into_and_said_once() -> None:
    turn = [{"urls": "x", "username": 7, "credential": "c"}, {"urls": "x", "username": 8}, "text", {"username": "u"}]
    custom = {**EXAMPLES["custom"], "turnServers": turn, "stunServers": "stun:x"}
    assert problems("custom", custom) == (
        ("credentials.stunServers", "wrong type"),
        ("credentials.turnServers[].username", "wrong type"),
        ("credentials.turnServers[].credential", "missing"),
        ("credentials.turnServers[]", "wrong type"),
        ("credentials.turnServers[].urls", "missing"),
    )
    assert problems("custom", {**custom, "stunServers": [], "turnServers": []}) == ()


@pytest.mark.parametrize("credentials", [None, [], "text", 7, True])
def test_what_is_no_object_is_of_the_wrong_type(credentials: object) -> None:
    assert problems("twilio", credentials) == (("credentials", "wrong type"),)


def test_of_another_type_there_is_nothing_to_say() -> None:
    assert problems("carrier pigeon", {"a": 1}) == ()


def test_a_member_that_may_be_a_secret_itself_is_not_repeated() -> None:
    example = {**EXAMPLES["twilio"], "f4c1d2e3b4a5968778695a4b3c2d1e0f": "x", "x" * 50: "y", "ключ": 1, "note": ""}
    assert problems("twilio", example) == (
        ("credentials.…", "extra"),
        ("credentials.…", "extra"),
        ("credentials.…", "extra"),
        ("credentials.note", "extra"),
    )


@given(st.sampled_from(sorted(SHAPES)), ANY_JSON)
def test_no_value_is_in_a_problem(account_type: str, credentials: Any) -> None:
    for path, trouble in problems(account_type, credentials):
        assert path == "credentials" or path.startswith("credentials.")
        assert trouble in ("missing", "extra", "wrong type")


SOME = st.sampled_from(("text", 7, True, None, ENVELOPE, Number("1.50")))


@given(st.sampled_from(sorted(SHAPES)), st.data())
def test_a_quick_look_says_the_same(account_type: str, data: st.DataObject) -> None:
    """Whatever it has seen before: members of the examples, in every type, in and out of lists."""
    example = EXAMPLES[account_type]
    turn = st.dictionaries(st.sampled_from(("urls", "username", "credential", "x")), SOME)
    member = SOME | st.lists(SOME | turn, max_size=3)
    credentials = {**example, **data.draw(st.dictionaries(st.sampled_from((*example, "extra")), member, max_size=3))}
    assert fit(account_type, credentials) == (problems(account_type, credentials) == ())
    if fit(account_type, credentials):  # then no rotation looks for one
        assert strays(credentials, fields(account_type), ACCOUNTS, CREDENTIALS, whatever=True) == []
