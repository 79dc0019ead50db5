"""The `http` tool: one request to one address, exactly as it was read, and its answer.

Before anybody is asked the address gets its one form, `json` its exact bytes and every header its place, so that the
same arguments are what policy looks at, what people read and what is sent. Nothing is looked up before that: a name
that is asked for tells something already. Sending is an effect (`http_send`); what comes back is made readable in
`http_answer`.
"""

import asyncio
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from core.actions.envelope import canonical
from core.errors import TerminalError
from core.secrets import MissingSecret
from core.tools import http_answer, http_url
from core.tools.base import Prepared, ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.http_url import Address
from core.tools.reach import Credential, check_name, credential_for, names_exactly
from core.tools.registry import Arguments

MAX_BODY_BYTES = 60 * 1024
MAX_HEADERS = 40

_SHOWN_CHARACTERS = 200
_TEXT_TYPE = "text/plain; charset=utf-8"
_JSON_TYPE = "application/json"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4000}[\x21-\x7e])?|")
_READING = ("GET", "HEAD")
_OURS = {
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
    "accept-encoding", "idempotency-key", "proxy-connection", "http2-settings",
}  # fmt: skip
"""What frames a request, and what the platform says itself."""
_OPERATORS = {"authorization", "proxy-authorization", "cookie"}
_OTHER_METHOD = {"x-http-method", "x-http-method-override", "x-method-override"}
"""Some servers let these say that a request that seems to read is meant to delete."""


with warnings.catch_warnings():
    # `json`, the name people know it by, is also that of an old method of pydantic's, which nobody calls here.
    warnings.simplefilter("ignore", UserWarning)

    class HttpArguments(Arguments):
        """One request."""

        method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(description="what to do, e.g. `GET`")
        url: str = Field(min_length=1, max_length=http_url.MAX_CHARACTERS, description="https://… or http://…")
        headers: dict[str, str] = Field(
            default={}, max_length=MAX_HEADERS, description="more headers; those that log in are the operator's to give"
        )
        body: str | None = Field(default=None, description="the body as text")
        json: Any = Field(default=None, description="the body as a JSON value, instead of `body`")

        @field_validator("headers")
        @classmethod
        def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
            for name, value in headers.items():
                _check_header(name, value)
            if len({name.lower() for name in headers}) < len(headers):
                raise ValueError("one of them is there twice; capital and small letters are the same in their names")
            return headers

        @model_validator(mode="after")
        def _fits_together(self) -> Self:
            if self.body is not None and self.json is not None:
                raise ValueError("a request has `body` or `json`, not both")
            data = _data(self)
            if self.method in _READING and data is not None:
                raise ValueError(f"a {self.method} has no body; what it asks for belongs in the address")
            if data is not None and len(data) > MAX_BODY_BYTES:
                raise ValueError(f"the body has {len(data):,} bytes, and at most {MAX_BODY_BYTES:,} are sent")
            return self


@dataclass(frozen=True)
class _Exact:
    """A request with everything about it decided."""

    method: str
    address: Address
    args: Mapping[str, Any]
    """The arguments in the one form in which they are approved."""
    data: bytes | None
    credential: Credential | None

    @property
    def sentence(self) -> str:
        url = self.address.url
        shown = url if len(url) <= _SHOWN_CHARACTERS else f"{url[:_SHOWN_CHARACTERS]}…"
        if self.method in _READING:
            return f"{self.method} {shown}"
        return f"{self.method} to {shown}" + ("" if self.data is None else f" ({len(self.data):,} bytes)")


