"""`doctor`: everything that would not work, with what to do about it."""

import asyncio
import socket
from pathlib import Path

from bot.cli.embedded import EmbeddedRedis
from core.clock import SystemClock, boot_id, host_name
from core.config.settings import VARIABLES
from core.ops.health import Health, works
from core.ops.place import Place
from core.ops.server import serving
from core.store import hosts
from core.store.session import Database
from tests.integration.cli.conftest import Answer, CommandLine
from tests.integration.tools.packages import installed

CHECKS = ["config", "database", "redis", "artifacts", "sandbox", "reaper", "slack", "metrics"]


def test_all_is_well_on_this_machine(banksman: CommandLine) -> None:
    answer = banksman("doctor", "--json", code=0)

    found = answer.json
    assert {"ok", "settings", "findings"} == set(found)
    assert found["ok"] is True
    assert {variable.name for variable in VARIABLES} == set(found["settings"])
    assert CHECKS == list(dict.fromkeys(finding["check"] for finding in found["findings"]))
    for finding in found["findings"]:
        assert {"check", "verdict", "detail", "remedy"} == set(finding)
        assert finding["verdict"] in ("ok", "warning")


def test_a_terminal_gets_a_line_per_finding(banksman: CommandLine, redis_server: EmbeddedRedis) -> None:
    answer = banksman("doctor", code=0, BANKSMAN_REDIS_URL=redis_server.url)

    lines = answer.out.splitlines()
    for check in CHECKS:
        assert any(line.split()[:2][1:] == [check] for line in lines), answer.out
    assert "answers, version" in answer.out


def test_a_package_whose_tool_cannot_be_imported_is_named_and_the_others_are_listed(
    banksman: CommandLine, tmp_path: Path
) -> None:
    installed(tmp_path, "counting")
    installed(tmp_path, "broken", code="print('hello')\nimport nothing_like_it", tools={"broken.tool": "Broken"})

    answer = banksman("doctor", "--json", code=1, PYTHONPATH=str(tmp_path))

    good, bad = [finding for finding in answer.json["findings"] if finding["check"] == "tools"]
    assert ("ok", "from packages: `count.up` of counting 1.2") == (good["verdict"], good["detail"])
    assert "bad" == bad["verdict"]
    assert "the tool `broken.tool` of the package broken 1.2 cannot be used: ModuleNotFoundError" in bad["detail"]
    assert {"tools"} == {finding["check"] for finding in answer.json["findings"] if finding["verdict"] == "bad"}


def test_everything_that_is_wrong_is_found_at_once(bare: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("tolls: {}\n")
    settings = {"BANKSMAN_REDIS_URL": "redis://127.0.0.1:1/0", "BANKSMAN_CONFIG": str(tmp_path / "bad.yml")}
    slack = {
        "SLACK_BOT_TOKEN": "xoxb-secret-enough",
        "SLACK_APP_TOKEN": "xapp-secret-enough",
        "SLACK_API_URL": "http://127.0.0.1:1/api/",
    }

    answer = bare("doctor", "--json", code=1, **settings, **slack)

    assert answer.json["ok"] is False
    bad = {finding["check"]: finding for finding in answer.json["findings"] if finding["verdict"] == "bad"}
    assert {"config", "database", "redis", "slack"} <= set(bad)
    assert f"{tmp_path / 'bad.yml'}:1:" in bad["config"]["detail"]
    assert "`banksman db upgrade`" in bad["database"]["detail"] + bad["database"]["remedy"]
    assert "BANKSMAN_REDIS_URL" in bad["redis"]["remedy"]
    assert "SLACK_API_URL" in bad["slack"]["remedy"]
    assert "secret-enough" not in answer.out + answer.err


def test_the_doctor_changes_nothing(bare: CommandLine) -> None:
    bare("doctor", code=1)

    assert not bare.home.exists()


def test_a_reaper_at_work_on_this_host_is_named(banksman: CommandLine) -> None:
    def said() -> str:
        findings = banksman("doctor", "--json", code=0).json["findings"]
        return next(str(finding["detail"]) for finding in findings if finding["check"] == "reaper")

    def seen(boot: str, ago_ms: int) -> None:
        async def write() -> None:
            database = Database(f"sqlite+aiosqlite:///{banksman.database}")
            now_ms = SystemClock().wall_ms() - ago_ms
            await hosts.seen(database, host_name(), boot_id=boot, pid=4321, now_ms=now_ms)
            await database.close()

        asyncio.run(write())

    assert said().startswith("none is at work on this host")
    seen(boot_id(), 0)
    assert "at work on this host, process 4321" == said()
    seen(boot_id(), 60_000)
    assert "last seen here at" in said()
    seen("another", 0)
    assert said().startswith("none is at work on this host")


def about_metrics(answer: Answer) -> list[tuple[str, str]]:
    return [(each["verdict"], each["detail"]) for each in answer.json["findings"] if each["check"] == "metrics"]


def test_a_port_for_metrics_that_another_program_has_is_said(banksman: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = banksman("doctor", "--json", code=1, BANKSMAN_METRICS_PORT=port)

    ((verdict, detail),) = about_metrics(answer)
    assert "bad" == verdict
    assert f"cannot listen on 127.0.0.1, port {port}" in detail


async def test_a_part_that_has_the_port_is_asked_how_it_is(banksman: CommandLine) -> None:
    checks = {"lease": works(lambda: False, "it was not renewed in time")}
    async with serving(Place("127.0.0.1", 0), Health("worker", checks)) as url:
        assert url is not None
        port = url.rsplit(":", 1)[1]
        answer = await asyncio.to_thread(banksman, "doctor", "--json", code=1, BANKSMAN_METRICS_PORT=port)

    assert [("bad", "the worker is not ready: lease: it was not renewed in time")] == about_metrics(answer)


def test_a_port_that_is_free_and_reachable_from_outside_is_a_warning(banksman: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])

    answer = banksman("doctor", "--json", code=0, BANKSMAN_METRICS_PORT=port, BANKSMAN_METRICS_HOST="0.0.0.0")

    assert ["ok", "warning"] == [verdict for verdict, _ in about_metrics(answer)]
