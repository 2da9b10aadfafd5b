"""The one place that knows a model's input: request schema, feature function, batch columns."""
