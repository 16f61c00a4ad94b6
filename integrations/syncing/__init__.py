"""Every channel shows its target: what is due, what was sent, what is confirmed, and orders on their way in."""
