"""Tests, in tiers by what must be running: unit, integration, acceptance, security, docs."""
