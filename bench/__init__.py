"""Measurements of the real engine, beside peers and physical limits; never a timed test."""
