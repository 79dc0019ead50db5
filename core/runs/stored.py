"""A file of a run once its bytes are durable and verified."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stored:
    """What the object store keeps, and what it is called."""

    artifact_id: str
    name: str
    sha256: str
    size: int
    media_type: str
