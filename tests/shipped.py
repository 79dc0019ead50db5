"""The shipped configuration where a test may change it: `banksman.yml` and the agents' files beside it."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOP = "127.0.0.1:8764"
"""Where the shipped agents look for the playground's shop."""


def shipped(directory: Path, *, shop: str = SHOP, name: str = "banksman.yml") -> Path:
    """Copy it and return the file.

    Args:
        shop: Where the agents of the copy look for the shop.
        name: Of the copy.
    """
    agents = directory / "agents"
    shutil.copytree(ROOT / "agents", agents, dirs_exist_ok=True)
    file = directory / name
    shutil.copy(ROOT / "banksman.yml", file)
    for each in (file, *agents.iterdir()):
        text = each.read_text()
        assert SHOP in text or shop == SHOP
        each.write_text(text.replace(SHOP, shop))
    return file
