"""Where a secret's value comes from, and what is said when it is not there."""

from pathlib import Path

import pytest

from core.secrets import MissingSecret, SecretRef, SystemSecrets


def test_a_value_comes_from_the_environment() -> None:
    secret = SystemSecrets({"TOKEN": "value"}).resolve(SecretRef.parse("token", "env:TOKEN"))

    assert "value" == secret.get_secret_value()
    assert "value" not in repr(secret)


def test_a_value_comes_from_a_file_without_its_line_break(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("value \r\n")

    assert "value " == SystemSecrets({}).resolve(SecretRef("token", "file", str(tmp_path / "token"))).get_secret_value()


def test_a_rotated_value_is_used_at_once() -> None:
    environ = {"TOKEN": "old"}
    source = SystemSecrets(environ)
    ref = SecretRef("token", "env", "TOKEN")
    source.resolve(ref)

    environ["TOKEN"] = "new"

    assert "new" == source.resolve(ref).get_secret_value()


@pytest.mark.parametrize("text", ["the-secret-itself", "vault:x", "env:", ":x", ""])
def test_a_strange_reference_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(MissingSecret, match="env:VARIABLE") as caught:
        SecretRef.parse("token", text)

    assert "the-secret-itself" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "Create the file"), (b"", "has no value"), (b"\xff", "not UTF-8"), (b"x" * 70_000, "larger than 64 KiB")],
)
def test_a_missing_or_odd_file_says_what_to_do(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(MissingSecret, match=sentence):
        SystemSecrets({}).resolve(SecretRef("token", "file", str(path)))


def test_an_unset_variable_names_itself() -> None:
    with pytest.raises(MissingSecret, match="set the environment variable TOKEN"):
        SystemSecrets({}).resolve(SecretRef("token", "env", "TOKEN"))
