"""The web service of a slot's pod: Flask behind gunicorn, and an admin port beside it."""
