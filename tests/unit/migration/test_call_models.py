"""The catalogue and the SQL of step 13 say the same, in whatever unit the table keeps."""

# ruff: noqa: E501 - each case of a table is one line.

from __future__ import annotations

import re
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callctl.errors import ConfigError, UsageError
from callctl.files import read_sql
from callctl.migration.steps import catalogue_form
from callctl.migration.steps.call_models import (
    COLUMNS,
    EXAMPLES,
    Column,
    Model,
    Value,
    contradictions,
    in_catalogue,
    load_catalogue,
    read_catalogue,
    seed_script,
)
from callctl.statements.naming import DOCUMENTED, Naming

ENTRY = """
models:
  - key: a-model
    provider: openai
    type: call
    display_name: A model
    description: It's one
    supports_audio: true
    input_price_usd_per_million_tokens: "5"
    output_price_usd_per_million_tokens: "20"
    audio_input_price_usd_per_second: "0.10"
    audio_output_price_usd_per_second: "0.20"
    context_window_tokens: 128000
    max_output_tokens: 4096
"""


def per_million() -> Naming:
    models = replace(
        DOCUMENTED.tables["ai_models"],
        columns={**DOCUMENTED.tables["ai_models"].columns, "input_cost_per_token": "input_price_per_million"},
        units={"input_cost_per_token": 1_000_000},
    )
    return replace(DOCUMENTED, tables={**DOCUMENTED.tables, "ai_models": models})


def test_step_13_is_the_catalogue() -> None:
    assert seed_script(load_catalogue()).text == read_sql("steps/13_call_models/up.sql")


def test_step_13_verifies_the_catalogue() -> None:
    verify = read_sql("steps/13_call_models/verify.sql")
    assert re.findall(r"\('([^']+)'\)", verify) == [model.key for model in load_catalogue()]


def test_the_prices_are_those_that_the_documents_sql_would_have_stored() -> None:
    stored = {
        model.key: tuple(model.documented()[column] for column in ("input_cost_per_token", "output_cost_per_token"))
        for model in load_catalogue()
    }
    assert stored == {
        "gpt-4o-realtime-preview-2024-10-01": (Decimal("0.000005"), Decimal("0.000020")),
        "gpt-4o-realtime-preview": (Decimal("0.000005"), Decimal("0.000020")),
        "gemini-2.0-flash-exp": (Decimal("0.00000075"), Decimal("0.0000030")),
    }


def test_a_price_is_converted_to_the_unit_of_its_column() -> None:
    text = seed_script(load_catalogue(ENTRY), per_million()).text
    assert "input_price_per_million,\n" in text
    assert "    5,\n" in text
    assert "output_cost_per_token,\n" in text
    assert "    0.00002,\n" in text
    assert "'It''s one'" in text


