"""Other libraries that compute the same layers, each imported only when it is measured."""
