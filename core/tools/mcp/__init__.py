"""Tools over MCP: what a server of the operator's choice offers, under the operator's word.

`client` speaks to a server, and is the only module that imports the library; it runs where the server runs, never in
the worker. `tool` is what runs see; `start` decides where a server is started, `answer` what its words become.
"""