@pytest.mark.parametrize(
    ("before", "after", "messages"),
    [
        ('"5"', "5", ['input_price_usd_per_million_tokens: the price is not a decimal in quotes, such as "0.75"']),
        ('"5"', "5.0", ["input_price_usd_per_million_tokens: the price is not a decimal in quotes"]),
        ('"5"', '"-1"', ["input_price_usd_per_million_tokens: the price is not a plain decimal from"]),
        ('"5"', '"five"', ["input_price_usd_per_million_tokens: the price is not a plain decimal"]),
        ('"5"', '"5e-7"', ["input_price_usd_per_million_tokens: the price is not a plain decimal"]),
        ('"5"', '"1000000"', ["input_price_usd_per_million_tokens: the price is not a plain decimal"]),
        ('"5"', '"\u0665"', ["input_price_usd_per_million_tokens: the price is not a plain decimal"]),
        ('"5"', '"5\\n"', ["input_price_usd_per_million_tokens: the price is not a plain decimal"]),
        (
            '"5"',
            "null",
            ["a-model: input_price_usd_per_million_tokens is missing, although output_price_usd_per_million_tokens"],
        ),
        (
            '"0.20"',
            "",
            ["a-model: audio_output_price_usd_per_second is missing, although audio_input_price_usd_per_second"],
        ),
        (
            "provider: openai",
            "provider: acme",
            ["provider: input should be 'openai', 'google' or 'anthropic', not 'acme'"],
        ),
        ("provider: openai", "provider:", ["provider: input should be 'openai'", "not None"]),
        ("type: call", "type: video", ["type: input should be 'chat', 'call' or 'both', not 'video'"]),
        ("supports_audio: true", 'supports_audio: "true"', ["supports_audio: input should be a valid boolean"]),
        (
            "max_output_tokens: 4096",
            "max_output_tokens: 0",
            ["max_output_tokens: input should be greater than or equal"],
        ),
        (
            "max_output_tokens: 4096",
            "max_output_tokens: 4096.0",
            ["max_output_tokens: input should be a valid integer"],
        ),
        ("max_output_tokens: 4096", "max_output_tokens: 2147483648", ["max_output_tokens: input should be less than"]),
        ("max_output_tokens: 4096", "max_tokens: 4096", ["model a-model: max_tokens: no such field"]),
        ("display_name: A model", "display_name: 7", ["display_name: input should be a valid string"]),
        ("display_name: A model", f"display_name: {'x' * 101}", ["display_name: string should have at most 100"]),
        ("display_name: A model", 'display_name: "a\\e[2J"', ["display_name: white space and control characters"]),
        ("key: a-model", "key: a model", ["model a model: key: white space and control characters"]),
        ("key: a-model", 'key: "a\\e[2J"', ["model a\\x1b[2J: key: white space and control characters"]),
        *(
            (
                before,
                f'{field}: "a\\u{code:04X}b"',
                [f"{field}: an invisible or bidirectional character is not allowed"],
            )
            for before, field in (("display_name: A model", "display_name"), ("key: a-model", "key"))
            for code in (
                0xAD,
                0x34F,
                0x61C,
                0x115F,
                0x200B,
                0x200D,
                0x200E,
                0x202E,
                0x2060,
                0x2069,
                0x3164,
                0xFE0F,
                0xFEFF,
            )
        ),
        (
            "key: a-model",
            'key: "a\\U000E0041b"',
            ["key: an invisible or bidirectional character is not allowed: U+E0041"],
        ),
        ("description: It's one", 'description: "\\0"', ["description: white space and control"]),
        ("description: It's one", 'description: "\\ud800"', ["description: input should be a valid string"]),
        (
            "  - key: a-model",
            "  - name: a-model",
            ["model number 1: key: field required", "number 1: name: no such field"],
        ),
        ("  - key: a-model", "  - 7\n  - key: a-model", ["model number 1: input should be a valid dictionary"]),
        ("models:", "prices: {}\nmodels:", ["prices: no such field"]),
        ("models:", "model:", ["no list of models under 'models:'"]),
        (ENTRY, "models: []", ["no list of models under 'models:'"]),
        (ENTRY, "", ["no list of models under 'models:'"]),
        (ENTRY, "7", ["no list of models under 'models:'"]),
        ("models:", "models: [", [":3:3: not YAML"]),
        ("type: call", "type: call\n    type: chat", [":6:5: duplicate entry of a model"]),
        ("description: It's one", "description: !!timestamp 2026-13-45", ["a value cannot be read"]),
        ("description: It's one", "description: !!timestamp x", ["a value does not fit its tag"]),
        ("description: It's one", "description: !!python/name:os.system", [":7:18: not YAML"]),
        ("models:", "models: " + "[" * 5000, ["my.yaml: a value cannot be read"]),
        (ENTRY, "models:\n" + "# 0123456789\n" * 100_000, ["my.yaml: the catalog is larger than 1,000,000 characters"]),
    ],
)
def test_a_catalogue_that_cannot_be_used(before: str, after: str, messages: list[str]) -> None:
    assert before in ENTRY
    with pytest.raises(ConfigError) as refused:
        load_catalogue(ENTRY.replace(before, after, 1), "my.yaml")
    assert refused.value.message.startswith("my.yaml:")
    assert refused.value.hint
    for message in messages:
        assert message in refused.value.message
    assert refused.value.message.isprintable()


def test_a_model_that_stands_there_twice_and_many_problems_at_once() -> None:
    entry = ENTRY.split("models:\n", 1)[1]
    with pytest.raises(ConfigError, match="model a-model: key: 2 models have this key"):
        load_catalogue(ENTRY + entry)
    with pytest.raises(ConfigError) as refused:
        load_catalogue(ENTRY.replace("type: call", "type: fax") + entry.replace("openai", "acme") * 20)
    assert "model a-model: type: " in refused.value.message
    assert refused.value.message.endswith("; and 11 more")


