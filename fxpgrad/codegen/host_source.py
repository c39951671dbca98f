"""host_main.c: a program that runs a model on files of raw tensors."""

from __future__ import annotations

from fxpgrad.codegen.c_text import comment_lines, remark, shape_text
from fxpgrad.codegen.model_source import ends, written_by
from fxpgrad.codegen.model_text import ModelText

_OPENING = """\
#include "PREFIX.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *path, const char *what) {
    fprintf(stderr, "infer: %s: %s\\n", path, what);
    return 2;
}

/* The number of whole rows in a file, -1 if its length is no multiple of a row's or cannot be had. */
static long count_rows(FILE *file) {
    if (fseek(file, 0, SEEK_END) != 0) {
        return -1;
    }
    const long bytes = ftell(file);
    rewind(file);
    return bytes > 0 && bytes % ROW_BYTES == 0 ? bytes / ROW_BYTES : -1;
}

static int read_row(FILE *file) {
    return READS;
}

static int write_row(FILE *file) {
    return WRITES;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: infer IN.bin OUT.bin\\n");
        return 2;
    }
    FILE *in = fopen(argv[1], "rb");
    if (in == NULL) {
        return fail(argv[1], strerror(errno));
    }
    const long rows = count_rows(in);
    if (rows < 0) {
        fclose(in);
        fprintf(stderr, "infer: %s: its length must be a multiple of %d, and not 0\\n", argv[1], ROW_BYTES);
        return 2;
    }
    FILE *out = strcmp(argv[1], argv[2]) == 0 ? NULL : fopen(argv[2], "wb");
    if (out == NULL) {
        const int reason = errno;
        fclose(in);
        return fail(argv[2], strcmp(argv[1], argv[2]) == 0 ? "is the input" : strerror(reason));
    }
    int code = 0;
RESET    for (long row = 0; row < rows && code == 0; row++) {
        if (!read_row(in)) {
            code = fail(argv[1], "cannot be read");
        } else {
            PREFIX_infer();
            code = write_row(out) ? 0 : fail(argv[2], "cannot be written");
        }
    }
    fclose(in);
    if (fclose(out) != 0 && code == 0) {
        code = fail(argv[2], "cannot be written");
    }
    if (code == 0) {
        printf("%ld rows\\n", rows);
    }
    return code;
}
"""


def host_main(text: ModelText) -> str:
    """Return the host program's source."""
    program, prefix = text.program, text.prefix
    inputs, outputs = ends(text, "input"), ends(text, "output")
    sizes = [program.tensors[name].nbytes for name in inputs]
    reads, writes = (
        " &&\n           ".join(
            f"{word}({prefix}_{end}(), 1, {size}, file) == {size}"
            for size, end in ((program.tensors[name].nbytes, end) for name, end in pairs.items())
        )
        for word, pairs in (("fread", inputs), ("fwrite", outputs))
    )
    filled = (
        _OPENING.replace("PREFIX", prefix)
        .replace("READS", reads)
        .replace("WRITES", writes)
        .replace("RESET", f"    {prefix}_reset();\n" if program.variables else "")
    )
    start, rest = filled.split("\nstatic int fail", 1)
    order = " Rows run in this order, the variables fresh at the first.\n *" if program.variables else ""
    return (
        f"/* infer IN.bin OUT.bin: runs {remark(program.name)} on any number of rows.\n"
        f" * {written_by()}\n *\n"
        f"{comment_lines(f'A row of IN.bin is, one behind the other: {_row_text(text, inputs)}.')}"
        f"{comment_lines(f'A row of OUT.bin: {_row_text(text, outputs)}.')}"
        f" * Values are raw, in this machine's byte order.{order}\n */\n"
        f"{start}\n#define ROW_BYTES {sum(sizes)}\n\nstatic int fail{rest}"
    )


def _row_text(text: ModelText, tensors: dict[str, str]) -> str:
    infos = [text.program.tensors[name] for name in tensors]
    return ", ".join(f"{remark(i.name)} ({i.outer_dtype} {shape_text(i.shape)})" for i in infos)
