"""Where a part's pages for operators are; a value apart from the door, which is heavy to load."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where to listen."""

    host: str
    """An IP address, or `localhost`."""
    port: int
    """0 = any free one."""
