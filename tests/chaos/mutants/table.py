"""The planted bugs: what each breaks, where, and the test that has to fail. Names in I45's words where it has one.

Of I45's fifteen one waits for what it is about: a log without its tail checkpoint (there is no signed log yet).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One planted bug."""

    name: str
    breaks: str
    """What is no longer so, in a sentence."""
    file: str
    old: str
    """Text that stands in the file exactly once."""
    new: str
    test: str
    """Node id of the test that catches it."""


_STORE, _WORKER, _BOT = "tests/integration/store", "tests/integration/worker", "tests/integration/bot_runtime"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "drop-fence-check",
        "A worker that lost a run may still write to it.",
        "core/store/settle.py",
        '        if row["fence"] != change.fence or row["lease_owner"] != change.owner:\n'
        '            return Refused("fenced")\n'
        '    if row["version"] != change.version or row["fence"] != change.fence:\n',
        '        pass\n    if row["version"] != change.version and row["version"] < change.version:\n',
        f"{_STORE}/test_leases.py::test_a_holder_whose_lease_ran_out_is_replaced_and_refused_at_every_write[sqlite]",
    ),
    Mutant(
        "ack-before-persist",
        "A message is acknowledged before it is stored; one that is lost then is lost for good.",
        "bot/app.py",
        "process_before_response=True",
        "process_before_response=False",
        f"{_BOT}/test_dying.py::test_wherever_it_dies_there_is_one_run_one_card_and_one_ending[CP01@1]",
    ),
    Mutant(
        "no-for-update-on-votes",
        "Two votes are counted side by side, each without the other.",
        "core/store/apply_postgres.py",
        "ORDER BY id FOR UPDATE",
        "ORDER BY id",
        f"{_STORE}/test_decision_races.py::test_two_approvals_where_two_are_needed[postgres]",
    ),
    Mutant(
        "consume-outside-the-start",
        "The start of a call does not use its approval up.",
        "core/runs/steps.py",
        '    draft.update("approvals", {"id": approval.id}, consumed)\n',
        "    assert consumed\n",
        f"{_WORKER}/test_approving.py::test_a_gated_call_asks_and_starts_once_when_it_is_approved[sqlite]",
    ),
    Mutant(
        "jcs-instead-of-rfc8785",
        "Two integers beyond 2^53 share their canonical bytes, so approving one approves the other.",
        "core/actions/envelope.py",
        "            if abs(value) > MAX_INTEGER:\n",
        "            if abs(value) > MAX_INTEGER**2:\n",
        "tests/unit/actions/test_envelope.py::test_what_has_no_single_form_is_refused_with_a_sentence",
    ),
    Mutant(
        "ingestion-level-dedupe",
        "What is delivered is told apart too coarsely: another request in the same thread is dropped as known.",
        "bot/listeners/mentions.py",
        "f\"ev:{body['api_app_id']}:{team}:{body['event_id']}\")",
        'f"ev:{team}:{asked.channel}:{asked.root_ts}")',
        f"{_BOT}/test_asking.py::test_two_mentions_in_one_thread_are_two_runs",
    ),
    Mutant(
        "killpg-only",
        "A stop ends the process group and misses what has left it.",
        "core/execution/supervisor.py",
        "            for process in offspring(os.getpid()):\n"
        "                if process.alive:\n"
        "                    send(process, signal.SIGKILL)\n"
        "            if not self._reap():\n"
        "                return\n",
        "            try:\n"
        "                if self._program is not None:\n"
        "                    os.killpg(self._program.pid, signal.SIGKILL)\n"
        "            except OSError:\n"
        "                pass\n"
        "            self._reap()\n"
        "            return\n",
        "tests/integration/execution/test_ending.py::test_strays_are_ended_and_counted",
    ),
    Mutant(
        "not-happened-counts-at-once",
        "A request that may still arrive is sent again, because it is not there yet.",
        "core/runs/calls.py",
        "    return int(call.timeout_ms + settle_s * 1000)",
        "    return int(settle_s * 0)",
        f"{_WORKER}/test_probing.py::test_what_did_not_happen_is_sent_again_only_once_the_last_attempt_can_land_no_more[sqlite]",
    ),
    Mutant(
        "fifo-approval",
        "A click decides the oldest open question, whatever it is about.",
        "core/runs/commands/decide.py",
        "    found = _question(runs, ballot.approval_id)\n",
        "    found = _question(runs, min(row.id for each in runs for row in each.approvals))\n"
        "    ballot = type(ballot)(**{**ballot.__dict__, 'action': found[1].action_digest}) "
        "if not isinstance(found, Refusal) else ballot\n",
        "tests/security/approvals/test_known_bypasses.py::"
        "test_hermes_64001_an_id_with_the_digest_of_another_action_decides_nothing[sqlite]",
    ),
    Mutant(
        "fail-open-approver-set",
        "Where nobody is named, everybody may approve.",
        "core/actions/policy.py",
        "        admitted = principal_id in self.principals or bool(self.roles & roles)\n",
        "        admitted = not (self.principals or self.roles) or principal_id in self.principals or "
        "bool(self.roles & roles)\n",
        "tests/security/approvals/test_known_bypasses.py::"
        "test_hermes_36848_where_nobody_is_named_nobody_may_approve[sqlite]",
    ),
    Mutant(
        "default-slack-retry",
        "The SDK sends a post again whose connection broke: people read it twice.",
        "bot/slack_call.py",
        ", retry_handlers=[])",
        ")",
        "tests/integration/bot/test_slack_posting.py::test_a_lost_answer_is_ambiguous_and_the_key_settles_it",
    ),
    Mutant(
        "job-id-is-the-run",
        "A ring while the last one is answered is taken for the same ring, and lost.",
        "core/queue.py",
        '    job_id = f"{run_id}:{wake}"\n',
        "    job_id = run_id\n",
        "tests/integration/queue/test_rings.py::test_the_next_wake_is_heard_while_the_last_is_still_being_answered",
    ),
    Mutant(
        "deferred-sqlite-transaction",
        "A writer on SQLite reads first and is refused when it wants to write.",
        "core/store/session.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        f"{_STORE}/test_connections.py::test_a_writer_reads_what_was_committed_before_it_began[sqlite]",
    ),
    Mutant(
        "now-in-the-lease",
        "A lease begins when its transaction does, not when it is written: a renewal that had to wait is short.",
        "core/store/workers.py",
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        "(extract(epoch FROM now()) * 1000)::bigint",
        f"{_STORE}/test_leases.py::test_a_lease_that_had_to_wait_for_its_row_is_as_long_as_any[postgres]",
    ),
    Mutant(
        "settle-at-0",
        "A request whose worker died is charged at nothing, although the vendor may have done the work.",
        "core/runs/turns.py",
        '    _close(draft, turn, "lost", turn.reserved_micro_usd, stamp,',
        '    _close(draft, turn, "lost", 0, stamp,',
        f"{_WORKER}/test_spending.py::"
        "test_a_turn_whose_worker_died_is_charged_at_its_reserve_and_asked_for_again[sqlite]",
    ),
    Mutant(
        "settle-answers-at-0",
        "What an answer cost is given back instead of being charged.",
        "core/runs/turns.py",
        "    draft.holds = holds(run, caps, cost - turn.reserved_micro_usd, turn.started_at)\n",
        "    draft.holds = holds(run, caps, -turn.reserved_micro_usd, turn.started_at)\n",
        f"{_WORKER}/test_spending.py::test_runs_that_share_a_budget_never_exceed_it_together[sqlite]",
    ),
    Mutant(
        "opaque-is-repeated",
        "A call nobody may repeat is repeated after a crash.",
        "core/runs/recovery.py",
        'return Recovery("unknown", "the worker that ran it is gone, and it is not declared safe to repeat")',
        'return Recovery("repeat", "")',
        f"{_WORKER}/test_surviving.py::test_another_worker_never_repeats_an_opaque_call[sqlite]",
    ),
    Mutant(
        "result-after-a-stop-lands",
        "A result that comes after the stop is applied as if nothing had happened.",
        "core/store/settle.py",
        '        if row["killed_at"] is not None:\n            return Refused("killed")\n',
        "",
        "tests/integration/runs/test_commands.py::"
        "test_what_was_under_way_when_it_was_stopped_is_kept_late_confirmed_and_shown[sqlite]",
    ),
    Mutant(
        "no-last-look",
        "What acts outside does not look whether the run is still its own.",
        "core/tools/effects.py",
        '    return None if ours else "the run was stopped or taken over before it began"',
        "    return None",
        "tests/integration/tools/git/test_looking.py::test_nothing_is_pushed_once_the_run_is_no_longer_ours",
    ),
    Mutant(
        "denial-is-not-final",
        "What was denied is asked about again until somebody gives in.",
        "core/runs/asks.py",
        '    denied = (a for a in snapshot.approvals if a.status == "denied" and a.effect_digest == effect_digest)',
        '    denied = (a for a in snapshot.approvals if a.status == "denied" and a.effect_digest == "")',
        f"{_WORKER}/test_approving.py::test_exactly_the_same_is_not_asked_again_after_a_denial[sqlite]",
    ),
    Mutant(
        "self-fence-by-the-wall-clock",
        "A worker whose wall clock is set back believes in its lease for ever.",
        "core/runs/leases.py",
        "and self._clock.boot_ms() - self._renewed_boot_ms <",
        "and self._clock.wall_ms() - self._renewed_boot_ms <",
        f"{_STORE}/test_leases.py::test_a_worker_fences_itself_by_the_boot_clock_alone",
    ),
    Mutant(
        "success-without-its-file",
        "A call succeeds whose file could not be stored.",
        "core/runs/calls.py",
        '        return CallEnd("failed", {}, error=failure.user_text)\n',
        "        return CallEnd(result.status, {})\n",
        f"{_WORKER}/test_driving.py::test_a_file_over_the_cap_is_no_success[sqlite]",
    ),
)
