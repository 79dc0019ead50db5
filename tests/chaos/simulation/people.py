"""What people do, whether they may or not: ask, vote, take back, stop, freeze, answer, say what happened, roll back.

What each is told is compared with the model. The clock, the operator's hand on the policy and the sweeper are here too.
"""

from functools import partial
from typing import Any

from core.actions.shown import box
from core.ids import TENANT
from core.planners.base import Act
from core.record.changes import Decided, Landed, Refusal, Refused
from core.record.freezes import FreezeChange, Frozen, Scope
from core.runs import freezing, rollbacks
from core.runs.commands.again import ask_again
from core.runs.commands.answer import answer
from core.runs.commands.confirm import HostReport, confirm
from core.runs.commands.decide import Ballot, decide, take_back
from core.runs.commands.expire import expire
from core.runs.commands.kill import kill
from core.runs.commands.load import loaded, unloadable
from core.runs.commands.request import Limits, accept, repeated
from core.runs.commands.resolve import resolve
from core.runs.commands.rollback import Asked, roll_back
from core.store import approvals
from core.store.lane import Target
from tests.chaos.simulation.house import DAY_MS, KEY_LIFE_MS, MINUTE_MS, PEOPLE, POLICIES, REQUESTERS, UNDOINGS, WORKERS
from tests.chaos.simulation.world import Broken, Script, World
from tests.factories import SALT, a_request, surface

NOBODY = "none_00000000"
_MENU = ("look", "build", "note", "note", "push", "push", "pay", "pay", "ask")


class Bell:
    """Nobody hears it: whoever is to go on looks for it."""

    async def ring(self, run_id: str, wake: int, *, delay_s: float = 0) -> None: ...

    async def announce(self, topic: object, run_id: str) -> None: ...

    async def close(self) -> None: ...


def _anybody(world: World) -> str:
    return world.choose.one(tuple(PEOPLE))


def _one_of(world: World, sql: str) -> str | None:
    """One of these, rarely one that is not there; `None` = there are none, so nobody does anything."""
    found = world.every(sql)
    if world.choose.chance(3):
        return NOBODY
    return world.choose.one(found) if found else None


def _told(answered: Decided | Refusal | FreezeChange) -> str:
    return answered.why if isinstance(answered, Refusal) else "ok"


async def ask(world: World) -> None:
    """Somebody asks for something, for the first time or once more."""
    choose = world.choose
    key, who = choose.one("abcdefgh"), choose.one(REQUESTERS)
    where = surface(channel=choose.one(("C1", "C2"))) if choose.chance(50) else None
    wants = {"loaded": choose.chance(70), "surface": where, "requester": PEOPLE[who], "policy": world.rules.pinned}
    limits = Limits(steps=choose.one((5, 60, 60)), wall_clock_ms=20 * DAY_MS, asks=choose.one((1, 4)))
    request = a_request(source_key=f"test:{key}", text=choose.one(("this", "that")), limits=limits, **wants)
    run_id = world.ids.run()
    done = await world.commit(accept(request, run_id=run_id, salt=SALT, now_ms=world.now_ms))
    is_new = world.model.asks(key, run_id)
    world.expect(Landed(0) if is_new else Refused("duplicate"), done, f"a request with the key {key}")
    if not is_new:
        refusal = repeated(request, world.stored(world.model.keys[key]))
        world.reached["rule-duplicate"] += 1
        if refusal is not None:
            world.reached[f"refusal-{refusal.why}"] += 1
        return
    tools = [choose.one(_MENU) for _ in range(choose.one((1, 2, 3)))]
    acts = tuple(Act(f"s{n}", tool, _args(tool, n), f"Step {n}") for n, tool in enumerate(tools))
    world.scripts[run_id] = Script(acts, choose.chance(50))
    world.say(f"{who} asks for {run_id[-4:]}: {', '.join(tools)}")


