"""Trains and logs the example models. Nothing else imports this, and the image leaves it out."""
