"""The blocks of the guide, for the tests that run them."""

from tests.docs.conftest import fence

__all__ = ["fence"]
