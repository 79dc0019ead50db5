"""What is written down of a worker process."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """One worker process."""

    id: str
    host: str
    boot_id: str
    pid: int
    version: str
    sandbox: str
