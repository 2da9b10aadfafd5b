"""Scores months of rides: shards (which) → tables (how) → job (the whole)."""
