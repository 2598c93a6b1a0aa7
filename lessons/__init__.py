"""The lessons: `python -m lessons` runs them all, `python lessons/01_a_trained_network.py` runs one."""
