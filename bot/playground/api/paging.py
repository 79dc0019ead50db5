"""Cursors, as Slack's list methods hand them out: opaque, and the end of a list is an empty one."""

import base64
from collections.abc import Sequence
from typing import TypeVar

from bot.playground.api.call import ApiError, Call

T = TypeVar("T")


def page(call: Call, items: Sequence[T], *, default: int = 100, most: int = 1000) -> tuple[list[T], str]:
    """The asked-for page of a list, and the cursor of the next one.

    Raises:
        ApiError: `invalid_cursor`, or `invalid_limit`.
    """
    limit = call.number("limit", default=default, most=most)
    start = 0
    cursor = call.text("cursor")
    if cursor:
        try:
            start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("offset:"))
        except ValueError:
            raise ApiError("invalid_cursor") from None
        if not 0 <= start <= len(items):
            raise ApiError("invalid_cursor")
    end = start + limit
    following = base64.b64encode(f"offset:{end}".encode()).decode() if end < len(items) else ""
    return list(items[start:end]), following
