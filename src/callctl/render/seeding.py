"""How the answers of seed-models look."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from callctl.redaction import printable
from callctl.render import console as render
from callctl.render import withheld as render_withheld
from callctl.render.table import table

if TYPE_CHECKING:
    from callctl.config.settings import Output
    from callctl.render import documents
    from callctl.target import Target
    from callctl.tenants.seed_rows import Seed
    from callctl.tenants.seeding import Seeded

_DONE = {"insert": "inserted", "update": "updated", "unchanged": "unchanged", "kept": "kept", "deleted": "deleted"}
_PLANNED = {**_DONE, "insert": "to insert", "update": "to update"}
OVERWRITE = "callctl seed-models --overwrite takes the catalogue's"


def document(seeded: Seeded, *, dry_run: bool, target: Target | None = None) -> documents.Seeded:
    """The JSON document of a run."""
    return {
        "catalogue": seeded.catalogue,
        "dry_run": dry_run,
        "models": [
            {
                "key": seed.model.key,
                "provider": seed.model.provider,
                "type": seed.model.type,
                "id": seed.id,
                "outcome": seed.outcome,
                "differences": seed.differences,
            }
            for seed in seeded.models
        ],
        "accounts": seeded.accounts,
        "warnings": seeded.warnings,
        "target": target,
        "withheld_models": render_withheld.models_documents(seeded.withheld),
    }


def seeded(seeded: Seeded, output: Output, *, dry_run: bool, target: Target | None = None) -> None:
    """What was written, or would be, and what is kept. The warnings are said before anything is written."""
    render.answer(
        output,
        lambda: document(seeded, dry_run=dry_run, target=target),
        lambda: _seeded_text(seeded, dry_run=dry_run, target=target),
    )


def _seeded_text(seeded: Seeded, *, dry_run: bool, target: Target | None) -> None:
    words = _PLANNED if dry_run else _DONE
    table(
        ("model", "provider", "type", ""),
        ((seed.model.key, seed.model.provider, seed.model.type, words[seed.outcome]) for seed in seeded.models),
    )
    _differences(seeded.models, words)
    if seeded.accounts is not None:
        render.out()
        table(
            ("development account", "type", ""),
            ((account.name, account.type, words[account.outcome]) for account in seeded.accounts),
        )
    render.out()
    if seeded.writes and not dry_run:
        render.written(target)
    _summary(seeded, words, dry_run=dry_run)


def _differences(models: tuple[Seed, ...], words: dict[str, str]) -> None:
    rows = [
        (
            seed.model.key,
            difference.field,
            _shown(difference.here),
            _shown(difference.catalogue),
            words["update" if difference.written else "kept"],
        )
        for seed in models
        for difference in seed.differences
    ]
    if rows:
        render.out()
        table(("model", "field", "in the database", "in the catalogue", ""), rows)


def _summary(seeded: Seeded, words: dict[str, str], *, dry_run: bool) -> None:
    number = Counter(seed.outcome for seed in seeded.models)
    parts = [f"{number[outcome]} {words[outcome]}" for outcome in ("insert", "update", "unchanged")]
    line = f"{render.counted(len(seeded.models), 'model')} of {seeded.catalogue}: {', '.join(parts)}"
    if seeded.accounts is not None:
        inserted = sum(account.outcome == "insert" for account in seeded.accounts)
        line += f"; {render.counted(inserted, 'development account')} {words['insert']}"
    render.out(f"{line}; nothing was written" if dry_run else line)
    kept = sum(not difference.written for seed in seeded.models for difference in seed.differences)
    if kept:
        fields = render.counted(kept, "field")
        render.note(f"{fields} kept as the database has {'it' if kept == 1 else 'them'}; {OVERWRITE}")
    if number["deleted"]:
        models = render.counted(number["deleted"], "model")
        render.note(f"{models} soft-deleted in the database: left alone, with --overwrite too")
    render_withheld.lines(seeded.withheld)


def _shown(value: str | None) -> str:
    """A value that somebody may have typed, without what a terminal would obey."""
    if value is None:
        return "nothing"
    text = printable(value)
    return text if len(text) <= 60 else text[:57] + "..."
