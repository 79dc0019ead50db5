"""Repositories behind ssh: what git asks ssh for. This ssh writes down how it was called and stays on the machine."""

import os
from pathlib import Path

import pytest

from core.tools.git.fetching import look
from tests.integration.tools.git.places import Place

FAKE = """#!/bin/sh
printf '%s\\n' "$@" > '{called}'
for last; do :; done
exec sh -c "$last"
"""


@pytest.mark.parametrize(("port", "alias"), [(22, "git.invalid"), (2222, "[git.invalid]:2222")])
def test_ssh_connects_to_the_address_that_was_checked_and_knows_the_host_by_its_name(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int, alias: str
) -> None:
    called, programs = tmp_path / "called", tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(FAKE.format(called=called))
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    shown = "" if port == 22 else f":{port}"
    url = f"ssh://git@git.invalid{shown}{place.shop}"
    route = {"scheme": "ssh", "url": url, "host": "git.invalid", "port": port, "addresses": ["192.0.2.1"], "ca": None}

    answer = look({"route": route, "branch": "other"}, {}, "", 10)

    assert ("succeeded", "main") == (answer["status"], answer["out"]["head"])
    words = called.read_text().splitlines()
    assert ["-F", "none"] == words[:2]
    assert {"HostName=192.0.2.1", f"HostKeyAlias={alias}", "StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(words)
    assert "git@git.invalid" in words
    assert port == 22 or ["-p", "2222"] == words[words.index("-p") :][:2]
