"""A model file's content, within the limit that holds for every format."""

from __future__ import annotations

from pathlib import Path

from fxpgrad.errors import ModelFileError

LARGEST_FILE = 2**30


def read_file_bytes(path: str | Path, limit: int = LARGEST_FILE) -> bytes:
    """Return the content of a file of at most `limit` bytes, or raise `ModelFileError`."""
    try:
        source = Path(path)
        if not source.is_file():
            raise ModelFileError(f"cannot read {path}: there is no such file")
        if source.stat().st_size > limit:
            raise ModelFileError(f"{path} is larger than {limit} bytes, the limit for a model file")
        return source.read_bytes()
    except ModelFileError:
        raise
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot read {path}: {error}") from error
