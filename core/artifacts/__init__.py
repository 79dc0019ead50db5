"""Artifacts: where their bytes are kept.

Bytes are kept under their own SHA-256, so a blob is written whole or not at all, twice is the same as once, and a
reader can tell when it has changed. Which run an artifact belongs to is decided in `core.store`, when a blob may be
collected in `core.runs.collecting`; what a file is called and what kind it is, in `core.names`.

    port        what is asked of any place that keeps bytes
    files       a directory tree
"""

from core.artifacts.files import REMEDY, FileStore
from core.artifacts.port import CAP_BYTES, RUN_CAP_BYTES, RUN_CAP_FILES, ObjectStore, Stored, megabytes
from core.names import display_name, sniff_media_type

__all__ = [
    "CAP_BYTES",
    "REMEDY",
    "RUN_CAP_BYTES",
    "RUN_CAP_FILES",
    "FileStore",
    "ObjectStore",
    "Stored",
    "display_name",
    "megabytes",
    "sniff_media_type",
]
