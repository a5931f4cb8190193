"""Other migration tools, each given the document's thirteen steps as thirteen migrations.

They are fetched once, at these versions, into CALLCTL_CACHE, else ~/.cache/callctl; nothing of them touches .venv.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from benchmarks.online.command import Command
from benchmarks.online.document import steps

DBMATE = "2.36.0"
PYTHON = ("alembic==1.20.1", "SQLAlchemy==2.1.9", "yoyo-migrations==9.0.0", "psycopg[binary]==3.3.9")

_ALEMBIC_ENV = """\
import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC_STEP = """\
from alembic import op

revision = "{number:02}"
down_revision = {before!r}


def upgrade():
    for statement in {statements!r}:
        op.get_bind().exec_driver_sql(statement)
"""


def dbmate(url: str, directory: Path) -> Command:
    """dbmate: each file is sent as one string, and is one transaction."""
    files = directory / "dbmate"
    files.mkdir()
    for number, statements in enumerate(steps(), start=1):
        text = "-- migrate:up\n" + "".join(f"{statement};\n" for statement in statements) + "\n-- migrate:down\n"
        (files / f"{number:014}_step.sql").write_text(text, encoding="utf-8")
    database, host, port = _place(url)
    target = f"postgres://postgres@/{database}?host={quote(host, safe='')}&port={port}&sslmode=disable"
    argv = [str(_dbmate()), "--migrations-dir", str(files), "--no-dump-schema", "migrate"]
    return Command(argv, {"DATABASE_URL": target}, directory)


def alembic(url: str, directory: Path) -> Command:
    """alembic as its template leaves it: all migrations of a run in one transaction."""
    scripts = directory / "alembic"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text(_ALEMBIC_ENV, encoding="utf-8")
    (directory / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/alembic\n", encoding="utf-8")
    for number, statements in enumerate(steps(), start=1):
        before = f"{number - 1:02}" if number > 1 else None
        text = _ALEMBIC_STEP.format(number=number, before=before, statements=statements)
        (scripts / "versions" / f"{number:02}_step.py").write_text(text, encoding="utf-8")
    database, host, port = _place(url)
    target = f"postgresql+psycopg://postgres@/{database}?host={quote(host, safe='')}&port={port}"
    return Command([str(_python_tool("alembic")), "upgrade", "head"], {"DATABASE_URL": target}, directory)


def yoyo(url: str, directory: Path) -> Command:
    """yoyo: a transaction a migration."""
    files = directory / "yoyo"
    files.mkdir()
    for number, statements in enumerate(steps(), start=1):
        depends = f"-- depends: {number - 1:02}.step\n" if number > 1 else ""
        text = depends + "".join(f"{statement};\n" for statement in statements)
        (files / f"{number:02}.step.sql").write_text(text, encoding="utf-8")
    database, host, port = _place(url)
    target = f"postgresql+psycopg://postgres@/{database}?host={quote(host, safe='')}&port={port}"
    argv = [str(_python_tool("yoyo")), "apply", "--batch", "--no-config-file", "--database", target, str(files)]
    return Command(argv, {}, directory)


def _place(url: str) -> tuple[str, str, str]:
    """The database, the socket's directory and the port of a sandbox server's URL."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return parts.path.lstrip("/"), query["host"][0], query["port"][0]


def _cache() -> Path:
    cache = Path(os.environ.get("CALLCTL_CACHE") or Path.home() / ".cache" / "callctl")
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _dbmate() -> Path:
    target = _cache() / f"dbmate-{DBMATE}"
    if not target.is_file():
        system = "darwin" if sys.platform == "darwin" else "linux"
        machine = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x64"
        work = target.with_name(target.name + ".part")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        # npm checks what it fetches against the registry.
        subprocess.run(
            ["npm", "pack", "--silent", f"@dbmate/{system}-{machine}@{DBMATE}"],
            cwd=work,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with tarfile.open(next(work.glob("*.tgz"))) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4
            archive.extractall(work)
        (work / "package" / "bin" / "dbmate").chmod(0o755)
        (work / "package" / "bin" / "dbmate").rename(target)
        shutil.rmtree(work)
    return target


def _python_tool(name: str) -> Path:
    target = _cache() / ("python-tools-" + "-".join(requirement.partition("==")[2] for requirement in PYTHON))
    stamp = target / "complete"
    if not stamp.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(target)], check=True)
        subprocess.run([str(target / "bin" / "pip"), "install", "-qq", *PYTHON], check=True)
        stamp.touch()
    return target / "bin" / name
