"""The models of step 13 on real tables: exact prices, required columns, a model that was there before."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.support.db import snapshot

from callctl.config.settings import Settings
from callctl.database.connection import connect
from callctl.errors import Refused
from callctl.migration import migrate


@pytest.mark.applied
def test_prices_arrive_in_the_tables_own_unit(deployed: str) -> None:
    settings = Settings(database_url=deployed)
    with connect(settings) as connection:
        rows = connection.execute(
            "SELECT model_id, input_price_per_million, output_price_per_million, input_limit, output_limit,"
            " audio_cost_per_second_input FROM chatapp.ai_models WHERE model_type = 'call' ORDER BY 1"
        ).fetchall()
    assert rows == [
        ("gemini-2.0-flash-exp", Decimal("0.75"), Decimal("3"), 1000000, 8192, Decimal("0.05")),
        ("gpt-4o-realtime-preview", Decimal("5"), Decimal("20"), 128000, 4096, Decimal("0.1")),
        ("gpt-4o-realtime-preview-2024-10-01", Decimal("5"), Decimal("20"), 128000, 4096, Decimal("0.1")),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ALTER TABLE chatapp.ai_models ALTER input_cost_per_token TYPE numeric(10,4)",
            "model gemini-2.0-flash-exp: input_price_usd_per_million_tokens: column input_cost_per_token stores "
            "4 decimals and would round 0.00000075",
        ),
        (
            "ALTER TABLE chatapp.ai_models ADD COLUMN vendor_code text NOT NULL DEFAULT 'none';"
            " ALTER TABLE chatapp.ai_models ALTER vendor_code DROP DEFAULT",
            "vendor_code",
        ),
    ],
)
def test_models_that_do_not_fit_are_refused_before_anything_changes(change: str, said: str, documented: str) -> None:
    settings = Settings(database_url=documented)
    with connect(settings) as connection:
        connection.execute(change.encode())
        before = snapshot.take(connection)
        with pytest.raises(Refused) as refused:
            migrate.up(settings)
        assert said in refused.value.message
        snapshot.assert_same(before, snapshot.take(connection))


def test_a_chat_model_of_a_catalogue_name_goes_on_chatting(deployed: str) -> None:
    settings = Settings(database_url=deployed)
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO chatapp.ai_models (provider, model_id, display_name, input_limit, output_limit,"
            " input_price_per_million, output_price_per_million)"
            " VALUES ('google', 'gemini-2.0-flash-exp', 'Ours', 1, 1, 9.5, 9.5)"
        )
        before = snapshot.take(connection)
        migrate.up(settings)
        row = connection.execute(
            "SELECT model_type, display_name, input_price_per_million FROM chatapp.ai_models"
            " WHERE model_id = 'gemini-2.0-flash-exp'"
        ).fetchone()
        assert row == ("both", "Ours", Decimal("9.5"))
        migrate.down(settings, to=0)
        snapshot.assert_same(before, snapshot.take(connection), snapshot.touched_columns(before))
