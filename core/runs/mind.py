"""How a slice thinks: what a model has answered so far is read back, the next turn is reserved, asked and kept.

Only answers that are durable count. What a model says passes the redactor before anything is made of it, and what it
asks for is checked against the agent's own tools. Whether and when to think is the planner's word; what a turn means
for the rows is `turns`.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from core.artifacts import ObjectStore
from core.budgets import Price, settled
from core.config.language import KEYS
from core.crashpoints import crashpoint
from core.deltas import Speaker
from core.errors import ArtifactCorrupt, RetryableError, TerminalError
from core.ids import Ids
from core.planners.agent import WAIT_SPEC, Talk, delegate_spec, prompt_of, summary_prompt, turns_left, wrap_up_text
from core.planners.agents import AgentSpec, ModelSpec, read_agent
from core.planners.base import Act, PlanRequest, Turn
from core.planners.dialogue import MAX_ANSWER_BYTES, Answer, Prompt, ToolSpec, spelled
from core.planners.prices import price_of
from core.planners.thinking import LanguageModel, ModelFailed, usable
from core.planners.waiting import DELEGATE
from core.record.changes import RunChange
from core.record.rows import Snapshot, TurnRow
from core.record.states import BlockedReason
from core.runs import allowance, material, replies, stalls, turns
from core.runs.retries import Retries
from core.runs.stamps import Stamp
from core.runs.stored import Stored
from core.runs.toolbox import Toolbox
from core.runs.turns import Asked, Caps, Failed
from core.secrets import MissingSecret, Redactor, SecretRef, SecretSource
from core.tools.registry import definition

log = logging.getLogger(__name__)

KIND = "agent"
"""The kind of document a run that thinks has pinned."""

_LONG_PAUSE_MS = 30_000
_MAX_RETRY_AFTER_S = 600.0
_ROOM = 3 * MAX_ANSWER_BYTES
"""A stored answer holds it in our words and in the vendor's."""
_FULL = 0.6
"""Share of a model's window at which older turns are summed up: the summary has to fit as well."""
_BYTES_PER_TOKEN = 3
"""Fewer than most texts have: it is better to sum up early than to be refused."""
_KEEPING = ("files.write", "artifact")
"""What a run that is to finish keeps its results with."""
_ANY_CALL = Act("", "", {}, "")


@dataclass(frozen=True)
class Mind:
    """What a worker thinks with."""

    model: LanguageModel
    secrets: SecretSource
    secret_refs: Callable[[], Mapping[str, SecretRef]]
    caps: Callable[[], Caps]
    """What may be spent beside what a run may, as it holds now."""
    used: Callable[[str, Collection[str]], Awaitable[Mapping[str, int]]]
    """What is used of a tenant's budgets, by id."""
    objects: ObjectStore
    redactor: Redactor
    retries: Retries
    ids: Ids
    speaker: Speaker
    """Tells what a model writes while it does."""

    def key_of(self, spec: ModelSpec) -> str | None:
        """The vendor's key, if it takes one.

        Raises:
            MissingSecret: it is not there; the sentence names the variable to set.
        """
        if spec.secret is not None:
            ref = self.secret_refs().get(spec.secret)
            if ref is None:
                raise MissingSecret(f"There is no secret `{spec.secret}` any more. Add it under `secrets`.")
            return self.secrets.resolve(ref).get_secret_value()
        variable = KEYS.get(spec.provider)
        if variable is None:
            return None
        try:
            return self.secrets.resolve(SecretRef(variable, "env", variable)).get_secret_value()
        except MissingSecret:
            raise MissingSecret(
                f"`{spec.label}` needs a key, and there is none here. Set {variable} in the environment of the worker."
            ) from None


@dataclass(frozen=True)
class _Thought:
    """What came of a turn, not written down yet."""

    turn: TurnRow
    answer: Answer | None
    stored: Stored | None
    cost: int
    failure: Failed | None = None
    pause_ms: int = 0


