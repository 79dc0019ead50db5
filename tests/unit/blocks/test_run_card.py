"""What the card, the ending, the lists and Details say."""

from dataclasses import replace
from typing import Any

import pytest

from bot.blocks.details import run_details
from bot.blocks.home import home
from bot.blocks.lists import HELP, AgentLine, help_text, show
from bot.blocks.lists import runs as list_runs
from bot.blocks.run_card import run_card
from bot.blocks.summary import ending
from core.actions.contract import Contract
from core.actions.policy import Approvers
from core.planners.base import PlanStep
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.views import CutOff, EventView, LateView, WaitView
from tests.unit.blocks.anything import NOW_MS, RUN_ID
from tests.unit.blocks.models import a_file, a_run, a_stop, an_action, an_ended_run
from tests.unit.blocks.shapes import buttons, leaves, shown


def card(**changes: Any) -> str:
    return shown(run_card(a_run(**changes), now_ms=NOW_MS).blocks)


def test_a_running_card_says_what_is_going_on() -> None:
    message = run_card(a_run(), now_ms=NOW_MS)

    text = shown(message.blocks)
    assert "Running · report\nStep 2 of 3: Draw the picture" in text
    assert f"Run 0yabcd · {RUN_ID} · asked by<@U0ROSA>" in text
    assert "sandbox: landlock" in text
    assert "✓ Read the file\n▸ Draw the picture\n○ Write it up" in text
    assert "report (run 0yabcd): running, step 2 of 3: Draw the picture" == message.text
    assert {"event_type": "banksman_run", "event_payload": {"run": RUN_ID}} == message.metadata


def test_a_card_says_what_its_run_waits_for_since_when_and_until_when() -> None:
    wait = WaitView(
        "Deployed", "look.out.state == 'done'", NOW_MS - 120_000, NOW_MS + 60_000, NOW_MS + 5_000, 4, "<it>"
    )
    text = card(waiting=wait, updated_at_ms=NOW_MS - 120_000)

    assert "Waits until look.out.state == 'done'\nsince " in text
    assert ", at most until " in text
    assert "Looked 4 times, again " in text
    assert "; last seen: <it>" in text
    assert "Still working" not in text
    assert "Waits until" not in card(waiting=wait, state=RunState.CANCELED, ended_at_ms=NOW_MS)


def test_details_say_what_the_contract_of_the_channel_narrows() -> None:
    places = ("*.a.example", "b.example:443")
    bound = Contract("#ops", None, None, (), "0.50", Approvers(frozenset({"on-call"})), places)
    whole, empty = (
        shown(run_details(a_run(contract=each), [], now_ms=NOW_MS)["blocks"]) for each in (bound, Contract("C1"))
    )

    assert (
        "Bound by the contract of#ops· tools: none· reaches: *.a.example, b.example:443· at most $0.50"
        f"· decided by: on-call· {bound.digest[:19]}…"
    ) in whole
    assert f"Bound by the contract ofC1· {Contract('C1').digest[:19]}…" in empty


def test_kill_asks_first_and_names_the_run() -> None:
    kill, details = leaves(run_card(a_run(), now_ms=NOW_MS).blocks, "button")

    assert ("run_kill", RUN_ID, "danger") == (kill["action_id"], kill["value"], kill["style"])
    assert "Stop run 0yabcd?" == kill["confirm"]["title"]["text"]
    assert ("run_details", RUN_ID) == (details["action_id"], details["value"])
    assert "confirm" not in details


def test_a_card_without_costs_does_not_mention_them() -> None:
    assert "cost" not in card()
    assert "cost $0.0123" in card(cost_micro_usd=12_300)


def test_a_person_without_a_slack_user_is_named_not_mentioned() -> None:
    message = run_card(a_run(requester="cli:rosa@host", requester_slack=None), now_ms=NOW_MS)

    assert "asked bycli:rosa@host" in shown(message.blocks)
    assert "<@" not in shown(message.blocks)


@pytest.mark.parametrize("reason", list(BlockedReason))
def test_a_blocked_card_says_why_and_what_helps(reason: BlockedReason) -> None:
    text = card(
        state=RunState.BLOCKED, blocked_reason=reason, blocked_detail="Start the database, then mention me again."
    )

    assert "Blocked because " in text
    assert "Start the database, then mention me again." in text


@pytest.mark.parametrize("reason", list(BlockedReason))
def test_a_blocked_run_without_a_detail_still_names_a_remedy(reason: BlockedReason) -> None:
    [quoted] = leaves(
        run_card(a_run(state=RunState.BLOCKED, blocked_reason=reason), now_ms=NOW_MS).blocks, "rich_text_quote"
    )

    assert shown(quoted).endswith(".")


