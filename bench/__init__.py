"""Benchmarks: `python -m bench` prints them all, every figure beside a peer's in the same run."""
