"""A Slack team in a box: Slack's protocol over the network, for demos and for tests.

What is where:
    server.py     the `Playground` itself: wiring, start, stop
    seed.py       who is in the team when it is new
    state.py      the team: people, channels, messages, files, views; what changed is told to `feed.py`
    storage.py    keeps the state across restarts
    api/          the Web API, one file per family of methods
    blockkit/     Block Kit's rules: what Slack accepts in a message or a view
    outbound.py   deliveries to the app, over `socket.py` (Socket Mode) or `webhook.py` (signed HTTP)
    events.py, interactions.py   the payloads of those deliveries
    limits.py, faults.py         Slack's limits, and trouble on request
    control.py    what people do: the surface that the page and tests drive
    page/         the page a person looks at

It imports nothing else of this repository: an app knows it only as a URL, and what works here is meant to work with
Slack. Everything listens on the loopback interface only.
"""

from bot.playground.seed import DEFAULT_SCOPES, DEMO_TEAM
from bot.playground.server import Playground

__all__ = ["DEFAULT_SCOPES", "DEMO_TEAM", "Playground"]
