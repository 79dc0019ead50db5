"""What a worker says about itself: the loops it lives by, and what it needs to take up work."""

from collections.abc import Callable
from dataclasses import dataclass, field

from core.ops.health import Health, works
from core.ops.redis import doorbell_check
from core.periodic import Pulse
from core.store.standing import database_check
from worker.wiring import Worker

_POLLED_WITHIN_S = 15.0


@dataclass(frozen=True)
class Pulses:
    """The loops of a worker; each may take as long as its slowest honest pass, and then some."""

    renewals: Pulse = field(default_factory=lambda: Pulse("renewals", 30.0))
    watch: Pulse = field(default_factory=lambda: Pulse("lease-watch", 10.0))
    poll: Pulse = field(default_factory=lambda: Pulse("poll", 60.0))
    stops: Pulse = field(default_factory=lambda: Pulse("stops", 120.0))
    sweeper: Pulse = field(default_factory=lambda: Pulse("sweeper", 300.0))

    @property
    def all(self) -> tuple[Pulse, ...]:
        return self.renewals, self.watch, self.poll, self.stops, self.sweeper


def health_of(worker: Worker, pulses: Pulses, *, is_stopping: Callable[[], bool]) -> Health:
    """The checks and facts of a worker."""
    station = worker.station
    return Health(
        part="worker",
        checks={
            "lease": works(lambda: worker.lease.holds, "it was not renewed in time"),
            "database": database_check(station.database),
            "polling": works(
                lambda: pulses.poll.good_s_ago < _POLLED_WITHIN_S,
                f"no look for due runs has succeeded for {_POLLED_WITHIN_S:.0f} s",
            ),
            "serving": works(lambda: not is_stopping(), "it was told to stop and takes up nothing more"),
            "redis": doorbell_check(worker.redis_url),
        },
        pulses=pulses.all,
        facts=lambda: {"sandbox": station.bench.environment.level.value},
    )
