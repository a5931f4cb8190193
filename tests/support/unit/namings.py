"""Namings for tests: the deployed schema, a quoted one in another schema, the documented one."""

from __future__ import annotations

from callctl.statements.naming import DOCUMENTED, SOFT_DELETE, Naming, TableNaming

NO_SOFT_DELETE = frozenset(SOFT_DELETE)
SNAKE = {"deletedat": "deleted_at", "deleted_at": "deleted_at"}

DEPLOYED = Naming(
    "chatapp",
    {
        **DOCUMENTED.tables,
        "companies": TableNaming("companies", columns=SNAKE),
        "users": TableNaming("users", columns=SNAKE | {"avatar_url": "avatar_url"}),
        "chatbots": TableNaming(
            "chatbots", columns=SNAKE | {"chatbottype": "chatbot_type", "package_id": "package_id"}
        ),
        "chatbot_packages": TableNaming(
            "chatbot_packages", columns={"chatbottype": "chatbot_type"}, absent=NO_SOFT_DELETE
        ),
        "conversations": TableNaming("conversations", absent=NO_SOFT_DELETE),
        "end_users": TableNaming("end_users", absent=NO_SOFT_DELETE),
        "ai_models": TableNaming(
            "ai_models",
            columns={
                "model_name": "model_id",
                "context_window": "input_limit",
                "max_output_tokens": "output_limit",
                "input_cost_per_token": "input_price_per_million",
                "output_cost_per_token": "output_price_per_million",
            },
            absent=NO_SOFT_DELETE,
            units={"input_cost_per_token": 1_000_000, "output_cost_per_token": 1_000_000},
        ),
    },
)

MIXED = Naming(
    "My App",
    {
        **DOCUMENTED.tables,
        "chatbots": TableNaming(
            "chatbots",
            columns={
                "chatbottype": "chatbotType",
                "deletedat": "deletedAt",
                "deleted_at": "deletedAt",
                "package_id": "chatbot_package_id",
            },
        ),
        "chatbot_packages": TableNaming("chatbot_packages", columns=SNAKE | {"chatbottype": "chatbot_type"}),
    },
)

OTHER_SCHEMA = Naming("platform", DOCUMENTED.tables)
