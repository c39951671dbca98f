"""Faults planted in the C ports: each is a change of their text, compiled to a library of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from fxpgrad.codegen.header import DEVICE, HEADER
from fxpgrad.codegen.host_compiler import found_compiler, run_compiler
from fxpgrad.codegen.ports import sources_of


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted fault.

    Attributes
    ----------
    name : str
    kernel : str
    file : str
        The C file or header that is changed.
    old, new : str
        A text that the file must hold, and what stands in its place.
    kind : str
        What a judge must find: a key of `fxpgrad.conformance.examine.KINDS`.
    cause : str
        The name of the cause that explains it; "" where none is known.
    """

    name: str
    kernel: str
    file: str
    old: str
    new: str
    kind: str = "values"
    cause: str = ""


def build_port(kernel: str, folder: Path, mutant: Mutant | None = None) -> Path:
    """Compile the port of a kernel, with a fault or as it is, and return the library's path.

    Raises
    ------
    AssertionError
        The file does not hold the text that is to be changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in (*sources_of([kernel]), DEVICE / HEADER):
        shutil.copy(source, folder)
    if mutant is not None:
        text = (folder / mutant.file).read_text()
        assert mutant.old in text, f"{mutant.name}: {mutant.file} does not hold {mutant.old!r}"
        (folder / mutant.file).write_text(text.replace(mutant.old, mutant.new))
    library = folder / f"{kernel}.so"
    flags = ("-std=c99", "-O1", "-w", "-fPIC", "-shared", "-fwrapv")
    run_compiler([found_compiler(), *flags, f"-I{folder}", *sorted(folder.glob("*.c")), "-o", library])
    return library


_GEOMETRY = "stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w"
_CONV = ("conv2d_a8w8", "conv2d.c")
_LOOPS = ("conv2d_a8w8", "fxp_conv2d.h")
_DEPTHWISE = ("depthwise_conv2d_a8w8", "depthwise_conv2d.c")
_DENSE = ("fully_connected_a8w8", "fully_connected.c")
_ADD = ("add_a8", "elementwise.c")
_AVERAGE = ("average_pool2d_a8", "pooling.c")
_MAX = ("max_pool2d_a8", "pooling.c")

_OUTSIDE = """for (int32_t ky = 0; ky < layer->kernel_h; ky++) { \\
            for (int32_t kx = 0; kx < layer->kernel_w; kx++) { \\
                const int inside = ky >= window->top && ky < window->bottom && kx >= window->left \\
                    && kx < window->right; \\
                for (int32_t k = 0; k < depth && !inside; k++) { \\
                    for (int32_t i = 0; i < count; i++) { \\
                        totals[i] -= layer->input_zero_point \\
                            * filters[i * size + (ky * layer->kernel_w + kx) * depth + k]; \\
                    } \\
                } \\
            } \\
        } \\
        """
_FIRST_TAP = "for (int32_t ky = window->top; ky < window->bottom; ky++) { \\\n"
_SUM = "const int64_t sum = bias[i] + totals[i - o];"
_REQUANTIZE = "fxp_requantize(sum, multiplier[i], shift[i], layer->rounding)"
_FINISH = """fxp_add_zero_point( \\
                                value, layer->output_zero_point, layer->clamp_low, layer->clamp_high)"""

MUTANTS: tuple[Mutant, ...] = (
    Mutant("padding is 0", *_LOOPS, _FIRST_TAP, _OUTSIDE + _FIRST_TAP, cause="padding holds 0"),
    Mutant(
        "stride swapped",
        *_CONV,
        _GEOMETRY,
        _GEOMETRY.replace("stride_h, stride_w", "stride_w, stride_h"),
        cause="stride swapped",
    ),
    Mutant(
        "dilation ignored",
        *_CONV,
        _GEOMETRY,
        _GEOMETRY.replace("dilation_h, dilation_w", "1, 1"),
        cause="dilation ignored",
    ),
    Mutant(
        "padding off by one",
        *_CONV,
        _GEOMETRY,
        _GEOMETRY.replace("pad_top, pad_left", "pad_top + 1, pad_left + 1"),
        cause="padding off by one, earlier in rows and columns",
    ),
    Mutant(
        "zero point added",
        *_CONV,
        "groups, input_zero_point, output_zero_point,",
        "groups, -input_zero_point, output_zero_point,",
        cause="input_zero_point sign",
    ),
    Mutant(
        "zero point dropped",
        *_DENSE,
        "input + b * I, weights + o * I, I, I, input_zero_point,",
        "input + b * I, weights + o * I, I, I, 0,",
        cause="input_zero_point dropped",
    ),
    Mutant(
        "channel 0's multiplier",
        *_LOOPS,
        _REQUANTIZE,
        _REQUANTIZE.replace("multiplier[i]", "multiplier[0]"),
        cause="multiplier of channel 0",
    ),
    Mutant("bias dropped", *_DENSE, "bias[i] + totals[i - o]", "totals[i - o]", cause="bias dropped"),
    Mutant(
        "16-bit accumulator",
        *_LOOPS,
        _SUM,
        _SUM.replace("bias[i] + totals[i - o]", "(int16_t)(bias[i] + totals[i - o])"),
        cause="accumulator wraps at 16 bits",
    ),
    Mutant(
        "other rounding",
        *_LOOPS,
        _REQUANTIZE,
        _REQUANTIZE.replace("layer->rounding", "FXP_DOUBLE_UP"),
        cause="rounding DOUBLE_UP",
    ),
    Mutant(
        "clamp before the zero point",
        *_LOOPS,
        _FINISH,
        """fxp_clamp(fxp_clamp(value, layer->clamp_low, layer->clamp_high) \\
                                + layer->output_zero_point, -128, 127)""",
        cause="clamp before the zero point",
    ),
    Mutant("no saturation", *_LOOPS, _FINISH, "(value + layer->output_zero_point)", cause="result wraps"),
    Mutant("groups ignored", *_LOOPS, "input + group * depth", "input", cause="groups ignored"),
    Mutant(
        "filter's rows and columns",
        *("depthwise_conv2d_a8w8", "fxp_depthwise_conv2d.h"),
        "(ky * layer->kernel_w + kx) * layer->filters",
        "(kx * layer->kernel_h + ky) * layer->filters",
        cause="weights read as columns before rows",
    ),
    Mutant(
        "stride of columns for both",
        *_DEPTHWISE,
        _GEOMETRY,
        _GEOMETRY.replace("stride_h, stride_w", "stride_w, stride_w"),
        cause="stride_h is stride_w",
    ),
    Mutant(
        "zero point of b added",
        *_ADD,
        "(input_b[i] - input_b_zero_point)",
        "(input_b[i] + input_b_zero_point)",
        cause="input_b_zero_point sign",
    ),
    Mutant(
        "operands' multipliers swapped",
        *_ADD,
        "fxp_requantize(a, multiplier[0], shift[0]",
        "fxp_requantize(a, multiplier[1], shift[0]",
    ),
    Mutant(
        "result wraps",
        *_ADD,
        "fxp_clamp(value + output_zero_point, clamp_low, clamp_high)",
        "(value + output_zero_point)",
        cause="result wraps",
    ),
    Mutant(
        "half added to negative sums",
        *_AVERAGE,
        "sums[c] > 0 ? half : -half",
        "half",
        cause="half added whatever the sign",
    ),
    Mutant(
        "mean truncated",
        *_AVERAGE,
        "(sums[c] + (sums[c] > 0 ? half : -half))",
        "sums[c]",
        cause="mean truncated",
    ),
    Mutant(
        "maximum starts at 0",
        *_MAX,
        "(type)clamp_low;",
        "(type)(clamp_low > 0 ? clamp_low : 0);",
        cause="maximum starts at 0",
    ),
    Mutant(
        "share rounded down",
        *("softmax_a8", "softmax.c"),
        "fxp_shift_right_nearest_away(share, 12 - zeros + 31 - bits)",
        "(share >> (12 - zeros + 31 - bits))",
    ),
    Mutant("one input too far", *_LOOPS, "size, run * depth,", "size, run * depth + 1,", kind="bounds"),
    Mutant(
        "last row not written",
        *_LOOPS,
        "oy < layer->output_h;",
        "oy < layer->output_h - (oy > 0);",
        kind="unwritten",
    ),
    Mutant(
        "input zeroed",
        *_ADD,
        "const int32_t unit =",
        "((type *)input_a)[0] = 0; const int32_t unit =",
        kind="modified",
    ),
    Mutant("endless loop", *_ADD, "i < N; i++", "i < N; i += N < 5", kind="hang"),
    Mutant(
        "null pointer",
        *_ADD,
        "const int32_t unit =",
        "if (N > 20) *(volatile int *)0 = 0; const int32_t unit =",
        kind="crash",
    ),
)
