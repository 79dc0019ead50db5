"""From what a person wrote, attached and chose to a playbook's inputs, or to what is still missing, as typed fields.

One path for Slack's text, the form that asks for the rest, and `--input` of the command line. Words `name=value` fill
the input they name; the others fill the required inputs in order, and the first text input takes all that is left. A
file goes to the input it fits; when two fit, nobody guesses. Storing files is not done here: a bound file is its place
in the list.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from core.config.quantities import size_text
from core.nearest import did_you_mean, nearest
from core.planners.definition import InputSpec, Json, Playbook
from core.planners.inputs import NotAccepted, accept

MAX_TEXT = 40_000
"""Characters of a request; Slack's own limit on a message."""

_WORD = re.compile(r'([A-Za-z][A-Za-z0-9_-]{0,39})=("(?:[^"]*)"|“[^”]*”|\S*)|\S+')


@dataclass(frozen=True)
class Attachment:
    """A file that came with the request, before its bytes are stored."""

    name: str
    media_type: str
    """As Slack or the file's name says; empty if unknown."""
    size: int | None
    """Bytes, if known."""


@dataclass(frozen=True)
class Bound:
    """Everything is there."""

    inputs: Mapping[str, Json]
    """Plain JSON by input name, defaults included; a file is `{"attachment": index, "name": name}`."""
    unused: tuple[str, ...] = ()
    """Names of attachments no input takes; say so, do not fail."""


@dataclass(frozen=True)
class FieldNeeded:
    """An input a form should ask for."""

    spec: InputSpec
    problem: str
    """Why it is asked: a sentence; empty if it simply was not given."""
    candidates: tuple[str, ...] = ()
    """For a file: the attachments to choose from."""


@dataclass(frozen=True)
class MissingInputs:
    """The run cannot begin yet."""

    fields: tuple[FieldNeeded, ...]
    """What to ask for, in the order of the playbook."""
    problems: tuple[str, ...]
    """Sentences about things no field can repair, e.g. words nobody knows what to do with."""
    bound: Mapping[str, Json] = field(default_factory=dict)
    """What is settled already, so that a form can keep it: as in `Bound.inputs`."""

    def sentence(self, playbook: Playbook, *, cli: bool = False) -> str:
        """Say what is missing and how to give it, for a thread or for a terminal."""
        parts = [*self.problems, *(_asking(needed, cli=cli) for needed in self.fields)]
        return f"`{playbook.name}` cannot begin. " + " ".join(parts)


def bind_inputs(
    playbook: Playbook,
    text: str,
    files: Sequence[Attachment],
    given: Mapping[str, Json],
    *,
    max_file_bytes: int = 50_000_000,
    hint: str = "",
) -> Bound | MissingInputs:
    """Fill the playbook's inputs.

    Args:
        text: What was written after the playbook's name, Slack's escapes already decoded.
        files: What was attached, in order.
        given: Values by name from a form or `--input k=v`; for a file, an attachment's name. They replace what the text
            said wrongly; a second, different value for what it said rightly is a problem.
        max_file_bytes: What `limits.upload` allows.
        hint: Added when words are left over, e.g. `Chosen.hint`.
    """
    named = frozenset(name for name, value in given.items() if value not in (None, ""))
    found: Bound | MissingInputs | None = None
    # Plain words pass over inputs that were given by name. If that leaves something open, the words may have been
    # written first and the form filled in afterwards, for what was wrong with them: then they keep their places.
    for passed_over in (named, frozenset[str]()):
        binder = _Binder(playbook, files, max_file_bytes)
        binder.take_text(text, hint, passed_over)
        binder.take_given(given)
        binder.take_files()
        attempt = binder.result()
        if isinstance(attempt, Bound) or found is None:
            found = attempt
        if isinstance(found, Bound):
            break
    assert found is not None
    return found


