"""What ``serving.py`` is made of: servers that run side by side, clients that load them, and one file per question."""
