"""Language models of several vendors behind one port: with `vendors` the only place that knows the library they speak.

One request, one answer: no loop, no retries of the vendors' own, no tools that run. The library is loaded when the
first model is asked, because that takes seconds. What goes back to a vendor for its own earlier answers is what the
library made of them (`Answer.raw`); an answer of another vendor, or one that cannot be read any more, is told anew.
"""

import asyncio
import json
import warnings
from collections.abc import Mapping
from typing import Any

from core.planners import pace, script
from core.planners.agents import ModelSpec
from core.planners.dialogue import MAX_ANSWER_BYTES, MOST_ASKED, Answer, AskedCall, Prompt, Returned, Told
from core.planners.thinking import ModelFailed, OnText
from core.planners.vendors.connections import Connection, connect, missing

IDLE_S = 30.0
"""How long a model may say nothing in the middle of an answer."""

_SPEAKS = {"openai-compatible": "openai"}


class Models:
    """Every model a worker may ask; connections are kept."""

    def __init__(self) -> None:
        self._connections: dict[tuple[Any, ...], Connection] = {}
        self._connecting = asyncio.Lock()
        """Of many runs that begin at once, one makes the client they share."""

    async def close(self) -> None:
        """Close every connection, those under way as soon as they are answered; whoever asks next makes a new one."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.retired = True
            if connection.under_way == 0:
                await connection.close()

    async def answer(
        self, spec: ModelSpec, prompt: Prompt, *, n: int, position: int, key: str | None, on_text: OnText
    ) -> Answer:
        """One answer of one model, as `LanguageModel` says."""
        if spec.provider == "script":
            said = await asyncio.to_thread(script.answer, spec, prompt, n, position)
            pieces, pause_s = pace.pieces(said.turn, said.answer.text)
            for piece in pieces:
                on_text(piece)
                await asyncio.sleep(pause_s)
            return said.answer
        known = (spec.provider, spec.url, spec.model, spec.timeout_s, key)
        connection = await self._connection(known, spec, key)
        try:
            async with asyncio.timeout(spec.timeout_s):
                return await _asked(connection, spec, prompt, n=n, on_text=on_text)
        except TimeoutError:
            late = f"`{spec.label}` did not answer within {spec.timeout_s:.0f} s"
            raise ModelFailed(late, billed=True, again=True) from None
        except ModelFailed as error:
            if not (error.again or error.billed) and self._connections.get(known) is connection:
                del self._connections[known]  # what it was made with may be replaced until somebody asks again
                connection.retired = True
            raise
        finally:
            connection.under_way -= 1
            if connection.retired and connection.under_way == 0:
                await connection.close()

    async def _connection(self, known: tuple[Any, ...], spec: ModelSpec, key: str | None) -> Connection:
        """A connection that is held for one request."""
        async with self._connecting:
            if known not in self._connections:
                self._connections[known] = await _connected(spec, key)
            connection = self._connections[known]
            connection.under_way += 1
        return connection


async def _connected(spec: ModelSpec, key: str | None) -> Connection:
    if (why := missing(spec.provider)) is not None:
        raise ModelFailed(f"`{spec.label}` cannot be asked: {why}", billed=False, again=False)
    from pydantic_ai.exceptions import UserError

    try:
        return await connect(spec, key)
    except UserError as error:
        raise ModelFailed(f"`{spec.label}` cannot be asked: {_said(error)}", billed=False, again=False) from error


async def _asked(connection: Connection, spec: ModelSpec, prompt: Prompt, *, n: int, on_text: OnText) -> Answer:
    from pydantic_ai import ModelMessagesTypeAdapter
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.exceptions import AgentRunError, ModelAPIError, ModelConnectionError, ModelHTTPError, UserError
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.tools import ToolDefinition

    tools = [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=dict(tool.schema))
        for tool in prompt.tools
    ]
    # What a vendor reports of its usage and nobody can read is charged at the reserve; it is nothing to warn about.
    warnings.filterwarnings("ignore", message="Failed to extract usage")
    begun = False
    try:
        parameters = ModelRequestParameters(function_tools=tools, allow_text_output=True)
        settings = ModelSettings(max_tokens=spec.max_output)
        if spec.provider != "bedrock":  # there it is the client's, and saying it twice is warned of
            settings["timeout"] = spec.timeout_s
        async with (
            connection.calling(),
            model_request_stream(
                connection.model,
                _messages(prompt, spec),
                model_settings=settings,
                model_request_parameters=parameters,
            ) as stream,
        ):
            size = asked_for = 0
            events = aiter(stream)
            while True:
                try:
                    async with asyncio.timeout(IDLE_S):
                        event = await anext(events)
                except StopAsyncIteration:
                    break
                begun = True
                asked_for += event.event_kind == "part_start" and event.part.part_kind == "tool-call"
                if asked_for > MOST_ASKED:
                    why = f"`{spec.label}` asked for more than {MOST_ASKED} calls at once"
                    raise ModelFailed(why, billed=True, again=True)
                text = _text_of(event)
                size += len(text) if text else _size_of(event)
                if size > MAX_ANSWER_BYTES:
                    raise ModelFailed(f"`{spec.label}` does not stop writing", billed=True, again=False)
                if text:
                    on_text(text)
            response = stream.get()
        _whole(response, spec)
        raw = json.loads(ModelMessagesTypeAdapter.dump_json([response]))[0]
    except TimeoutError:
        raise ModelFailed(f"`{spec.label}` fell silent in the middle of an answer", billed=True, again=True) from None
    except ModelHTTPError as error:
        raise _refused(spec, error, begun=begun) from error
    except ModelConnectionError as error:
        # Whoever got the request may have worked on it, though nothing came back.
        sent = begun or error.phase not in ("pool", "connect")
        raise ModelFailed(f"`{spec.label}` cannot be reached: {_said(error)}", billed=sent, again=True) from error
    except ModelAPIError as error:
        raise ModelFailed(f"`{spec.label}` failed: {_said(error)}", billed=True, again=True) from error
    except UserError as error:
        raise ModelFailed(f"`{spec.label}` cannot be asked: {_said(error)}", billed=False, again=False) from error
    except AgentRunError as error:
        raise ModelFailed(f"`{spec.label}` answered garbage: {_said(error)}", billed=True, again=True) from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        # The library trips over answers that are not what the vendor's interface promises.
        why = f"`{spec.label}` answered garbage ({type(error).__name__})"
        raise ModelFailed(why, billed=True, again=True) from error
    return _answer(response, raw, spec, prompt, n=n)


def _whole(response: Any, spec: ModelSpec) -> None:
    """Refuse an answer that its vendor did not end as answers end: it is no answer, however much of it there is.

    Raises:
        ModelFailed: it was cut off, filtered or spoilt.
    """
    if response.finish_reason == "content_filter":
        raise ModelFailed(f"`{spec.label}` refuses to answer this: its filter ended it", billed=True, again=False)
    if response.finish_reason == "error":
        raise ModelFailed(f"`{spec.label}` answered garbage, and says so", billed=True, again=True)
    said = (response.provider_details or {}).get("finish_reason")
    # Some servers with OpenAI's interface never say that they have ended; their usage comes last all the same.
    if not said and not (spec.provider == "openai-compatible" and response.usage.output_tokens):
        raise ModelFailed(f"`{spec.label}` broke off in the middle of an answer", billed=True, again=True)


def _refused(spec: ModelSpec, error: Any, *, begun: bool) -> ModelFailed:
    """What an HTTP status says about trying again and about having to pay."""
    from pydantic_ai.exceptions import ModelAuthenticationError, ModelNotFoundError

    status = error.status_code
    busy = status in (408, 409, 424, 425, 429) or status >= 500
    if status in (401, 403) or isinstance(error, ModelAuthenticationError):
        what = "refuses its key"
    elif status == 404 or isinstance(error, ModelNotFoundError):
        what = "does not know this model"
    else:
        what = f"answered {status}"
    # Where it had begun to work, it may have to be paid for; an answer under way says so by its stream.
    billed = begun or error.in_stream or status in (408, 424) or status >= 500
    text = f"`{spec.label}` {what}: {_message(error.body) or _said(error)}"
    return ModelFailed(text, billed=billed, again=busy, retry_after_s=error.retry_after)


def _message(body: Any) -> str:
    """What a vendor says about its refusal, wherever in the body it does; empty if it says nothing."""
    if not isinstance(body, Mapping):
        return ""
    inner = body.get("error", body.get("Error", body))
    said = inner.get("message", inner.get("Message")) if isinstance(inner, Mapping) else inner
    return _short(said) if isinstance(said, str) else ""


def _said(error: BaseException) -> str:
    return _short(str(error))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:299]}…"


def _text_of(event: Any) -> str:
    """The text an event of the stream adds."""
    part, delta = getattr(event, "part", None), getattr(event, "delta", None)
    if event.event_kind == "part_start" and getattr(part, "part_kind", "") == "text":
        return str(getattr(part, "content", ""))
    if event.event_kind == "part_delta" and getattr(delta, "part_delta_kind", "") == "text":
        return str(getattr(delta, "content_delta", ""))
    return ""


def _size_of(event: Any) -> int:
    delta = getattr(event, "delta", None)
    return len(str(getattr(delta, "args_delta", "") or getattr(delta, "content_delta", "") or ""))


def _messages(prompt: Prompt, spec: ModelSpec) -> list[Any]:
    """The prompt in the library's words: requests and responses in turn."""
    from pydantic_ai.messages import (
        ModelRequest,
        ModelResponse,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )

    names = {tool.tool: tool.name for tool in prompt.tools}
    messages: list[Any] = []
    parts: list[Any] = []
    for each in prompt.said:
        match each:
            case Told(text):
                parts.append(UserPromptPart(text))
            case Returned(call_id, tool, content, ok):
                shown = content if ok else f"Error: {content}"
                parts.append(ToolReturnPart(names.get(tool, tool), shown, call_id))
            case Answer():
                messages.append(ModelRequest(parts=parts, instructions=prompt.instructions or None))
                parts = []
                known = _from_raw(each.raw, spec)
                if known is None:
                    calls = [
                        ToolCallPart(names.get(call.tool, call.tool), dict(call.args), call.id) for call in each.calls
                    ]
                    said = [TextPart(each.text)] if each.text else []
                    known = ModelResponse(parts=[*said, *calls] or [TextPart("(nothing)")])
                messages.append(known)
    messages.append(ModelRequest(parts=parts or [UserPromptPart("Go on.")], instructions=prompt.instructions or None))
    return messages