@dataclass
class Thinker:
    """The thinking of one slice."""

    mind: Mind
    document: str
    thought: _Thought | None = None
    """What came of the last turn, until that is durable."""
    recalled: bool = False
    """Whether the earlier answers were read back."""
    _answers: dict[int, Answer] = field(default_factory=dict)
    _context: str = ""
    _prompt: tuple[Prompt, ModelSpec] | None = None
    """What the reserved turn asks."""
    _used: Mapping[str, int] = field(default_factory=dict)
    """Of the budgets that the last turn counts against, as it was when its answer came."""

    @property
    def agent(self) -> AgentSpec:
        return read_agent(self.document)

    def answers(self, snapshot: Snapshot) -> tuple[Answer, ...]:
        """Every answer that counts, in order."""
        return tuple(
            self._answers[turn.n] for turn in snapshot.turns if turn.status == "answered" and turn.covers is None
        )

    def _summary(self, snapshot: Snapshot) -> tuple[int, str] | None:
        """The last summary, and for how many answers it stands."""
        for turn in reversed(snapshot.turns):
            if turn.status == "answered" and turn.covers is not None:
                return turn.covers, self._answers[turn.n].text
        return None

    @property
    def context(self) -> str:
        """What was said in the thread before the request, and its links."""
        return self._context

    async def recall(self, snapshot: Snapshot) -> None:
        """Read the earlier answers and the thread back.

        Raises:
            ArtifactCorrupt: one of them is damaged.
            RetryableError: the store does not answer right now.
        """
        for turn in snapshot.turns:
            if turn.status == "answered" and turn.n not in self._answers:
                assert turn.answer_sha256 is not None
                data = await self.mind.objects.read(turn.answer_sha256, _ROOM)
                try:
                    self._answers[turn.n] = Answer.from_bytes(data)
                except (ValueError, KeyError, TypeError) as error:
                    what = "cannot be read by this version"
                    raise ArtifactCorrupt(str(error), sha256=turn.answer_sha256, what=what) from error
        self._context = await material.read(snapshot, self.mind.objects)
        for spec in self.agent.models:
            await asyncio.to_thread(price_of, spec)  # looking prices up for the first time takes a while
        self.recalled = True

    def reserve(
        self, snapshot: Snapshot, turn: Turn, request: PlanRequest, toolbox: Toolbox, stamp: Stamp
    ) -> tuple[RunChange, Asked | None]:
        """The change that reserves the next turn, or the one that says why there is none.

        Raises:
            MissingSecret: the model's key is not there.
        """
        spec = turns.next_model(snapshot, self.agent)
        if spec is None:
            return turns.out_of_models(snapshot, "None of its models answers.", stamp), None
        price = price_of(spec)
        if price is None:
            return turns.unaffordable(snapshot, spec, stamp), None
        self.mind.key_of(spec)
        found, remembered = stalls.look(snapshot), None
        if found is not None and found.again and not replies.ids_given(snapshot):
            return turns.stalled(snapshot, found, stamp), None
        if found is not None:
            remembered = stalls.noted(snapshot, found, answers=len(request.answers))
            snapshot = snapshot.with_run({"stalls_json": remembered})
        summary, covers = self._summary(snapshot), None
        left = turns_left(request)
        tools = _tools(self.agent, toolbox, few=left is not None)
        if left is not None and (left <= 1 or allowance.over(snapshot, _ANY_CALL, stamp.now_ms) is not None):
            tools, left = (), 1
        closing = "" if left is None else wrap_up_text(request, left)
        talk = Talk(tools, stalls.notes(snapshot), summary, closing)
        prompt = prompt_of(request, talk)
        body = prompt.to_bytes()
        if _tokens(body) > spec.window * _FULL:
            if len(request.answers) - (summary[0] if summary else 0) > 1:
                prompt, covers = summary_prompt(request, talk), len(request.answers) - 1
                body = prompt.to_bytes()
            if _tokens(body) + spec.max_output > spec.window:
                return turns.too_long(snapshot, spec, stamp), None
        tokens = len(body) + spec.max_output
        if (over := allowance.over(snapshot, turn.move, stamp.now_ms, tokens=tokens)) is not None:
            return turns.used_up(snapshot, over, stamp, tokens=tokens), None
        reserved = price.at_most(len(body), spec.max_output)
        asked = Asked(spec, hashlib.sha256(body).hexdigest(), reserved, tokens)
        self._prompt = prompt, spec
        change = turns.ask(snapshot, turn.plan, asked, self.mind.caps(), stamp, stalls=remembered, covers=covers)
        return change, asked

    async def think(self, snapshot: Snapshot, turn: TurnRow, kill: asyncio.Event, *, boot_ms: int) -> None:
        """Ask, and keep what came of it in `thought`; nothing if the run was stopped meanwhile."""
        assert self._prompt is not None
        prompt, spec = self._prompt
        position = len(self.answers(snapshot))
        crashpoint("CP07")
        task = asyncio.create_task(self._asked(prompt, spec, turn, position))
        stopped = asyncio.create_task(kill.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not task.done():
                task.cancel()
        if task.cancelled() or not task.done():
            await asyncio.gather(task, return_exceptions=True)
            return
        thought = task.result()
        ok = thought.failure is None
        self.mind.retries.record(_name(spec), ok=ok, now_ms=boot_ms)
        if thought.failure is not None and thought.failure.again:
            after = thought.failure.retry_after_ms
            delay = self.mind.retries.delay_ms(
                _name(spec),
                attempt=snapshot.run.retries + 1,
                retry_after_s=None if after is None else after / 1000,
                now_ms=boot_ms,
            )
            pause = _LONG_PAUSE_MS if delay is None else delay
            thought = _Thought(turn, None, None, thought.cost, thought.failure, pause)
        self.thought = thought
        ids = [hold.budget_id for hold in turns.holds(snapshot.run, Caps(), 0, turn.started_at)]
        self._used = await self.mind.used(turn.tenant, ids)
        crashpoint("CP08")

    async def _asked(self, prompt: Prompt, spec: ModelSpec, turn: TurnRow, position: int) -> _Thought:
        price, reserved = price_of(spec), turn.reserved_micro_usd
        assert price is not None
        try:
            answer = await self._told(prompt, spec, turn, position)
        except ModelFailed as error:
            return self._failed(turn, error, reserved)
        except TerminalError as error:
            return self._failed(turn, ModelFailed(error.user_text, billed=False, again=False), reserved)
        cost = _cost(answer, price, reserved)
        if spec.version is not None and answer.model != spec.version:
            why = f"`{answer.model}` answered where `{spec.version}` was asked for, so its answer is not used"
            return _Thought(turn, None, None, cost, Failed(why, False, cost, None, answer.model))
        if turn.covers is not None and not answer.text.strip():
            why = f"`{spec.label}` did not sum up what no longer fits its window"
            return _Thought(turn, None, None, cost, Failed(why, True, cost, None, answer.model))
        body = self.mind.redactor.redact_json(json.loads(answer.to_bytes()))
        data = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        if len(data) > _ROOM:
            why = f"`{spec.label}` answered with {len(data):,} bytes, which is more than anybody reads"
            return _Thought(turn, None, None, cost, Failed(why, True, cost, None, answer.model))
        answer = usable(Answer.from_bytes(data), {tool.tool for tool in prompt.tools})
        data = answer.to_bytes()
        try:
            kept = await self.mind.objects.put(_once(data), cap_bytes=len(data))
        except RetryableError as error:
            # It was paid for, and there is no room for it: no fault of the model, and no reason to ask another.
            why = f"`{spec.label}` has answered, and that could not be kept: {error.user_text.rstrip('.')}"
            parked = BlockedReason.DEPENDENCY_DOWN
            return _Thought(turn, None, None, cost, Failed(why, False, cost, None, answer.model, parked))
        name = f"{'answer' if turn.covers is None else 'summary'}-{turn.n}.json"
        stored = Stored(self.mind.ids.artifact(), name, kept.sha256, kept.size, "application/json")
        return _Thought(turn, answer, stored, cost)

    async def _told(self, prompt: Prompt, spec: ModelSpec, turn: TurnRow, position: int) -> Answer:
        """Ask, and let people read along; a summary is nothing for them."""
        key = self.mind.key_of(spec)
        speech = self.mind.speaker.begin(turn.tenant, turn.run_id, turn.n) if turn.covers is None else None
        on_text = _nobody if speech is None else speech.add
        try:
            return await self.mind.model.answer(spec, prompt, n=turn.n, position=position, key=key, on_text=on_text)
        finally:
            if speech is not None:
                speech.end()

    def _failed(self, turn: TurnRow, error: ModelFailed, reserved: int) -> _Thought:
        log.warning("a model failed: %s", error, extra={"action": "model_failed", "run": turn.run_id, "turn": turn.n})
        cost = reserved if error.billed else 0
        after_s = error.retry_after_s
        again = error.again and (after_s is None or after_s <= _MAX_RETRY_AFTER_S)
        why = self.mind.redactor.redact_text(error.user_text)
        failure = Failed(why, again, cost, None if after_s is None else int(after_s * 1000))
        return _Thought(turn, None, None, cost, failure)

    def over_budget(self, snapshot: Snapshot, asked: Asked, budget_id: str, stamp: Stamp) -> RunChange:
        """The change that parks a run for which one of its budgets has too little left."""
        return turns.over_budget(snapshot, asked, budget_id, self.mind.caps(), stamp)

    def ended(self, snapshot: Snapshot, stamp: Stamp) -> RunChange:
        """The change that writes `thought` down."""
        thought = self.thought
        assert thought is not None
        if thought.failure is not None:
            due_at = stamp.now_ms + thought.pause_ms
            failure, caps = thought.failure, self.mind.caps()
            return turns.failed(snapshot, thought.turn, failure, self.agent, caps, due_at, stamp, used=self._used)
        assert thought.answer is not None and thought.stored is not None
        self._answers[thought.turn.n] = thought.answer
        return turns.answered(
            snapshot,
            thought.turn,
            thought.answer,
            thought.stored,
            thought.cost,
            self.mind.caps(),
            stamp,
            used=self._used,
        )


def _nobody(text: str) -> None:
    return None


def _cost(answer: Answer, price: Price, reserved: int) -> int:
    """What an answer is charged; usage that nobody reported counts as all that was reserved."""
    if answer.input_tokens == 0 and answer.output_tokens == 0:
        return reserved
    return settled(price, answer.input_tokens, answer.output_tokens, reserved=reserved)


def _tools(agent: AgentSpec, toolbox: Toolbox, *, few: bool) -> tuple[ToolSpec, ...]:
    """The agent's tools as a model sees them; `few` = only those to look with, and to keep what there is."""
    found = []
    for name in agent.tools:
        declared = toolbox.find(name)
        if name == WAIT_SPEC.tool and not few:
            found.append(WAIT_SPEC)
        elif name == DELEGATE:
            continue
        elif declared is not None and not (few and declared.tier != "read" and name not in _KEEPING):
            said = definition(declared.tool)
            found.append(ToolSpec(spelled(name), said["description"], said["schema"], name))
    if agent.delegates and not few:
        found.append(delegate_spec(agent))
    return tuple(found)


def _tokens(prompt: bytes) -> int:
    return len(prompt) // _BYTES_PER_TOKEN


def _name(spec: ModelSpec) -> str:
    return f"model:{spec.label}"


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
