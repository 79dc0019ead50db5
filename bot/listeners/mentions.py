"""Messages: a request for a run, a reply to one under way, or the word `stop` in its thread."""

from collections.abc import Mapping
from typing import Any

from bot import intake, replying, stopping
from bot.blocks.refusals import not_stored
from bot.intake import Accepted, Stored
from bot.listeners.guard import Listener
from bot.listeners.stored import begin, take
from bot.messages import asked_in
from bot.office import Office
from core.store.trouble import in_words


def on_message(office: Office) -> Listener:
    """Answer `app_mention` and `message`, which for one mention both arrive, in any order."""

    async def handle(body: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        me = office.desk.me.user
        team = str(body["team_id"])
        if stopping.is_stop_word(event, me):
            await _stop(office, event, team)
            return
        reply = await replying.reply_in(office, event)
        if reply is not None:
            # By message, not by delivery: a mention brings two.
            await take(office, "reply", f"reply:{team}:{reply['channel']}:{reply['ts']}", reply)
            return
        asked = asked_in(event, team=team, bot_user=me, event_time_s=int(body.get("event_time") or 0))
        if asked is None:
            return
        try:
            done = await intake.receive(office.desk, asked, f"ev:{body['api_app_id']}:{team}:{body['event_id']}")
        except Exception as error:
            office.excuse(asked, not_stored(in_words(error)))
            raise
        match done:
            case Accepted():
                office.accepted(done.run_id, asked.channel, asked.ts)
            case Stored():
                begin(office, done.row)
            case _:
                office.wake_delivery.set()

    return handle


async def _stop(office: Office, event: Mapping[str, Any], team: str) -> None:
    asked = {
        "channel": str(event["channel"]),
        "thread_ts": str(event["thread_ts"]),
        "user": str(event["user"]),
        "team": event.get("user_team"),
        "addressed": stopping.is_addressed(event, office.desk.me.user),
    }
    # By message, not by delivery: a mention brings two.
    await take(office, "stop", f"stop:{team}:{event['channel']}:{event['ts']}", asked)
