"""One value for one input: is it of the right type, and what is it as JSON.

Texts typed by people, values of a form, `--input` of the command line and defaults of a playbook all come through here,
so that `rows=abc` gets the same sentence everywhere. Which text belongs to which input is `binding.py`'s work.
"""

import re

from core.planners.definition import InputSpec, Json

MAX_INTEGER = 2**53 - 1

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_YES = frozenset({"yes", "true", "on", "y", "1"})
_NO = frozenset({"no", "false", "off", "n", "0"})


class NotAccepted(Exception):
    """The value does not fit the input; the message says what was expected and what was given, without a full stop."""


def accept(spec: InputSpec, given: Json) -> Json:
    """Return the value as the plain JSON its type has.

    Args:
        spec: Not of type `file`.
        given: A text, or a value that has the type already.

    Raises:
        NotAccepted: naming the input, what it expects and what it got.
    """
    if isinstance(given, str):
        _refuse_strange(spec, given)
    match spec.type:
        case "string":
            return _string(spec, given)
        case "integer":
            return _integer(spec, given)
        case "decimal":
            text = given.strip().replace(" ", "") if isinstance(given, str) else str(given) if _is_int(given) else ""
            if not _DECIMAL.fullmatch(text):
                raise _unfit(spec, given)
            return text.removeprefix("+")
        case "boolean":
            return _boolean(spec, given)
        case "choice":
            return _choice(spec, given)
        case "file":
            raise NotAccepted(f"`{spec.name}` is {spec.expects}; attach it instead of writing it")


def _string(spec: InputSpec, given: Json) -> str:
    if not isinstance(given, str):
        raise _unfit(spec, given)
    if not given.strip() and spec.required:
        raise NotAccepted(f"`{spec.name}` is empty")
    if len(given) > spec.max_length:
        raise NotAccepted(f"`{spec.name}` has {len(given):,} characters; at most {spec.max_length:,} are possible")
    return given


def _integer(spec: InputSpec, given: Json) -> int:
    written = isinstance(given, str) and _INTEGER.fullmatch(given.strip())
    if not written and not _is_int(given):
        raise _unfit(spec, given)
    number = int(given)
    too_small = spec.minimum is not None and number < spec.minimum
    too_large = spec.maximum is not None and number > spec.maximum
    if too_small or too_large or abs(number) > MAX_INTEGER:
        raise _unfit(spec, given)
    return number


def _boolean(spec: InputSpec, given: Json) -> bool:
    if isinstance(given, bool):
        return given
    word = given.strip().casefold() if isinstance(given, str) else None
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise _unfit(spec, given)


def _choice(spec: InputSpec, given: Json) -> str:
    if isinstance(given, str):
        for choice in spec.choices:
            if given.strip() == choice:
                return choice
        for choice in spec.choices:
            if given.strip().casefold() == choice.casefold():
                return choice
    raise _unfit(spec, given)


def _refuse_strange(spec: InputSpec, given: str) -> None:
    if "\x00" in given:
        raise NotAccepted(f"`{spec.name}` holds a NUL character; remove it")
    if any("\ud800" <= each <= "\udfff" for each in given):
        raise NotAccepted(f"`{spec.name}` holds half of a character; type it again")


def _is_int(given: Json) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)


def _unfit(spec: InputSpec, given: Json) -> NotAccepted:
    return NotAccepted(f"`{spec.name}` expects {spec.expects}, not {_shown(given)}")


def _shown(given: Json) -> str:
    match given:
        case bool():
            return "yes" if given else "no"
        case str():
            flat = "".join(each if each.isprintable() else " " for each in given[:41])
            return f'"{flat}"' if len(given) <= 40 else f'"{flat[:40]}…"'
        case int():
            return str(given)[:40]
        case float():
            return f"the fraction {given} (write amounts as text)"
        case None:
            return "nothing"
        case _:
            return "a list or group"
