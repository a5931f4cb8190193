"""One process at work at a rotation, and the other processes that it starts.

What a process needs goes to it over a pipe, and each reads the key ring by itself: nothing of a key is in an argument
or in the environment beyond what was there before.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import TYPE_CHECKING

from callctl.database import connection as database
from callctl.database.lock import RANGE_CLASS, ROTATE_SESSION, ROTATION_CLASS, let_go, lock
from callctl.database.pace import Pace
from callctl.errors import CallctlError, Code, State
from callctl.events import Event, Notice, OnEvent
from callctl.secrets.envelope.key_ledger import Encryptions, assert_known
from callctl.secrets.envelope.ring import KeyRing, load_key_ring
from callctl.secrets.rotation.batches import Batches
from callctl.secrets.rotation.ranges import take
from callctl.secrets.rows import tables
from callctl.secrets.rows.reencrypt import Reencrypter
from callctl.secrets.rows.row import Binding, RowName, SecretTable
from callctl.secrets.rows.tables import OtherCompanies, secret_tables

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from callctl.config.settings import Settings
    from callctl.database.connection import Connection


STATE = State(
    "partly done", "the current batch was rolled back, earlier batches are committed; every value can be decrypted"
)


@dataclass(frozen=True)
class Job:
    """The input of a process of a rotation."""

    settings: Settings
    rotation: int
    binding: Binding
    named: frozenset[RowName] = frozenset()
    encrypt_foreign: bool = False


class Stopped(Exception):
    """This process was asked to stop; what it committed stays."""


@dataclass
class Worker:
    """A process's connections, and what it encrypts with."""

    job: Job
    writer: Connection
    pace: Pace
    batches: Batches
    secret_tables: Mapping[str, SecretTable]

    def step(self, between: Callable[[], None]) -> bool:
        """Take a range and do it. False if none is available at the moment. ``between`` is called after each
        batch; what it raises ends the range there.
        """
        taken = take(self.writer, self.job.rotation)
        if taken is None:
            return False
        secret_table = self.secret_tables.get(taken.table)
        if (
            secret_table is None
        ):  # what callctl had saved is gone, put back or purged: there is nothing left of it to do
            self.batches.finish(taken)
            let_go(self.writer, RANGE_CLASS, taken.id)
            return True

        def after_a_batch(_: int) -> None:
            between()
            self.pace.keep()

        self.batches.run(taken, secret_table, after_a_batch)
        let_go(self.writer, RANGE_CLASS, taken.id)
        between()
        return True


