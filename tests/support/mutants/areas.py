"""What is mutated, and which tests see it: the nearest and fastest first, since the first that fails ends a mutant.

Only tests of what callctl does are named. One of TEXTS would fail for a word or a page that changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TEXTS = (
    "tests/unit/test_docs.py",
    "tests/unit/render",
    "tests/cli/test_screen.py",
    "tests/cli/test_tutorial.py",
    "tests/cli/test_live_display.py",
    "tests/unit/test_rooms.py",
)


@dataclass(frozen=True)
class Area:
    """Files by pattern, each below the root, and the test files that must notice a change of one.

    ``by_check``: of the first test file, the tests named after a check of the mutated file, or after this, come first.
    """

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]
    by_check: str = ""

    def rounds(self, file: str) -> tuple[tuple[str, ...], ...]:
        """What pytest is asked to run for a mutant of a file, one round after another until a test fails."""
        checks = CHECK.findall((ROOT / file).read_text(encoding="utf-8")) if self.by_check else []
        near = ((self.tests[0], "-k", " or ".join([*checks, self.by_check])),) if checks else ()
        return (*near, self.tests)

    def sources(self) -> list[str]:
        """The files that there are, sorted. A face is not mutated: it only says what is imported from where."""
        paths = {path for pattern in self.files for path in ROOT.glob(pattern) if path.name != "__init__.py"}
        return sorted(path.relative_to(ROOT).as_posix() for path in paths)


SECRETS = (
    "tests/unit/secrets",
    "tests/db/secrets/test_rotation.py",
    "tests/db/secrets/test_bound.py",
    "tests/db/secrets/test_rotation_together.py",
    "tests/faults/test_rotation_hostile.py",
    "tests/faults/test_rotation_processes.py",
)
STEPS = (
    "tests/db/migration/test_psql_parity.py",
    "tests/db/migration/test_as_documented.py",
    "tests/db/migration/checks/test_verify.py",
    "tests/db/migration/test_archive.py",
    "tests/db/migration/test_models.py",
    "tests/db/migration/test_kept_fields.py",
    "tests/db/migration/test_forms.py",
    "tests/db/migration/test_new_tables.py",
    "tests/db/migration/test_definitions.py",
    "tests/db/test_left_values.py",
    "tests/db/migration/test_application.py",
    "tests/db/migration/test_withheld.py",
    "tests/db/migration/test_shadow.py",
    "tests/db/migration/test_proof.py",
    "tests/db/migration/test_lossless.py",
    "tests/db/migration/test_deferred.py",
    "tests/db/migration/checks/test_invariants.py",
    "tests/db/migration/checks/test_mutations.py",
)
AREAS = (
    Area(
        "lock",
        ("src/callctl/database/lock.py", "src/callctl/database/store.py"),
        (
            "tests/faults/test_retries.py",
            "tests/faults/test_concurrency.py",
            "tests/faults/test_orphans.py",
            "tests/faults/test_together.py",
            "tests/faults/test_live_status.py",
            "tests/faults/test_batch_workers.py",
            "tests/faults/test_rotation_processes.py",
            "tests/faults/test_locks.py",
            "tests/faults/test_resume.py",
        ),
    ),
    Area(
        "batches",
        (
            "src/callctl/migration/run/batches.py",
            "src/callctl/statements/batch_query.py",
            "src/callctl/database/pace.py",
        ),
        (
            "tests/unit/statements",
            "tests/db/migration/test_forms.py",
            "tests/faults/test_batch_workers.py",
            "tests/faults/test_pace.py",
            "tests/faults/test_holds.py",
            "tests/faults/test_resume.py",
            "tests/db/test_hidden_rows.py",
        ),
    ),
    Area(
        "transactions",
        (
            "src/callctl/database/guarded.py",
            "src/callctl/migration/run/transactions.py",
            "src/callctl/migration/run/script.py",
        ),
        (
            "tests/unit/statements",
            "tests/db/migration/test_session_settings.py",
            "tests/faults/test_retries.py",
            "tests/faults/test_atomic.py",
            "tests/faults/test_interrupt.py",
            "tests/faults/test_resume.py",
            "tests/faults/test_pace.py",
            "tests/faults/test_holds.py",
            "tests/faults/test_adversary.py",
            "tests/faults/test_ways_out.py",
        ),
    ),
    Area(
        "swaps",
        (
            "src/callctl/secrets/rotation/batches.py",
            "src/callctl/secrets/rotation/ranges.py",
            "src/callctl/secrets/rotation/worker.py",
        ),
        SECRETS,
    ),
    Area(
        "retirement",
        ("src/callctl/secrets/inventory/key_retirement.py",),
        (
            "tests/db/secrets/test_key_use.py",
            "tests/db/secrets/test_bound.py",
            "tests/db/secrets/test_declared_fields.py",
            "tests/db/secrets/test_scan_everything.py",
            "tests/db/secrets/test_webhook_secrets.py",
            "tests/db/test_hidden_rows.py",
        ),
    ),
    Area("envelope", ("src/callctl/secrets/envelope/*.py",), (*SECRETS, "tests/db/secrets/test_key_use.py")),
    Area(
        "conformance",
        ("src/callctl/migration/checks/verify.py",),
        (
            "tests/db/migration/checks/test_verify.py",
            "tests/db/migration/checks/test_mutations.py",
            "tests/db/migration/test_adopt.py",
            "tests/db/migration/test_refusals.py",
            "tests/db/migration/checks/test_invariants.py",
            "tests/db/migration/test_withheld.py",
        ),
    ),
    Area(
        "restore",
        ("src/callctl/backup/restore.py",),
        ("tests/db/backup", "tests/cli/test_backup.py", "tests/faults/test_backup_faults.py"),
    ),
    Area("steps", ("sql/steps/*/*.sql",), STEPS),
    Area(
        "store",
        ("sql/store*.sql",),
        (
            "tests/db/database/test_actions.py",
            "tests/db/test_own_writes.py",
            "tests/db/test_records.py",
            *STEPS,
            "tests/faults/test_shadow_faults.py",
        ),
    ),
    Area(
        "verify",
        ("sql/verify/*.sql",),
        (
            "tests/db/migration/checks/test_invariants.py",
            "tests/db/migration/checks/test_verify.py",
            "tests/db/secrets/test_declared_fields.py",
            "tests/db/migration/checks/test_mutations.py",
        ),
        by_check="what_is_right",
    ),
)
CHECK = re.compile(r"^-- check: ([\w-]+):", re.MULTILINE)
