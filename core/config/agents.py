"""Which playbook a message asks for.

A first word that names a playbook runs it; otherwise the channel's own; otherwise a sentence says what there is. What
the rest of the message means is the playbook's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core.actions.agreed import Agreed, in_channel
from core.actions.contract import Contract
from core.config.load import Config
from core.nearest import did_you_mean


@dataclass(frozen=True)
class Channel:
    """Where somebody asks; both are needed because contracts may be written with either."""

    id: str
    name: str
    """With or without `#`; empty for a direct message."""


@dataclass(frozen=True)
class Chosen:
    """The playbook to run."""

    agent: str
    rest: str
    """The message without the playbook's name, trimmed."""
    hint: str = ""
    """Empty if the person named it. Otherwise a sentence to add when the rest makes no sense to it: perhaps another
    playbook was meant."""


@dataclass(frozen=True)
class UnknownAgent:
    """Nothing runs; `sentence` is for the person."""

    sentence: str


NOTHING: Mapping[str, Agreed] = MappingProxyType({})


def choose(
    config: Config, channel: Channel | None, text: str, agreed: Mapping[str, Agreed] = NOTHING
) -> Chosen | UnknownAgent:
    """Pick the playbook for a message that had our mention removed.

    Args:
        channel: `None` on the command line, where the first word must name a playbook.
        agreed: Which contracts of channels were accepted.
    """
    word, rest = _first_word(text)
    name = word.casefold().rstrip(":,")
    contract = contract_of(config, channel, agreed)
    if name in config.playbooks:
        barred = None if contract is None else contract.bars_agent(name)
        return Chosen(name, rest) if barred is None else UnknownAgent(barred)
    open_ = [each for each in config.playbooks if contract is None or contract.bars_agent(each) is None]
    if contract is not None and contract.agent is not None:
        return Chosen(contract.agent, text.strip(), hint=_hint(open_, word, contract.agent))
    if not config.playbooks:
        return UnknownAgent(f"There is no playbook yet. Add one under `playbooks` in {config.path.name}.")
    if not word:
        return UnknownAgent(f"Say what to run. {did_you_mean('', open_, noun='Playbooks')}")
    return UnknownAgent(f"There is no playbook `{_safe(word)}`. {did_you_mean(name, open_, noun='Playbooks')}")


def contract_of(config: Config, channel: Channel | None, agreed: Mapping[str, Agreed] = NOTHING) -> Contract | None:
    """What holds in a channel: what the file says, as far as that is within what was accepted."""
    if channel is None:
        return None
    return in_channel(channel.id, f"#{channel.name.removeprefix('#')}", config.contracts, agreed)


def _hint(names: Sequence[str], word: str, default: str) -> str:
    others = [name for name in names if name != default]
    if not word or not others:
        return ""
    return f"If you meant another playbook, begin with its name. {did_you_mean(word, others, noun='There are')}"


def _first_word(text: str) -> tuple[str, str]:
    parts = text.strip().split(maxsplit=1)
    return (parts[0] if parts else ""), (parts[1].strip() if len(parts) > 1 else "")


def _safe(word: str) -> str:
    return "".join(each for each in word[:40] if each.isprintable() and each != "`")
