"""From what a person writes to a model in memory: reference → resolve → release → cache → load.

Each step is a module. Fetching and loading are apart on purpose: whatever touches the network
never deserialises, and nothing is deserialised before its digest has been checked.
"""
