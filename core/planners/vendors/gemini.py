"""Google's client: one that hangs up when a request is given up.

Google's library reads an answer through generators inside generators. Whoever stops reading closes the outermost only;
the answer itself goes on arriving, and being paid for, until somebody collects garbage. So each request knows its
answers, and they are closed with it.

Imported only where Google is asked: it loads Google's library.
"""

import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar

import httpx2
from pydantic_ai.providers.google import GoogleProvider

_CONNECT_S = 10.0
"""How long a connection may take. The library takes a client with 5 s for everything to be a mistake."""

_answers: ContextVar[list[httpx2.Response] | None] = ContextVar("_answers", default=None)


def connected(*, url: str | None, key: str | None, timeout_s: float) -> tuple[GoogleProvider, httpx2.AsyncClient]:
    """What asks, and the client it asks over, which is to be closed."""
    timeout = httpx2.Timeout(timeout_s, connect=_CONNECT_S)
    client = httpx2.AsyncClient(timeout=timeout, event_hooks={"response": [_answered]})
    return GoogleProvider(api_key=key, base_url=url, http_client=client), client


async def _answered(response: httpx2.Response) -> None:
    if (answers := _answers.get()) is not None:
        answers.append(response)


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[None]:
    """Within this one request is made; with the body its answer ends, read or not."""
    answers: list[httpx2.Response] = []
    token = _answers.set(answers)
    try:
        yield
    finally:
        _answers.reset(token)
        for response in answers:
            await response.aclose()
