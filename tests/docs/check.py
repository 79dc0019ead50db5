"""The documents against the code, as `make check` runs it: `python -m tests.docs.check`. Runs no block; tests do."""

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tests.docs.fences import (
    ILLUSTRATIONS,
    Fence,
    documents,
    fence_problems,
    fences,
    language_problems,
    run_by_tests,
)
from tests.docs.links import link_problems
from tests.docs.names import SOURCES, name_problems

ROOT = Path(__file__).resolve().parents[2]


def problems(root: Path) -> Iterator[str]:
    """Yield a sentence with its remedy for everything wrong in the documents below `root`."""
    found = fences(root)
    yield from fence_problems(found, run_by_tests(root), ILLUSTRATIONS)
    yield from language_problems(root)
    for fence in found:
        yield from syntax_problems(fence)
    texts = {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in documents(root)}
    yield from name_problems(texts, SOURCES)
    yield from link_problems(root, texts)


def syntax_problems(fence: Fence) -> Iterator[str]:
    """Even an illustration must be code of its language."""
    try:
        if fence.language == "python":
            ast.parse(fence.text)
        elif fence.language == "yaml":
            list(YAML(typ="safe", pure=True).load_all(io.StringIO(fence.text)))
    except (SyntaxError, YAMLError) as error:
        yield f"{fence.key!r} is not valid {fence.language}: {error}"
    if fence.language == "console" and not fence.commands():
        yield f"{fence.key!r} is a console without a command: begin what the reader types with `$ `"


def main() -> int:
    found = list(problems(ROOT))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
