"""The catalogue and the SQL of step 13 say the same, in whatever unit the table keeps."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from callctl.catalogue import load_catalogue, seed_script
from callctl.errors import ConfigError
from callctl.files import read_sql
from callctl.naming import DOCUMENTED, Naming

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
    ("before", "after", "message"),
    [
        ('"5"', "5", "model a-model: input_price_usd_per_million_tokens: value error, a price is a decimal in quotes"),
        ('"5"', '"-1"', "model a-model: input_price_usd_per_million_tokens"),
        ('"5"', '"five"', "model a-model: input_price_usd_per_million_tokens"),
        ("provider: openai", "provider: acme", "model a-model: provider"),
        ("type: call", "type: video", "model a-model: type"),
        ("max_output_tokens: 4096", "max_output_tokens: 0", "model a-model: max_output_tokens"),
        ("max_output_tokens: 4096", "max_tokens: 4096", "model a-model: max_output_tokens"),
        ("  - key: a-model", "  - name: a-model", "model number 1: key"),
        ("models:", "model:", "there is no list under 'models:'"),
        ("models:", "models: [", "not YAML"),
    ],
)
def test_a_catalogue_that_cannot_be_used(before: str, after: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_catalogue(ENTRY.replace(before, after, 1), "my.yaml")
    assert refused.value.message.startswith("my.yaml: ")
    assert message in refused.value.message


def test_a_model_that_stands_there_twice() -> None:
    twice = ENTRY + ENTRY.split("models:\n", 1)[1]
    with pytest.raises(ConfigError, match="a-model stands there twice"):
        load_catalogue(twice)
