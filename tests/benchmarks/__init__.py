"""Benchmarks: commands, not tests. `python -m tests.benchmarks --help`"""
