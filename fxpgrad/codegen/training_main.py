"""train_main.c: a program that trains a model on files of raw samples and labels."""

from __future__ import annotations

from fxpgrad.codegen.c_text import comment_lines, remark, shape_text
from fxpgrad.codegen.model_source import written_by
from fxpgrad.codegen.training_text import TrainingText
from fxpgrad.program.layer_names import short_name

DEFAULT_STEPS = 200
FILES = ("samples.bin", "labels.bin", "trained.bin")  # where the program is given no names

_PROGRAM = """\
#include "PREFIX.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_BYTES BYTES

static TYPE samples[MACRO_BATCH * MACRO_INPUT_SIZE];
static int32_t labels[MACRO_BATCH];

static int fail(const char *path, const char *what) {
    fprintf(stderr, "train: %s: %s\\n", path, what);
    return 2;
}

/* The number of whole items in a file, -1 if its length is no multiple of an item's or cannot be had. */
static long count_items(FILE *file, long item_bytes) {
    if (fseek(file, 0, SEEK_END) != 0) {
        return -1;
    }
    const long bytes = ftell(file);
    return bytes > 0 && bytes % item_bytes == 0 ? bytes / item_bytes : -1;
}

static int read_item(FILE *file, long index, long item_bytes, void *item) {
    return fseek(file, index * item_bytes, SEEK_SET) == 0 &&
           fread(item, 1, (size_t)item_bytes, file) == (size_t)item_bytes;
}

/* Step k takes samples k * batch, k * batch + 1, ... of the file, from its start again behind its end. */
static int train(FILE *sample_file, FILE *label_file, const char *label_path, long count, long steps) {
    for (long step = 0; step < steps; step++) {
        PREFIX_step_report report;
        for (long row = 0; row < MACRO_BATCH; row++) {
            const long index = (step * MACRO_BATCH + row) % count;
            if (!read_item(sample_file, index, SAMPLE_BYTES, samples + row * MACRO_INPUT_SIZE) ||
                !read_item(label_file, index, (long)sizeof labels[0], labels + row)) {
                return fail("samples or labels", "cannot be read");
            }
        }
        const int32_t status = PREFIX_train_step(samples, labels, &report);
        if (status == 1) {
            return fail(label_path, "a label is out of range");
        }
        if (status != 0) {
            return fail("training", "a bias has passed its limit; export it with a smaller learning rate");
        }
        printf("%ld %.0f %.0f %ld %ld\\n", step, (double)report.loss_plus, (double)report.loss_minus,
               (long)report.moved, (long)(report.clipped + report.saturated));
    }
    return 0;
}

/* Whether a file can be written: known before hours of training, and without a trace. */
static int can_be_written(const char *path) {
    FILE *file = fopen(path, "rb");
    const int was_there = file != NULL;
    if (was_there) {
        fclose(file);
    }
    file = fopen(path, "ab");
    if (file == NULL) {
        return 0;
    }
    fclose(file);
    return was_there || remove(path) == 0;
}

static int save(const char *path) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return fail(path, strerror(errno));
    }
    int good = 1;
    for (int32_t i = 0; i < MACRO_TRAINED_ARRAYS; i++) {
        const size_t bytes = (size_t)PREFIX_trained[i].bytes;
        good = good && fwrite(PREFIX_trained[i].values, 1, bytes, file) == bytes;
    }
    if (fclose(file) == 0 && good) {
        return 0;
    }
    remove(path); /* rather none than half of it */
    return fail(path, "cannot be written");
}

static int train_on(FILE *sample_file, FILE *label_file, const char *const *paths, long steps) {
    const long count = count_items(sample_file, SAMPLE_BYTES);
    if (count < 0) {
        return fail(paths[0], "its length must be a multiple of a sample's, and not 0");
    }
    if (count_items(label_file, (long)sizeof labels[0]) != count) {
        return fail(paths[1], "must hold one 32-bit label for each sample");
    }
    if (!can_be_written(paths[2])) {
        return fail(paths[2], strerror(errno));
    }
    const int code = train(sample_file, label_file, paths[1], count, steps);
    return code == 0 ? save(paths[2]) : code;
}

int main(int argc, char **argv) {
    const int named = argc == 5;
    if (argc > 1 && !named) {
        fprintf(stderr, "usage: train [SAMPLES.bin LABELS.bin STEPS TRAINED.bin]\\n");
        return 2;
    }
    const char *const paths[] = {
        named ? argv[1] : "SAMPLES",
        named ? argv[2] : "LABELS",
        named ? argv[4] : "TRAINED",
    };
    char *end = NULL;
    const long steps = named ? strtol(argv[3], &end, 10) : TRAIN_STEPS;
    if (steps < 1 || steps > INT32_MAX / MACRO_BATCH || (end != NULL && *end != '\\0')) {
        return fail(named ? argv[3] : "TRAIN_STEPS", "must be a number of steps, 1 to 2^31 / the batch");
    }
    if (strcmp(paths[2], paths[0]) == 0 || strcmp(paths[2], paths[1]) == 0) {
        return fail(paths[2], "would be written over what is read from it; name another file");
    }
    FILE *sample_file = fopen(paths[0], "rb");
    if (sample_file == NULL) {
        return fail(paths[0], strerror(errno));
    }
    FILE *label_file = fopen(paths[1], "rb");
    if (label_file == NULL) {
        const int reason = errno;
        fclose(sample_file);
        return fail(paths[1], strerror(reason));
    }
    const int code = train_on(sample_file, label_file, paths, steps);
    fclose(sample_file);
    fclose(label_file);
    return code;
}
"""


