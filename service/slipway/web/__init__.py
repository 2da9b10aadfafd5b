"""The web service of a slot's pod: Flask behind gunicorn, and an admin port beside it."""

# Before any other module imports structlog: logs.py does so sparingly.
from slipway import logs as logs
