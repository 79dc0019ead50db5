"""The long form: `python -m tests.chaos.simulation --seeds 50000`, or one history again: `--seed N --seeds 1 --log`."""

import argparse
import random
import sys
import time

from tests.chaos.simulation import Simulated, replay, simulate, unreached

_AT_ONCE = 100


def main() -> int:
    """Go through histories until one is broken; non-zero then, or if a long run has not reached everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulation", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many histories")
    parser.add_argument("--seed", type=int, default=None, help="the first of them")
    parser.add_argument("--log", action="store_true", help="print what happened in the first one, and stop there")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1, 2**31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    if asked.log:
        broken, history = replay(seed)
        print("\n".join(history.world.log))
        print(broken or "it holds")
        return 1 if broken else 0
    began_s, whole = time.monotonic(), Simulated()
    while whole.histories < asked.seeds and not whole.violations:
        done = simulate(min(_AT_ONCE, asked.seeds - whole.histories), seed + whole.histories)
        whole.histories += done.histories
        whole.reached += done.reached
        whole.violations += done.violations
    for name, times in sorted(whole.reached.items()):
        print(f"  {name:<44} {times}")
    took_s = time.monotonic() - began_s
    print(f"{whole.histories} histories in {took_s:.0f} s, {len(whole.violations)} broken")
    for line in whole.violations:
        print(f"BROKEN {line}\n  again: python -m tests.chaos.simulation --seeds 1 --log --seed {line.split()[1][:-1]}")
    missing = unreached(whole.reached) if whole.histories >= 1_000 else []
    for name in missing:
        print(f"UNREACHED {name}")
    return 1 if whole.violations or missing else 0


sys.exit(main())
