"""What the tool's sessions and the clients were doing meanwhile: pg_stat_activity, many times a second."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.online.load import FLAGS, TYPE_COLUMN, TYPES
from benchmarks.online.measure import Stall

WATCH, READER, LOAD = "bench watch", "bench reader", "bench load"
EVERY_SECONDS = 0.03

_ACTIVITY = """
SELECT
  CASE application_name WHEN 'bench load' THEN 'load' ELSE 'tool' END, state,
  coalesce(wait_event_type || ':' || wait_event, 'running'), left(query, 400)
FROM pg_stat_activity
WHERE (datname = current_database() AND application_name NOT IN ('bench watch', 'bench reader')
       AND backend_type = 'client backend' AND state <> 'idle')
  OR (backend_type IN ('autovacuum worker', 'checkpointer') AND datname = current_database())
"""
_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = 'chatapp.chatbots'::regclass AND NOT attisdropped AND attname IN ('enabled_call', %s)
"""


@dataclass(frozen=True)
class Look:
    """One look: what each session of the tool was at (query, what it waited for), and what clients waited for."""

    time: float
    tool: tuple[tuple[str, str], ...]
    load: tuple[str, ...]


class Watch:
    """Looks until told to stop; also tells the clients which columns there are."""

    def __init__(self, url: str, baseline: str, columns: Any) -> None:
        self.looks: list[Look] = []
        self._columns = columns
        self._type = TYPE_COLUMN[baseline]
        self._connection = psycopg.connect(url, autocommit=True, application_name=WATCH, prepare_threshold=0)
        self._stop = threading.Event()
        self._look_at_columns()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> list[Look]:
        """Stop looking, and return what was seen."""
        self._stop.set()
        self._thread.join()
        self._connection.close()
        return self.looks

    def _run(self) -> None:
        count = 0
        while not self._stop.wait(EVERY_SECONDS):
            rows = self._connection.execute(_ACTIVITY).fetchall()
            self.looks.append(
                Look(
                    time.monotonic(),
                    tuple(
                        (query if state == "active" or state is None else f"({state}) {query}", wait)
                        for who, state, wait, query in rows
                        if who == "tool"
                    ),
                    tuple(wait for who, _, wait, _ in rows if who == "load" and wait != "Client:ClientRead"),
                )
            )
            count += 1
            if count % 3 == 0:
                self._look_at_columns()

    def _look_at_columns(self) -> None:
        columns = {row[0] for row in self._connection.execute(_COLUMNS, (self._type,))}
        self._columns.value = TYPES * (self._type in columns) + FLAGS * ("enabled_call" in columns)


def describe(stall: Stall, looks: list[Look], zero: float) -> dict[str, Any]:
    """A stall, and what the tool was running while it lasted, most often seen first."""
    worst = stall.worst
    during = [look for look in looks if worst.planned <= look.time <= worst.done]
    if not during and looks:
        during = [min(looks, key=lambda look: abs(look.time - worst.done))]
    tool = Counter(f"{shorten(query)} [{wait}]" for look in during for query, wait in look.tool)
    waits = Counter(wait for look in during for wait in look.load)
    return {
        "at_s": round(worst.planned - zero, 3),
        "ms": round(worst.latency * 1000, 1),
        "own_ms": round((worst.done - worst.begun) * 1000, 1),
        "client": worst.what,
        "others": stall.others,
        "tool": dict(tool.most_common(4)),
        "clients_wait": dict(waits.most_common(3)),
        "looks": len(during),
    }


def time_by_statement(looks: list[Look], begin: float, end: float, most: int = 12) -> list[tuple[float, str]]:
    """Roughly how many seconds the tool spent in each of its statements, the longest first."""
    during = [look for look in looks if begin <= look.time <= end]
    if not during:
        return []
    share = (end - begin) / len(during)
    seen = Counter(shorten(query) for look in during for query, _ in look.tool)
    return [(round(count * share, 2), query) for query, count in seen.most_common(most)]


def shorten(query: str, length: int = 110) -> str:
    """A statement on one line without its comments, and without the keys of its batch."""
    text = re.sub(r"--[^\n]*", "", query)
    text = re.sub(r"'[0-9a-f]{8}-[0-9a-f-]{27}'", "'…'", text)
    return " ".join(text.split())[:length]
