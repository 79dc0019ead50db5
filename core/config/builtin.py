"""The tools that come with Banksman, as far as the operator's file has to know them: by name, and by who can look.

What they do is `core.tools`, which lies above this room; a test holds the two together.
"""

BUILT_IN = (
    "artifact",
    "ask",
    "delegate",
    "files.delete",
    "files.list",
    "files.read",
    "files.write",
    "git_push",
    "git_read",
    "http",
    "repo_checkup",
    "repo_tests",
    "shell",
    "table_report",
)

LOOKS_ITSELF = ("git_push",)
"""Tools that can find out by themselves whether a call that was cut off happened."""

LOOKS_WHERE_TOLD = ("http",)
"""Tools that can if the operator says where: `probe.url`."""

ONE_NAME = ("ask", "delegate")
"""Tools that have no other name: runs, cards and forms know them by it."""

RESERVED = ("plan", "wait_until")
"""What an agent calls to publish its plan and to wait; no tool may have these names."""

UNDO = ".undo"
"""How the name of what takes a tool's effect back ends."""