def _args(tool: str, number: int) -> dict[str, Any]:
    return {"question": "Which one?", "choices": ["this", "that"]} if tool == "ask" else {"n": number}


async def load(world: World) -> None:
    """The bot has read what a run needs, or could not, or never will."""
    found = world.every("SELECT id FROM runs WHERE state = 'created'")
    if not found:
        return
    run = world.stored(world.choose.one(found))
    if world.choose.chance(15):
        change = unloadable(run, "It is not a table.", world.now_ms)
    else:
        needed = "Attach it again." if world.choose.chance(15) else None
        change = loaded(run, inputs={}, artifacts=(), unread={}, needed=needed, now_ms=world.now_ms)
    world.expect(Landed(run.run.version + 1), await world.commit(change), "a change of a run nobody else may touch")


async def vote(world: World) -> None:
    """Somebody clicks approve or deny, on a card that may be old."""
    if (question := _one_of(world, "SELECT id FROM approvals")) is not None:
        await cast(world, question, _anybody(world), yes=world.choose.chance(80))


async def vote_on_an_open_one(world: World) -> None:
    """The same, by somebody who probably may, on what probably waits."""
    waiting = world.every("SELECT id FROM approvals WHERE status IN ('pending', 'approved')")
    if waiting:
        who = world.choose.one(("alex", "ben", "cat"))
        await cast(world, world.choose.one(waiting), who, yes=world.choose.chance(85))


async def cast(world: World, question: str, who: str, *, yes: bool) -> None:
    """One click, and what the model says of it."""
    call = world.database.look.execute(
        "SELECT c.envelope, c.action_digest FROM approvals a JOIN tool_calls c ON c.id = a.call_id WHERE a.id = ?",
        (question,),
    ).fetchone()
    card_ok = not world.choose.chance(4)
    seen = "sha256:other" if call is None or world.choose.chance(3) else box(call["envelope"], {}).digest
    action = "sha256:" + "0" * 16 if call is None or not card_ok else call["action_digest"]
    ballot = Ballot(question, "approve" if yes else "deny", world.person(who), action, seen, world.now_ms)
    freezes = world.freezes()
    count = partial(
        decide, ballot=ballot, policy_digest=world.rules.pinned.digest, now_ms=world.now_ms, freezes=freezes
    )
    expected = world.model.vote(question, who, yes, card_ok, world.now_ms)
    done = await world.command(Target(approval_id=question), count)
    told = done.why if isinstance(done, Refusal) else _word(done.text)
    world.expect(expected, told, f"the vote of {who} on {question}")
    world.reached[f"vote-{told}"] += 1
    world.say(f"{who} votes {'yes' if yes else 'no'} on {question[-4:]}: {told}")


def _word(text: str) -> str:
    words = {"Approved": "approved", "Denied": "denied", "Your approval": "counts", "The policy": "anew"}
    return next(word for start, word in words.items() if text.startswith(start))


async def take_a_vote_back(world: World) -> None:
    """Somebody takes their vote back, or one they never gave."""
    voted = "SELECT approval_id FROM votes WHERE decision = 'approve'"
    question = _one_of(world, voted if world.choose.chance(70) else "SELECT id FROM approvals")
    if question is None:
        return
    who = world.choose.one(("alex", "ben", "cat", "ana"))
    expected = world.model.take_back(question, who)
    by = world.person(who)
    done = await world.command(
        Target(approval_id=question), partial(take_back, approval_id=question, by=by, now_ms=world.now_ms)
    )
    world.expect(expected, _told(done), f"{who} takes back a vote on {question}")
    world.reached[f"take-back-{expected}"] += 1
    world.say(f"{who} takes back on {question[-4:]}: {expected}")


async def stop(world: World) -> None:
    """Somebody stops a run."""
    run_id, who = _one_of(world, "SELECT id FROM runs"), _anybody(world)
    if run_id is None:
        return
    policy = world.rules.policy
    expected = world.model.stop(run_id, who)
    stopping = partial(kill, run_id=run_id, by=world.person(who), reason="enough", now_ms=world.now_ms, policy=policy)
    done = await world.command(Target(run_id=run_id), stopping)
    world.expect(expected, _told(done), f"{who} stops {run_id}")
    world.say(f"{who} stops {run_id[-4:]}: {expected}")