@dataclass
class _Binder:
    playbook: Playbook
    files: Sequence[Attachment]
    max_file_bytes: int
    values: dict[str, Json] = field(default_factory=dict)
    complaints: dict[str, str] = field(default_factory=dict)
    """By input: why what was given does not do."""
    candidates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def take_given(self, given: Mapping[str, Json]) -> None:
        for name, value in given.items():
            spec = self.playbook.inputs.get(name)
            if spec is None:
                self.problems.append(f"There is no input `{name[:40]}`. {self._inputs_there_are(name)}".rstrip())
            elif value is not None and value != "":
                said = self.values.pop(name, None)
                self.complaints.pop(name, None)
                if spec.type == "file":
                    self._file_by_name(spec, value)
                else:
                    self._accept(spec, value)
                if said is not None and self.values.get(name) not in (None, said):
                    self.values.pop(name)
                    self.complaints[name] = f"`{name}` was given twice."

    def take_text(self, text: str, hint: str, passed_over: frozenset[str]) -> None:
        if len(text) > MAX_TEXT:
            self.problems.append(f"The request has {len(text):,} characters; at most {MAX_TEXT:,} are possible.")
            return
        words = list(self._free_words(text))
        for spec in self._fillable_by_position():
            if not words:
                return
            if spec.name in self.values or spec.name in self.complaints or spec.name in passed_over:
                continue
            if spec.type == "string":
                self._accept(spec, _joined(text, words))
                return
            try:
                self.values[spec.name] = accept(spec, words[0][0])
                words.pop(0)
            except NotAccepted as error:
                if spec.required:
                    self.complaints[spec.name] = f"{error}."
                    words.pop(0)
        if words:
            self._left_over(" ".join(word for word, _, _ in words), hint)

    def take_files(self) -> None:
        waiting = [
            spec
            for spec in self.playbook.inputs.values()
            if spec.type == "file" and spec.name not in self.values and spec.name not in self.complaints
        ]
        for spec in [each for each in waiting if each.more]:
            self._bind_all(spec)
            waiting.remove(spec)
        while certain := next((each for each in waiting if self._certain(each, waiting)), None):
            self._bind_file(certain, self._fitting(certain)[0])
            waiting.remove(certain)
        for spec in waiting:
            if fitting := self._fitting(spec):
                names = tuple(self.files[index].name for index in fitting)
                self.candidates[spec.name] = names
                listed = ", ".join(_plain(name) for name in names)
                self.complaints[spec.name] = f"Which attached file is `{spec.name}` cannot be told: {listed}."
            elif spec.required and (others := [file.name for at, file in enumerate(self.files) if at not in self.used]):
                listed = ", ".join(_plain(name) for name in others)
                self.complaints[spec.name] = f"`{spec.name}` expects {spec.expects}, but {listed} was attached."

    def _bind_all(self, spec: InputSpec) -> None:
        """Every file that fits, in order; none of them if one of them cannot be taken."""
        fitting, most = self._fitting(spec), spec.more + 1
        if len(fitting) > most:
            self.problems.append(f"{len(fitting)} files came with the request; `{spec.name}` takes at most {most}.")
            return
        for position, index in enumerate(fitting, start=1):
            if trouble := self._trouble_with(spec, self.files[index]):
                self.complaints[spec.name] = trouble
                self.values = {name: value for name, value in self.values.items() if name not in self._places(spec)}
                return
            self.used.add(index)
            self.values[self._places(spec)[position - 1]] = {"attachment": index, "name": self.files[index].name}

    def _places(self, spec: InputSpec) -> list[str]:
        return [spec.name, *(f"{spec.name}_{n}" for n in range(2, spec.more + 2))]

    def _certain(self, spec: InputSpec, waiting: Sequence[InputSpec]) -> bool:
        """Whether exactly one file fits, and no other input has as good a claim to it."""
        fitting = self._fitting(spec)
        rivals = [each for each in waiting if each is not spec and self._fitting(each) == fitting]
        return len(fitting) == 1 and (not rivals or (spec.required and not any(each.required for each in rivals)))

    def result(self) -> Bound | MissingInputs:
        needed = []
        for spec in self.playbook.inputs.values():
            if spec.name in self.values:
                continue
            if spec.name in self.complaints:
                candidates = self.candidates.get(spec.name, ())
                needed.append(FieldNeeded(spec, self.complaints[spec.name], candidates))
            elif spec.default is not None:
                self.values[spec.name] = spec.default
            elif spec.required:
                needed.append(FieldNeeded(spec, ""))
        places = [place for spec in self.playbook.inputs.values() for place in self._places(spec)]
        ordered = {name: self.values[name] for name in places if name in self.values}
        if needed or self.problems:
            return MissingInputs(tuple(needed), tuple(self.problems), ordered)
        unused = tuple(file.name for at, file in enumerate(self.files) if at not in self.used)
        return Bound(ordered, unused)

    def _accept(self, spec: InputSpec, value: Json) -> None:
        if spec.name in self.values or spec.name in self.complaints:
            self.complaints[spec.name] = f"`{spec.name}` was given twice."
            self.values.pop(spec.name, None)
            return
        try:
            self.values[spec.name] = accept(spec, value)
        except NotAccepted as error:
            self.complaints[spec.name] = f"{error}."

    def _free_words(self, text: str) -> list[tuple[str, int, int]]:
        """Take the `name=value` words out of the text; return the others with their places."""
        free = []
        for match in _WORD.finditer(text):
            name = match[1]
            spec = self.playbook.inputs.get(name.replace("-", "_")) if name else None
            if spec is None:
                if name and not self._takes_text() and nearest(name, self.playbook.inputs):
                    self.problems.append(f"There is no input `{name}`. {self._inputs_there_are(name)}")
                else:
                    free.append((match[0], match.start(), match.end()))
                continue
            value = match[2][1:-1] if match[2][:1] in ('"', "“") and len(match[2]) > 1 else match[2]
            if spec.type == "file":
                self._file_by_name(spec, value)
            else:
                self._accept(spec, value)
        return free

    def _fillable_by_position(self) -> list[InputSpec]:
        """Never files and yes-or-no; where a text takes the rest, nothing optional takes its first words away."""
        return [
            spec
            for spec in self.playbook.inputs.values()
            if spec.type not in ("file", "boolean")
            and (spec.type == "string" or spec.required or not self._takes_text())
        ]

    def _takes_text(self) -> bool:
        return any(spec.type == "string" for spec in self.playbook.inputs.values())

    def _left_over(self, words: str, hint: str) -> None:
        takes = ", ".join(f"`{spec.name}` ({spec.expects})" for spec in self.playbook.inputs.values())
        known = f"It takes {takes}." if takes else "It takes no inputs."
        sentence = f'`{self.playbook.name}` does not know what to do with "{_plain(words)}". {known}'
        self.problems.append(f"{sentence} {hint}".rstrip())

    def _inputs_there_are(self, name: str) -> str:
        return did_you_mean(name, self.playbook.inputs, noun="Inputs") or "This playbook takes none."

    def _file_by_name(self, spec: InputSpec, name: Json) -> None:
        matches = [at for at, file in enumerate(self.files) if file.name == name and at not in self.used]
        usable = [at for at in matches if self._trouble_with(spec, self.files[at]) is None]
        if spec.name in self.values or spec.name in self.complaints:
            self.values.pop(spec.name, None)
            self.complaints[spec.name] = f"`{spec.name}` was given twice."
        elif len(usable) == 1 or len(matches) == 1:
            self._bind_file(spec, (usable or matches)[0])
        elif matches:
            self.complaints[spec.name] = f"Which `{_plain(str(name))}` is meant cannot be told: attach it alone."
        else:
            names = [file.name for file in self.files]
            guess = did_you_mean(str(name), names, noun="Attached") or "Attach it."
            self.complaints[spec.name] = f"No attached file is named `{_plain(str(name))}`. {guess}"

    def _bind_file(self, spec: InputSpec, index: int) -> None:
        self.used.add(index)
        file = self.files[index]
        if trouble := self._trouble_with(spec, file):
            self.complaints[spec.name] = trouble
        else:
            self.values[spec.name] = {"attachment": index, "name": file.name}

    def _trouble_with(self, spec: InputSpec, file: Attachment) -> str | None:
        limit = min(self.max_file_bytes, spec.max_bytes or self.max_file_bytes)
        if file.size == 0:
            return f"{_plain(file.name)} is empty (0 bytes)."
        if file.size is not None and file.size > limit:
            return f"{_plain(file.name)} has {file.size:,} bytes; `{spec.name}` takes at most {size_text(limit)}."
        return None if _fits(spec, file) else f"`{spec.name}` expects {spec.expects}, not {_plain(file.name)}."

    def _fitting(self, spec: InputSpec) -> list[int]:
        return [at for at, file in enumerate(self.files) if at not in self.used and _fits(spec, file)]


