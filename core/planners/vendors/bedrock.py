"""Bedrock's client: one whose requests can be hung up, and whose troubles say what to set.

AWS's library waits for answers in threads. Whoever gives a request up leaves its thread behind, and the process cannot
end until the vendor has said something after all. So each request knows the connections it is made on, and giving it up
shuts them. What the library retries by itself, and for how long it waits, is said here as well: once.

Imported only where Bedrock is asked: it loads AWS's library.
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import botocore.session  # type: ignore[import-untyped]
from botocore.awsrequest import (  # type: ignore[import-untyped]
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.tokens import FrozenAuthToken  # type: ignore[import-untyped]
from pydantic_ai.exceptions import UserError

_CONNECT_S = 5
"""How long a connection may take."""

_NO_CREDENTIALS = (
    "there are no credentials of AWS here. "
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_BEARER_TOKEN_BEDROCK or AWS_PROFILE "
    "in the environment of the worker"
)
_NO_REGION = "nothing says in which region of AWS. Set AWS_DEFAULT_REGION in the environment of the worker"


class _Call:
    """One request, and what it is made on."""

    def __init__(self) -> None:
        self.given_up = False
        self.lines: list[Any] = []

    def hang_up(self) -> None:
        """Shut what it is made on; whoever waits there wakes up."""
        self.given_up = True
        for line in self.lines:
            # A line that went back to the pool may be another call's by now.
            if line.call is self and line.sock is not None:
                with contextlib.suppress(OSError):
                    line.sock.shutdown(socket.SHUT_RDWR)


_call: ContextVar[_Call | None] = ContextVar("_call", default=None)


class _Line:
    """A connection that knows whose call it serves; the threads of the library inherit that from their task."""

    call: _Call | None = None
    sock: Any

    def request(self, *args: Any, **named: Any) -> Any:
        self.call = _call.get()
        if self.call is not None:
            self.call.lines.append(self)
        self._go_on()
        return super().request(*args, **named)  # type: ignore[misc]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._go_on()  # connecting takes a while: nobody may want it any more

    def _go_on(self) -> None:
        if self.call is not None and self.call.given_up:
            raise ConnectionAbortedError("given up")


class _PlainLine(_Line, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _SecureLine(_Line, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _PlainPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _PlainLine


class _SecurePool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _SecureLine


class _KeySession(botocore.session.Session):  # type: ignore[misc]
    """One that knows a key of Bedrock, and looks for no other credentials."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def get_auth_token(self, **_named: Any) -> FrozenAuthToken:
        return FrozenAuthToken(self._key)

    def get_credentials(self) -> None:
        return None


def connected(*, url: str | None, key: str | None, timeout_s: float) -> Any:
    """A client of its own; blocks, and may ask the metadata service of the machine for credentials.

    Args:
        key: A key of Bedrock; `None` = what AWS tools take: variables, files, the machine's role.
        timeout_s: How long the vendor may say nothing.

    Raises:
        UserError: something is not set.
    """
    told: dict[str, Any] = {} if key is None else {"signature_version": "bearer"}
    once = Config(retries={"total_max_attempts": 1}, read_timeout=timeout_s, connect_timeout=_CONNECT_S, **told)
    with _said():
        session = botocore.session.Session() if key is None else _KeySession(key)
        client = session.create_client("bedrock-runtime", endpoint_url=url, config=once)
        if key is None and session.get_credentials() is None and not os.environ.get("AWS_BEARER_TOKEN_BEDROCK"):
            client.close()
            raise NoCredentialsError
    client._endpoint.http_session._pool_classes_by_scheme.update(http=_PlainPool, https=_SecurePool)
    return client


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[None]:
    """Within this one request is made; it is hung up when the body raises.

    Raises:
        UserError: something is not set.
    """
    call = _Call()
    token = _call.set(call)
    try:
        with _said():
            yield
    except BaseException:
        call.hang_up()
        raise
    finally:
        _call.reset(token)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """The library's troubles before anything is asked, as the sentence that says what to set."""
    try:
        yield
    except (NoCredentialsError, NoAuthTokenError) as error:
        raise UserError(_NO_CREDENTIALS) from error
    except NoRegionError as error:
        raise UserError(_NO_REGION) from error
    except BotoCoreError as error:
        raise UserError(str(error)) from error
