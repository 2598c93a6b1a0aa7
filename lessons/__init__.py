"""The lessons: `python -m lessons` runs them all, `python lessons/01_a_network_from_outside.py` runs one."""
