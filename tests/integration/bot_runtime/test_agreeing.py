"""A channel's contract that changes while the bot runs: what is wider or gone waits for an operator."""

import logging
from collections.abc import Callable

import pytest

from bot.agreeing import ContractWatch
from core.actions.agreed import FIRST, Agreed
from core.ids import TENANT
from core.principals import Principal
from core.runs import agreeing
from core.runs.allowance import allowance
from core.runs.commands.agree import Agreement
from core.store import agreements
from tests.integration.bot_runtime.both import database_url
from tests.integration.bot_runtime.office import CONFIG, House, Running, Team, poll

__all__ = ["database_url"]


OLGA = Principal("operator", frozenset({"operator"}))
CHANNELS = """channels:
  "#data": {agent: report, agents: [report, greet, idle]}
"""
MORE = """  - name: more
    title: Do nothing more
    steps:
      - {id: look, title: Look, tool: files.list, with: {path: .}}
"""


@pytest.fixture
def write(house: House) -> Callable[[str], None]:
    """Writes the operator's file with these contracts."""

    def written(channels: str) -> None:
        (house.home / "banksman.yml").write_text(CONFIG.replace(CHANNELS, channels) + MORE)

    written(CHANNELS)
    return written


async def known(house: House, name: str = "#data") -> Agreed | None:
    return (await agreements.latest(house.database, TENANT)).get(name)


async def reads(bot: Running, digest_before: str) -> None:
    await poll(lambda: bot.bot.office.desk.config.digest != digest_before, "the changed file to be read")


async def test_a_wider_contract_holds_once_an_operator_has_accepted_it(
    house: House, write: Callable[[str], None], team: Team
) -> None:
    bot = await house.start_bot()
    first = await poll(lambda: known(house), "the first contract to be taken as accepted")
    assert (1, FIRST) == (first.version, first.by)

    before = bot.bot.office.desk.config.digest
    write('channels:\n  "#data": {agent: idle, agents: [report, more, idle]}\n')
    await reads(bot, before)
    await team.say("@banksman more")
    await team.hears("`more` may not be asked for in #data")
    await team.say("@banksman greet")
    await team.hears("`greet` may not be asked for in #data")  # what is narrower holds at once
    assert [] == await house.runs()

    written = bot.bot.office.desk.config.contracts["#data"]
    done = await agreeing.accept(house.database, TENANT, "#data", written, first, by=OLGA, now_ms=2)
    assert isinstance(done, Agreement)
    await team.say("@banksman more")
    pinned = allowance((await house.run()).allowance_json).contract
    assert pinned is not None and written.digest == pinned.digest


@pytest.mark.parametrize("channels", ["", "channels: {C0DATA: {agent: more}}\n"], ids=["gone", "written by id instead"])
async def test_a_contract_that_is_gone_from_the_file_holds_until_that_is_accepted(
    house: House, write: Callable[[str], None], team: Team, channels: str
) -> None:
    bot = await house.start_bot()
    first = await poll(lambda: known(house), "the first contract to be taken as accepted")

    before = bot.bot.office.desk.config.digest
    write(channels)
    await reads(bot, before)
    await team.say("@banksman more")
    await team.hears("`more` may not be asked for in #data" if not channels else "`more` may not be asked for in")

    await agreeing.accept(house.database, TENANT, "#data", None, first, by=OLGA, now_ms=2)
    await team.say("@banksman more")
    assert "more" == (await house.run()).agent


async def test_the_log_says_once_what_waits_and_once_that_nothing_does(
    house: House, write: Callable[[str], None]
) -> None:
    bot = await house.start_bot()
    first = await poll(lambda: known(house), "the first contract to be taken as accepted")
    before = bot.bot.office.desk.config.digest
    write('channels:\n  "#data": {agents: [report, more], budget: "0.10"}\n')
    await reads(bot, before)
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    logger = logging.getLogger("bot.agreeing")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        watch = ContractWatch(bot.bot.office.desk)
        await watch.tick()
        await watch.tick()
        mine = [record.getMessage() for record in said]
        written = bot.bot.office.desk.config.contracts["#data"]
        await agreeing.accept(house.database, TENANT, "#data", written, first, by=OLGA, now_ms=2)
        await watch.tick()
        await watch.tick()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)

    waits = "The contract of #data is wider in the file than the accepted one (`agents`)."
    assert 0 < len(mine) <= 2 and all(each.startswith(waits) for each in mine), "once for each who watches"
    assert "every contract holds as the file has it" in [record.getMessage() for record in said]
