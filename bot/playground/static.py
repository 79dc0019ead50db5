"""The page's files: `index.html` at `/`, the rest under `/playground/page/`."""

from pathlib import Path

from aiohttp import web

PAGE_DIR = Path(__file__).parent / "page"

_TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
    ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".json": "application/json",
    ".woff2": "font/woff2", ".webmanifest": "application/manifest+json",
}  # fmt: skip
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Page:
    """Serves files that exist inside the page's directory, and nothing else."""

    def __init__(self, directory: Path = PAGE_DIR) -> None:
        self._directory = directory.resolve()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.index),
            web.get("/archives/{channel}/{message}", self.permalink),
            web.get("/playground/page/{path:.+}", self.asset),
        ]

    async def index(self, request: web.Request) -> web.StreamResponse:
        return self._serve("index.html")

    async def asset(self, request: web.Request) -> web.StreamResponse:
        return self._serve(request.match_info["path"])

    async def permalink(self, request: web.Request) -> web.StreamResponse:
        """A message's permalink leads to the page, which scrolls to it."""
        digits = request.match_info["message"].removeprefix("p")
        channel = request.match_info["channel"]
        if not digits.isdigit() or len(digits) <= 6 or not channel.isalnum():
            raise web.HTTPNotFound(text="That is not the address of a message.")
        target = f"/?channel={channel}&ts={digits[:-6]}.{digits[-6:]}"
        thread_ts = request.query.get("thread_ts", "")
        if thread_ts.replace(".", "").isdigit():
            target += f"&thread_ts={thread_ts}"
        raise web.HTTPFound(target)

    def _serve(self, name: str) -> web.StreamResponse:
        path = (self._directory / name).resolve() if "\0" not in name else self._directory
        kind = _TYPES.get(path.suffix)
        if not path.is_relative_to(self._directory) or kind is None or not path.is_file():
            raise web.HTTPNotFound(text="The playground's page has no such file.")
        text_like = kind.startswith("text/") or kind == "application/json"
        headers = {
            "Content-Type": f"{kind}; charset=utf-8" if text_like else kind,
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return web.FileResponse(path, headers=headers)
