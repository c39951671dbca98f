"""Which C files a port needs."""

from __future__ import annotations

import pytest

from fxpgrad.codegen.host_compiler import support_files
from fxpgrad.codegen.ports import port_files, sources_of
from fxpgrad.errors import InputError


def test_a_port_brings_what_it_includes_with_the_c_files_beside_it():
    names = {path.name for path in sources_of(["update_w8"])}
    assert names == {"update.c", "fxp_random.c", "fxp_random.h", "fxp_steps.h", "fxp_arithmetic.h"}


def test_a_c_file_with_a_header_beside_it_holds_no_port():
    shared = {path.name for path in support_files()}
    assert {"fxp_random.c", "fxp_exp_ln.c"} <= shared
    assert not shared & {path.name for path in port_files().values()}


def test_a_kernel_without_a_port_is_refused():
    with pytest.raises(InputError, match="no_such_kernel has no C port"):
        sources_of(["no_such_kernel"])
