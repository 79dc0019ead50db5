"""A whole Banksman under fire: real processes, an outside witness of every effect, a seeded nemesis, a checker.

`installation` starts and restarts the processes, `witness` is the outside world, `nemesis` breaks things, `trials` asks
for work and clicks, `checker` says afterwards what must never be so. `python -m tests.chaos` runs them by the thousand.
"""
