"""Timings of minicnn beside torch: `python -m tests.benchmarks`. Nothing here is collected as a test."""