class Http:
    """Sends requests."""

    name = "http"
    description = "Send one HTTP request and return the answer."

    @property
    def arguments(self) -> type[BaseModel]:
        return HttpArguments

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        """Give the request its one form; looks nothing up. See `Preparing`."""
        assert isinstance(args, HttpArguments)
        exact = _exact(args, context)
        await asyncio.to_thread(_secrets, exact, context)  # what is missing is said before anybody is asked
        creds = () if exact.credential is None else ({"ref": exact.credential.secret, "host": exact.address.host},)
        return Prepared(args=exact.args, sentence=exact.sentence, network=(exact.address.place,), creds=creds)

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, HttpArguments)
        return await self.sent(args, context, "http")

    async def sent(self, args: HttpArguments, context: ToolContext, effect: str) -> ToolResult:
        """Send the request by one of the effects `http` and `http_look`."""
        exact = _exact(args, context)
        secrets = await asyncio.to_thread(_secrets, exact, context)
        credential = exact.credential
        request = {
            "request": {
                "method": exact.method,
                "url": exact.address.url,
                "headers": dict(exact.args.get("headers", {})),
                "body": None if exact.data is None else exact.data.decode(),
            },
            "reach": list(context.outside.reach.network),
            "bounds": [[bound.whose, list(bound.network)] for bound in context.outside.reach.bounds],
            "credential": None
            if credential is None
            else {
                "host": exact.address.host,
                "header": credential.header,
                "scheme": credential.scheme,
                "user": credential.user,
            },
            "into": str(context.scratch),
            "ca": os.environ.get("SSL_CERT_FILE"),
        }
        result = await run_effect(context, effect, request, secrets=secrets)
        if result.status == "unknown" and exact.method in _READING:
            result = replace(result, status="failed-safe")
        known = {} if credential is None else {credential.secret: secrets["credential"]}
        return await asyncio.to_thread(http_answer.shown, result, context.scratch, known)


def _exact(args: HttpArguments, context: ToolContext) -> _Exact:
    """Decide everything about a request that needs no look-up; what it decides it would decide again.

    Raises:
        TerminalError: It is one that is not sent, and why.
    """
    reach = context.outside.reach
    address = http_url.read(args.url)
    check_name(reach, address.host, address.port)
    headers = {name.lower(): value for name, value in args.headers.items()}
    credential = credential_for(reach, address.host)
    if credential is not None:
        if credential.header.lower() in headers:
            raise TerminalError(f"The header `{credential.header}` is the operator's to give for {address.host}.")
        if address.scheme != "https" and not names_exactly(reach, address.host, address.port):
            raise TerminalError(
                f"The secret `{credential.secret}` for {address.host} is sent by https only. Write https://, or, where "
                f"that cannot be, the operator adds exactly `{address.place}` to the tool's `network` in banksman.yml."
            )
    data = _data(args)
    if data is not None:
        headers.setdefault("content-type", _TEXT_TYPE if args.body is not None else _JSON_TYPE)
    exact: dict[str, Any] = {"method": args.method, "url": address.url}
    if headers:
        exact["headers"] = dict(sorted(headers.items()))
    if args.body is not None:
        exact["body"] = args.body
    if args.json is not None:
        exact["json"] = args.json
    return _Exact(args.method, address, exact, data, credential)


def _data(args: HttpArguments) -> bytes | None:
    """The body's exact bytes: of a JSON value its canonical form, which is also how an envelope writes it."""
    if args.body is not None:
        return args.body.encode()
    return None if args.json is None else canonical(args.json)


def _secrets(exact: _Exact, context: ToolContext) -> dict[str, str]:
    """The secret the request is sent with, if any; blocks."""
    credential, outside = exact.credential, context.outside
    if credential is None:
        return {}
    where = outside.secret_refs.get(credential.secret)
    if where is None:
        raise MissingSecret(f"There is no secret `{credential.secret}`; the operator adds it to `secrets`.")
    value = outside.secrets.resolve(where).get_secret_value()
    if not value.isascii() or not value.isprintable():
        raise TerminalError(f"The secret `{credential.secret}` holds a character that no header can carry.")
    return {"credential": value}


def _check_header(name: str, value: str) -> None:
    """Check one header of the planner's; raises `ValueError` with what is wrong."""
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("the name of a header has letters, digits and dashes, e.g. `X-Request-Id`")
    if lower in _OPERATORS:
        raise ValueError(f"`{name}` is the operator's to give, as `credentials` of the tool in banksman.yml")
    if lower in _OURS or lower.startswith("proxy-"):
        raise ValueError(f"`{name}` is written by Banksman itself; leave it out")
    if lower in _OTHER_METHOD:
        raise ValueError(f"`{name}` would make another method of it; say so in `method`")
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"the value of `{name}` is one line of ASCII characters, with no space at its ends")