@contextmanager
def at_the_rotation(job: Job, ring: KeyRing, on_event: OnEvent) -> Iterator[Worker]:
    """This process at work. Raises ConfigError, ConnectionFailed, Refused."""
    settings = job.settings
    with contextlib.ExitStack() as stack:
        stack.enter_context(_few_collections())
        # The third is for what comes between: the reader is at work all the time.
        reader, writer, other = (
            stack.enter_context(
                contextlib.closing(database.connect(settings, application_name=ROTATE_SESSION, session=True))
            )
            for _ in range(3)
        )
        for connection in (reader, writer):  # outside of transactions, too
            database.set_lock_timeout(connection, settings.lock_timeout_ms)
        assert_known(reader, ring)
        lock(writer, ROTATION_CLASS, job.rotation, shared=True)
        encryptions = Encryptions(settings, other, ring.primary, on_event)
        # Read after the rotation was begun: it changes only when one begins or ends, and one is open at a time.
        bound = tables.bound_fields(reader)
        reencrypter = Reencrypter(
            ring,
            job.binding,
            encryptions.reserve,
            OtherCompanies(other, settings),
            bound=bound,
            named=job.named,
            encrypt_foreign=job.encrypt_foreign,
        )
        batches = Batches(settings, reencrypter, reader, writer, on_event)
        known = {secret_table.name: secret_table for secret_table in secret_tables(reader, settings)}
        yield Worker(job, writer, Pace(settings, other, on_event), batches, known)
        encryptions.give_back(reencrypter.unused)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Have Python look for cycles seldom: a batch makes very many objects, and no cycles; what was loaded stays."""
    import gc

    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


# ---- more processes --------------------------------------------------------------------------------------


@dataclass
class Other:
    """A process that this one has started, and the pipe to it."""

    process: BaseProcess
    pipe: Pipe
    over: bool = False


@contextmanager
def others(job: Job, number: int) -> Iterator[list[Other]]:
    """Further processes at the same rotation; asked to stop, and waited for, at the end."""
    import multiprocessing
    from multiprocessing import resource_tracker

    if hasattr(resource_tracker, "ensure_running"):
        # Started with the first process, it would let that one hear of Ctrl-C again: it lifts the block for all.
        resource_tracker.ensure_running()
    started: list[Other] = []
    context = multiprocessing.get_context("spawn")
    try:
        for _ in range(number):
            here, there = context.Pipe()
            process = context.Process(target=_main, args=(there, job), daemon=True, name="callctl rotate")
            with _deaf_to_interrupts():
                process.start()
            there.close()
            started.append(Other(process, here))
        yield started
    finally:
        for other in started:
            other.pipe.close()  # asks it to stop
        for other in started:
            other.process.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C from their first moment, even while they import."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heard(started: list[Other], on_event: OnEvent) -> None:
    """Pass on what the other processes said. Raises the error that one of them ended with."""
    for other in started:
        try:
            while not other.over and other.pipe.poll():
                message = other.pipe.recv()
                if isinstance(message, CallctlError):
                    other.over = True
                    raise message
                if message is None:
                    other.over = True
                else:
                    on_event(message)
        except (EOFError, OSError):
            other.over = True
            other.process.join()
            code = other.process.exitcode
            on_event(Notice(f"a process of the rotation ended early ({_how(code)}); the others do its work"))


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _main(pipe: Pipe, job: Job) -> None:
    """Run one process that :func:`others` started."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    stop = threading.Event()
    threading.Thread(target=_watch, args=(pipe, stop), daemon=True).start()
    lock_pipe = threading.Lock()

    def say(event: Event | CallctlError | None) -> None:
        with lock_pipe, contextlib.suppress(OSError):  # the reader may be gone
            pipe.send(event)

    work(job, say, stop)


def work(job: Job, say: Callable[[Event | CallctlError | None], None], stop: threading.Event) -> None:
    """Work at a rotation until nothing is left to take, or ``stop`` is set. At the end ``say`` gets None, or the error:
    also of a bug, by its kind and its place, since its own words may hold a value.
    """
    import psycopg

    def between() -> None:
        if stop.is_set():
            raise Stopped

    try:
        with at_the_rotation(job, load_key_ring(job.settings), say) as worker, told(worker.writer):
            while worker.step(between):
                pass
        say(None)
    except Stopped:
        pass
    except CallctlError as error:
        say(error)
    except psycopg.Error as error:  # before it was at work
        say(database.translated(error, "rotation", "", STATE, quoted=False))
    except Exception as error:
        say(_internal(error))


def _internal(error: Exception) -> CallctlError:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = (
        f"{Path(place.tb_frame.f_code.co_filename).name}, line {place.tb_lineno}" if place is not None else "unknown"
    )
    return CallctlError(
        Code.INTERNAL,
        f"internal error in a process of the rotation: {type(error).__name__} ({where})\n{STATE}",
        hint="report this message as a bug in callctl, then run the same command again with --workers 1",
    )


@contextmanager
def told(connection: Connection) -> Iterator[None]:
    """Turn what the server says in the middle of a rotation into a StepFailed that says what is committed."""
    import psycopg

    try:
        yield
    except database.NotStored as wrong:
        raise wrong.explained(connection, "rotation", STATE) from None
    except psycopg.Error as error:
        raise database.translated(error, "rotation", "", STATE, connection, quoted=False) from error


def _watch(pipe: Pipe, stop: threading.Event) -> None:
    """End with who started this process, however it ends: the pipe is closed then."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    stop.set()
    # A statement under way ends within seconds; after that there is nothing worth waiting for.
    threading.Timer(30, os._exit, (1,)).start()
