"""Logs: one JSON object a line, with a stable `action` key, and no secret in it."""

import json
import logging
import sys
import time
from typing import Any

from core.secrets import RedactingFilter, Redactor

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Renders a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "at": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_text is None and record.exc_info:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["error"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)


def start_logging(redactor: Redactor, level: int = logging.INFO) -> None:
    """Send everything to stderr, redacted; call once per process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(RedactingFilter(redactor))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("slack_bolt", "slack_sdk", "aiohttp", "alembic", "arq"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
