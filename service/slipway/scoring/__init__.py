"""Turns checked rows into predictions: one core behind web, batch and stream."""