def test_a_stop_is_requested_before_it_is_confirmed() -> None:
    stopping = a_run(state=RunState.CANCELED, stop=a_stop(confirmed_at_ms=None, by="slack:T0TEAM/U0OLU"))

    message = run_card(stopping, now_ms=NOW_MS)

    text = shown(message.blocks)
    assert "Stopping" in text
    assert "Stop requested by " in text
    assert "U0OLU" in [leaf["user_id"] for leaf in leaves(message.blocks, "user")]
    assert "Not confirmed yet: 2 processes ended so far" in text
    assert ["Details"] == buttons(message.blocks)


def test_an_unreachable_host_is_named() -> None:
    text = card(state=RunState.CANCELED, stop=a_stop(confirmed_at_ms=None, unconfirmed_hosts=("web-7",)))

    assert "Not confirmed: no word yet from web-7" in text


def test_a_confirmed_stop_says_what_was_ended() -> None:
    text = card(state=RunState.CANCELED, stop=a_stop(processes_ended=1, in_flight=1), ended_at_ms=NOW_MS)

    assert ": 1 process ended, nothing of it is left running; 1 call was in flight" in text
    assert "wrong file" in text
    assert "Stopped by" + "olu<!date^1800000000^" in text


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ({"status": CallStatus.STARTED}, "being ended"),
        ({}, "ended before it was done; it worked inside the run's own workspace"),
        ({"tier": "compensable"}, "ended before it was done; whether it had an effect outside is not known"),
        ({"late": "succeeded"}, "it answered after the stop (succeeded); kept, and not used"),
        ({"resolved_by": "olu", "status": CallStatus.FAILED}, "it did not happen, says olu"),
        ({"resolved_by": "probe", "status": CallStatus.SUCCEEDED}, "it happened (its probe was asked after the stop)"),
        ({"resolved_by": "probe"}, "whether it happened could not be found out (its probe was asked after the stop)"),
        (
            {"resolved_by": "olu", "status": CallStatus.SUCCEEDED, "late": "succeeded"},
            "it happened, says olu; it answered after the stop (succeeded), which is not used",
        ),
    ],
)
def test_what_became_of_a_call_in_flight_is_said(cut: dict[str, Any], said: str) -> None:
    call = replace(CutOff("call_1", "shell", "workspace", CallStatus.UNKNOWN, None, None), **cut)
    text = card(state=RunState.CANCELED, stop=a_stop(in_flight=1, calls=(call,)), ended_at_ms=NOW_MS)

    assert f"In flight: shell — {said}" in text


def test_many_calls_in_flight_are_counted() -> None:
    calls = tuple(CutOff(f"call_{n}", f"tool{n}", "read", CallStatus.UNKNOWN, None, None) for n in range(11))
    text = card(state=RunState.CANCELED, stop=a_stop(in_flight=11, calls=calls), ended_at_ms=NOW_MS)

    assert "tool7" in text and "tool8" not in text and "… and 3 more calls in flight" in text


def test_a_host_that_came_back_is_named() -> None:
    text = card(state=RunState.CANCELED, stop=a_stop(restarted_hosts=("web-7",)), ended_at_ms=NOW_MS)

    assert "restarted since: web-7" in text


def test_an_ended_card_says_when_and_has_no_kill() -> None:
    message = run_card(an_ended_run(outcome="3 columns, 120 rows."), now_ms=NOW_MS)

    text = shown(message.blocks)
    assert "Completed" in text
    assert "3 columns, 120 rows." in text
    assert "· after 42 s" in text
    assert "<!date^1800000000^" in text
    assert ["Details"] == buttons(message.blocks)


def test_a_silent_minute_gets_a_heartbeat() -> None:
    assert "Still working" not in card(updated_at_ms=NOW_MS - 59_000)
    assert "Still working; the last change was 2 min ago." in card(updated_at_ms=NOW_MS - 130_000)
    assert "Still working" not in card(updated_at_ms=NOW_MS - 130_000, state=RunState.BLOCKED)


def test_the_same_run_within_the_same_minute_draws_the_same_card() -> None:
    view = a_run(updated_at_ms=NOW_MS - 130_000)

    assert run_card(view, now_ms=NOW_MS) == run_card(view, now_ms=NOW_MS + 20_000)


