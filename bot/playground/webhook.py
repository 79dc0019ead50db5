"""Signed HTTP deliveries, for apps that do not use Socket Mode.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bot.playground.socket import Ack

Json = dict[str, Any]
_MAX_ANSWER_BYTES = 1_000_000


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Slack's `v0` signature over the raw body."""
    base = b"v0:" + str(timestamp).encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class Webhook:
    """The app's request URL."""

    def __init__(self, url: str, signing_secret: str, verification_token: str) -> None:
        self.url = url
        self._secret = signing_secret
        self._token = verification_token
        self._session: aiohttp.ClientSession | None = None
        self._is_verified = False
        self._verifying = asyncio.Lock()

    async def verify(self, *, deadline_s: float) -> bool:
        """Whether the URL answers Slack's challenge; asked once, before the first event."""
        async with self._verifying:
            if not self._is_verified:
                challenge = secrets.token_urlsafe(32)
                body = {"token": self._token, "challenge": challenge, "type": "url_verification"}
                answer = await self._post(json.dumps(body).encode(), "application/json", deadline_s, {})
                text = answer if isinstance(answer, str) else (answer[1].decode("utf-8", "replace"))
                self._is_verified = not isinstance(answer, str) and _says(text, challenge)
            return self._is_verified

    async def deliver(
        self, kind: str, payload: Json, *, deadline_s: float, retry: tuple[int, str] | None = None
    ) -> Ack | str:
        """Post one payload.

        Returns:
            The acknowledgement, or Slack's reason: `http_timeout`, `http_error`, `connection_failed`; `no_retry` after
            an answer that asked for no further try.
        """
        extra = {}
        if retry is not None:
            extra = {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        if kind == "events_api":
            if not await self.verify(deadline_s=deadline_s):
                return "http_error"
            body, content_type = json.dumps(payload).encode(), "application/json"
        else:
            form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
            body, content_type = urlencode(form).encode(), "application/x-www-form-urlencoded"
        answer = await self._post(body, content_type, deadline_s, extra)
        if isinstance(answer, str):
            return answer
        status, content, no_retry = answer
        if 200 <= status < 300:
            return Ack(_answer(content))
        return "no_retry" if no_retry else "http_error"

    async def _post(
        self, body: bytes, content_type: str, deadline_s: float, extra: dict[str, str]
    ) -> tuple[int, bytes, bool] | str:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timestamp = int(time.time())
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": str(timestamp),
            "X-Slack-Signature": sign(self._secret, timestamp, body),
            **extra,
        }
        timeout = aiohttp.ClientTimeout(total=deadline_s)
        try:
            async with self._session.post(
                self.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.content.read(_MAX_ANSWER_BYTES)
                return response.status, content, response.headers.get("X-Slack-No-Retry") == "1"
        except TimeoutError:
            return "http_timeout"
        except aiohttp.ClientError:
            return "connection_failed"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _says(text: str, challenge: str) -> bool:
    if text.strip() == challenge:
        return True
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("challenge") == challenge


def _answer(content: bytes) -> Json | None:
    """What an app answered an interaction with: JSON, or plain text, which is a message."""
    text = content.decode("utf-8", "replace").strip()
    if not text:
        return None
    try:
        body = json.loads(text)
    except ValueError:
        return {"text": text}
    return body if isinstance(body, dict) and body else None
