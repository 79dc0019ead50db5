"""MCP servers in the operator's file, every mistake about them, and what was accepted of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.config.accepted import (
    accepted_path,
    accepted_tools,
    changes,
    collisions,
    pin_of,
    read_accepted,
    tool_name,
    write_accepted,
)
from core.config.live import LiveConfig
from core.config.load import Config, load_config, parse_config
from core.config.problems import ConfigProblems
from core.tools.catalogue import all_tools, call_names, tool_names
from core.tools.mcp.tool import GatedMcpTool, McpTool
from core.tools.registry import Registry, definition, definition_digest

SERVERS = """\
mcp:
  servers:
    time: {command: [mcp-server-time]}
    notes: {url: "https://notes.example.com/mcp", login: {secret: NOTES}}
tools:
  mcp.time.get_current_time: {tier: read, recovery: pure}
secrets:
  NOTES: {env: NOTES}
"""
TIME = {
    "name": "get_current_time",
    "description": "Get the time",
    "inputSchema": {"type": "object", "properties": {"timezone": {"type": "string", "weight": 0.5}}},
}

MISTAKES = {
    "no place": ("mcp: {servers: {a: {}}}", "mcp.servers.a", "Nothing says where it is", "`command:"),
    "two places": ("mcp: {servers: {a: {command: [x], url: 'https://a.com'}}}", "mcp.servers.a", "both a `command`",
                   "Write either"),
    "variables for an address": ("mcp: {servers: {a: {url: 'https://a.com', env: {A: b}}}}", "mcp.servers.a",
                                 "is not started here", "`login`"),
    "a login to a program": ("mcp: {servers: {a: {command: [x], login: {secret: S}}}}", "mcp.servers.a",
                             "Nobody logs in to a program", "`secrets:"),
    "a variable of ours": ("mcp: {servers: {a: {command: [x], env: {BANKSMAN_HOME: b}}}}", "mcp.servers.a",
                           "such names are ours", "Rename"),
    "a variable twice": ("mcp: {servers: {a: {command: [x], env: {A: b}, secrets: {A: S}}}}", "mcp.servers.a",
                         "both in `env` and in `secrets`", "Keep one"),
    "a password in the address": ("mcp: {servers: {a: {url: 'https://u:p@a.com/'}}}", "mcp.servers.a.url",
                                  "not the address of an MCP server", "https://"),
    "an unknown secret": ("mcp: {servers: {a: {command: [x], secrets: {A: SECRT}}}}\nsecrets: {SECRET: {env: S}}",
                          "mcp.servers.a.secrets.A", "no secret `SECRT`", "`SECRET`"),
    "an unknown login": ("mcp: {servers: {a: {url: 'https://a.com', login: {secret: S}}}}",
                         "mcp.servers.a.login.secret", "no secret `S`", "Add it under `secrets`"),
    "a tool of no server": ("mcp: {servers: {time: {command: [x]}}}\ntools: {mcp.tine.now: {tier: read}}",
                            "tools.mcp.tine.now", "no MCP server `tine`", "`time`"),
    "too few parts": ("tools: {mcp.now: {tier: read}}", "tools.mcp.now", "are for tools of MCP servers",
                      "`mcp.SERVER.TOOL`"),
    "a name of one's own": ("tools: {mcp.pay: {uses: http}}", "tools.mcp.pay.uses", "are for tools of MCP servers",
                            "another name"),
    "a probe": ("mcp: {servers: {a: {command: [x]}}}\ntools: {mcp.a.b: {recovery: reconcilable}}",
                "tools.mcp.a.b.recovery", "no way to find out", "`recovery: opaque`"),
    "a network of the tool": ("mcp: {servers: {a: {command: [x]}}}\ntools: {mcp.a.b: {network: [a.com]}}",
                              "tools.mcp.a.b.network", "said of the server", "mcp.servers.a"),
}  # fmt: skip


def written(tmp_path: Path, text: str = SERVERS, **accepted: Any) -> Config:
    path = tmp_path / "banksman.yml"
    path.write_text(text)
    write_accepted(path, accepted)
    return load_config(path)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_a_remedy(mistake: str) -> None:
    text, place, what, remedy = MISTAKES[mistake]

    with pytest.raises(ConfigProblems) as raised:
        parse_config(text.encode(), path=Path("/nonexistent/banksman.yml"))

    [problem] = raised.value.problems
    assert place in problem.path
    assert what in problem.what
    assert remedy in problem.remedy


def test_the_tools_of_a_server_are_those_that_were_accepted(tmp_path: Path) -> None:
    config = written(tmp_path, time={"get_current_time": TIME, "convert": {**TIME, "name": "convert"}})

    tools = {tool.name: tool for tool in all_tools(config) if isinstance(tool, McpTool)}

    assert {"mcp.time.get_current_time", "mcp.time.convert"} == set(tools)
    assert set(tools) < set(tool_names(config))
    assert set(tools) < set(call_names(config))
    # Without a word of the operator's it is one that people are asked about, whatever it says of itself.
    assert not isinstance(tools["mcp.time.get_current_time"], GatedMcpTool)
    assert isinstance(tools["mcp.time.convert"], GatedMcpTool)
    assert (None, "opaque") == (config.tool("mcp.time.convert").tier, config.tool("mcp.time.convert").recovery)


def test_what_a_tool_says_of_itself_makes_nothing_easier(tmp_path: Path) -> None:
    hints = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True}
    config = written(tmp_path, time={"convert": {**TIME, "name": "convert", "annotations": hints}})

    [tool] = [each for each in all_tools(config) if isinstance(each, McpTool)]

    assert isinstance(tool, GatedMcpTool)
    assert (None, "opaque") == (config.tool(tool.name).tier, config.tool(tool.name).recovery)


def test_two_servers_with_a_tool_of_one_name_have_two_tools(tmp_path: Path) -> None:
    servers = "mcp: {servers: {time: {command: [a]}, other: {command: [b]}}}"
    config = written(tmp_path, servers, time={"get_current_time": TIME}, other={"get_current_time": TIME})
    registry = Registry(all_tools(config))

    one, other = (definition_digest(registry.get(f"mcp.{name}.get_current_time")) for name in ("time", "other"))

    assert one != other


def test_what_was_accepted_of_a_server_that_is_gone_is_no_tool(tmp_path: Path) -> None:
    config = written(tmp_path, "mcp: {servers: {other: {command: [x]}}}", time={"get_current_time": TIME})

    assert [] == [name for name in tool_names(config) if name.startswith("mcp.")]


def test_the_digest_of_a_tool_covers_its_whole_definition_and_what_is_behind_it(tmp_path: Path) -> None:
    def digest(text: str, tool: Any) -> str:
        config = written(tmp_path, text, time={"get_current_time": tool})
        registry = Registry(all_tools(config))
        return definition_digest(registry.get("mcp.time.get_current_time"))

    first = digest(SERVERS, TIME)
    others = {
        digest(SERVERS, {**TIME, "description": "Get the time, and send it to me"}),
        digest(SERVERS, {**TIME, "annotations": {"readOnlyHint": True}}),
        digest(SERVERS, {**TIME, "inputSchema": {"type": "object"}}),
        digest(SERVERS.replace("[mcp-server-time]", "[mcp-server-time, --now]"), TIME),
        digest(SERVERS.replace("command: [mcp-server-time]", "network: host, command: [mcp-server-time]"), TIME),
    }

    assert first == digest(SERVERS, TIME)
    assert 5 == len(others - {first})


def test_a_planner_sees_the_schema_as_the_server_gave_it(tmp_path: Path) -> None:
    config = written(tmp_path, time={"get_current_time": TIME})

    said = definition(Registry(all_tools(config)).get("mcp.time.get_current_time"))

    assert ("Get the time", TIME["inputSchema"]) == (said["description"], said["schema"])


def test_accepting_is_taken_up_while_the_system_runs(tmp_path: Path) -> None:
    live = LiveConfig(tmp_path / "banksman.yml", written(tmp_path))
    live.check()

    write_accepted(tmp_path / "banksman.yml", {"time": {"get_current_time": TIME}})

    assert live.check()
    assert ["mcp.time.get_current_time"] == [
        each.name for each in accepted_tools(live.current.accepted, live.current.servers)
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not JSON"),
        ("[]", "not a file of accepted"),
        ('{"version": 2, "servers": {}}', "not a file of accepted"),
        ('{"version": 1, "servers": {"a": []}}', "no mapping"),
        ('{"version": 1, "servers": {"a": {"b": {"name": "c"}}}}', "not of the tool"),
        ('{"version": 1, "servers": {"a": {"b": {"name": "b"}}}}', "no `inputSchema`"),
    ],
)
def test_a_damaged_file_of_accepted_tools_is_refused(text: str, what: str, tmp_path: Path) -> None:
    accepted_path(tmp_path / "banksman.yml").write_text(text)

    with pytest.raises(ConfigProblems, match=what):
        parse_config(SERVERS.encode(), path=tmp_path / "banksman.yml")


def test_two_tools_that_would_have_one_name_are_refused(tmp_path: Path) -> None:
    both = {name: {"name": name, "inputSchema": {}} for name in ("readFile", "readfile")}

    with pytest.raises(ConfigProblems, match=r"would both be called `mcp\.time\.readfile`"):
        written(tmp_path, time=both)
    assert [("readFile", "readfile")] == collisions("time", list(both))


@pytest.mark.parametrize(
    ("own", "ours"),
    [
        ("get_current_time", "mcp.s.get_current_time"),
        ("readFile", "mcp.s.readfile"),
        ("read-file/now", "mcp.s.read_file_now"),
        ("2fa", "mcp.s.t_2fa"),
        ("_x", "mcp.s.t_x"),
        ("été", "mcp.s.t_t_"),
        ("", "mcp.s.t_"),
    ],
)
def test_the_names_of_servers_become_names_of_ours(own: str, ours: str) -> None:
    assert ours == tool_name("s", own)


def test_a_name_that_is_too_long_keeps_its_beginning_and_its_difference() -> None:
    one, other = tool_name("s", "a" * 60 + "1"), tool_name("s", "a" * 60 + "2")

    assert one != other
    assert one.startswith("mcp.s." + "a" * 31 + "_")
    assert 40 == len(one.rpartition(".")[2])


def test_the_accepted_definitions_are_read_as_they_were_written(tmp_path: Path) -> None:
    accepted = {"time": {"get_current_time": {**TIME, "description": "caf\u00e9 \u202e"}}}
    config = tmp_path / "banksman.yml"
    config.write_text("")

    write_accepted(config, accepted)

    assert accepted == read_accepted(config)
    assert accepted_path(config).read_text().isascii()
    assert config.stat().st_mode == accepted_path(config).stat().st_mode


def test_a_difference_is_named_in_words() -> None:
    after = {**TIME, "inputSchema": {}, "annotations": {}, "title": "x"}

    assert ["hints", "arguments", "title"] == changes(TIME, after)
    assert pin_of(TIME) != pin_of(after)
    assert pin_of(TIME) == pin_of(json.loads(json.dumps(TIME)))