async def freeze(world: World) -> None:
    """An operator, or somebody who would like to be one, freezes something."""
    what, who = _what(world), world.choose.one(("omar", "omar", "omar", "ana", "gus"))
    expected = world.model.freeze(_plain(what), who)
    by, now_ms = world.person(who), world.now_ms
    done = await freezing.freeze(world.database, TENANT, what, by=by, reason="", ids=world.ids, now_ms=now_ms)
    world.expect(expected, _told(done), f"{who} freezes {what.name}")
    world.say(f"{who} freezes {what.name}: {expected}")
    if isinstance(done, Refusal):
        world.reached[f"refusal-{done.why}"] += 1
    elif world.choose.chance(60):
        await freezing.spread(world.database, Bell(), now_ms=now_ms)


async def thaw(world: World) -> None:
    """An operator thaws something; mostly something frozen."""
    frozen = world.freezes()
    what = world.choose.one([each.what for each in frozen]) if frozen and world.choose.chance(90) else _what(world)
    who = world.choose.one(("omar", "omar", "omar", "mia"))
    expected = world.model.thaw(_plain(what), who)
    now_ms = world.now_ms
    done = await freezing.thaw(world.database, Bell(), TENANT, what, by=world.person(who), reason="", now_ms=now_ms)
    world.expect(expected, _told(done), f"{who} thaws {what.name}")
    world.say(f"{who} thaws {what.name}: {expected}")
    if isinstance(done, Refusal):
        world.reached[f"refusal-{done.why}"] += 1
    elif world.choose.chance(60):
        await freezing.spread(world.database, Bell(), now_ms=now_ms)


def _what(world: World) -> Frozen:
    runs = world.every("SELECT id FROM runs")
    some = [Frozen(Scope.TOOL, tool) for tool in ("note", "push", "pay")]
    some += [Frozen(Scope.EVERYTHING), Frozen(Scope.CHANNEL, "C1")]
    some += [Frozen(Scope.RUN, world.choose.one(runs))] if runs else []
    return world.choose.one(some)


def _plain(what: Frozen) -> str:
    return what.id if what.scope is Scope.CHANNEL else what.name


async def change_policy(world: World) -> None:
    """The operator changes the policy."""
    world.policy = world.model.policy = world.choose.one(tuple(POLICIES))
    world.say(f"the policy is {world.policy}")


async def stand(world: World) -> None:
    """Somebody becomes an approver, or is none any more."""
    approved = "SELECT v.voter FROM votes v JOIN approvals a ON a.id = v.approval_id WHERE a.status = 'approved'"
    voters = world.every(approved)
    world.approvers ^= {world.choose.one(voters or ("alex", "ben", "cat", "mia"))}
    world.model.approvers = set(world.approvers)
    world.say(f"approvers are {sorted(world.approvers)}")


async def answer_a_question(world: World, who: str | None = None) -> None:
    """Somebody answers what a run asks."""
    call_id, who = _one_of(world, "SELECT id FROM tool_calls WHERE tool = 'ask'"), who or _anybody(world)
    if call_id is None:
        return
    given = {"answer": world.choose.one(("this", "this", "neither"))}
    target, by = Target(run_id=_run_of(world, call_id)), world.person(who)
    done = await world.command(target, partial(answer, call_id=call_id, by=by, given=given, now_ms=world.now_ms))
    if isinstance(done, Decided):
        world.reached["rule-answered"] += 1


def _run_of(world: World, call_id: str) -> str:
    found = world.every("SELECT run_id FROM tool_calls WHERE id = ?", call_id)
    return found[0] if found else NOBODY


