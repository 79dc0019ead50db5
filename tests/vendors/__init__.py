"""Servers that speak the vendors' wire formats, as streams, each as its interface documents it.

A test says what is answered, turn by turn; the server keeps what it was sent.
"""

from tests.vendors.anthropic import anthropic_server
from tests.vendors.bedrock import AWS, bedrock_server
from tests.vendors.google import google_server
from tests.vendors.openai import openai_server
from tests.vendors.wire import Say, Vendor

__all__ = ["AWS", "VENDORS", "Say", "Vendor", "anthropic_server", "bedrock_server", "google_server", "openai_server"]

VENDORS = {
    "openai-compatible": openai_server,
    "openai": openai_server,
    "anthropic": anthropic_server,
    "google": google_server,
    "bedrock": bedrock_server,
}
"""The servers by what a configuration calls their interface."""