def test_what_is_left_out_is_not_said() -> None:
    (model,) = load_catalogue("models: [{key: m, provider: google, type: both, display_name: M, description: null}]")
    assert model.fields() == {"key": "m", "provider": "google", "type": "both", "display_name": "M"}
    assert "cost" not in " ".join(model.documented())


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--catalog: no such file:"):
        read_catalogue(str(tmp_path / "none.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"models: \xe9")
    for name, reason in ((".", "is a directory"), ("latin.yaml", "it is not UTF-8"), ("a\0b", "it is not UTF-8")):
        with pytest.raises(ConfigError, match=reason):
            read_catalogue(str(tmp_path / name))


def test_the_examples_are_those_of_the_specification() -> None:
    models = [(model.provider, model.type, model.key) for model in load_catalogue(name=EXAMPLES)]
    assert models == [
        ("openai", "chat", "gpt-4-turbo"),
        ("openai", "chat", "gpt-4"),
        ("openai", "chat", "gpt-3.5-turbo"),
        ("anthropic", "chat", "claude-3-5-sonnet-20241022"),
        ("anthropic", "chat", "claude-3-opus-20240229"),
        ("anthropic", "chat", "claude-3-haiku-20240307"),
        ("google", "chat", "gemini-1.5-pro"),
        ("google", "chat", "gemini-1.5-flash"),
        ("google", "chat", "gemini-pro"),
        ("openai", "call", "gpt-4o-realtime-preview-2024-10-01"),
        ("openai", "call", "gpt-4o-realtime-preview"),
        ("google", "call", "gemini-2.0-flash-exp"),
        ("google", "both", "gemini-2.0-ultra"),
    ]
    # Both catalogues say the same of the models that both have: a run with one leaves nothing for the other to do.
    own = {model.key: model.fields() for model in load_catalogue()}
    for model in load_catalogue(name=EXAMPLES):
        if model.key in own:
            assert model.fields().items() <= own[model.key].items()


def test_the_contradictions_are_warned_of_at_the_specifications_numbers_only() -> None:
    warnings = contradictions(load_catalogue())
    assert len(warnings) == 2
    assert "input_price_usd_per_million_tokens is 0.75 in the specification's SQL" in warnings[0]
    assert "(L3109) says 0.075" in warnings[0]
    assert "output_price_usd_per_million_tokens is 3 in the specification's SQL" in warnings[1]
    assert "(L3110) says 0.30" in warnings[1]
    (gemini,) = (model for model in load_catalogue() if model.key == "gemini-2.0-flash-exp")
    assert len(contradictions([replace(gemini, input_price_usd_per_million_tokens=Decimal("0.075"))])) == 1
    assert contradictions([replace(gemini, key="gemini-2.0-flash")]) == ()
    assert contradictions(load_catalogue(name=EXAMPLES)) == ()


def test_the_schema_says_what_the_reader_does() -> None:
    schema = catalogue_form.schema()
    model = schema["$defs"]["Entry"]
    assert list(model["properties"]) == [field.name for field in fields(Model)]
    assert set(COLUMNS) == set(model["properties"])
    assert model["required"] == ["key", "provider", "type", "display_name"]
    assert not model["additionalProperties"]
    assert not schema["additionalProperties"]
    for price in (name for name in model["properties"] if "_price_usd_per_" in name):
        text, nothing = model["properties"][price]["anyOf"]
        assert nothing == {"type": "null"}
        for value, fits in (("0", True), ("0.75", True), ("999999.000000000001", True), ("01", False), ("1e3", False)):
            assert bool(re.fullmatch(text["pattern"].strip("^$"), value)) is fits
            entry = ENTRY.replace('"5"', f'"{value}"')
            if fits:
                load_catalogue(entry)
            else:
                with pytest.raises(ConfigError):
                    load_catalogue(entry)
    assert all(isinstance(part, dict) and part["description"] for part in model["properties"].values())


def column(**facts: Any) -> Column:
    return replace(Column("c", False, "text", None, None, None, None), **facts)


@pytest.mark.parametrize(
    ("target", "value", "why"),
    [
        (column(type="numeric", precision=10, scale=4), Decimal("0.0001"), None),
        (column(type="numeric", precision=10, scale=4), Decimal("0.00000075"), "stores 4 decimals and would round 0.00000075"),
        (column(type="numeric", precision=10, scale=4), Decimal("999999.9999"), None),
        (column(type="numeric", precision=10, scale=4), Decimal("1000000"), "has room for 6 digits before the point"),
        (column(type="numeric", precision=3, scale=-2), Decimal("12300"), None),
        (column(type="numeric", precision=3, scale=-2), Decimal("12310"), "stores -2 decimals and would round 12310"),
        (column(type="numeric", precision=2, scale=4), Decimal("0.01"), "has room for -2 digits before the point"),
        (column(type="numeric"), Decimal("1.000000000000000001"), None),
        (column(type="integer"), Decimal("0.5"), "stores whole numbers and would round 0.5"),
        (column(type="smallint"), 32767, None),
        (column(type="smallint"), 32768, "is smallint, too small for 32768"),
        (column(type="text", labels=("openai", "google")), "anthropic", "has no label anthropic (its labels are openai, google)"),
        (column(type="character varying", length=3), "é☎x", None),
        (column(type="character varying", length=3), "abcd", "stores 3 characters, and the value has 4"),
        (column(type="boolean"), True, None),
    ],
)  # fmt: skip
def test_what_a_column_would_not_keep(target: Column, value: Value, why: str | None) -> None:
    problem = target.misfit(value)
    assert problem is None if why is None else problem is not None and why in problem


def test_a_price_is_shown_in_the_catalogues_unit() -> None:
    plain, million = DOCUMENTED.tables["ai_models"], per_million().tables["ai_models"]
    field = "input_price_usd_per_million_tokens"
    assert in_catalogue(field, "0.000005000000", plain) == "5"
    assert in_catalogue(field, "100.0000", million) == "100"
    assert in_catalogue(field, "NaN", plain) == "NaN"
    assert in_catalogue(field, None, plain) is None
    assert in_catalogue("audio_input_price_usd_per_second", "0.100000", plain) == "0.100000"