def _from_raw(raw: Any, spec: ModelSpec) -> Any:
    """An answer as the library made it, if it is this vendor's and can still be read."""
    from pydantic import ValidationError
    from pydantic_ai import ModelMessagesTypeAdapter

    if not isinstance(raw, Mapping) or raw.get("vendor") != _SPEAKS.get(spec.provider, spec.provider):
        return None
    try:
        return ModelMessagesTypeAdapter.validate_python([raw["message"]])[0]
    except (ValidationError, KeyError):
        return None


def _answer(response: Any, raw: Any, spec: ModelSpec, prompt: Prompt, *, n: int) -> Answer:
    ours = {tool.name: tool.tool for tool in prompt.tools}
    texts: list[str] = []
    calls: list[AskedCall] = []
    seen: set[str] = set()
    for part in response.parts:
        if part.part_kind == "text":
            texts.append(part.content)
        elif part.part_kind == "tool-call":
            args, refusal = _arguments(part)
            calls.append(AskedCall(part.tool_call_id or "", ours.get(part.tool_name, part.tool_name), args, refusal))
            if refusal or part.tool_call_id in seen:
                raw = None  # no vendor takes back what is no JSON, or two results for one id: say it in our words
            seen.add(part.tool_call_id)
    usage = response.usage
    vendor = _SPEAKS.get(spec.provider, spec.provider)
    return Answer(
        n,
        "".join(texts),
        tuple(calls),
        None,
        response.model_name or spec.model,
        int(usage.input_tokens or 0),
        int(usage.output_tokens or 0),
        None if raw is None else {"vendor": vendor, "message": raw},
    )


def _arguments(part: Any) -> tuple[dict[str, Any], str]:
    """What a call is made with, or why it cannot be made."""
    given = part.args
    if isinstance(given, str):
        try:
            given = json.loads(given or "{}")
        except ValueError:
            return {}, "Not carried out: its arguments are not JSON."
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return {}, "Not carried out: its arguments are no mapping of names to values."
    return given, ""
