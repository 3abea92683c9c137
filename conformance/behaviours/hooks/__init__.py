"""Hooks: when each fires, in which order, with which values, and what it changes."""