def test_a_long_plan_shows_where_it_is() -> None:
    steps = tuple(
        PlanStep(f"s{at}", f"Step {at}", "done" if at < 60 else "running" if at == 60 else "pending")
        for at in range(100)
    )

    text = card(plan=steps)

    assert "▸ Step 60" in text
    assert "… 52 earlier steps" in text
    assert "… 24 later steps" in text
    assert "Step 61 of 100: Step 60" in text


def test_the_ending_lists_files_figures_and_the_person() -> None:
    view = an_ended_run(
        outcome="All good.",
        artifacts=(a_file("numbers.csv", 312), a_file("picture.png", 48_000), a_file("in.csv", 9, "input")),
        actions=(an_action(),),
        cost_micro_usd=0,
    )

    message = ending(view)

    text = shown(message.blocks)
    assert "Completed · report · run 0yabcd · 42 s · for " in text
    assert ["U0ROSA"] == [leaf["user_id"] for leaf in leaves(message.blocks, "user")]
    assert "• numbers.csv · 312 B\n• picture.png · 48 kB" in text
    assert "in.csv" not in text
    assert "42 s · 1 tool call · 2 files · no effects outside this run · sandbox: landlock" in text
    assert "report (run 0yabcd): completed after 42 s, 2 files. All good." == message.text


def test_the_ending_tells_effects_that_happened_from_those_that_may_have() -> None:
    calls = (
        an_action(tool="git_push", tier="compensable"),
        an_action(tool="mail", tier="irreversible", status=CallStatus.UNKNOWN),
        an_action(tool="pay", tier="irreversible", status=CallStatus.CANCELED),
    )

    text = shown(ending(an_ended_run(actions=calls)).blocks)

    assert "• git_push in step draw: done" in text
    assert "• mail in step draw: may or may not have happened; check by hand" in text
    assert "pay" not in text
    assert "no effects" not in text


def test_details_hold_what_the_card_leaves_out() -> None:
    log = [
        EventView(at, NOW_MS, "transition", "planning", "executing", "system:engine", None, None, 1, (), "h", "p")
        for at in range(1, 31)
    ]
    view = a_run(actions=(an_action(error="it broke"),), artifacts=(a_file("in.csv", 9, "input"),))

    modal = run_details(view, log, now_ms=NOW_MS)

    text = shown(modal)
    assert "Run 0yabcd" == modal["title"]["text"]
    assert RUN_ID == modal["private_metadata"]
    assert "the numbers of March" in text
    assert "shell in draw: succeeded, 1 attempt, workspace, pure, digest abababababababab — it broke" in text
    assert "Files it was given\n• in.csv · 9 B" in text
    assert "Last 15 events of 30" in text
    assert "30 " in text
    assert "transition → executing by system:engine" in text


def test_a_list_of_runs_is_one_line_each() -> None:
    lines = [a_run().line(), an_ended_run(RunState.FAILED, channel=None).line()]

    text = shown(list_runs(lines, now_ms=NOW_MS).blocks)

    assert "0yabcd report · Running · just now · " in text
    assert "0yabcd report · Failed · just now" in text


def test_no_runs_says_how_to_start_one() -> None:
    assert "Mention @banksman in a channel" in shown(list_runs([], now_ms=NOW_MS).blocks)


def test_show_is_the_card_with_a_note() -> None:
    message = show(a_run(), now_ms=NOW_MS)

    assert run_card(a_run(), now_ms=NOW_MS).blocks == message.blocks[:-1]
    assert message.metadata is None


def test_help_names_every_subcommand_and_agent() -> None:
    text = shown(help_text([AgentLine("report", "Numbers and a picture from a CSV")]).blocks)

    for usage, _ in HELP:
        assert f"/banksman {usage}" in text
    assert "@banksman report — Numbers and a picture from a CSV" in text


def test_home_has_my_runs_with_their_buttons_and_how_to_start() -> None:
    view = home([a_run().line(), an_ended_run().line()], [AgentLine("report")], now_ms=NOW_MS)

    assert ["Kill", "Details", "Details"] == buttons(view)
    assert "@banksman report" in shown(view)


def test_an_empty_home_still_says_how_to_start() -> None:
    text = shown(home([], [], now_ms=NOW_MS))

    assert "You have not asked for anything yet." in text
    assert "an administrator has to add a playbook" in text


def test_details_tell_of_results_that_came_too_late() -> None:
    late = LateView(NOW_MS, "succeeded", 3, None)

    text = shown(run_details(a_run(actions=(an_action(late=(late,)),)), [], now_ms=NOW_MS))

    assert "an attempt that had lost the run said succeeded at " in text
    assert "which is kept and not used" in text
