"""The bot process: Bolt over Socket Mode, and the loops that deliver, load and retry.

Listeners only store and acknowledge; everything said afterwards comes from rows. Losing Redis costs a second; losing
Slack delays; losing this process loses nothing, because the next one reads the same rows.
"""

import asyncio
import contextlib
import logging
import signal

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.delivery.cards import Painter
from bot.delivery.duty import Duty
from bot.delivery.outbox import Sender
from bot.listeners import register_listeners
from bot.listeners.stored import catch_up
from bot.office import Office
from bot.socket import keep_connected
from bot.wiring import Bot
from core.announcements import listen
from core.periodic import every
from core.runs.sweeper import next_pass_s

log = logging.getLogger(__name__)

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
    """Serve until `stop`; then finish what was acknowledged and hand the rest to the next bot."""
    office = bot.office
    duty = Duty(office.desk, owner=office.desk.ids.new("bot"))
    sender, painter = Sender(duty), Painter(duty)
    wake = office.wake_delivery.set
    # The loops end by themselves between two passes: one that is cut off may leave a transaction open.
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_connected(build_app(office), bot.app_token, stop))
        group.create_task(_deliver(office, duty, sender, painter, stop))
        group.create_task(every(stop, lambda: POLL_S, lambda: _catch_up(office, duty)))
        group.create_task(every(stop, next_pass_s, bot.sweeper.tick))
        if bot.redis_url is not None:
            group.create_task(listen(bot.redis_url, "delivery", lambda _run: wake(), on_gap=wake, stop=stop))
        await stop.wait()
        wake()
    await asyncio.gather(office.close(), painter.close(), sender.close())
    await duty.give_up()


async def _deliver(office: Office, duty: Duty, sender: Sender, painter: Painter, stop: asyncio.Event) -> None:
    """Send and draw whenever somebody says there may be something, and once a second in any case."""
    while not stop.is_set():
        office.wake_delivery.clear()
        try:
            if await duty.may_speak():
                await sender.tick()
                await painter.tick()
        except Exception:
            log.exception("a delivery pass failed", extra={"action": "pass_failed"})
        if not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(office.wake_delivery.wait(), POLL_S)


async def _catch_up(office: Office, duty: Duty) -> None:
    if await duty.leads():
        await catch_up(office)


async def run(bot: Bot) -> None:
    """Serve until SIGTERM or SIGINT; says `ready` on stdout once Slack has answered."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(bot, stop=stop)
