"""`banksman approve`, `deny`, `ask-again`, `answer`, `resolve`: what people decide, from a terminal.

The same commands as the buttons on the same locked rows. What is printed before a decision is the whole action,
generated from the stored bytes, and the digest of exactly that is what the vote records as seen.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from bot.cli import evidence, verifying
from bot.cli.asking import UsageError, named_values
from bot.cli.installation import BadAnswer, Installation, Refused, opened
from bot.cli.looking import named, print_action, wanted_approval
from bot.cli.output import print_json
from core.actions.shown import Box
from core.config.settings import Settings
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.record.freezes import FreezeRow
from core.runs.approval_views import approval_view
from core.runs.commands.again import ask_again, continue_for
from core.runs.commands.answer import answer
from core.runs.commands.decide import Ballot, decide
from core.runs.commands.request import Pinned
from core.runs.commands.resolve import resolve
from core.store import freezes, runs
from core.store.lane import Decide, Target

SHORTEST_SEEN = 16
"""Hex digits of `--seen` that are enough."""


async def vote(
    settings: Settings,
    wanted: str,
    decision: Literal["approve", "deny"],
    *,
    as_name: str | None,
    seen: str | None = None,
    reason: str = "",
    yes: bool = False,
    as_json: bool = False,
) -> int:
    """Show an action and vote on it; 0 once the vote counts.

    Raises:
        Refused: it does not count, and why.
        BadAnswer: there is no such approval, or what is stored is not what was asked.
    """
    async with opened(settings) as here:
        approval_id = await wanted_approval(here, wanted)
        who = here.principal(as_name)
        document = await evidence.collected(here, approval_id)
        box = _intact(document)
        ballot = Ballot(
            approval_id=approval_id,
            decision=decision,
            by=who,
            action=box.action_digest,
            seen_digest=box.digest,
            received_ms=here.clock.wall_ms(),
            reason=reason,
        )
        frozen = await freezes.open_ones(here.database, here.tenant)
        await _would_count(here, ballot, document["run"]["id"], frozen)
        print_action(document, box, to_stderr=as_json)
        if seen is not None and not _is_seen(seen, box):
            raise Refused(f"This is not what you have seen: its digest is {box.digest}. Read it again, then decide.")
        if decision == "approve" and not yes and sys.stdin.isatty() and not _confirmed(who):
            raise Refused("Not approved: you did not say yes.")
        # As of now: nobody's question stays open because they think about it.
        cast = replace(ballot, received_ms=here.clock.wall_ms())
        done = await carried_out(here, Target(approval_id=approval_id), _voting(here, cast, frozen))
        after = await runs.snapshot(here.database, here.tenant, document["run"]["id"])
        row = None if after is None else after.approval(approval_id)
        assert after is not None and row is not None
        view = approval_view(after, row)
        mine = [each for each in view.votes if each.voter == who.id and not each.taken_back]
        if decision not in [each.decision for each in mine]:
            raise Refused(done.text)  # asked anew in the meantime, under another policy
        if as_json:
            body = {"decision": decision, "by": who.id, "via": who.via or None, "seen_digest": box.digest}
            print_json({**body, "said": done.text, "approval": view.as_json()})
        else:
            print(done.text)
        return 0


async def again(settings: Settings, wanted: str, *, as_name: str | None) -> int:
    """Let a parked run ask again."""
    async with opened(settings) as here:
        run_id, who = await named(here, wanted), here.principal(as_name)
        command = partial(ask_again, run_id=run_id, by=who, now_ms=here.clock.wall_ms())
        print((await carried_out(here, Target(run_id=run_id), command)).text)
        return 0


async def go_round(settings: Settings, wanted: str, steps: int | None, *, as_name: str | None) -> int:
    """Let a run that goes round in circles continue for some steps."""
    async with opened(settings) as here:
        run_id, who = await named(here, wanted), here.principal(as_name)
        more = here.config.limits.continue_steps if steps is None else steps
        command = partial(continue_for, run_id=run_id, by=who, steps=more, now_ms=here.clock.wall_ms())
        print((await carried_out(here, Target(run_id=run_id), command)).text)
        return 0


async def give(settings: Settings, call_id: str, values: Sequence[str], *, as_name: str | None) -> int:
    """Answer what a run has asked."""
    given = named_values(values)
    async with opened(settings) as here:
        call_id = call_id.strip().lower()
        run_id = await runs.run_of_call(here.database, here.tenant, call_id)
        if run_id is None:
            raise BadAnswer(f"There is no call {call_id!r}. `banksman show RUN` says which call asked.")
        command = partial(answer, call_id=call_id, by=here.principal(as_name), given=given, now_ms=here.clock.wall_ms())
        print((await carried_out(here, Target(run_id=run_id), command, unfit=UsageError)).text)
        return 0


async def settle(settings: Settings, wanted: str, call: str, *, ran: bool | None, as_name: str | None) -> int:
    """Say what became of a call whose outcome nobody knows."""
    if ran is None:
        raise UsageError("Say what you found: `--ran`, or `--not-run`.")
    async with opened(settings) as here:
        run_id = await named(here, wanted)
        found = await runs.snapshot(here.database, here.tenant, run_id)
        assert found is not None
        end = call.strip().lower()
        calls = [each.id for each in found.calls if len(end) >= 4 and each.id.endswith(end)]
        if not calls:
            raise BadAnswer(f"Run {run_id} has no call {call!r}. `banksman show RUN --json` lists them.")
        if len(calls) > 1:
            raise UsageError(f"{len(calls)} calls of run {run_id} end in {call!r}. Write more of the id.")
        command = partial(
            resolve,
            run_id=run_id,
            call_id=calls[0],
            by=here.principal(as_name),
            ran=ran,
            now_ms=here.clock.wall_ms(),
        )
        print((await carried_out(here, Target(run_id=run_id), command)).text)
        return 0


def _intact(document: dict[str, object]) -> Box:
    """The action's text, if every digest of the action holds."""
    result = verifying.verified(document)
    if result.box is None or result.broken_action:
        said = " ".join(check.said for check in result.broken_action)
        raise BadAnswer(
            f"What is stored is not what was asked, so nobody can decide it. {said} "
            "Tell an administrator; `banksman approval show` has the details, `banksman kill` stops the run."
        )
    return result.box


