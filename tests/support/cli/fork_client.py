"""A shell runs this as ``callctl``: fork_server.py runs the command, and this ends as the command does."""

import json
import os
import signal
import socket
import sys

directory = os.getcwd()  # noqa: PTH109 (pathlib takes time to import)
order = {"arguments": sys.argv[2:], "environment": dict(os.environ), "directory": directory}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    for passed_on in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(passed_on, lambda number, _: connection.sendall(bytes([number])))
    message = json.dumps(order).encode() + b"\n"
    sent = socket.send_fds(connection, [message], [0, 1, 2])
    connection.sendall(message[sent:])
    answer = b""
    while not answer.endswith(b"\n"):
        received = connection.recv(100)
        if not received:
            sys.exit("the process that forks has gone")
        answer += received
code = int(answer)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
