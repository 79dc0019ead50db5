"""Rows as they are printed: `RESULT {json}` lines in the peers' form, and one JSON document at the end."""

import json
import os
import platform
import sys
import time
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass
class Report:
    """Every row so far; each is printed as soon as it is known."""

    rows: list[Row] = field(default_factory=list)

    def add(self, variant: str, workload: str, case: str, **figures: Any) -> None:
        """Print a row; `None` figures are left out."""
        known = {name: value for name, value in figures.items() if value is not None}
        row = {"peer": "banksman", "variant": variant, "workload": workload, "case": case, **known}
        row["load1"] = round(os.getloadavg()[0], 2)
        self.rows.append(row)
        print(f"RESULT {json.dumps(row)}", flush=True)

    def failed(self, variant: str, workload: str, error: BaseException) -> None:
        """Print a row that says what went wrong instead of a figure."""
        self.add(variant, workload, "", error=f"{type(error).__name__}: {error}"[:300])

    @property
    def has_errors(self) -> bool:
        return any("error" in row for row in self.rows)

    def document(self) -> str:
        """Everything as one line of JSON."""
        machine = {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load1": round(os.getloadavg()[0], 2),
        }
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return json.dumps({"bench": "banksman", "at": at, "machine": machine, "rows": self.rows})


def say(text: str) -> None:
    """Progress for people, on stderr."""
    print(text, file=sys.stderr, flush=True)
