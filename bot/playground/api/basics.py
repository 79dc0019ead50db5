"""api.*, auth.*, apps.*, team.*, bots.*: who am I, where am I, and how do I connect."""

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family
from bot.playground.records import Json

family = Family()


@family.method("api.test", tier=4)
async def api_test(call: Call) -> Json:
    error = call.text("error")
    if error:
        raise ApiError(error, args=call.args)
    return {"args": call.args}


@family.method("auth.test", tier=4)
async def auth_test(call: Call) -> Json:
    team = call.services.team
    if call.args.get("_token") == "app":
        return {"app_name": team.app.get("name", "app"), "app_id": team.app_id}
    return {
        "url": f"{call.base_url}/",
        "team": team.info["name"],
        "user": team.users[team.bot_user_id].name,
        "team_id": team.id,
        "user_id": team.bot_user_id,
        "bot_id": team.bot_id,
        "is_enterprise_install": False,
    }


@family.method("apps.connections.open", tier=4, app_level=True)
async def connections_open(call: Call) -> Json:
    if call.services.settings.http_url is not None:
        # Slack refuses this while Socket Mode is switched off in the app's settings.
        raise ApiError("socket_mode_not_enabled")
    return {"url": call.base_url.replace("http", "ws", 1) + call.services.socket.url_path()}


@family.method("team.info", scopes=("team:read",))
async def team_info(call: Call) -> Json:
    team = call.services.team
    if call.text("team") not in (None, "", team.id):
        raise ApiError("team_not_found")
    return {
        "team": {
            "id": team.id,
            "name": team.info["name"],
            "url": f"{call.base_url}/",
            "domain": team.info.get("domain", ""),
            "email_domain": "",
            "icon": {"image_default": True},
            "avatar_base_url": f"{call.base_url}/avatars/",
            "is_verified": False,
        }
    }


@family.method("bots.info", scopes=("users:read",))
async def bots_info(call: Call) -> Json:
    team = call.services.team
    if call.text("bot") not in (None, "", team.bot_id):
        raise ApiError("bot_not_found")
    return {"bot": wire.bot_profile(team)}
