"""How long a test waits for what must come.

Only where something is broken does it ever take that long, so it is far more than any machine needs: how fast things
are is measured in `bench/`.
"""

PATIENCE_S = 90.0
