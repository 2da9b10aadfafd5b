"""From a machine to a cluster that answers: engine, programs, images, kind.

Standard library only, and nothing of `slipway`: it runs before any environment is made.
"""
