"""How long the sandbox takes to make a "before" database, beside the least the same server needs for as many rows.

Run: ./dev bench sandbox [ROWS ...]   (1,000,000 takes a few minutes)
"""

from __future__ import annotations

import argparse
import time

from callctl.sandbox.lifecycle import BASELINES, connect, create_database, drop_database, fill
from callctl.sandbox.server import start_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench sandbox", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=int, nargs="*", default=[10_000, 100_000], help="chatbots of each database")
    sizes: list[int] = parser.parse_args().rows
    print(f"{'rows':>9} {'baseline':12} {'seconds':>8} {'plain insert':>13} {'ratio':>6}")
    with start_server() as server, connect(server.url("postgres")) as admin:
        for rows in sizes:
            for baseline in BASELINES:
                create_database(admin, "bench")
                began = time.perf_counter()
                fill(server.url("bench"), baseline, rows=rows)
                taken = time.perf_counter() - began
                with connect(server.url("bench")) as connection:
                    total = 0
                    began = time.perf_counter()
                    for table in ("companies", "users", "chatbot_packages", "chatbots", "conversations", "end_users"):
                        connection.execute(f"CREATE TABLE public.copy_of_{table} AS TABLE chatapp.{table}")
                        total += connection.execute(f"SELECT count(*) FROM public.copy_of_{table}").fetchall()[0][0]
                    plain = time.perf_counter() - began
                print(f"{rows:9,} {baseline:12} {taken:8.1f} {plain:13.1f} {taken / plain:6.1f}", flush=True)
                drop_database(admin, "bench")


if __name__ == "__main__":
    main()
