"""Measurements with a goal each; taken as differences and ratios of one run: machines differ."""
