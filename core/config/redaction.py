"""The redactor of a process: every secret it could know, so that none leaves through any way out."""

from collections.abc import Mapping
from pathlib import Path

from core.config.load import Config
from core.config.models import SecretReference
from core.secrets import MissingSecret, Redactor, SecretRef, SystemSecrets


def redactor_for(config: Config, tokens: Mapping[str, str]) -> Redactor:
    """Build it from the config's secrets that are there, and the tokens this process was given."""
    known = dict(tokens)
    source = SystemSecrets()
    for name, where in config.secrets.items():
        try:
            known[name] = source.resolve(_ref(name, where, config.path.parent)).get_secret_value()
        except MissingSecret:
            # What is not there cannot leak; whoever needs it says that it is missing.
            continue
    return Redactor(known)


def secret_refs(config: Config) -> dict[str, SecretRef]:
    """Where each secret of the config is, by its name."""
    return {name: _ref(name, where, config.path.parent) for name, where in config.secrets.items()}


def _ref(name: str, where: SecretReference, base: Path) -> SecretRef:
    if where.env is not None:
        return SecretRef.parse(name, f"env:{where.env}")
    return SecretRef.parse(name, f"file:{base / (where.file or '')}")