async def settle(world: World) -> None:
    """Somebody says of a call that it ran, or that it did not."""
    unsure = "SELECT id FROM tool_calls WHERE status = 'unknown'"
    call_id = _one_of(world, unsure if world.choose.chance(90) else "SELECT id FROM tool_calls")
    if call_id is not None:
        await settled(world, call_id, _anybody(world))


async def settled(world: World, call_id: str, who: str) -> None:
    """One word about one call: the truth, for people look before they speak."""
    if any(request.call == call_id for _, request in world.outside.flying):
        return  # Whoever looks now would see something else a moment later; people wait.
    run_id, ran, by = _run_of(world, call_id), bool(world.outside.of(call_id)), world.person(who)
    expected = world.model.settle(call_id, who, ran)
    done = await world.command(
        Target(run_id=run_id), partial(resolve, run_id=run_id, call_id=call_id, by=by, ran=ran, now_ms=world.now_ms)
    )
    world.expect(expected, _told(done), f"{who} says of {call_id} that it {'ran' if ran else 'did not run'}")
    world.reached[f"settle-{expected}-{'ran' if ran else 'not'}"] += 1
    world.say(f"{who} says that {call_id[-4:]} {'ran' if ran else 'did not run'}: {expected}")


async def again(world: World) -> None:
    """Somebody lets a blocked run ask again."""
    blocked = "SELECT id FROM runs WHERE state = 'blocked'"
    run_id = _one_of(world, blocked if world.choose.chance(90) else "SELECT id FROM runs")
    if run_id is None:
        return
    by = world.person(_anybody(world))
    done = await world.command(Target(run_id=run_id), partial(ask_again, run_id=run_id, by=by, now_ms=world.now_ms))
    if isinstance(done, Decided):
        world.reached["rule-again"] += 1


async def undo(world: World) -> None:
    """Somebody has an ended run rolled back."""
    run_id = _one_of(world, "SELECT id FROM runs WHERE ended_at IS NOT NULL")
    if run_id is not None:
        await undone(world, run_id, _anybody(world))


async def undone(world: World, run_id: str, who: str) -> None:
    """A run of its own takes back what can be."""
    child_id, by, policy = world.ids.run(), world.person(who), world.rules.policy
    asked = Asked(run_id, by, "", policy, Limits(steps=20, wall_clock_ms=20 * DAY_MS, asks=2), UNDOINGS)
    done = await world.command(
        Target(run_id=run_id), partial(roll_back, asked=asked, child_id=child_id, salt=SALT, now_ms=world.now_ms)
    )
    if isinstance(done, Refusal):
        return
    of = world.stored(child_id).run.inputs["undoes"]
    world.scripts[child_id] = Script(tuple(Act(step, "push.undo", {"of": call}, step) for step, call in of.items()))
    world.reached["rule-undone"] += 1
    world.say(f"{who} rolls {run_id[-4:]} back by {child_id[-4:]}")


# People of good will


async def thaw_everything(world: World) -> None:
    """An operator lets everything go on."""
    for each in world.freezes():
        world.expect("ok", world.model.thaw(_plain(each.what), "omar"), f"omar thaws {each.what.name}")
        now_ms = world.now_ms
        await freezing.thaw(world.database, Bell(), TENANT, each.what, by=PEOPLE["omar"], reason="", now_ms=now_ms)


async def answer_everything(world: World) -> None:
    """Everybody who may approves what waits; the operator answers, settles, lets ask again and rolls back."""
    for question in world.every("SELECT id FROM approvals WHERE status = 'pending'"):
        for who in sorted(world.approvers):
            await cast(world, question, who, yes=True)
    await answer_a_question(world, "omar")
    for call_id in world.every("SELECT id FROM tool_calls WHERE status = 'unknown'"):
        await settled(world, call_id, "omar")
    for run_id in world.every("SELECT id FROM runs WHERE state = 'blocked'"):
        by = PEOPLE["omar"]
        await world.command(Target(run_id=run_id), partial(ask_again, run_id=run_id, by=by, now_ms=world.now_ms))
    for run_id in world.every("SELECT id FROM runs WHERE ended_at IS NOT NULL"):
        await undone(world, run_id, "omar")


