"""The bot process: Bolt over Socket Mode or HTTP, and the loops that deliver, load and retry.

Listeners only store and acknowledge; everything said afterwards comes from rows. Losing Redis costs a second; losing
Slack delays; losing this process loses nothing, because the next one reads the same rows.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.agreeing import ContractWatch
from bot.deciding import refresh_standings
from bot.delivery.asked import ApprovalPainter
from bot.delivery.cards import Painter
from bot.delivery.duty import Duty
from bot.delivery.outbox import Sender
from bot.delivery.scribe import TICK_S, Scribe
from bot.delivery.sessions import Herald
from bot.health import Pulses, health_of
from bot.http import Ingress
from bot.http_wire import listening
from bot.listeners import register_listeners
from bot.listeners.stored import catch_up
from bot.office import Office
from bot.reloading import reload_config
from bot.socket import Line, SocketMode, keep_connected
from bot.wiring import Bot
from core.announcements import listen
from core.clock import boot_id
from core.deltas import listen_to_deltas
from core.ops.health import Health
from core.ops.server import serving
from core.periodic import Pulse, every
from core.runs.sweeper import next_pass_s
from core.store import schema
from core.store.standing import measures

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[None, None, None]]

RELOAD_S = 2.0
"""How soon a changed operator's file is looked at."""

POLL_S = 1.0
"""The net under the bells: how late something can be said when nobody rings."""


def build_app(office: Office) -> AsyncApp:
    """A Bolt app that acknowledges only after its listener has stored what it was given."""
    me = office.desk.me

    async def authorize() -> AuthorizeResult:
        # Known since the start. Left to itself Bolt asks Slack at the first event, and drops that event if Slack fails.
        return AuthorizeResult(
            enterprise_id=me.enterprise, team_id=me.team, bot_id=me.bot_id, bot_user_id=me.user, bot_token=token
        )

    web = office.desk.slack.web
    token = web.token
    logger = logging.getLogger("slack_bolt.app")
    # Bolt finds SLACK_BOT_TOKEN by itself and warns that our client and `authorize` win; that is what we want.
    logger.setLevel(logging.ERROR)
    app = AsyncApp(logger=logger, client=web, authorize=authorize, process_before_response=True)
    logger.setLevel(logging.WARNING)
    register_listeners(app, office)
    return app


async def serve(bot: Bot, *, stop: asyncio.Event) -> None:
    """Serve until `stop`; then finish what was acknowledged and hand the rest to the next bot.

    Raises:
        ConfigError: HTTP mode, and the address to listen on cannot be had.
    """
    office = bot.office
    deliveries, is_reached = _deliveries(bot, stop)
    duty = Duty(office.desk, owner=bot.id, life=bot.life)
    wake = office.wake_delivery.set
    scribe = Scribe(duty, wake)
    sender, painter, approvals, herald = Sender(duty, scribe), Painter(duty), ApprovalPainter(duty), Herald(duty)

    def moved_on() -> None:
        scribe.look()
        wake()

    pulses = Pulses()
    health = health_of(bot, duty, pulses, is_reached=is_reached, is_stopping=stop.is_set)
    bot.life.begin()
    # The loops end by themselves between two passes: one that is cut off may leave a transaction open.
    async with _served(bot, health), asyncio.TaskGroup() as group:
        group.create_task(deliveries())
        passes = [sender.tick, painter.tick, approvals.tick, herald.tick]
        group.create_task(_deliver(office, duty, passes, stop, pulses.delivery))
        group.create_task(every(stop, lambda: RELOAD_S, lambda: reload_config(office.desk)))
        group.create_task(every(stop, lambda: RELOAD_S, ContractWatch(office.desk).tick))
        group.create_task(every(stop, lambda: POLL_S, lambda: _catch_up(office, duty), pulses.catch_up))
        group.create_task(every(stop, next_pass_s, bot.sweeper.tick, pulses.sweeper))
        group.create_task(every(stop, lambda: TICK_S, scribe.tick))
        if bot.redis_url is not None:
            group.create_task(listen(bot.redis_url, "delivery", lambda _run: moved_on(), on_gap=moved_on, stop=stop))
            group.create_task(listen_to_deltas(bot.redis_url, scribe.hear, stop=stop))
        await stop.wait()
        wake()
    await asyncio.gather(office.close(), painter.close(), sender.close(), herald.close(), scribe.close())
    await duty.give_up()
    bot.life.end()


def _served(bot: Bot, health: Health) -> AbstractAsyncContextManager[object]:
    desk = bot.office.desk
    return serving(bot.metrics_at, health, lambda: measures(desk.database, desk.clock, boot_id=boot_id()))


def _deliveries(bot: Bot, stop: asyncio.Event) -> tuple[Work, Callable[[], Awaitable[bool]]]:
    """What brings Slack's deliveries to the listeners: one of the two, for Slack itself uses only one per app.

    Returns:
        That, and whether Slack can reach us by it now.
    """
    app = build_app(bot.office)
    if isinstance(bot.ingress, SocketMode):
        line = Line()
        return partial(keep_connected, app, bot.ingress.app_token, stop, line), line.is_open
    desk = bot.office.desk

    async def is_ready() -> bool:
        await desk.slack.me()  # answered once, at the start
        return await schema.current(desk.database) is not None

    listener = listening(bot.ingress)
    ingress = Ingress(app, bot.ingress, is_ready=is_ready)

    async def is_listening() -> bool:
        return ingress.is_listening

    return partial(ingress.serve, listener, stop), is_listening


async def _deliver(
    office: Office, duty: Duty, passes: Sequence[Callable[[], Awaitable[object]]], stop: asyncio.Event, pulse: Pulse
) -> None:
    """Send and draw whenever somebody says there may be something, and once a second in any case."""
    while not stop.is_set():
        office.wake_delivery.clear()
        ok = False
        try:
            if await duty.may_speak():
                for tick in passes:
                    await tick()
            ok = True
        except Exception:
            log.exception("a delivery pass failed", extra={"action": "pass_failed"})
        pulse.passed(ok=ok)
        if not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(office.wake_delivery.wait(), POLL_S)
    pulse.over = True


async def _catch_up(office: Office, duty: Duty) -> None:
    if await duty.leads():
        left, duty.inherits = duty.inherits, False
        await catch_up(office, everything=left)
        await refresh_standings(office)


async def run(bot: Bot) -> None:
    """Serve until SIGTERM or SIGINT; says `ready` on stdout once Slack has answered."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(bot, stop=stop)
