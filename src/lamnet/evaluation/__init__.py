"""Measuring how good and how fast networks are."""
