"""What operators see of a whole Banksman: where each part answers, what it counts, and that it says when it goes."""

import json
import os
import signal
import urllib.error
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import Builder
from tests.acceptance.house import House, until
from tests.acceptance.team import Team, run_of
from tests.acceptance.test_deaths import at_the_gate, gated, open_gate

__all__ = ["gated"]

ASK_WITHIN_S = 5.0


def ask(url: str) -> tuple[int, str]:
    """As a probe does; status 0 = no answer."""
    try:
        with urllib.request.urlopen(url, timeout=ASK_WITHIN_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def counted(house: House, part: str) -> dict[str, float]:
    """The part's samples, summed over their labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(ask(f"{house.run_file['metrics'][part]}/metrics")[1]):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def is_ready(house: House, part: str) -> bool:
    return ask(f"{house.run_file['metrics'][part]}/readyz")[0] == 200


async def test_every_part_answers_where_run_json_says_and_a_stop_is_counted(house: House, team: Team) -> None:
    assert {"bot", "worker", "reaper"} == set(house.run_file["metrics"])
    for part, url in house.run_file["metrics"].items():
        until(lambda part=part: is_ready(house, part), f"the {part} to be ready")
        assert 200 == ask(f"{url}/healthz")[0]
    parts = ("bot", "worker", "reaper")
    before = {part: counted(house, part) for part in parts}
    root = await team.say("@banksman runaway")
    card = await team.card(root, "Running")
    until(lambda: counted(house, "worker")["banksman_slices_under_way"] >= 1, "a slice under way")
    house.working(run_of(card))

    await team.click(card, "Kill", "requester")
    await team.card(root, "Stop confirmed")

    after = {part: counted(house, part) for part in parts}
    run = house.show(run_of(card))
    assert "canceled" == run["run"]["state"]
    asked = "banksman_stops_asked_total"
    assert 1 == after["bot"][asked] - before["bot"].get(asked, 0)
    # Whichever of them was first: the worker that drove it, or the host's reaper.
    confirmed, ended = "banksman_stop_confirmation_seconds_count", "banksman_stop_processes_ended_total"
    assert 1 == sum(after[part][confirmed] - before[part][confirmed] for part in parts)
    assert sum(after[part][ended] - before[part][ended] for part in parts) >= 1
    until(lambda: counted(house, "bot")["banksman_stops_unconfirmed"] == 0, "the gauge of open stops to be zero")
    assert counted(house, "bot")["banksman_workers_alive"] >= 1


def test_a_worker_that_drains_says_so_and_its_successor_is_found(new_house: Builder, gated: str) -> None:
    house = new_house(BANKSMAN_CONFIG=gated)
    run_id = house.ask("gated")
    at_the_gate(house, run_id)
    url = house.run_file["metrics"]["worker"]
    assert is_ready(house, "worker")

    os.kill(house.part("worker"), signal.SIGTERM)
    status, body = until(lambda: (found := ask(f"{url}/readyz"))[0] == 503 and found, "the worker to say that it goes")
    alive = ask(f"{url}/healthz")
    open_gate(house, run_id)

    assert 503 == status
    assert "failed" == json.loads(body)["checks"]["serving"]["state"]
    assert 200 == alive[0]
    house.reaches(run_id, "completed")
    until(lambda: house.run_file["metrics"]["worker"] != url and is_ready(house, "worker"), "its successor")
    found: list[dict[str, Any]] = house.cli("doctor", "--json").json["findings"]
    assert {"ok"} == {each["verdict"] for each in found if each["check"] == "metrics"}
