"""A run that comes to the end of what it may use, seen from Slack: what is said, and who may do what about it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from core.record.states import BlockedReason
from core.runs import allowance
from core.runs.allowance import Allowance
from core.runs.draft import Draft
from core.runs.shared import Shared
from tests.integration.bot_runtime.office import House, Json, Team, has_button, poll, words

APPROVER, MEMBER = "U0APPROVER", "U0MEMBER"


async def test_a_run_is_given_more_calls_and_told_to_wrap_up(
    house: House, team: Team, ready: Callable[[], Awaitable[str]]
) -> None:
    run_id = await ready()

    await house.nearly_spends(run_id)
    warned = await team.hears("Most of what it may use is used up")
    assert "$0.85 of $1.00" in words(warned) and "2 of 2 steps" in words(warned)
    await house.change(run_id, lambda draft: draft.block(BlockedReason.BUDGET, "It has taken 2 of 2 steps."))

    async def parked() -> list[Json]:
        said = await team.heard("Blocked because it has used up what it may.")
        return [one for one in said if has_button(one, "Add 2 steps")]

    (blocked,) = await poll(parked, "what helps")

    await team.click(blocked, "run_fund", user=MEMBER)
    await team.hears("Only approvers and operators can let a run spend more.", user=MEMBER)
    await team.click(blocked, "run_fund", user=APPROVER)
    await team.hears("may use 4 steps now. It goes on.", user=APPROVER)
    await team.click_late(blocked, "run_fund", user=APPROVER)
    await team.hears("This cap of the run is 4 steps by now.", user=APPROVER)
    assert "Goes on" in words(await team.offers_nothing(blocked))

    async def shown() -> bool:
        return "Wrapping up" in words(await team.card())

    await team.click(warned, "run_wrap_up", user=MEMBER)
    await team.hears("can have it wrap up", user=MEMBER)
    await team.click(warned, "run_wrap_up")
    await team.hears("is told to finish with what it has", user="U0REQUESTER")
    await team.hears("was told to wrap up")
    await poll(shown, "the card to say so")
    await team.click_late(warned, "run_wrap_up")
    await team.hears("was told to wrap up by requester already", user="U0REQUESTER")
    await house.completes(run_id)
    assert "Most of what it may use" in words(await team.offers_nothing(warned))

    held = allowance.of(await house.snapshot(run_id))
    assert held.wrap_up is not None and "requester" == held.wrap_up.by
    assert replace(held, wrap_up=None) == Allowance({"steps": 4}, {"money": 1_000_000})


async def test_a_thread_hears_which_shared_budget_is_nearly_used_up(
    house: House, team: Team, ready: Callable[[], Awaitable[str]]
) -> None:
    run_id = await ready()
    day = Shared("person:requester:2026-11-29", "person", 4_100_000, 5_000_000, 1_796_083_200_000)

    def nearly(draft: Draft) -> None:
        draft.run |= {"budget_micro_usd": 1_000_000, "cost_micro_usd": 10_000}
        draft.deliver("slack.budget", f"nearly-spent:{run_id}:{day.budget_id}=5000000", {"shared": [day.to_json()]})

    await house.change(run_id, nearly)
    warned = await team.hears("Most of a budget it draws on is used up")

    assert "$4.10 of $5.00" in words(warned) and "budgets.person-day" in words(warned)
    assert has_button(warned, "Kill") and not has_button(warned, "Add $1.00")
