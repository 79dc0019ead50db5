"""What must be true of any history, in its own and simpler words: nothing here comes from the code it judges.

The model hears what people did and what they were told, and sees after every step what is stored and what has happened
outside. It knows nothing of leases, versions or statements.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.simulation.seen import Asked, Call, Seen

ENDED = ("completed", "failed", "canceled", "rolled-back")


@dataclass
class Model:
    """Judges one history."""

    policies: Mapping[str, Mapping[str, int | None]]
    policy: str
    approvers: set[str]
    operators: frozenset[str]
    guests: frozenset[str]
    keys: dict[str, str] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    killed: dict[str, int] = field(default_factory=dict)
    """Run to the step in which it was stopped."""
    votes: dict[str, set[str]] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    reopened: set[str] = field(default_factory=set)
    """Questions that had enough votes once, until somebody took one back."""
    disowned: set[tuple[str, str]] = field(default_factory=set)
    """Run and step of calls somebody said did not run."""
    started_by: dict[str, str] = field(default_factory=dict)
    """Question to the policy the start that used it was decided by."""
    before: Seen = field(default_factory=lambda: Seen(0, 0, {}, {}, {}, ()))
    wrong: list[str] = field(default_factory=list)

    # What people may do, and what they must be told

    def asks(self, key: str, run: str) -> bool:
        """Whether a request makes a run: one per key."""
        return self.keys.setdefault(key, run) == run

    def vote(self, question: str, who: str, yes: bool, card_ok: bool, now_ms: int) -> str:
        """What becomes of a click: `counts`, `approved`, `denied`, `anew`, or why it is refused."""
        asked = self.before.asked.get(question)
        if asked is None:
            return "not-found"
        run = self.before.runs[asked.run]
        if not card_ok:
            return "invalid"
        if who in self.guests or who not in self.approvers or who == run.requester:
            return "not-allowed"
        if asked.run in self.killed:
            return "ended"
        mine, status = self.votes.setdefault(question, set()), self.status[question]
        if status != "pending" and (yes or status != "approved"):
            return "already" if status in ("approved", "consumed", "denied") else "ended"
        if status == "pending" and not asked.parked and now_ms >= asked.ends_ms:
            return "ended"
        if yes and who in mine:
            return "already"
        if yes and (asked.parked or self._covered(asked.run, self.before.calls[asked.call].tool, self.before)):
            return "frozen"
        if asked.policy != self.policy:
            self.status[question] = "superseded"
            return "anew"
        if not yes:
            mine.discard(who)
            self.status[question] = "denied"
            return "denied"
        mine.add(who)
        if len(mine) < asked.quorum:
            return "counts"
        self.status[question] = "approved"
        return "approved"

    def take_back(self, question: str, who: str) -> str:
        """`ok`, or why not."""
        if question not in self.status:
            return "not-found"
        mine, status = self.votes.setdefault(question, set()), self.status[question]
        if who not in mine:
            return "invalid"
        if status not in ("pending", "approved"):
            return "already" if status in ("consumed", "denied") else "ended"
        mine.discard(who)
        if len(mine) < self.before.asked[question].quorum:
            self.status[question] = "pending"
            self.reopened.add(question)
        return "ok"

    def stop(self, run: str, who: str) -> str:
        """`ok`, or why not; everything below stops with it."""
        if run not in self.before.runs:
            return "not-found"
        allowed = who in self.operators or who in self.approvers or who == self.before.runs[run].requester
        if who in self.guests or not allowed:
            return "not-allowed"
        below = [each for each in self._below(run) if self.before.runs[each].state not in ENDED]
        self.killed |= dict.fromkeys(below, self.before.step + 1)
        return "ok" if below else "ended"

    def freeze(self, what: str, who: str) -> str:
        """`ok`, or why not."""
        if who not in self.operators:
            return "not-allowed"
        if what in self.frozen:
            return "already"
        self.frozen.add(what)
        return "ok"

    def thaw(self, what: str, who: str) -> str:
        """`ok`, or why not."""
        if who not in self.operators:
            return "not-allowed"
        if what not in self.frozen:
            return "ended"
        self.frozen.discard(what)
        return "ok"

    def settle(self, call: str, who: str, ran: bool) -> str:
        """Saying what became of a call: `ok`, or why not."""
        seen = self.before.calls.get(call)
        if seen is None:
            return "not-found"
        run = self.before.runs[seen.run]
        if who in self.guests or (who != run.requester and who not in self.operators):
            return "not-allowed"
        if seen.status != "unknown" or run.state not in (*ENDED, "blocked"):
            return "already"
        if not ran:
            self.disowned.add((seen.run, seen.step))
        return "ok"

    # What must be so after every step

    def look(self, now: Seen) -> None:
        """Compare what there is with what there was and with what may have happened since."""
        was, self.before = self.before, now
        self.wrong += [f"step {now.step}: {line}" for line in self._lines(was, now)]

    def _lines(self, was: Seen, now: Seen) -> Iterator[str]:
        for name, run in now.runs.items():
            old = was.runs.get(name)
            if old is not None and old.state in ENDED and run.state not in (old.state, "rolled-back"):
                yield f"{name} had ended as {old.state} and is {run.state}"
            if old is not None and run.fence - old.fence < (name in self.killed and old.state not in ENDED):
                yield f"{name} went from fence {old.fence} to {run.fence}"
            if name in self.killed and run.state not in ("canceled", "rolled-back"):
                yield f"{name} was stopped and is {run.state}"
        for name, call in now.calls.items():
            tries = was.calls[name].attempts if name in was.calls else 0
            yield from (f"{name} ({call.tool}): {line}" for line in self._call(call, call.attempts > tries, now, was))
            yield from (f"{name} ({call.tool}): {line}" for line in self._outside(name, call, now))
        for name, asked in now.asked.items():
            yield from (f"{name}: {line}" for line in self._question(name, asked, was.asked.get(name), now))
        for effect in now.effects[len(was.effects) :]:
            if effect.looked_at > self.killed.get(effect.run, effect.looked_at):
                yield f"{effect.call} was sent after its run was stopped"

    def _call(self, call: Call, starts: bool, now: Seen, was: Seen) -> Iterator[str]:
        if not starts:
            return
        if call.run in self.killed:
            yield "started after a stop"
        if self._covered(call.run, call.tool, now):
            yield "started under a freeze"
        wants = self.policies[call.policy][call.tool]
        if wants is None or (call.question is None and wants != 0 and call.acts):
            yield f"started unasked under the policy {call.policy}"
        if call.question is not None and now.asked[call.question].status != "consumed":
            yield f"started on a question that is {now.asked[call.question].status}"

    def _outside(self, name: str, call: Call, now: Seen) -> Iterator[str]:
        happened = sum(effect.call == name for effect in now.effects)
        if happened > 1:
            yield f"has happened {happened} times"
        if happened and not call.attempts:
            yield "has happened and never started"
        if call.acts and call.status == "succeeded" and not happened and (not call.by_word or call.by_machine):
            yield "is said to have succeeded and has not happened"
        if happened and call.status in ("failed", "canceled") and (not call.by_word or call.by_machine):
            yield f"is said to be {call.status} and has happened"

    def _question(self, name: str, asked: Asked, old: Asked | None, now: Seen) -> Iterator[str]:
        call = now.calls[asked.call]
        if old is None:
            self.status[name] = "pending"
            same = [now.calls[q.call] for other, q in now.asked.items() if other != name and q.status == "denied"]
            again = any((each.run, each.step, each.what) == (call.run, call.step, call.what) for each in same)
            if again and (call.run, call.step) not in self.disowned:
                yield "asks for what was denied"
            wants = self.policies[asked.policy][call.tool]
            if asked.quorum != (wants or 1) or wants is None:
                yield f"needs {asked.quorum} votes under the policy {asked.policy}"
            if self._covered(asked.run, call.tool, now):
                yield "was asked under a freeze"
        mine, votes = self.status[name], self.votes.setdefault(name, set())
        if asked.votes != votes:
            yield f"counts {sorted(asked.votes)}, and {sorted(votes)} agree"
        if asked.status == mine:
            return
        over = now.now_ms >= (asked.ends_ms if mine == "pending" else asked.use_by_ms or 0)
        match mine, asked.status:
            case "approved", "consumed":
                good = {who for who in votes if who in self.approvers and who != now.runs[asked.run].requester}
                if len(good) < asked.quorum:
                    yield f"was used with the votes of {sorted(good)}"
                if over:
                    yield "was used after its time"
                if self.started_by.get(name) != asked.policy:
                    yield f"was asked under {asked.policy} and used under {self.started_by.get(name)}"
            case (("pending" | "approved"), "expired") if over and not (old and old.parked):
                pass
            case (("pending" | "approved"), "revoked") if now.runs[asked.run].state in ENDED:
                pass
            case "approved", "superseded":
                pass
            case "pending", "superseded" if name in self.reopened:
                # Whoever was about to start it asks anew instead.
                pass
            case _:
                yield f"was {mine} and is {asked.status}"
        self.status[name] = asked.status

    def _below(self, run: str) -> list[str]:
        return [name for name, each in self.before.runs.items() if run in (name, each.parent)]

    def _covered(self, run: str, tool: str, seen: Seen) -> bool:
        each = seen.runs[run]
        return bool(self.frozen & {"everything", f"run:{run}", f"run:{each.parent}", f"tool:{tool}", each.channel})
