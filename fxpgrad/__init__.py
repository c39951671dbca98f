"""fxpgrad: bit-exact integer inference, and training by fixed-point forward gradients."""

from importlib.metadata import version

__version__ = version("fxpgrad")
