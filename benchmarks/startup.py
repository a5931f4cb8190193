"""How long ``callctl --help`` takes beside a bare typer application, in turn, whole processes.

Run: ./dev bench startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 20

BARE = """\
import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def hello(name: str = "world") -> None:
    \"\"\"Say hello.\"\"\"


if __name__ == "__main__":
    app()
"""


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        bare = Path(directory) / "bare.py"
        bare.write_text(BARE)
        commands = {
            "bare typer application": [sys.executable, str(bare), "--help"],
            "callctl --help": [sys.executable, "-m", "callctl", "--help"],
            "callctl migrate --help": [sys.executable, "-m", "callctl", "migrate", "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for run in range(RUNS + 1):
            for name, command in commands.items():
                taken = seconds(command)
                if run:  # the first one warms the caches
                    times[name].append(taken)
    base = times["bare typer application"]
    print(f"{'command':26} {'median ms':>10} {'over bare ms':>13} {'ratio':>6}")
    for name, taken in times.items():
        over = statistics.median(
            taken_seconds - base_seconds for taken_seconds, base_seconds in zip(taken, base, strict=True)
        )
        ratio = statistics.median(
            taken_seconds / base_seconds for taken_seconds, base_seconds in zip(taken, base, strict=True)
        )
        print(f"{name:26} {statistics.median(taken) * 1000:10.0f} {over * 1000:13.0f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