def train_main(text: TrainingText) -> str:
    """Return the training program's source."""
    program = text.form.program
    info = program.tensors[program.inputs[0]]
    replaced = {
        "PREFIX": text.model.prefix,
        "MACRO": text.model.macro,
        "TYPE": f"{info.outer_dtype}_t",
        "BYTES": str(info.nbytes),
        '"SAMPLES"': f'"{FILES[0]}"',
        '"LABELS"': f'"{FILES[1]}"',
        '"TRAINED"': f'"{FILES[2]}"',
    }
    body = _PROGRAM.replace("SAMPLE_BYTES BYTES", f"SAMPLE_BYTES {info.nbytes}L")
    for word, value in replaced.items():
        if word != "BYTES":
            body = body.replace(word, value)
    arrays = ", ".join(
        f"{remark(short_name(name))} ({values.dtype.name})" for name, _, values in text.trained_arrays()
    )
    return (
        f"/* train [SAMPLES.bin LABELS.bin STEPS TRAINED.bin]: trains {remark(program.name)}.\n"
        f" * {written_by()}\n *\n"
        f" * SAMPLES.bin: {info.outer_dtype} {shape_text(info.shape)}, one behind the other.\n"
        " * LABELS.bin: an int32 for each.\n"
        f"{comment_lines(f'TRAINED.bin, written in the end: {arrays}.')}"
        f" * Without arguments, as on a board: {', '.join(FILES)} and TRAIN_STEPS steps.\n"
        " * A line a step: its number, both losses, values moved, values at a limit.\n */\n"
        f"#ifndef TRAIN_STEPS\n#define TRAIN_STEPS {DEFAULT_STEPS}\n#endif\n" + body
    )


def training_notes(text: TrainingText) -> str:
    """Return what the project's README says about training."""
    form, prefix, macro = text.form, text.model.prefix, text.model.macro
    info = form.program.tensors[form.program.inputs[0]]
    gradient = f", {text.gradient_bytes:,} bytes of an exact head's sums" if text.gradient_bytes else ""
    return f"""
## Training

```sh
make train && ./train SAMPLES.bin LABELS.bin STEPS TRAINED.bin
```

```c
{prefix}_step_report report; /* losses, values that moved */
{prefix}_train_step(samples, labels, &report); /* {macro}_BATCH samples and their labels */
```

Scope {form.config.scope}, {form.batch} samples and {form.config.num_directions} directions a step.
SAMPLES.bin holds raw samples, {info.outer_dtype} {shape_text(info.shape)}, LABELS.bin an int32 for each.
TRAINED.bin gets the arrays of `{prefix}_trained`, one behind the other; to go on, copy them back and set
`{prefix}_steps_taken`. Beside the arena, RAM holds {text.trained_bytes:,} bytes of trained values{gradient};
`make size` counts inference alone.
"""
