"""What the operator's file says about language models and money, as models. See `core.config.models` for the rest."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from core.budgets import micro_usd
from core.config.fields import Count, Duration, Kind, Model, Text, durations, matching, wrong
from core.config.problems import excerpt

Provider = Literal["openai", "anthropic", "google", "bedrock", "openai-compatible", "script"]

KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "google": "GEMINI_API_KEY"}
"""Where a vendor's key is if nothing else is said."""


def _usd(value: str) -> str:
    if micro_usd(value) is None:
        raise wrong(f"{excerpt(value)} is not an amount of money.", 'Write dollars as text, e.g. `"0.50"`.')
    return value


Usd = Annotated[Text, AfterValidator(_usd), Kind('US dollars as text, e.g. `"0.50"`')]
ModelName = Annotated[
    Text, matching(r"[a-z][a-z0-9-]{0,39}", "a model's name here", "main"), Kind("a model's name here")
]
SecretWord = Annotated[Text, matching(r"[A-Z][A-Z0-9_]{0,63}", "a secret's name", "OPENAI_API_KEY")]


class PriceWord(Model):
    """What a model costs."""

    input: Usd
    """A million tokens it reads."""
    output: Usd
    """A million tokens it writes."""


class ModelWord(Model):
    """A language model that agents may think with."""

    provider: Provider
    """Whose interface it speaks. `openai-compatible` is any server with OpenAI's (Ollama, vLLM): give its `url`.
    `script` answers from a file, without any model: for demonstrations and tests, and labelled so wherever it shows."""
    model: Text = ""
    """The vendor's name of the model. Required but for `script`."""
    script: Text | None = None
    """For `script`: the file with its turns, relative to this file."""
    url: Text | None = None
    """Another address of the interface. Required for `openai-compatible`."""
    secret: SecretWord | None = None
    """Which of `secrets` is its key. Left out: the vendor's usual variable (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`,
    `GEMINI_API_KEY`); Bedrock takes what AWS tools take, or a key of its own here, and
    `openai-compatible` needs none."""
    version: Text | None = None
    """The exact version that has to answer, as the vendor reports it. Another one blocks the run. Left out: whichever
    answers is recorded."""
    window: Annotated[Count, Field(ge=1_000, le=10_000_000)] = 128_000
    """How many tokens it can read at once."""
    max_output: Annotated[Count, Field(ge=16, le=1_000_000)] = 4_096
    """How many tokens one answer may have; reserved before each request."""
    price: PriceWord | None = None
    """What it costs. Left out: what is publicly known of it; where nothing is, nothing is asked of it."""
    fallback: Annotated[tuple[ModelName, ...], Field(max_length=5)] = ()
    """Models to ask instead, in this order, while it fails."""
    timeout_ms: Annotated[Duration, durations(1_000, 30 * 60_000)] = 120_000
    """How long one answer may take."""

    @model_validator(mode="after")
    def _has_what_its_provider_needs(self) -> Self:
        if (self.provider == "script") != (self.script is not None):
            raise wrong("`script` goes with the provider `script`, and with no other.", "Write both, or neither.")
        if self.provider != "script" and not self.model:
            raise wrong("Nothing says which model this is.", "Add `model: …`, as the vendor names it.")
        if self.provider == "openai-compatible" and self.url is None:
            raise wrong("Nothing says where this server is.", "Add `url: http://127.0.0.1:11434/v1`.")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise wrong(f"{excerpt(self.url)} is not an address.", "Begin it with `https://`.")
        return self


class CapsWord(Model):
    """How much a run may use beside money. One that has used it up is parked, and says so."""

    tokens: Annotated[Count, Field(ge=1_000, le=10**12)] | None = None
    """Tokens its models read and write together. Left out: no limit."""
    steps: Annotated[Count, Field(ge=1, le=1_000_000)] | None = None
    """Turns of a model and calls of tools together. Left out: no limit but `limits.steps`."""
    calls: Annotated[Count, Field(ge=1, le=1_000_000)] | None = None
    """Calls of tools. Left out: no limit."""
    time_ms: Annotated[Duration, durations(1_000, 365 * 24 * 3600 * 1000)] | None = None
    """From the moment it was asked for, waiting included. Left out: no limit but `limits.run-time`."""

    def amounts(self) -> dict[str, int]:
        """Those that are given, as a run pins them; time in milliseconds."""
        named = {"tokens": self.tokens, "steps": self.steps, "calls": self.calls, "time": self.time_ms}
        return {name: cap for name, cap in named.items() if cap is not None}


class BudgetsWord(Model):
    """How much may be spent on models. A run that would exceed one of them is parked, and says so."""

    run: Usd = "1.00"
    """One run, unless its agent says otherwise."""
    tree: Usd | None = None
    """A run with everything it starts. Left out: what the run itself may spend."""
    person_day: Usd | None = None
    """Everything one person asked for on one day (UTC). Left out: no limit."""
    channel_month: Usd | None = None
    """Everything asked for in one channel in one month (UTC). Left out: no limit."""
    team_day: Usd | None = None
    """Everything on one day (UTC). Left out: no limit."""
    caps: CapsWord = Field(default_factory=CapsWord)
    """What one run of an agent may use beside money, unless the agent says otherwise."""


def price_parts(word: PriceWord | None) -> dict[str, str] | None:
    """A price as it is pinned: dollars per million tokens, as text."""
    return None if word is None else {"input": str(Decimal(word.input)), "output": str(Decimal(word.output))}
