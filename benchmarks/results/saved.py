"""Result files: what was measured, of what, on what. No host names, no paths."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent


def machine() -> dict[str, Any]:
    """The hardware, as far as it decides how fast things are, and how busy it was before."""
    model = platform.machine()
    with_model = Path("/proc/cpuinfo")
    if with_model.is_file():
        match = re.search(r"^model name\s*: (.+)$", with_model.read_text(), re.MULTILINE)
        model = match[1].strip() if match else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "cpu": model,
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit(program: Path) -> dict[str, Any]:
    """The commit of the checkout that a program is installed from, and whether anything in it was changed."""
    for directory in program.absolute().parents:
        if (directory / ".git").exists():
            head, changes = (
                subprocess.run(["git", *words], cwd=directory, capture_output=True, text=True, check=True).stdout
                for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "src", "sql"])
            )
            return {"commit": head.strip(), "changed": bool(changes.strip())}
    return {"commit": "unknown", "changed": True}


def describe(program: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The head of a result file."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **commit(program),
        "machine": machine(),
        "settings": dict(settings),
    }


def save(file: Path, content: Mapping[str, Any]) -> None:
    """Write a result file, lists of numbers on one line."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\s+(-?[\d.]+(?:,\s+-?[\d.]+)*)\s+\]", lambda list_: "[" + " ".join(list_[1].split()) + "]", text)
    file.write_text(_without_paths(text) + "\n", encoding="utf-8")


def _without_paths(text: str) -> str:
    return re.sub(r"(?<![\w.:<])/(?:[\w.@-]+/)+[\w.@-]+", "…", text)


def newest(kind: str, directory: Path = RESULTS) -> dict[str, Any]:
    """The content of the latest result file of a kind (``online``, ``growth``). Raises ValueError if there is none."""
    documents: list[dict[str, Any]] = [
        json.loads(file.read_text(encoding="utf-8")) for file in directory.glob("*.json")
    ]
    chosen = [document for document in documents if document["kind"] == kind]
    if not chosen:
        raise ValueError(f"no result file of kind {kind} in {directory.name}/")
    return max(chosen, key=lambda document: str(document["date"]))
