"""What ``migrate up`` and ``migrate down`` have in common: look, ask, run, show what was done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callctl.cli import common
from callctl.cli.run_report import report_file, reported
from callctl.errors import Refused

if TYPE_CHECKING:
    from callctl.cli.options import RunOptions
    from callctl.config.settings import Settings
    from callctl.migration.checks.findings import Finding
    from callctl.migration.migrate import Plan, Wish


def take_steps(settings: Settings, wish: Wish, options: RunOptions, named: str | None = None) -> None:
    """Look, ask, run, and show what was done. ``named`` is the database that is meant, where a name was given.

    Whoever is asked sees first what preflight finds; the run looks again, under the lock. Where nobody is asked, the
    run alone looks, and shows it.
    """
    from callctl.migration import migrate
    from callctl.render import migration as render_answers
    from callctl.render import progress as render_progress
    from callctl.target import is_production

    file = report_file(options)
    by_name = wish.direction == "down" and is_production(settings.environment)
    command = f"callctl migrate {wish.direction}" + (" in production" if by_name else "")
    with render_progress.json_failure(settings.output, common.target):
        if options.dry_run:
            common.answering()
            with common.connected(settings) as connection:
                common.assert_named(connection, settings, named, yes=False, needed=False, command=command)
                render_answers.plan(_plan(connection, settings, wish), settings.output)
            return
        asked = False
        if not options.yes or by_name or named is not None:
            with common.connected(settings, writes=True) as connection:
                common.assert_named(connection, settings, named, yes=options.yes, needed=by_name, command=command)
                asked = named is None and (by_name or common.asks(connection, yes=options.yes))
                if asked:
                    _look_and_ask(connection, settings, wish, options, by_name=by_name)

        with render_progress.running(settings.output) as on_event, reported(file, on_event) as report:

            def show(findings: Sequence[Finding]) -> None:
                report.found(findings)
                if not asked:
                    _show(findings, wish)

            on_findings = show if report.wanted or not asked else None
            run = migrate.take(settings, wish, wait=options.wait, on_event=report, on_findings=on_findings)
        render_answers.run(run, settings.output, common.target())


def _plan(connection: common.Connection, settings: Settings, wish: Wish) -> Plan:
    from callctl.migration import migrate

    return migrate.plan(
        connection,
        settings,
        direction=wish.direction,
        to=wish.to,
        defer_drops=wish.defer_drops,
        atomic=wish.atomic,
        through_shadow=wish.through_shadow,
    )


def _look_and_ask(
    connection: common.Connection, settings: Settings, wish: Wish, options: RunOptions, *, by_name: bool
) -> None:
    """Show what preflight finds, then ask, ``by_name`` for the database's name.

    Raises LockHeld where another callctl is at work; Refused.

    What another callctl is in the middle of would only mislead, so nobody may be at work when it looks, and what blocks
    counts only if nobody is afterwards. ``--wait`` waits for that.
    """
    from callctl.database import lock
    from callctl.migration.checks.preflight import MATTERS, preflight
    from callctl.render import console as render
    from callctl.render import progress as render_progress

    while True:
        with render_progress.running(settings.output) as on_event:
            lock.let_others_finish(connection, settings, wait=options.wait, on_event=on_event)
        planned = _plan(connection, settings, wish)
        if not planned.steps:
            return
        findings = preflight(
            connection,
            settings,
            planned.naming,
            [step.number for step in planned.steps],
            direction=wish.direction,
            truncate_avatars=wish.truncate_avatars,
            through_shadow=wish.through_shadow,
            atomic=wish.atomic,
            only=MATTERS,
        )
        if not (_blocking(findings) and lock.somebody_at_work(connection, settings)):
            break
    _show(findings, wish, asks=True)
    verb = "Apply" if wish.direction == "up" else "Take back"
    steps = render.steps([step.number for step in planned.steps])
    text = f"{verb} {steps}{_how(planned, atomic=wish.atomic)}"
    if by_name:
        common.confirm_name(connection, settings, text)
    else:
        common.confirm(connection, settings, text, yes=False)


def _show(findings: Sequence[Finding], wish: Wish, *, asks: bool = False) -> None:
    """Show what preflight found, in full where a person is asked next. Raises Refused where something blocks."""
    from callctl.render import preflight as render_findings

    render_findings.before_run(findings, asks=asks and common.can_ask())
    if blocking := _blocking(findings):
        raise Refused(
            f"preflight blocks: {', '.join(blocking)}; nothing was changed",
            hint=f"do what it says above, then run callctl migrate {wish.direction} again",
        )


def _blocking(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.id for finding in findings if finding.level == "blocks"))


def _how(planned: Plan, *, atomic: bool) -> str:
    if atomic:
        return ", in one transaction that clients wait behind"
    way = planned.avatar
    if way is None or way.shadow or not way.seconds:
        return ""
    return f"; clients wait for {way.table} {way.hold} meanwhile"
