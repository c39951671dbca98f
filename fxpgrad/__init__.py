"""fxpgrad: bit-exact integer inference, and training by fixed-point forward gradients."""

__version__ = "0.1.0"
