"""Block Kit's rules: what Slack accepts in a message, a modal and a home tab, and how it says no.

`surfaces.py` is the way in. `layout.py` knows the blocks, `elements.py` what stands inside them, `objects.py` the
texts, options and confirmations, `rich_text.py` and `newer.py` the rest. Unknown fields are refused, as Slack does.
"""

from bot.playground.blockkit.surfaces import BlocksTooLong, InvalidBlocks, check_blocks, check_view

__all__ = ["BlocksTooLong", "InvalidBlocks", "check_blocks", "check_view"]
