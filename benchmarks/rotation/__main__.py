"""How fast secrets come under another key, beside the same UPDATE with values that are ready.

Run: ./dev bench rotation [--rows N] [--ways limit,callctl,…] [--save FILE.json]

Each way gets a fresh copy of the same database on the same durable server, one after the other.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# This file is run as a script; its parts are found from the project's directory.


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench rotation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="integration accounts of 4 secrets [%(default)s]")
    parser.add_argument("--forms", default="k1,plaintext", help="what the secrets are at first [%(default)s]")
    parser.add_argument("--ways", help="only these")
    parser.add_argument("--rounds", type=int, default=1, help="each way so many times; the median counts [%(default)s]")
    parser.add_argument("--sample", type=float, default=3.0, help="seconds for those that go row by row [%(default)s]")
    parser.add_argument("--callctl", default=str(Path(sys.executable).with_name("callctl")), help="the program to run")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write what was measured to a result file")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    from benchmarks.online import bench
    from benchmarks.results import saved
    from benchmarks.rotation import accounts, table, ways

    chosen = arguments.ways.split(",") if arguments.ways else list(ways.WAYS)
    for name in chosen:
        if name not in ways.WAYS:
            sys.exit(f"rotation: there is no way {name}; there are: {', '.join(ways.WAYS)}")
    forms = arguments.forms.split(",")
    head = saved.describe(Path(arguments.callctl), {"server": bench.SERVER})
    options = ways.Options(arguments.callctl, arguments.sample)
    results, sizes = [], {}
    with accounts.server() as server:
        for form in forms:
            ready = accounts.make_template(server, form, arguments.rows)
            sizes[form] = round(accounts.bytes_a_row(server.url(bench.TEMPLATE)))
            print(f"PostgreSQL {server.version}: {len(ready):,} rows, {form}, {sizes[form]:,} bytes each", flush=True)
            for _ in range(arguments.rounds):
                for name in chosen:
                    if form in ways.WAYS[name][1]:
                        results.append(ways.measured(server, name, form, ready, options))
                        print(table.line(results[-1]), flush=True)
    content = {
        "kind": "rotation",
        **head,
        "settings": {**head["settings"], "postgresql": server.version, "sample_s": arguments.sample},
        "rows": arguments.rows,
        "secrets": accounts.SECRETS,
        "bytes_a_row": sizes,
        "ways": results,
    }
    print()
    print(table.rotation(content))
    if arguments.save:
        saved.save(arguments.save, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
