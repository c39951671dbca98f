"""The Graph, its rules, a builder and float execution; import from the modules."""
