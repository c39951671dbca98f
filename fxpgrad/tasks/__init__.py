"""Few-shot tasks: the bundled data and backbone, episodes, statistics."""