def _fits(spec: InputSpec, file: Attachment) -> bool:
    if not spec.extensions and not spec.media:
        return True
    extension = file.name.rpartition(".")[2].casefold() if "." in file.name else ""
    if extension in spec.extensions:
        return True
    media = file.media_type.partition(";")[0].strip().casefold()
    return any(media == each or (each.endswith("/*") and media.startswith(each[:-1])) for each in spec.media)


def _joined(text: str, words: Sequence[tuple[str, int, int]]) -> str:
    """The free words with the spacing they had, where nothing was taken out between them."""
    out = words[0][0]
    for (_, _, end), (word, start, _) in pairwise(words):
        gap = text[end:start]
        out += (gap if not gap.strip() else " ") + word
    return out


def _asking(needed: FieldNeeded, *, cli: bool) -> str:
    spec = needed.spec
    written = f"--input {spec.name}" if cli else spec.name
    if spec.type == "file" and needed.candidates:
        how = f"Give only the right one, or say which: `{written}={_plain(needed.candidates[0])}`."
    elif spec.type == "file":
        other = "another file" if needed.problem else "it"
        how = f"Give {other} with `--file PATH`." if cli else f"Attach {other} to your message."
    else:
        how = f"Add `{written}=…`." if cli else f"Write `{written}=…`."
    about = f" ({spec.description.rstrip('.')})" if spec.description else ""
    what = needed.problem or f"It needs `{spec.name}`{about}: {spec.expects}."
    return f"{what} {how}"


def _plain(name: str) -> str:
    """Somebody's file name or words inside a sentence: one line, bounded, no formatting."""
    flat = "".join(each if each.isprintable() and each != "`" else "?" for each in name[:81])
    return flat if len(name) <= 80 else f"{flat[:80]}…"
