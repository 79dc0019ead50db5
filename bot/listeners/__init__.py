"""The routing table: every event, click, command and form we answer, on one page.

Each listener parses, stores and acknowledges; what was stored is carried out after that (`stored`). Exact ids only: a
pattern would also answer ids it was not meant for. What is not ours (another app, another team) is refused before any
listener sees it.
"""

from slack_bolt.async_app import AsyncApp

from bot.listeners import block_actions, commands, decisions, guard, home, mentions, reactions, replies, sessions, views
from bot.office import Office
from bot.surface import COMMAND, ActionId, BotEvent, CallbackId


def register_listeners(app: AsyncApp, office: Office) -> None:
    """Attach everything to the app."""
    app.middleware(guard.ours_only(office.desk))
    app.error(guard.on_error(office.desk))

    app.event(BotEvent.APP_MENTION.payload_type)(mentions.on_message(office))
    app.event("message")(mentions.on_message(office))
    app.event(BotEvent.REACTION_ADDED.payload_type)(reactions.on_reaction(office))
    app.event(BotEvent.APP_HOME_OPENED.payload_type)(home.on_opened(office))
    app.event(BotEvent.AGENT_SESSION_STOPPED.payload_type)(sessions.on_stopped(office))

    app.action(ActionId.RUN_KILL.value)(block_actions.on_kill(office))
    app.action(ActionId.RUN_DETAILS.value)(block_actions.on_details(office))
    app.action(ActionId.RUN_ROLL_BACK.value)(decisions.on_click(office, "click.roll-back"))
    app.action(ActionId.RUN_INPUTS.value)(block_actions.on_inputs(office))

    app.action(ActionId.APPROVAL_APPROVE.value)(decisions.on_click(office, "click.vote", decision="approve"))
    app.action(ActionId.APPROVAL_TAKE_BACK.value)(decisions.on_click(office, "click.take-back"))
    app.action(ActionId.APPROVAL_AGAIN.value)(decisions.on_click(office, "click.again"))
    app.action(ActionId.RUN_FUND.value)(decisions.on_click(office, "click.fund"))
    app.action(ActionId.RUN_WRAP_UP.value)(decisions.on_click(office, "click.wrap-up"))
    app.action(ActionId.RUN_CONTINUE.value)(decisions.on_click(office, "click.continue"))
    app.action(ActionId.RUN_REPLIES.value)(decisions.on_click(office, "click.replies"))
    app.action(ActionId.RUN_STEER.value)(replies.on_steer(office))
    app.action(ActionId.REPLY_TAKE.value)(decisions.on_click(office, "click.reply", decision="take"))
    app.action(ActionId.REPLY_LEAVE.value)(decisions.on_click(office, "click.reply", decision="leave"))
    app.action(ActionId.CALL_RAN.value)(decisions.on_click(office, "click.ran"))
    app.action(ActionId.CALL_NOT_RUN.value)(decisions.on_click(office, "click.not-run"))
    app.action(ActionId.APPROVAL_DENY.value)(decisions.on_deny(office))
    app.action(ActionId.APPROVAL_DETAILS.value)(decisions.on_details(office))
    app.action(ActionId.APPROVAL_NEXT.value)(decisions.on_turn(office, 1))
    app.action(ActionId.APPROVAL_BACK.value)(decisions.on_turn(office, -1))
    app.action(ActionId.QUESTION_ANSWER.value)(decisions.on_answer(office))

    app.view(CallbackId.RUN_INPUTS.value)(views.on_inputs(office))
    app.view(CallbackId.APPROVAL_PAGES.value)(decisions.on_pages(office))
    app.view(CallbackId.APPROVAL_DENY.value)(decisions.on_denied(office))
    app.view(CallbackId.QUESTION_ANSWER.value)(decisions.on_answered(office))

    app.view(CallbackId.RUN_STEER.value)(replies.on_steered(office))

    app.command(COMMAND)(commands.on_command(office))
