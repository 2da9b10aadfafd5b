"""The local platform: a kind cluster and what Slipway needs beside it (see README.md here)."""
