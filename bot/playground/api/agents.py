"""agents.sessions.* and assistant.threads.*: what an agent says about itself in a thread.

https://docs.slack.dev/ai/agent-sessions. That `processing` becomes `active` after an hour is left out.
"""

from bot.playground.api.call import ApiError, Call, Family
from bot.playground.records import Json, Session

family = Family()

_STATES = ("processing", "active", "suspended", "closed")


def _session(call: Call) -> Session:
    channel = call.channel("channel_id")
    thread_ts = call.ts("thread_ts") or call.needed("thread_ts")
    if call.services.team.message(channel.id, thread_ts) is None:
        raise ApiError("thread_not_found")
    known = call.services.team.sessions.get((channel.id, thread_ts))
    return known or Session(channel.id, thread_ts, "active")


def _own_session(call: Call) -> Session:
    # Slack says the same of an app that was not declared an agent (which is what grants it `assistant:write`) and of
    # one that is not in the channel.
    session = _session(call)
    is_agent = "assistant:write" in call.services.settings.scopes
    if not is_agent or call.bot not in call.services.team.channels[session.channel].members:
        raise ApiError("not_authorized")
    return session


@family.method("agents.sessions.setStatus", scopes=("chat:write",), tier=3)
async def set_session_status(call: Call) -> Json:
    session = _own_session(call)
    status = call.needed("status")
    if status not in _STATES:
        raise ApiError("invalid_status")
    session.status = status
    call.services.team.save_session(session)
    if status == "processing" and "agent_session_stopped" not in call.services.settings.events:
        call.warnings.append("missing_agent_session_stopped_event_subscription")
    return {}


@family.method("agents.sessions.rename", scopes=("chat:write",), tier=3)
async def rename_session(call: Call) -> Json:
    session = _own_session(call)
    session.title = call.needed("title")
    call.services.team.save_session(session)
    return {}


@family.method("assistant.threads.setStatus", scopes=("assistant:write", "chat:write"), tier=3)
async def set_thread_status(call: Call) -> Json:
    session = _session(call)
    session.status = call.text("status") or ""
    call.services.team.save_session(session)
    return {}
