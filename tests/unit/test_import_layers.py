"""Imports run downward through the rooms of docs/explanation/architecture.md, and never sideways."""

from __future__ import annotations

import ast
from pathlib import Path

import callctl

PACKAGE = Path(callctl.__file__).parent

# From the entrance down. A module may import from the rooms below its own, and from its own room only what
# SAME_ROOM allows. migrate stands over preflight and verify: it asks both.
ROOMS: tuple[frozenset[str], ...] = tuple(
    frozenset(room.split())
    for room in (
        "__main__",
        "cli",
        "render_answers render_findings render_progress render_report render_demo render_code_refs render_keys"
        " render_rotation render_backup render_seeding render_companies render_settings render_accounts"
        " render_loadtest_picture render_run",
        "render_webhooks render_loadtest render_live render_withheld",
        "render_story render_table render_page",
        "render",
        "demo",
        "story",
        "adoption",
        "migrate rotation key_retirement webhook_secrets backup restore seeding companies chatbot_settings accounts"
        " loadtest",
        "rotation_watch operation",
        "rotation_worker key_use webhook_run loadtest_preview",
        "loadtest_sessions server_load",
        "rotation_batches webhook_ledger",
        "rotation_swaps",
        "rotation_batch",
        "webhook_accounts census",
        "rotation_ranges rotation_wire",
        "planning",
        "preflight verify standing code_refs live_runs",
        "conformance row_checks declared_secrets ddl_trial needs subscribers",
        "unmatched_fields plaintext_copies",
        "replay",
        "dump",
        "seed_rows dev_accounts",
        "model_columns shadow withheld",
        "run_record",
        "runner findings steps catalogue call_settings contract scans results",
        "batches watch",
        "concurrency",
        "failures",
        "transactions",
        "pace",
        "indexes",
        "secret_scan_beside",
        "secret_scan",
        "secret_scan_finder",
        "secret_scan_rows",
        "bound_fields",
        "secret_scan_tables",
        "secret_tables",
        "kept_secrets",
        "backup_record loadtest_rows key_ledger",
        "actions loadtest_queries loadtest_measure rotation_store",
        "store comparison",
        "lock",
        "adapt work_list",
        "definitions literals",
        "resolve",
        "writes",
        "names",
        "scope",
        "naming",
        "reencrypt",
        "renewal_rows",
        "renewal resealed secret_forms",
        "secret_rows",
        "secret_shapes",
        "binding",
        "envelope",
        "envelope_search",
        "envelope_form",
        "foreign_ciphertext",
        "keys credentials secret_fields",
        "key_sources",
        "script",
        "lexer",
        "database",
        "pooler",
        "sandbox",
        "postgres baselines",
        "client_programs",
        "binaries guard",
        "backup_file",
        "manifest child",
        "config",
        "database_url config_sections",
        "config_accept config_secrets",
        "source_text",
        "source_script source_plain",
        "catalogue_form",
        "config_file config_values files events source_spans source_tree spellings server_errors",
        "redaction output stored_bytes target",
        "errors",
        "__init__",
    )
)

# Neighbours that may know each other: parts of one thing that would be one module if it were shorter.
SAME_ROOM: frozenset[tuple[str, str]] = frozenset()


def modules() -> dict[str, list[Path]]:
    """Each module of the package, and the files it is made of (a sub-package counts as one)."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found.setdefault(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), []).append(path)
    return found


def imported(path: Path) -> set[str]:
    """The modules of callctl that a file imports anywhere in it, late imports included.

    Imports for type checking only are left out: they name types, and run nothing.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in node.body
        for inner in ast.walk(child)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {part for name in names if name.split(".")[0] == "callctl" for part in [room_of(name)]}


def room_of(name: str) -> str:
    """'callctl.config.Settings' -> 'config'; 'callctl.__version__' -> '__init__'."""
    part = [*name.split("."), ""][1]
    return part if (PACKAGE / part).is_dir() and part else part if (PACKAGE / f"{part}.py").is_file() else "__init__"


def violations(rooms: tuple[frozenset[str], ...], imports: dict[str, set[str]]) -> list[str]:
    floor = {module: number for number, room in enumerate(rooms) for module in room}
    found = [f"{module}: not in any room" for module in sorted(imports) if module not in floor]
    for module, names in sorted(imports.items()):
        for name in sorted(names - {module}):
            if module not in floor or name not in floor or (module, name) in SAME_ROOM:
                continue
            if floor[name] <= floor[module]:
                way = "sideways" if floor[name] == floor[module] else "upward"
                found.append(f"{module} imports {name}: {way}")
    return found


def test_imports_run_downward() -> None:
    imports = {module: set().union(*(imported(path) for path in paths)) for module, paths in modules().items()}
    assert imports["cli"] >= {"config", "errors"}  # the walk sees late imports too
    assert violations(ROOMS, imports) == []


def test_the_rule_notices() -> None:
    rooms = (frozenset({"a"}), frozenset({"b", "c"}), frozenset({"d"}))
    assert violations(rooms, {"a": {"b", "d"}, "b": {"d"}}) == []
    assert violations(rooms, {"b": {"c"}}) == ["b imports c: sideways"]
    assert violations(rooms, {"d": {"a"}}) == ["d imports a: upward"]
    assert violations(rooms, {"e": set()}) == ["e: not in any room"]
