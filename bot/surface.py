"""The names Slack and Banksman agree on: events, the command, action and callback ids, the metadata event.

Listeners subscribe to these, builders write them into blocks, `manifest.yml` declares them; a test keeps the three
equal. What happens on each is decided in `listeners/`, not here.
"""

from enum import StrEnum

BOT_NAME = "banksman"
"""Display name of the bot user; what people type after the `@`."""

COMMAND = "/banksman"


class BotEvent(StrEnum):
    """Events API subscriptions, as the manifest writes them."""

    APP_MENTION = "app_mention"
    MESSAGE_CHANNELS = "message.channels"
    MESSAGE_GROUPS = "message.groups"
    MESSAGE_IM = "message.im"
    REACTION_ADDED = "reaction_added"
    APP_HOME_OPENED = "app_home_opened"
    AGENT_SESSION_STOPPED = "agent_session_stopped"

    @property
    def payload_type(self) -> str:
        """`event.type` of the delivery: the part before the dot."""
        return self.value.partition(".")[0]


class ActionId(StrEnum):
    """`action_id` of every button we render.

    A button's value is an id (of the run, or of the approval with the beginning of its digest), and nothing in a click
    is authority.
    """

    RUN_KILL = "run_kill"
    RUN_DETAILS = "run_details"
    RUN_ROLL_BACK = "run_roll_back"
    RUN_INPUTS = "run_inputs_open"
    APPROVAL_APPROVE = "approval_approve"
    APPROVAL_DENY = "approval_deny_open"
    APPROVAL_DETAILS = "approval_details_open"
    APPROVAL_NEXT = "approval_page_next"
    APPROVAL_BACK = "approval_page_back"
    APPROVAL_AGAIN = "approval_ask_again"
    APPROVAL_TAKE_BACK = "approval_take_back"
    QUESTION_ANSWER = "question_answer_open"
    RUN_FUND = "run_fund"
    RUN_WRAP_UP = "run_wrap_up"
    RUN_STEER = "run_steer_open"
    RUN_CONTINUE = "run_continue"
    RUN_REPLIES = "run_replies"
    REPLY_TAKE = "reply_take"
    REPLY_LEAVE = "reply_leave"
    CALL_RAN = "call_ran"
    CALL_NOT_RUN = "call_not_run"


class CallbackId(StrEnum):
    """`callback_id` of every view we open."""

    RUN_INPUTS = "run_inputs"
    RUN_DETAILS = "run_details_view"
    APPROVAL_PAGES = "approval_pages"
    APPROVAL_DENY = "approval_deny"
    QUESTION_ANSWER = "question_answer"
    RUN_STEER = "run_steer"


METADATA_EVENT = "banksman_run"
"""`event_type` of the metadata on our messages; its payload carries our key, so an ambiguous post can be found."""

STOP_REACTION = "x"
"""Reaction on a run's root message that asks for a stop."""

ACK_REACTION = "eyes"
"""Reaction that says: seen, and stored."""
