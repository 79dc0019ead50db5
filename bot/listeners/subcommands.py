"""What follows `/banksman`: lists, one run, a stop, a freeze; each answered privately."""

from collections.abc import Mapping
from typing import Any

from bot import freezing, replying, stopping
from bot.blocks import lists
from bot.blocks.elements import Message
from bot.blocks.refusals import ambiguous_run, outsider, sentence, unknown_run, unknown_subcommand
from bot.office import Office
from core.config.people import NotRecognised
from core.runs import reading
from core.store import runs


async def answer(office: Office, asked: Mapping[str, Any], *, at_ms: int) -> Message:
    """Do what was asked and say what came of it.

    Args:
        asked: `word`, `rest`, `user` and `channel`.
        at_ms: When it was asked.
    """
    desk = office.desk
    word, rest = asked["word"], asked["rest"]
    if word in ("", "help"):
        return lists.help_text(desk.agents)
    who = await desk.identity.principal(asked["user"])
    if isinstance(who, NotRecognised):
        return sentence(who.sentence)
    if who.external:
        return outsider()
    match word:
        case "runs":
            return lists.runs(await reading.lines(desk.database, desk.tenant), now_ms=desk.clock.wall_ms())
        case "show":
            return await _show(office, rest)
        case "kill":
            wanted, _, reason = rest.partition(" ")
            return await stopping.stop_named(
                office, wanted, user=asked["user"], team=None, reason=reason.strip(), at_ms=at_ms
            )
        case "replies":
            return await replying.set_replies(office, rest, who=who)
        case "freeze":
            return await freezing.freeze(office, rest, who=who, channel=asked["channel"])
        case "thaw":
            return await freezing.thaw(office, rest, who=who, channel=asked["channel"])
        case _:
            return unknown_subcommand(word)


async def _show(office: Office, wanted: str) -> Message:
    desk = office.desk
    found = await runs.resolve(desk.database, desk.tenant, wanted)
    if len(found) > 1:
        return ambiguous_run(wanted, len(found))
    view = None if not found else await reading.view(desk.database, desk.tenant, found[0])
    return unknown_run(wanted) if view is None else lists.show(view, now_ms=desk.clock.wall_ms())
