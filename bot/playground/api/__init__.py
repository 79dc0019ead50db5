"""The Web API: `/api/<method>`. One file per family of methods; `dispatch.py` is what all calls pass through."""
