"""Bytes to and from Slack: the part of files that is not Web API calls.

The bearer token goes only to Slack's own hosts, redirects are followed only within one, a login page is never taken
for a file, and nothing is read beyond its cap. Which files are moved, and whether an upload arrived, is decided in
`bot.slack`.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.slack_errors import SlackError, SlackGone, SlackRefused, SlackTooLate, SlackUnavailable, from_status
from core.errors import ArtifactTooLarge

_CHUNK_BYTES = 1 << 16
_REDIRECTS = 3
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=5, sock_read=30)
"""A large file over a slow line is fine, a silent line is not."""


@dataclass(frozen=True)
class Hosts:
    """Where the token and our files may go."""

    api_url: str

    def trusts(self, url: str) -> bool:
        """Whether `url` is Slack's: https on `slack.com` and below it, or the very origin of the Web API."""
        parts, api = urlsplit(url), urlsplit(self.api_url)
        try:
            if (parts.scheme, parts.hostname, parts.port) == (api.scheme, api.hostname, api.port):
                return True
        except ValueError:  # a port that is no number
            return False
        host = (parts.hostname or "").lower()
        is_slack = host == "slack.com" or host.endswith(".slack.com")
        return is_slack and parts.scheme == "https" and parts.username is None


async def send_bytes(
    session: aiohttp.ClientSession, hosts: Hosts, upload_url: str, content: AsyncIterable[bytes], size: int
) -> None:
    """POST a file's bytes to the address Slack gave out; nobody sees them until the upload is completed.

    Raises:
        SlackRefused: The address is not Slack's, or the content is not `size` bytes long.
        SlackUnavailable: It did not get through; starting over is harmless.
        Exception: Whatever reading `content` raises.
    """
    if not hosts.trusts(upload_url):
        raise SlackRefused("foreign_upload_url", urlsplit(upload_url).hostname or "")
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    body = _Body(content, size)
    try:
        async with session.post(
            upload_url, data=body, headers=headers, timeout=_STREAM_TIMEOUT, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise SlackUnavailable(f"HTTP {response.status} for the bytes of an upload")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # The HTTP library wraps what the content raises; the content's own word is the one that counts.
        if body.problem is not None:
            raise body.problem from None
        raise SlackUnavailable(f"the bytes of an upload: {type(error).__name__}: {error}") from error


class _Body(AsyncIterable[bytes]):
    """Content that has to be exactly `size` bytes long; keeps what went wrong while it was read."""

    def __init__(self, content: AsyncIterable[bytes], size: int) -> None:
        self._content = content
        self._size = size
        self.problem: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._size
        try:
            async for chunk in self._content:
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
            if left != 0:
                raise SlackRefused("wrong_length", f"the content is not the {self._size} bytes that were announced")
        except Exception as problem:
            self.problem = problem
            raise


async def fetch_bytes(
    session: aiohttp.ClientSession, hosts: Hosts, token: str, url: str, *, cap_bytes: int
) -> AsyncIterator[bytes]:
    """Stream a file people uploaded.

    Raises:
        SlackRefused: The address, or one it redirects to, is not on the same Slack host; or a web page came instead.
        SlackGone: The file was deleted, or we may not see it.
        ArtifactTooLarge: It is longer than `cap_bytes`.
        SlackRateLimited, SlackRevoked, SlackUnavailable: As everywhere.
    """
    if not hosts.trusts(url):
        raise SlackRefused("foreign_file_url", urlsplit(url).hostname or "")
    headers = {"Authorization": f"Bearer {token}"}
    for _ in range(_REDIRECTS + 1):
        try:
            async with session.get(url, headers=headers, timeout=_STREAM_TIMEOUT, allow_redirects=False) as response:
                if response.status in {301, 302, 303, 307, 308}:
                    url = _same_host(url, response.headers.get("Location", ""))
                    continue
                if (problem := _unusable(response)) is not None:
                    raise problem
                if (response.content_length or 0) > cap_bytes:
                    raise _too_large(cap_bytes)
                got = 0
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    got += len(chunk)
                    if got > cap_bytes:
                        raise _too_large(cap_bytes)
                    yield chunk
                return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SlackUnavailable(f"a file's bytes: {type(error).__name__}: {error}") from error
    raise SlackRefused("too_many_redirects")


def _same_host(url: str, location: str) -> str:
    target = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(target)
    if (before.scheme, before.netloc) != (after.scheme, after.netloc):
        # Slack sends who may not read a file to a login page; following would hand the token on, or store the page.
        raise SlackRefused("redirected_elsewhere", after.hostname or "")
    return target


def _unusable(response: aiohttp.ClientResponse) -> SlackError | None:
    if response.status in {403, 404, 410}:
        return SlackGone(f"http_{response.status}", user_text="The file is gone, or the bot may not see it.")
    if response.status != 200:
        return from_status(response.status, response.headers, writes=False)
    if response.content_type == "text/html" and not _is_attachment(response.headers):
        return SlackRefused("login_page", "a web page came instead of the file; is the scope files:read granted?")
    return None


def _is_attachment(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Disposition", "").lower().startswith("attachment")


def _too_large(cap_bytes: int) -> ArtifactTooLarge:
    megabytes = cap_bytes / 1_000_000
    return ArtifactTooLarge(
        f"a Slack file is longer than {cap_bytes} bytes",
        user_text=f"The file is larger than the {megabytes:g} MB allowed. Send a smaller one.",
    )


async def answer_response_url(
    session: aiohttp.ClientSession, hosts: Hosts, response_url: str, body: Mapping[str, object]
) -> None:
    """POST an answer to a `response_url`.

    Raises:
        SlackTooLate: It expired or was used five times.
        SlackRefused: It is not Slack's, or Slack does not take the body.
        SlackRateLimited, SlackUnavailable: Nobody saw the answer.
    """
    if not hosts.trusts(response_url):
        raise SlackRefused("foreign_response_url", urlsplit(response_url).hostname or "")
    try:
        async with session.post(response_url, json=dict(body), allow_redirects=False) as response:
            said = (await response.content.read(500)).decode("utf-8", "replace")
            status, headers = response.status, response.headers
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SlackUnavailable(f"a response URL: {type(error).__name__}: {error}") from error
    if status == 200:
        return
    if status in {404, 410} or "expired_url" in said or "used_url" in said:
        raise SlackTooLate("expired_url")
    if status in {400, 403}:
        raise SlackRefused(f"http_{status}", said)
    raise from_status(status, headers, writes=False)
