"""Runs Stata scripts: control flow, macros, prefixes, and the commands around gllamm."""
