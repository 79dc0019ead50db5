"""What the guide on policy lets a reader type answers what the guide shows."""

import re
from pathlib import Path

import pytest

from tests.docs.check import ROOT
from tests.docs.fences import Fence, fences
from tests.docs.site import prepare, shell

BOOK = """
playbooks:
  - name: checkup
    title: Checkup
    steps:
      - {id: push, title: Push, tool: git_push, with: {url: https://github.com/a/b.git, path: b, branch: c}}
"""


@pytest.mark.runs_fence("docs/guides/policy.md > Trying it out > 1")
def test_the_call_is_explained_as_shown(fence: Fence, tmp_path: Path) -> None:
    prepare(tmp_path)
    example = next(each for each in fences(ROOT) if each.key == "docs/guides/policy.md > Writing rules > 1")
    (tmp_path / "banksman.yml").write_text(example.text + BOOK)

    written = shell(tmp_path, *fence.commands())

    assert fence.answers() == [re.sub(r"sha256:[0-9a-f]{64}$", "sha256:…", line) for line in written.splitlines()]
    assert not (tmp_path / ".banksman").exists(), "nothing has to run"
