"""CPU time of adapting, without that of judging what has been adapted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """CPU seconds of this process since it was made.

    spent: seconds that it starts with.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self._started = time.process_time() - spent

    @property
    def seconds(self) -> float:
        """CPU seconds so far, of all threads, but for what has been paused."""
        return round(time.process_time() - self._started, 3)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is done in this context."""
        before = time.process_time()
        try:
            yield
        finally:
            self._started += time.process_time() - before
