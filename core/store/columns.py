"""The few kinds of column and index the schema is made of."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, MetaData, String, Text, text

from core.record.states import BlockedReason, CallStatus, RunState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""What every table belongs to, and how its keys are named."""


def key(name: str) -> Column[str]:
    """A needed text that names something."""
    return Column(name, String(200), nullable=False)


def reference(name: str) -> Column[str]:
    """A text that may name something."""
    return Column(name, String(200))


def sized(name: str, length: int, comment: str, default: str | None = None) -> Column[str]:
    """A needed text of a length of its own."""
    return Column(
        name,
        String(length),
        nullable=False,
        server_default=None if default is None else text(default),
        comment=comment,
    )


def time_ms(name: str, *, needed: bool = False) -> Column[int]:
    """An instant, milliseconds since 1970."""
    return Column(name, BigInteger, nullable=not needed)


def number(name: str, default: int = 0) -> Column[int]:
    """An integer that is 0 unless said."""
    return Column(name, BigInteger, nullable=False, server_default=text(str(default)))


def keys(*names: str) -> list[Column[str]]:
    """Several of `key`."""
    return [key(name) for name in names]


def references(*names: str) -> list[Column[str]]:
    """Several of `reference`."""
    return [reference(name) for name in names]


def times_ms(*names: str) -> list[Column[int]]:
    """Several of `time_ms`."""
    return [time_ms(name) for name in names]


def numbers(*names: str) -> list[Column[int]]:
    """Several of `number`."""
    return [number(name) for name in names]


def index_where(name: str, condition: str, *columns: str, unique: bool = False) -> Index:
    """An index of the few rows a sweep looks for."""
    return Index(name, *columns, unique=unique, postgresql_where=text(condition), sqlite_where=text(condition))


def json_text(name: str, default: str = "{}") -> Column[str]:
    """Canonical JSON text."""
    return Column(name, Text, nullable=False, server_default=text(f"'{default}'"))


def one_of(
    name: str, column: str, values: type[RunState] | type[CallStatus] | type[BlockedReason] | tuple[str, ...]
) -> CheckConstraint:
    """A column's closed vocabulary."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=name)
