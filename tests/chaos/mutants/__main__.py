"""`python -m tests.chaos.mutants [NAME…]`: plant the bugs, or those named; 1 if one survives."""

import sys

from tests.chaos.mutants.running import run
from tests.chaos.mutants.table import MUTANTS


def main() -> int:
    """Plant them and say who caught what."""
    known = {mutant.name for mutant in MUTANTS}
    wanted = set(sys.argv[1:]) or known
    if unknown := sorted(wanted - known):
        print(f"There is no planted bug {', '.join(unknown)}. There are: {', '.join(sorted(known))}.", file=sys.stderr)
        return 2
    outcomes = run([mutant for mutant in MUTANTS if mutant.name in wanted])
    for each in outcomes:
        print(
            f"{'caught' if each.caught else 'SURVIVED':<9} {each.took_s:5.1f} s  {each.mutant.name}: {each.mutant.test}"
        )
        print(each.said, end="")
    caught = sum(each.caught for each in outcomes)
    print(f"{caught} of {len(outcomes)} caught")
    return 0 if caught == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
