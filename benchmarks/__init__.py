"""Measurements, kept apart from the tests: nothing here can fail for being slow."""
