"""``--report``: the page of a run, written when it begins, after each step, and however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from callctl import files
from callctl.cli import common
from callctl.errors import UsageError
from callctl.events import MigrationStarted, StepFinished
from callctl.render import console as render

if TYPE_CHECKING:
    from pathlib import Path

    from callctl.cli.options import RunOptions
    from callctl.events import Event, OnEvent
    from callctl.migration.checks.findings import Finding


def report_file(options: RunOptions) -> Path | None:
    """The file that ``--report`` names, if it is there. Raises UsageError."""
    if options.report is None:
        return None
    if options.dry_run:
        raise UsageError(
            "--report tells of a run, and --dry-run runs nothing",
            hint="leave one of them out; callctl migrate plan prints what would run",
        )
    if not options.report.endswith((".html", ".htm")):
        raise UsageError(f"--report writes a page: {options.report!r}", hint="name a file that ends in .html")
    file = common.writable(options.report)
    if not os.access(file.resolve().parent, os.W_OK):
        raise UsageError(
            f"cannot write {file}: it is written anew in its directory, which is not yours to write",
            hint="name a file in a directory that is",
        )
    common.assert_report(file)
    return file


@contextmanager
def reported(file: Path | None, on_event: OnEvent) -> Iterator[RunReport]:
    """Listen to a run, for ``on_event`` and for the page in ``file`` if there is one."""
    report = RunReport(file, on_event)
    try:
        yield report
    except BaseException as error:
        report.end(error)
        raise
    report.end(None)


class RunReport:
    """What a run tells, passed on, and put on record if there is a ``file`` to write it to."""

    def __init__(self, file: Path | None, on_event: OnEvent) -> None:
        from callctl.migration.run_record import RunRecord

        self._file, self._on_event = file.resolve() if file is not None else None, on_event
        self._record = RunRecord()

    @property
    def wanted(self) -> bool:
        return self._file is not None

    def __call__(self, event: Event) -> None:
        self._on_event(event)
        if self.wanted:
            self._record(event)
            if isinstance(event, MigrationStarted | StepFinished):
                self._write()

    def found(self, findings: Sequence[Finding]) -> None:
        """What preflight found before anything was changed."""
        self._record.found(findings)

    def end(self, error: BaseException | None) -> None:
        """The run is over; ``error`` is what it ended with, if not well."""
        if self.wanted:
            self._record.end(error)
            self._write()

    def _write(self) -> None:
        """Never half a page. A disk that is full stops no migration: somebody is told, and the run goes on."""
        from callctl.render import run_page as render_run

        assert self._file is not None
        try:
            files.write_whole(self._file, render_run.write(self._record), replace=True)
        except OSError as problem:
            if self._record.outcome != "under way":
                reason = (problem.strerror or "the file cannot be written").lower()
                render.warning(f"the report could not be written: {reason}: {self._file}")
