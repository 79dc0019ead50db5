"""The alerts of the operations page ask about metrics, labels and values that there are."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from core.metrics import REGISTRY
from core.store.standing import GAUGES
from tests.docs.names import metric_names

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.runs_fence("docs/operations.md > Alerts > 1")]


def rules() -> list[dict[str, str]]:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    block = page[page.index("### Alerts") :].split("```yaml\n")[1].split("```")[0]
    return [rule for group in YAML(typ="safe").load(block)["groups"] for rule in group["rules"]]


def test_every_metric_of_an_alert_exists() -> None:
    asked = {name for rule in rules() for name in re.findall(r"\bbanksman_\w+", rule["expr"])}

    assert asked
    assert set() == {name.removesuffix("_count") for name in asked} - metric_names()


def test_every_label_of_an_alert_exists() -> None:
    labels = {f"banksman_{name}": {"state", "reason"} for name in GAUGES}
    for name, collector in REGISTRY._names_to_collectors.items():
        labels[name] = set(getattr(collector, "_labelnames", ()))

    for rule in rules():
        for name, label in re.findall(r"\b(banksman_\w+)\{(\w+)=", rule["expr"]):
            assert label in labels[name], rule
