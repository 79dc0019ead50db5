"""What the installation runs: a tool of each recovery class at the witness, a playbook for each, a team with room.

Every effect asks, so that each trial passes through a question, a card, a click and a decision as well.
"""

import json
from pathlib import Path

from bot.playground.seed import DEMO_TEAM, Json

CLASSES = ("pure", "idempotent", "reconcilable", "opaque")

TIMEOUT_S = 4
"""Of one call at the witness."""
CHANNELS = 24
"""Slack takes one post a second and channel; the trials are spread."""
CANARY = "canary-7d1c0f6e-9a35"
"""A secret that is sent to the witness, and may be found nowhere else."""
PRICE = (2, 10)
"""What the model takes for a token read and one written, in micro-USD."""

_HEAD = """\
principals:
  requester: {{slack: [T0PLAYGRND/U0REQUESTER], cli: any}}
  approver: {{roles: [approver], slack: [T0PLAYGRND/U0APPROVER], cli: any}}
  operator: {{roles: [operator], slack: [T0PLAYGRND/U0OPERATOR], cli: any}}

secrets:
  CANARY: {{env: CHAOS_CANARY}}

# Each death is an attempt, and one call may be the one that dies each time.
limits: {{runs-per-person: 10000, open-questions: 10000, attempts: 10}}

policy:
  approvers: {{roles: [approver]}}
  rules:
    - {{name: outside, decision: ask, tools: ["outside.*", git_push]}}

tools:
  files.write: {{tier: workspace, recovery: idempotent}}
  artifact: {{tier: workspace, recovery: idempotent}}
  shell: {{tier: workspace, recovery: idempotent}}
  git_read: {{tier: read, recovery: idempotent, network: ["file:/"]}}
  git_push: {{tier: compensable, recovery: reconcilable, timeout: 20s, network: ["file:/"]}}
"""

_TOOL = """\
  outside.{kind}:
    uses: http
    tier: irreversible
    recovery: {kind}
    timeout: {timeout}s
    network: ["127.0.0.1:{port}"]
    credentials: [{{host: 127.0.0.1, secret: CANARY}}]
"""
_PROBE = """\
    probe: {{url: "http://127.0.0.1:{port}/by-key/{{key}}", settle: 1s}}
"""

_PLAYBOOK = """\
  - name: {kind}
    title: Act outside, {kind}
    steps:
      - {{id: note, title: Write it down, tool: files.write, with: {{path: note.txt, content: before}}}}
      - id: effect
        title: Act outside
        tool: outside.{kind}
        with: {effect}
      - {{id: keep, title: Keep the note, tool: artifact, with: {{path: note.txt}}}}
    summary: done
"""

_MODEL = """
models:
  main:
    provider: openai-compatible
    model: clever-1
    url: "{url}"
    max-output: 1000
    price: {{input: "{read}", output: "{wrote}"}}

budgets: {{person-day: "1000.00", channel-month: "1000.00"}}

agents:
"""
_AGENT = """\
  - name: {name}
    title: Think, and act outside, {kind}
    model: main
    instructions: Write note.txt, act at http://127.0.0.1:{port}/{kind}, and keep note.txt.
    tools: [files.write, artifact, outside.{kind}]
    budget: "5.00"
    done-when: {{artifacts: [note.txt]}}
"""

_OTHERS = """\
  - name: busy
    title: A call that lasts until somebody stops it
    steps:
      - id: run
        title: Stay busy
        tool: shell
        timeout: 5m
        with: {{argv: [sh, -c, "setsid sleep 300 & while :; do sleep 0.2; done"]}}
    summary: it ended by itself
  - name: pushes
    title: Push two branches
    inputs:
      tag: {{type: string, description: what their names begin with}}
    steps:
      - {{id: clone, title: Clone, tool: git_read, with: {{url: "{repository}", path: repo}}}}
      - id: commit
        title: Make two branches
        tool: shell
        with:
          argv:
            - sh
            - -c
            - >-
              cd repo && for n in one two; do git checkout -q -B "$0-$n" && echo "$n" > "$n" && git add "$n" &&
              git -c user.name=a -c user.email=a@example.com commit -q -m "$n" || exit 1; done
            - "${{{{ inputs.tag }}}}"
      - id: first
        title: Push the first
        tool: git_push
        with: {{url: "{repository}", path: repo, branch: "${{{{ inputs.tag }}}}-one"}}
      - id: second
        title: Push the second
        tool: git_push
        with: {{url: "{repository}", path: repo, branch: "${{{{ inputs.tag }}}}-two"}}
    summary: pushed
"""


def agent(kind: str) -> str:
    """The name of the agent that does what the playbook of a class does."""
    return f"thinks-{kind}"


def effect(kind: str, port: int) -> Json:
    """The arguments of the call that has an effect at the witness."""
    url = f"http://127.0.0.1:{port}/{kind}"
    return {"method": "GET", "url": url} if kind == "pure" else {"method": "POST", "url": url, "json": {"amount": "3"}}


def configuration(port: int, repository: Path, model: str) -> str:
    """The configuration for a witness that listens on this port, a repository to push to, and a model's address."""
    tools = _HEAD.format()
    for kind in CLASSES:
        tools += _TOOL.format(kind=kind, port=port, timeout=TIMEOUT_S)
        tools += _PROBE.format(port=port) if kind == "reconcilable" else ""
    playbooks = "\nplaybooks:\n"
    for kind in CLASSES:
        playbooks += _PLAYBOOK.format(kind=kind, effect=json.dumps(effect(kind, port)))
    agents = _MODEL.format(url=model, read=PRICE[0], wrote=PRICE[1])
    for kind in CLASSES:
        agents += _AGENT.format(name=agent(kind), kind=kind, port=port)
    return tools + playbooks + _OTHERS.format(repository=repository) + agents


def team() -> Json:
    """The demo team with more channels."""
    channels = [{"id": f"C0CHAOS{number:02}", "name": f"chaos-{number}"} for number in range(CHANNELS)]
    return {**DEMO_TEAM, "channels": [*DEMO_TEAM["channels"], *channels]}


def channel(number: int) -> str:
    """A channel's id."""
    return f"C0CHAOS{number % CHANNELS:02}"
