"""Benchmarks: how fast this torch is, how far from what the device can do, and whether a change made it slower.

The command's own process plans, judges and stores, and never imports torch; `worker` measures in fresh processes.
"""
