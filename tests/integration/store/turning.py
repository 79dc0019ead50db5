"""A process of its own that writes one SQLite file flat out: `python -m tests.integration.store.turning FILE WHO ROWS`.

Prints `ready` and waits for a line. Adds one row named WHO, waits until somebody else has too, then adds rows, each in
a transaction of its own, until the file has ROWS more.
"""

import sys
import time
from pathlib import Path

from core.store.turnstile import Turnstile, connect


def main(path: Path, who: str, rows: int) -> None:
    connection, turnstile = connect(path), Turnstile(path, wait_s=20)
    print("ready", flush=True)
    sys.stdin.readline()
    add = "INSERT INTO turns (who) VALUES (?)"
    with turnstile.writing(connection):
        connection.execute(add, (who,))
    while connection.execute("SELECT count(DISTINCT who) FROM turns").fetchone()[0] < 2:
        time.sleep(0.001)
    last, goal = 0, connection.execute("SELECT max(n) FROM turns").fetchone()[0] + rows
    while last < goal:
        with turnstile.writing(connection):
            last = connection.execute(add, (who,)).lastrowid or 0
    connection.close()
    turnstile.close()
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
