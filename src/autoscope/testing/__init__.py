"""Tests, traced: what the pytest plugin does while it is active. Nothing else imports this."""
