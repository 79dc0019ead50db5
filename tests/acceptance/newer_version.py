"""A version after this one: a copy of the code with one more migration, which adds columns and a table.

What it adds it does not use, as the first half of a change does (expand first, contract a release later), so whatever
trouble the two have with each other is what any two versions would have.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from core.store import schema
from tests.acceptance.house import ROOT, House, clean_environment

REVISION = "9999"

_MIGRATION = """\
\"""What a later version needs.\"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("runs", "tool_calls", "call_attempts", "approvals", "votes", "artifacts", "freezes", "workers"):
        op.add_column(table, sa.Column("of_a_later_version", sa.String(length=20), nullable=True))
        op.create_index(f"ix_{{table}}_later", table, ["of_a_later_version"])
    op.create_table("of_a_later_version", sa.Column("id", sa.String(length=20), primary_key=True))
"""


def made(directory: Path) -> Path:
    """Write the newer version's code to a directory of its own."""
    for room in ("core", "bot", "worker"):
        shutil.copytree(ROOT / room, directory / room, ignore=shutil.ignore_patterns("__pycache__"))
    (directory / ".venv-tools").symlink_to(ROOT / ".venv-tools")
    text = _MIGRATION.format(revision=REVISION, before=schema.head())
    (directory / "core/store/migrations/versions/m9999_later.py").write_text(text)
    return directory


def environment(house: House, code: Path) -> dict[str, str]:
    """A house's environment for the newer version's processes."""
    settings = {name: value for name, value in house.settings.items() if name != "BANKSMAN_PORT"}
    settings["BANKSMAN_REDIS_URL"] = house.run_file["redis_url"]
    return {**clean_environment(house.home, **settings), "PYTHONPATH": str(code)}


def upgrade(house: House, code: Path) -> None:
    """Let the newer version migrate the house's database, while everything is up."""
    _cli(house, code, "db", "upgrade")


def approve(house: House, code: Path, approval_id: str) -> None:
    """Approve by the newer version's command."""
    _cli(house, code, "approve", approval_id, "--as", "approver", "--yes")


def _cli(house: House, code: Path, *arguments: str) -> None:
    command = [sys.executable, "-c", "import sys; from bot.cli.main import main; sys.exit(main())", *arguments]
    done = subprocess.run(command, env=environment(house, code), cwd=code, capture_output=True, text=True, timeout=120)
    assert 0 == done.returncode, done
