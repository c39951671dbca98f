"""Measures this package against other runtimes on the machine that it runs on."""
