"""Rows in the form the peers' runner reads, and the document at the end."""

import json

import pytest

from bench.report import Report


def test_a_row_is_one_line_that_begins_with_result(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()

    report.add("sqlite", "W1", "C=20", steps_per_s=1.5, p50_ms=None)

    (line,) = capsys.readouterr().out.splitlines()
    row = json.loads(line.removeprefix("RESULT "))
    assert line.startswith("RESULT {")
    assert row.pop("load1") >= 0
    assert {"peer": "banksman", "variant": "sqlite", "workload": "W1", "case": "C=20", "steps_per_s": 1.5} == row


def test_the_document_is_one_line_with_every_row() -> None:
    report = Report()
    report.add("sqlite", "W1", "C=1", steps_per_s=1)
    report.add("postgres", "W4", "C=1", per_s=2)

    document = report.document()

    assert 1 == len(document.splitlines())
    assert ["W1", "W4"] == [row["workload"] for row in json.loads(document)["rows"]]
    assert not report.has_errors


def test_a_row_that_could_not_be_measured_says_why() -> None:
    report = Report()

    report.failed("postgres", "W2", TimeoutError("no answer"))

    assert report.has_errors
    assert "TimeoutError: no answer" == report.rows[0]["error"]
