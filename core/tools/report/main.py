"""Reads what is asked from standard input, does it, and answers on standard output, each one JSON document.

Exit codes: 0 = the three files are written; 3 = the table cannot be summarised, and `problem` is the sentence to tell.
"""

import json
import sys
from pathlib import Path
from typing import Any

from .table import Problem, open_table

PROBLEM = 3


def main() -> int:
    """Do one report."""
    asked = json.load(sys.stdin)
    try:
        answer = report(asked)
    except Problem as problem:
        json.dump({"problem": str(problem)}, sys.stdout)
        return PROBLEM
    except MemoryError:
        json.dump({"problem": "The table is too large to be summarised in memory. Remove columns or rows."}, sys.stdout)
        return PROBLEM
    json.dump(answer, sys.stdout)
    return 0


def report(asked: dict[str, Any]) -> dict[str, Any]:
    """Write the files into the directory `into` and return their names."""
    # Late, so that a table that cannot be read is refused before half a second of imports.
    from .columns import profile

    with open_table(Path(asked["path"]), delimiter=asked.get("delimiter")) as table:
        columns, rows = profile(table)
    if not rows:
        raise Problem("The table has no rows that fit its header. Check the delimiter and export it again.")
    from .chart import draw
    from .choose import choose
    from .summary import markdown, summarize

    into = Path(asked["into"])
    into.mkdir(parents=True, exist_ok=True)
    drawn = draw(
        choose(columns, rows), source=asked["source"], rows=rows, title=asked.get("title"), target=into / "chart.png"
    )
    table.notes.extend(drawn.notes)
    summary = summarize(table, columns, rows, source=asked["source"], picture=(drawn.title, drawn.caption))
    (into / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    (into / "summary.md").write_text(markdown(summary), encoding="utf-8")
    return {"files": ["summary.json", "summary.md", "chart.png"]}
