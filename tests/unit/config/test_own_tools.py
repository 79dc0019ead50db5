"""Tools by another name and probes, as the operator's file says them, and every mistake about them."""

from pathlib import Path

import pytest

from core.config.builtin import BUILT_IN, LOOKS_ITSELF, LOOKS_WHERE_TOLD, ONE_NAME, RESERVED
from core.config.load import Config, parse_config
from core.config.problems import ConfigProblems
from core.planners.dialogue import PLAN
from core.planners.waiting import TOOL as WAIT
from core.record.states import MACHINES
from core.tools.ask import TOOL as ASK
from core.tools.base import Probing
from core.tools.catalogue import all_tools, call_names, standard_tools, tool_names
from core.tools.delegate import TOOL as DELEGATE
from core.tools.http_probe import ProbedHttp
from core.tools.registry import Registry, definition_digest

URL = "https://payments.example.com/by-key/{key}"
PAY = f"""\
tools:
  pay: {{uses: http, tier: irreversible, recovery: reconcilable, probe: {{url: "{URL}", settle: 3s}}}}
  git_push: {{recovery: reconcilable, probe: {{settle: 1m}}}}
  run.checks: {{uses: shell, tier: workspace}}
"""

MISTAKES = {
    "an unknown tool": ("pay: {uses: htp}", "pay.uses", "No tool `htp` comes with", "`http`"),
    "an undo": ("pay.undo: {uses: http}", "pay.undo.uses", "end in `.undo`", "another name"),
    "itself": ("pay: {uses: pay}", "pay.uses", "`pay` uses itself", "Remove `uses`"),
    "a tool of one's own": ("pay: {uses: http}\n  charge: {uses: pay}", "charge.uses", "another name itself",
                            "`uses: http`"),
    "a word of agents": ("wait_until: {uses: http}", "wait_until.uses", "is a word of agents", "another name"),
    "a name that is taken": ("shell: {uses: http}", "shell.uses", "would hide it", "another name"),
    "a name with two dots": ("a.b.c: {uses: http}", "a.b.c.uses", "more than one dot", "payments.charge"),
    "the tool that asks": ("poll: {uses: ask}", "poll.uses", "one name only", "by that name"),
    "no probe": ("pay: {uses: http, recovery: reconcilable}", "pay.recovery", "Nothing says where to look",
                 "Add `probe:"),
    "no probe of http": ("http: {recovery: reconcilable}", "http.recovery", "Nothing says where to look",
                         "Add `probe:"),
    "a probe without an address": ("pay: {uses: http, recovery: reconcilable, probe: {settle: 1s}}", "pay.recovery",
                                   "Nothing says where to look", "{key}"),
    "a tool that cannot look": ("shell: {recovery: reconcilable}", "shell.recovery", "no way to find out",
                                "`recovery: opaque`"),
    "a probe of a tool that cannot": (f"w: {{uses: shell, recovery: reconcilable, probe: {{url: '{URL}'}}}}",
                                      "w.recovery", "`w` has no way to find out", "`recovery: opaque`"),
    "an address for a push": (f"git_push: {{recovery: reconcilable, probe: {{url: '{URL}'}}}}", "git_push.probe.url",
                              "by itself", "`settle` may stay"),
    "a probe for nothing": (f"pay: {{uses: http, recovery: opaque, probe: {{url: '{URL}'}}}}", "pay",
                            "recovery is `opaque`", "`recovery: reconcilable`"),
    "an address without the key": ("pay: {uses: http, recovery: reconcilable, probe: {url: 'https://a.com/x'}}",
                                   "probe.url", "not an address with `{key}` in it", "by-key/{key}"),
    "the key in the host": ("pay: {uses: http, recovery: reconcilable, probe: {url: 'https://{key}.a.com/'}}",
                            "probe.url", "not an address", "by-key/{key}"),
    "another placeholder": ("pay: {uses: http, recovery: reconcilable, probe: {url: 'https://a.com/{key}/{id}'}}",
                            "probe.url", "not an address", "by-key/{key}"),
    "a password in the address": (
        "pay: {uses: http, recovery: reconcilable, probe: {url: 'https://a:b@a.com/{key}'}}", "probe.url",
        "not an address", "by-key/{key}"),
}  # fmt: skip


def read(text: str) -> Config:
    return parse_config(text.encode(), path=Path("nowhere/banksman.yml"))


@pytest.mark.parametrize(("text", "path", "what", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_about_an_own_tool_is_named_with_place_and_remedy(
    text: str, path: str, what: str, remedy: str
) -> None:
    with pytest.raises(ConfigProblems) as raised:
        read(f"tools:\n  {text}\n")
    (found,) = raised.value.problems

    assert found.path.endswith(path), found
    assert what in found.what, found
    assert remedy in found.remedy, found


def test_an_own_tool_is_the_one_it_uses_by_another_name() -> None:
    config = read(PAY)
    tools = {tool.name: tool for tool in all_tools(config)}

    assert sorted(tool_names(config)) == sorted([*tool_names(), "pay", "run.checks"])
    assert sorted(tools) == sorted(call_names(config))
    pay, http = tools["pay"], tools["http"]
    assert (http.arguments, http.description) == (pay.arguments, pay.description)
    assert definition_digest(http) != definition_digest(pay)
    assert tools["shell"].arguments is tools["run.checks"].arguments
    assert Registry(all_tools(config)).validate("pay", {"method": "GET", "url": "https://a.com"})


def test_a_probe_and_its_delay_are_the_operators() -> None:
    tools = {tool.name: tool for tool in all_tools(read(PAY))}
    usual = {tool.name: tool for tool in all_tools(read("tools: {}"))}

    assert isinstance(tools["pay"], ProbedHttp) and 3.0 == tools["pay"].settle_s
    assert isinstance(tools["git_push"], Probing) and 60.0 == tools["git_push"].settle_s
    assert isinstance(usual["git_push"], Probing) and 10.0 == usual["git_push"].settle_s
    assert not isinstance(usual["http"], Probing)


def test_what_the_file_knows_of_the_tools_is_true() -> None:
    tools = {tool.name: tool for tool in standard_tools(1)}

    assert sorted(tools) == sorted(BUILT_IN)
    assert (PLAN, WAIT) == RESERVED
    assert [name for name in tools if isinstance(tools[name], Probing)] == list(LOOKS_ITSELF)
    assert ("http",) == LOOKS_WHERE_TOLD and (ASK, DELEGATE) == ONE_NAME


def test_a_changed_probe_is_a_changed_policy() -> None:
    assert read(PAY).policy_digest != read(PAY.replace("settle: 3s", "settle: 4s")).policy_digest


@pytest.mark.parametrize("name", MACHINES)
def test_nobody_is_named_like_what_no_person_found_out(name: str) -> None:
    with pytest.raises(ConfigProblems, match="another name"):
        read(f"principals:\n  {name}: {{}}\n")