# Time, and what nobody in particular does


async def wait(world: World) -> None:
    """Time passes; what was under way outside arrives."""
    ms = world.choose.one((100, 3_000, 11_000, 2 * MINUTE_MS, 16 * MINUTE_MS, 70 * MINUTE_MS))
    tried = (
        "SELECT id FROM tool_calls WHERE recovery = 'idempotent' AND attempts > 0 AND status IN ('intent', 'started')"
    )
    if world.every(tried) and world.choose.chance(30):
        ms = KEY_LIFE_MS  # Longer than the other side remembers what was tried.
    await passes(world, ms)


async def passes(world: World, ms: int) -> None:
    """Let so much true time pass."""
    world.clock.advance(ms)
    if world.outside.land(world.clock.boot_ms()):
        world.reached["rule-late-effect"] += 1
        world.say("something arrives late")


async def jump(world: World) -> None:
    """The wall clock is set right or wrong, by up to ten minutes.

    Not while a call waits for its probe: a clock that is set forward then makes what is under way look settled, which
    is a limit of the product and said in its documents.
    """
    if world.every("SELECT id FROM tool_calls WHERE status = 'started' AND recovery = 'reconcilable'"):
        return
    wrong_ms = world.choose.one((-10, -1, 0, 1, 10)) * MINUTE_MS
    world.clock.jump_wall(wrong_ms - world.offset_ms)
    world.offset_ms = wrong_ms
    world.say(f"the clock is {wrong_ms} ms off")


async def sweep(world: World) -> None:
    """A pass of the sweeper: freezes first, then what is overdue, then rollbacks that have ended."""
    database, now_ms = world.database, world.now_ms
    await freezing.spread(database, Bell(), now_ms=now_ms, whole=True)
    world.model.look(world.seen())
    for _, question in await approvals.overdue(database, now_ms=now_ms, limit=50):
        done = await world.command(Target(approval_id=question), partial(expire, approval_id=question, now_ms=now_ms))
        world.reached["rule-expired"] += isinstance(done, Decided)
    await rollbacks.close_all(database, Bell(), now_ms=now_ms, limit=50)


async def report(world: World, worker: str | None = None) -> None:
    """The reaper of a host looks at a stopped run: it ends what it finds, mostly at once."""
    stopped = world.every("SELECT id FROM runs WHERE killed_at IS NOT NULL")
    if not stopped:
        return
    run_id, name = world.choose.one(stopped), worker or world.choose.one(WORKERS)
    await reported(world, run_id, name, stubborn=world.choose.chance(20))


async def reported(world: World, run_id: str, worker: str, *, stubborn: bool) -> None:
    """One report about one run."""
    alive = [each for each in world.slices[worker] if each.run.run.id == run_id and each.doing is not None]
    for each in [] if stubborn else alive:
        # Its process is gone; the worker hears that it ended, and keeps that as what it found out.
        each.sent, each.heard = True, each.heard or "unknown"
    found = HostReport(f"host-{worker}", "boot-1", 0 if stubborn else len(alive), len(alive) if stubborn else 0, "r")
    before = world.stored(run_id)
    done = await world.command(
        Target(run_id=run_id), partial(confirm, run_id=run_id, report=found, now_ms=world.now_ms)
    )
    after = world.stored(run_id)
    if before.run.stop_confirmed_at not in (None, after.run.stop_confirmed_at):
        raise Broken(f"step {world.step}: a stop was confirmed twice")
    if after.run.stop_confirmed_at is not None and any(call.status == "started" for call in after.calls):
        raise Broken(f"step {world.step}: the stop of {run_id} is confirmed, and a call of it is under way")
    if isinstance(done, Decided):
        world.reached["rule-reported"] += 1
