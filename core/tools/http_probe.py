"""`http` with a probe: an address of the other side that knows calls by their idempotency key.

What a look says is the other side's word, taken only where it is plain: there (200), or not there (404, 410). What may
be different in a moment is asked again; everything else is left to a person. Source: PROTOCOL 2.5.
"""

from urllib.parse import quote

from pydantic import BaseModel

from core.errors import RetryableError
from core.tools.base import ProbeAnswer, ToolContext
from core.tools.http import Http, HttpArguments

_NOT_THERE = (404, 410)
_NOT_YET = (202, 408, 409, 425, 429)


class ProbedHttp(Http):
    """Sends requests, and can find out whether one that was cut off was carried out.

    Args:
        url: Where to look; `{key}` in it is the call's idempotency key.
        settle_s: How long after an attempt's time limit its request may still arrive.
    """

    def __init__(self, name: str, *, url: str, settle_s: float) -> None:
        self.name = name
        self.settle_s = settle_s
        self._url = url

    async def probe(self, args: BaseModel, context: ToolContext) -> ProbeAnswer:
        """Ask for the call by its key; the request itself is not looked at. See `Probing`."""
        url = self._url.replace("{key}", quote(context.idempotency_key, safe=""))
        found = await self.sent(HttpArguments(method="GET", url=url), context, "http_look")
        status = found.out.get("status")
        if status == 200:
            return ProbeAnswer("happened", found.out)
        said = found.error or f"it answered {status}"
        if status in _NOT_THERE:
            return ProbeAnswer("not-happened", detail=said)
        if status in _NOT_YET or (status is not None and status >= 500):
            return ProbeAnswer("in-progress", detail=said)
        if status is None and found.status != "failed":
            raise RetryableError(said)
        return ProbeAnswer("cannot-tell", detail=f"its probe was answered otherwise: {said}")
