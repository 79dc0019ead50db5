"""What people get wrong, where they are: a sentence with the remedy in the thread, and nothing half-started."""

import socket
from pathlib import Path

import pytest

from tests.acceptance.conftest import Builder
from tests.acceptance.house import House, banksman
from tests.acceptance.team import DATA, OPS, Team, button, cards, run_of, user, words
from tests.acceptance.test_story import CSV, MEAN_OF_VISITS
from tests.trees import found_below

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8d"
    "b00000000049454e44ae426082"
)
RAGGED = b"day,visits,signups\n" + b"2026-03-01,120,12,too,many\n2026-03-02\n2026-03-03,128,12,again,wide\n" * 5
SLIGHTLY_RAGGED = CSV + b"2026-03-11,1\n"


@pytest.mark.parametrize(
    ("text", "channel", "files", "said"),
    [
        pytest.param(
            "report", DATA, [("empty.csv", b"")], ("empty.csv is empty (0 bytes)", "Attach another file"), id="0 bytes"
        ),
        pytest.param(
            "report",
            DATA,
            [("huge.csv", b"day,visits\n" + b"2026-03-01,1\n" * 4_600_000)],
            ("huge.csv has 59,800,011 bytes; `data` takes at most 50MB.", "Attach another file"),
            id="60 MB",
        ),
        pytest.param("report", DATA, [], ("It needs `data`", "Attach it to your message"), id="no file"),
        pytest.param(
            "report",
            DATA,
            [("dot.png", PIXEL)],
            ("`data` expects a file (.csv), but dot.png was attached.", "Attach another file"),
            id="a picture",
        ),
        pytest.param(
            "reprot",
            OPS,
            [("a.csv", CSV)],
            ("There is no playbook `reprot`. Did you mean `report`?",),
            id="unknown playbook",
        ),
        pytest.param(
            "rows=ten",
            DATA,
            [("a.csv", CSV)],
            ('does not know what to do with "rows=ten"', "It takes `data`"),
            id="unknown input",
        ),
    ],
)
async def test_a_request_that_cannot_begin_is_answered_with_the_remedy(
    sqlite_house: House, team: Team, text: str, channel: str, files: list[tuple[str, bytes]], said: tuple[str, ...]
) -> None:
    before = sqlite_house.runs()

    root = await team.say(f"@banksman {text}", *files, channel=channel)

    await team.answered(root, *said)
    assert [] == cards(await team.thread(root))
    assert before == sqlite_house.runs(), "nothing was started"


async def test_the_form_asks_for_the_missing_file_and_starts_the_run(sqlite_house: House, team: Team) -> None:
    root = await team.say("@banksman report")
    question = await team.answered(root, "It needs `data`")
    assert button(question, "Fill in") is not None

    await team.click(question, "Fill in", "member")
    await team.told(root, "Only the person who asked", "member")
    await team.click(question, "Fill in", "requester")
    view = await team.view("requester")
    [field] = [block for block in view["view"]["blocks"] if block["type"] == "input"]
    file = {"name": "visits.csv", "content_base64": team.encoded(CSV)}
    values = {field["block_id"]: {field["element"]["action_id"]: [file]}}
    await team.act("views", user=user("requester"), view_id=view["id"], values=values)

    await team.card(root, "Completed")
    assert f"mean {MEAN_OF_VISITS}" in words(await team.answered(root, "no effects outside"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("wide.csv", CSV.decode().encode("utf-16"), f"mean {MEAN_OF_VISITS}", id="UTF-16"),
        pytest.param("ragged.csv", SLIGHTLY_RAGGED, "1 row", id="one ragged row"),
        pytest.param("../../x.csv", CSV, f"mean {MEAN_OF_VISITS}", id="a name that climbs"),
        pytest.param("名前 <b>&.csv", CSV, f"mean {MEAN_OF_VISITS}", id="a name that means something elsewhere"),
    ],
)
async def test_a_table_that_is_only_odd_is_reported_on(
    sqlite_house: House, team: Team, name: str, content: bytes, said: str
) -> None:
    root = await team.say("@banksman report", (name, content))

    await team.card(root, "Completed")
    await team.answered(root, said, "no effects outside", "3 files")
    outside = [*sqlite_house.home.parent.glob("x.csv"), *found_below(sqlite_house.home, "x.csv")]
    assert [] == outside, "inputs are kept by digest, and the workspace is gone"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param(
            "ragged.csv", RAGGED, ("`ragged.csv` cannot be summarised", "line 3 has 1", "quotation marks"), id="ragged"
        ),
        pytest.param("picture.csv", PIXEL, ("`picture.csv` cannot be summarised", "Save it as CSV"), id="a disguise"),
    ],
)
async def test_a_table_that_cannot_be_read_fails_with_the_remedy(
    sqlite_house: House, team: Team, name: str, content: bytes, said: tuple[str, ...]
) -> None:
    root = await team.say("@banksman report", (name, content))

    card = await team.card(root, "Failed")
    await team.answered(root, *said)
    shown = sqlite_house.show(run_of(card))
    assert "failed" == shown["run"]["state"]
    assert [] == [artifact for artifact in shown["artifacts"] if artifact["role"] == "output"]


def test_a_second_start_in_the_same_home_is_refused(sqlite_house: House) -> None:
    done = banksman(sqlite_house.home, "up")

    assert (2, "") == (done.code, done.out)
    assert f"already up in {sqlite_house.home}" in done.err
    assert "BANKSMAN_HOME" in done.err
    sqlite_house.cli("runs")


def test_a_usual_port_that_is_taken_is_passed_over(new_house: Builder) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8765))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good

        house = new_house(BANKSMAN_PORT="")

    assert 8765 != house.port
    assert house.port == house.run_file["port"]


def test_a_port_that_was_asked_for_and_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = banksman(tmp_path, "up", BANKSMAN_PORT=str(port))

    assert (2, "") == (done.code, done.out)
    assert f"BANKSMAN_PORT is {port}, and another program is using that port." in done.err
    assert not (tmp_path / "run.json").exists()
