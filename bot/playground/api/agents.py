"""agents.sessions.* and assistant.threads.*: what an agent says about itself in a thread."""

from bot.playground.api.call import ApiError, Call, Family
from bot.playground.records import Json, Session

family = Family()

_STATES = ("processing", "active", "suspended", "closed")


def _session(call: Call) -> Session:
    channel = call.channel("channel" if call.text("channel") else "channel_id")
    thread_ts = call.ts("thread_ts") or call.needed("thread_ts")
    if call.services.team.message(channel.id, thread_ts) is None:
        raise ApiError("thread_not_found")
    known = call.services.team.sessions.get((channel.id, thread_ts))
    return known or Session(channel.id, thread_ts, "active")


@family.method("agents.sessions.setStatus", scopes=("chat:write",), tier=3)
async def set_session_status(call: Call) -> Json:
    session = _session(call)
    status = call.needed("status")
    if status not in _STATES:
        raise ApiError("invalid_status")
    session.status = status
    call.services.team.save_session(session)
    if status == "processing" and "agent_session_stopped" not in call.services.settings.events:
        call.warnings.append("missing_agent_session_stopped_subscription")
    return {}


@family.method("agents.sessions.rename", scopes=("chat:write",), tier=3)
async def rename_session(call: Call) -> Json:
    session = _session(call)
    session.title = call.needed("title")
    call.services.team.save_session(session)
    return {}


@family.method("assistant.threads.setStatus", scopes=("assistant:write", "chat:write"), tier=3)
async def set_thread_status(call: Call) -> Json:
    session = _session(call)
    session.status = call.text("status") or ""
    call.services.team.save_session(session)
    return {}
