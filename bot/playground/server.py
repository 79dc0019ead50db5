"""One playground: its parts put together, served on the loopback interface, started and stopped."""

import socket
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from bot.playground.activity import Activity
from bot.playground.api.dispatch import WebApi
from bot.playground.control import Control
from bot.playground.control_clicks import Clicks
from bot.playground.control_faults import FaultControl
from bot.playground.faults import Faults
from bot.playground.feed import Feed
from bot.playground.files_http import FileEndpoints
from bot.playground.guard import MAX_BODY_BYTES, guard
from bot.playground.interactions import Interactions
from bot.playground.limits import RateLimits
from bot.playground.outbound import Outbound
from bot.playground.responses import ResponseEndpoint
from bot.playground.seed import DEFAULT_EVENTS, DEFAULT_SCOPES, DEMO_TEAM, Json
from bot.playground.services import Services
from bot.playground.settings import Settings
from bot.playground.socket import SocketMode
from bot.playground.state import Team
from bot.playground.static import PAGE_DIR, Page
from bot.playground.storage import Storage
from bot.playground.tickets import ResponseUrls, Triggers

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Playground:
    """A Slack team in a box.

    `await start()` gives its address; the Web API is at `<address>/api/`, the page at `<address>/`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bot_token: str = "xoxb-playground",
        app_token: str = "xapp-playground",
        signing_secret: str = "playground-signing-secret",
        http_url: str | None = None,
        scopes: Sequence[str] = DEFAULT_SCOPES,
        events: Sequence[str] = DEFAULT_EVENTS,
        limits: bool | float = True,
        retry_delays_s: Sequence[float] = (0.0, 60.0, 300.0),
        ack_deadline_s: float = 3.0,
        trigger_ttl_s: float = 3.0,
        stream_ttl_s: float = 300.0,
        response_url_ttl_s: float = 1800.0,
        file_share_delay_s: float = 0.05,
        seed: Json = DEMO_TEAM,
        page_dir: Path = PAGE_DIR,
    ) -> None:
        """Set a playground up; nothing is opened yet.

        Args:
            data_dir: Its state; made when missing. One playground at a time has it.
            http_url: Where signed deliveries go instead of Socket Mode.
            scopes, events: What the app is granted and subscribed to.
            limits: `True` for Slack's rate limits, `False` for none, a number to multiply them.
            retry_delays_s: How long after each failure an event is delivered again.
            seed: The team of a new data directory; see `seed.py`.
        """
        scale: float | None = 1.0 if limits is True else None if limits is False else float(limits)
        self.settings = Settings(
            bot_token=bot_token,
            app_token=app_token,
            signing_secret=signing_secret,
            http_url=http_url,
            scopes=tuple(scopes),
            events=tuple(events),
            rate_scale=scale,
            retry_delays_s=tuple(retry_delays_s),
            ack_deadline_s=ack_deadline_s,
            trigger_ttl_s=trigger_ttl_s,
            stream_ttl_s=stream_ttl_s,
            response_url_ttl_s=response_url_ttl_s,
            file_share_delay_s=file_share_delay_s,
        )
        self._data_dir = data_dir
        self._seed = seed
        self._page = Page(page_dir)
        self._services: Services | None = None
        self._storage: Storage | None = None
        self._runner: web.AppRunner | None = None

    @property
    def services(self) -> Services:
        """The parts of a started playground."""
        if self._services is None:
            raise RuntimeError("this playground is not started")
        return self._services

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return self.services.team.base_url

    @property
    def api_url(self) -> str:
        """What `SLACK_API_URL` has to be, with its slash at the end."""
        return f"{self.base_url}/api/"

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, listener: socket.socket | None = None) -> str:
        """Load the state, listen, and return the address.

        Args:
            listener: A socket that already listens on the loopback interface, in place of `host` and `port`.

        Raises:
            ValueError: `host` is not a loopback name.
            OSError: The port is taken, or another playground has the data directory.
            SeedError: The seed cannot make a team.
        """
        if host not in _LOOPBACK:
            raise ValueError(f"a playground listens on the loopback interface only, not on {host!r}")
        storage = Storage(self._data_dir)
        try:
            self._services = self._assemble(storage)
            self._storage = storage
            self._runner = web.AppRunner(self._application(self._services), access_log=None, shutdown_timeout=1.0)
            await self._runner.setup()
            site: web.BaseSite = web.TCPSite(self._runner, host, port)
            if listener is not None:
                site = web.SockSite(self._runner, listener)
            await site.start()
        except BaseException:
            if self._runner is not None:
                await self._runner.cleanup()
            storage.close()
            self._services = self._storage = self._runner = None
            raise
        bound = self._runner.addresses[0][1]
        name = f"[{host}]" if ":" in host else host
        self._services.team.base_url = f"http://{name}:{bound}"
        return self._services.team.base_url

    def _assemble(self, storage: Storage) -> Services:
        settings = self.settings
        team = Team(storage, Feed(), self._seed)
        faults = Faults()
        socket = SocketMode(team.app_id, ping_s=settings.socket_ping_s)
        outbound = Outbound(settings, team, socket, faults)
        return Services(
            settings=settings,
            team=team,
            faults=faults,
            limits=RateLimits(settings.rate_scale),
            socket=socket,
            outbound=outbound,
            activity=Activity(team, outbound, faults),
            interactions=Interactions(team, settings.verification_token),
            triggers=Triggers(settings.trigger_ttl_s, team.id),
            response_urls=ResponseUrls(storage, ttl_s=settings.response_url_ttl_s, uses=settings.response_url_uses),
        )

    def _application(self, services: Services) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[guard])
        files = FileEndpoints(services)
        app.add_routes(self._page.routes())
        app.add_routes(Control(services).routes())
        app.add_routes(Clicks(services).routes())
        app.add_routes(FaultControl(services).routes())
        app.add_routes(
            [
                web.route("*", "/api/{method}", WebApi(services).handle),
                web.get("/link/", services.socket.serve),
                web.post("/{kind:actions|commands}/{key}", ResponseEndpoint(services).handle),
                web.post("/upload/v1/{file}", files.upload),
                web.get("/files-pri/{team:[A-Z0-9]+}-{file:[A-Z0-9]+}/{name:.*}", files.download),
                web.get("/signin", files.sign_in),
                web.get("/playground/files/{file}/{name:.*}", files.show),
            ]
        )
        return app

    async def stop(self) -> None:
        """Close every connection, give up deliveries under way, and let go of the data directory."""
        if self._services is None or self._runner is None or self._storage is None:
            return
        services, runner, storage = self._services, self._runner, self._storage
        services.team.feed.close()
        await services.outbound.close()
        await services.socket.close()
        await runner.cleanup()
        storage.close()
        self._services = self._runner = self._storage = None