async def _would_count(here: Installation, ballot: Ballot, run_id: str, frozen: Sequence[FreezeRow]) -> None:
    """Refuse before anything is asked of the terminal; the vote itself is decided on the locked rows."""
    found = await runs.snapshot(here.database, here.tenant, run_id)
    refusal = _voting(here, ballot, frozen)([] if found is None else [found])
    if isinstance(refusal, Refusal):
        raise _refused(refusal)


def _voting(here: Installation, ballot: Ballot, frozen: Sequence[FreezeRow]) -> Decide:
    policy = Pinned("policy", here.config.policy_text).digest
    return partial(decide, ballot=ballot, policy_digest=policy, now_ms=ballot.received_ms, freezes=frozen)


def _is_seen(seen: str, box: Box) -> bool:
    digits = seen.strip().lower().removeprefix("sha256:")
    if len(digits) < SHORTEST_SEEN:
        raise UsageError(f"`--seen` takes the digest of the text, at least {SHORTEST_SEEN} of its hex digits.")
    return box.digest.removeprefix("sha256:").startswith(digits)


def _confirmed(who: Principal) -> bool:
    print(f"Approve exactly this, as {who.id}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


async def carried_out(
    here: Installation, target: Target, command: Decide, *, unfit: type[UsageError] | None = None
) -> Decided:
    """Commit a command, then wake whoever goes on with it."""
    done = await here.database.journal.command(here.tenant, target, command)
    if isinstance(done, Refusal):
        raise _refused(done, unfit)
    for change in done.changes:
        if "wake" in change.run:
            await here.doorbell.ring(change.run_id, change.run["wake"])
        await here.doorbell.announce("delivery", change.run_id)
    return done


def _refused(refusal: Refusal, unfit: type[UsageError] | None = None) -> Refused | BadAnswer | UsageError:
    if refusal.why == "not-found":
        return BadAnswer(refusal.text)
    if refusal.why == "invalid" and unfit is not None:
        return unfit(refusal.text)
    return Refused(refusal.text)
