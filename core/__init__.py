"""Everything that is true without Slack and without a queue.

A room imports only rooms below it:

    runs        what happens next to a run: engine, steps, commands, leases, sweeper, read models
    tools       what a run can do, one file per tool
    execution   where a tool's processes run and how they end
    store       the database: tables, journal, queries, migrations
    record, planners    what is written down, as values; who decides the next step
    actions, config     envelopes and policy; the operator's file
    artifacts, secrets, principals, ops
    errors, budgets, queue, loops, clock, ids, metrics, door

Nothing here imports `bot` or `worker`.
"""
