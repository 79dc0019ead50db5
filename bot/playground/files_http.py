"""The bytes of files: uploaded by the app, downloaded by the app with its token, shown to people on the page."""

import asyncio
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from bot.playground.api.dispatch import lose_reply, strike_before
from bot.playground.records import File
from bot.playground.services import Services

_SHOWN_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp", "text/", "application/json", "application/pdf")
"""What a browser may show in place; the rest, SVG included, is only ever downloaded or drawn by an `<img>`."""
_CHUNK_BYTES = 256 * 1024

_SIGN_IN = """<!DOCTYPE html><html lang="en-US"><head><title>Sign in | Slack</title></head>
<body><h1>Sign in to your workspace</h1><p>This playground wants a bearer token for this file.</p></body></html>"""


class FileEndpoints:
    """Upload, download and preview routes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """`POST /upload/v1/<file>`: raw bytes, or a multipart form."""
        struck = await strike_before(self._services, request, "upload")
        if struck is not None:
            return struck
        team = self._services.team
        file = team.files.get(request.match_info["file"])
        if file is None or file.is_complete:
            return web.Response(text="upload_url_not_found", status=404)
        path = team.storage.file_path(file.id)
        part = path.with_suffix(".part")
        size = await self._receive(request, part, file.size)
        if size != file.size:
            part.unlink(missing_ok=True)
            return web.Response(text=f"expected {file.size} bytes, got {size}", status=400)
        part.replace(path)
        file.is_uploaded = True
        team.save_file(file)
        if self._services.faults.strike("lose_reply", method="upload") is not None:
            return lose_reply(request)
        return web.Response(text=f"OK - {size}")

    async def _receive(self, request: web.Request, path: Path, most: int) -> int:
        """Write the body to `path`; stops reading soon after `most` bytes."""
        size = 0
        with path.open("wb") as out:
            if request.content_type == "multipart/form-data":
                async for field in await request.multipart():
                    while chunk := await field.read_chunk(_CHUNK_BYTES):  # type: ignore[union-attr]
                        size += len(chunk)
                        if size > most:
                            return size
                        await asyncio.to_thread(out.write, chunk)
                    break
                return size
            async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
                size += len(chunk)
                if size > most:
                    return size
                await asyncio.to_thread(out.write, chunk)
        return size

    async def download(self, request: web.Request) -> web.StreamResponse:
        """`GET /files-pri/<team>-<file>/…`: the bytes for the bot's token, a sign-in page for everybody else."""
        struck = await strike_before(self._services, request, "file_download")
        if struck is not None:
            return struck
        settings, team = self._services.settings, self._services.team
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        allowed = scheme.lower() == "bearer" and token == settings.bot_token and not self._services.outbound.is_revoked
        if not allowed or "files:read" not in settings.scopes:
            # Slack redirects to its sign-in page, which answers 200: a client has to look at the content type.
            raise web.HTTPFound(f"/signin?redir={quote(request.path)}")
        file = self._file(request)
        if file is None or not team.bot_sees(file):
            return web.Response(text=_SIGN_IN, content_type="text/html", status=404)
        headers = {"Content-Type": file.mimetype, "Content-Disposition": _disposition("attachment", file.name)}
        return web.FileResponse(team.storage.file_path(file.id), headers=headers)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=_SIGN_IN, content_type="text/html")

    async def show(self, request: web.Request) -> web.StreamResponse:
        """`GET /playground/files/<file>/<name>`: for people; nothing in it can run."""
        file = self._file(request)
        if file is None:
            raise web.HTTPNotFound(text="There is no such file in this playground.")
        inline = file.mimetype.startswith(_SHOWN_INLINE) and file.mimetype != "text/html"
        kind = file.mimetype
        if kind.startswith("text/"):
            kind = f"{'text/plain' if kind == 'text/html' else kind}; charset=utf-8"
        headers = {
            "Content-Type": kind,
            "Content-Disposition": _disposition("inline" if inline else "attachment", file.name),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
            "Cache-Control": "private, max-age=3600",
        }
        return web.FileResponse(self._services.team.storage.file_path(file.id), headers=headers)

    def _file(self, request: web.Request) -> File | None:
        file = self._services.team.files.get(request.match_info["file"])
        if file is None or file.is_lost or not file.is_uploaded:
            return None
        return file


def _disposition(kind: str, name: str) -> str:
    """A header that survives any file name."""
    plain = "".join(one if one.isascii() and one.isprintable() and one not in '"\\/%' else "_" for one in name)
    return f"{kind}; filename=\"{plain or 'file'}\"; filename*=UTF-8''{quote(name, safe='')}"
