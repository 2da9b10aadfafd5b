"""The only importers of I/O libraries besides `cluster/kube.py`, `models/load.py`, `examples/`.

Their exceptions end here: "not found" becomes None (a fact), anything else one of our errors.
"""
