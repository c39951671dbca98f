"""Targets that the judge is tested with: Python callables that are right, or wrong in one way.

Their arguments are those of `add_a8`, elementwise on flat arrays.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import time
from typing import Any

import numpy as np

from fxpgrad_kernels.elementwise.elementwise_ref import add_ref

_calls = itertools.count()


def right(**case: Any) -> Any:
    return add_ref(**case)


def forgets_output_zero_point(**case: Any) -> Any:
    return add_ref(**{**case, "output_zero_point": 0})


def wrong_in_long_arrays(**case: Any) -> Any:
    result = add_ref(**case)
    if len(result) > 4:
        result[4] ^= 1
    return result


def raises(**case: Any) -> Any:
    if case["input_a_zero_point"] > 3:
        raise KeyError("no such zero point")
    return add_ref(**case)


def leaves(**case: Any) -> Any:
    sys.exit(3)


def crashes(**case: Any) -> Any:
    if (case["input_a"] > 100).any():
        ctypes.string_at(8)
    return add_ref(**case)


def aborts(**case: Any) -> Any:
    sys.stderr.write("assertion failed: size\n")
    sys.stderr.flush()
    os.abort()


def hangs(**case: Any) -> Any:
    if len(case["input_a"]) > 2:
        time.sleep(600)
    return add_ref(**case)


def reads_behind(**case: Any) -> Any:
    values = case["input_b"]
    if len(values) > 1:
        ctypes.string_at(values.ctypes.data, values.nbytes + 1)
    return add_ref(**case)


def writes_before(**case: Any) -> Any:
    values = case["input_a"]
    ctypes.memset(values.ctypes.data - 1, 0, 1)
    return add_ref(**case)


def writes_an_input(**case: Any) -> Any:
    case["input_a"][-1:] += 1
    return add_ref(**case)


def is_unstable(**case: Any) -> Any:
    return add_ref(**case) ^ np.int8(next(_calls) % 2)


def is_too_wide(**case: Any) -> Any:
    return add_ref(**case).astype(np.int32)


def returns_two(**case: Any) -> Any:
    return add_ref(**case), 1


def returns_text(**case: Any) -> Any:
    return {"a": add_ref(**case)}


def prints(**case: Any) -> Any:
    print("on standard output")
    return add_ref(**case)


def stalls_once(**case: Any) -> Any:
    """Take long in the first process that reaches the fifth call, as on a busy machine."""
    if next(_calls) == 5 and not os.path.exists(os.environ["FXPGRAD_MOCK_STALL"]):
        open(os.environ["FXPGRAD_MOCK_STALL"], "w").close()
        time.sleep(60)
    return add_ref(**case)


def exits_quietly(**case: Any) -> Any:
    os._exit(0)


def date(**case):
    raise ValueError("[b]\x1b[31mred")
