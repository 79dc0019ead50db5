"""Bugs planted on purpose: each breaks one promise, and a test of the suite has to notice.

A suite that has never been seen to fail proves nothing. `table.py` lists the bugs and who catches them, `running.py`
plants them one by one in a copy of the checkout. `python -m tests.chaos.mutants [NAME…]` runs them.
"""
