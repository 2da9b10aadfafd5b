"""Slipway serves MLflow models and moves traffic between versions by measured evidence.

Importing the package, or any module but the entry modules, has no effect: nothing is read from
the environment, no model is loaded, no client is built.
"""
