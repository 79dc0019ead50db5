"""The build: what `make` decides before there is anything to import, and what the requirement files must keep true."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from tests import skips
from tests.unit.house_rules import ROOT

COMPILED = ("requirements", "requirements-dev", "requirements-tools", "requirements-uv")
NEEDED = re.compile(r"^([A-Za-z0-9._-]+?)(?:\[[^]]*\])?(?:[=<>~!].*|;.*)?$")
PINNED = re.compile(r"^([a-z0-9._-]+?)(?:\[[^]]*\])?==(\S+)")


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_file_pins_every_package_by_hash_and_names_no_address(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text()
    packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

    assert packages
    assert [] == [line for line in packages if not PINNED.match(line)]
    assert len(packages) == len(re.findall(r"==.*\\\n    --hash=sha256:", text))
    assert "://" not in text and "index-url" not in text


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_file_has_what_its_source_asks_for(name: str) -> None:
    assert set() == _asked(ROOT / f"{name}.in") - set(_pins(name)), "run `make lock`"


def test_tests_run_on_the_releases_that_people_get() -> None:
    run, dev = _pins("requirements"), _pins("requirements-dev")

    assert run == {package: dev.get(package) for package in run}


def test_the_environment_of_sandboxed_tools_has_none_of_our_libraries() -> None:
    ours = {"sqlalchemy", "asyncpg", "aiosqlite", "redis", "arq", "slack-sdk", "slack-bolt", "alembic", "aiohttp"}

    assert set() == ours & set(_pins("requirements-tools"))


def test_the_package_asks_for_what_the_requirements_say() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert ["requirements.in"] == project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"]
    assert "bot.cli.main:main" == project["project"]["scripts"]["banksman"]
    assert "from bot.cli.main import main" in _script("launcher").SCRIPT


def test_uv_is_told_what_pip_was_told() -> None:
    listing = "\n".join([
        ":env:.cert='/ca.pem'",
        "global.cert='/other.pem'",
        "global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'",
        "global.index-url='https://mirror.example/simple'",
        "install.find-links='/a /b'",
        "list.format='json'",
    ])  # fmt: skip
    uv = _script("uv")

    environment = uv.uv_environment(uv.pip_settings(listing), {"UV_DEFAULT_INDEX": "https://mine.example"})

    assert "/ca.pem" == environment["SSL_CERT_FILE"]
    assert "https://one.example/simple https://two.example/simple" == environment["UV_INDEX"]
    assert "/a,/b" == environment["UV_FIND_LINKS"]
    assert "https://mine.example" == environment["UV_DEFAULT_INDEX"]


def test_uv_needs_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)

    assert str(ROOT / ".cache" / "uv") == _script("uv").uv_environment({}, {})["UV_CACHE_DIR"]


def test_a_python_too_old_is_refused_with_what_to_install(tmp_path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        _program(tmp_path / name, "exit 1")

    done = _make_venv(tmp_path)

    assert 2 == done.returncode
    assert "Banksman needs Python 3.11 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_a_newer_python_under_another_name_is_taken(tmp_path: Path) -> None:
    for name in ("python3", "python3.14", "python3.13"):
        _program(tmp_path / name, "exit 1")
    _program(
        tmp_path / "python3.12", f'case "$*" in *"-m venv"*) echo "venv by 3.12";; *) exec {sys.executable} "$@";; esac'
    )

    done = _make_venv(tmp_path)

    assert (0, "venv by 3.12") == (done.returncode, done.stdout.splitlines()[-1])


def test_a_python_without_ensurepip_is_refused_with_the_package_that_has_it(tmp_path: Path) -> None:
    _program(tmp_path / "python3", f'case "$*" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac')

    done = _make_venv(tmp_path)

    assert 2 == done.returncode
    assert f"apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in done.stderr
    assert not (tmp_path / "made").exists()


def test_ci_checks_installs_the_browser_and_ends_with_the_tests() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    order = [
        next(number for number, line in enumerate(lines) if line.startswith(start))
        for start in ("set -euo pipefail", "make check", "apt-get -qq -o Acquire::Retries=3 update", "exec make test")
    ]

    assert sorted(order) == order
    assert len(lines) - 1 == order[-1]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_only_four_reasons_skip_a_test_and_each_skipped_one_is_named(tmp_path: Path) -> None:
    reasons = [*(f"{reason} 'x'" for reason in skips.ALLOWED), "it is slow"]
    tests = "".join(f"def test_{n}():\n    pytest.skip({reason!r})\n" for n, reason in enumerate(reasons))
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_makereport\n")
    (tmp_path / "test_it.py").write_text(f"import pytest\n{tests}")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path),
         "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "1 failed, 4 skipped" in done.stdout.splitlines()[-1]
    for number, reason in enumerate(reasons[:4]):
        assert re.search(rf"SKIPPED .*test_{number}.*{re.escape(reason)}", done.stdout), done.stdout
    assert re.search(r"FAILED .*test_4", done.stdout)


def _asked(path: Path) -> set[str]:
    asked = set()
    for line in path.read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("-r "):
            asked |= _asked(path.parent / line.removeprefix("-r "))
        elif line and (found := NEEDED.match(line)):
            asked.add(re.sub(r"[-_.]+", "-", found[1]).lower())
    return asked


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / f"{name}.txt").read_text().splitlines()
    return {found[1]: found[2] for line in lines if (found := PINNED.match(line))}


def _script(name: str) -> ModuleType:
    """A script of .make/, which is no package."""
    loader = SourceFileLoader(f"make_{name}", str(ROOT / ".make" / f"{name}.py"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def _make_venv(first_on_path: Path) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": f"{first_on_path}:/usr/bin:/bin"}
    argv = ["sh", str(ROOT / ".make" / "venv.sh"), str(first_on_path / "made")]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
