"""What is counted comes out in Prometheus' format, under names and labels that stay bounded."""

from prometheus_client.parser import text_string_to_metric_families

from core import metrics
from core.metrics import Measured, Names, rendered


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_an_attempt_moves_its_counter_and_its_histogram() -> None:
    before = samples(rendered())

    metrics.attempt_ended("unit.tool", "succeeded", 0.02, again=True)

    after = samples(rendered())
    labels = (("status", "succeeded"), ("tool", "unit.tool"))
    counter = ("banksman_tool_call_attempts_total", labels)
    assert 1 == after[counter] - before.get(counter, 0)
    assert 1 == after["banksman_tool_call_attempt_duration_seconds_count", (("tool", "unit.tool"),)]
    assert 1 == after["banksman_tool_call_retries_total", (("tool", "unit.tool"),)]


def test_what_was_measured_stands_beside_what_was_counted() -> None:
    given = [
        Measured("outbox_lag_seconds", "Lag.", {"": 2.5}),
        Measured("runs_open", "Open.", {"blocked": 3, "planning": 1}, label="state"),
    ]

    found = samples(rendered(given))

    assert 2.5 == found["banksman_outbox_lag_seconds", ()]
    assert 3 == found["banksman_runs_open", (("state", "blocked"),)]


def test_names_that_are_none_and_names_too_many_are_other() -> None:
    names = Names()

    assert "other" == names("run_01ABC and a text")
    assert ["t0", "t99"] == [name for name in map(names, [f"t{n}" for n in range(100)]) if name in ("t0", "t99")]
    assert "other" == names("t100")
    assert "t5" == names("t5")


def test_every_metric_carries_our_prefix_and_counts_in_base_units() -> None:
    families = list(metrics.REGISTRY.collect())
    ours = [family for family in families if not family.name.startswith("process_")]

    assert [] == [family.name for family in ours if not family.name.startswith("banksman_")]
    assert [] == [family.name for family in ours if family.name.endswith(("_ms", "_milliseconds"))]
    assert all(family.documentation.endswith(".") for family in ours)
