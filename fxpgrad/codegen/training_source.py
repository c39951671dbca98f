"""The training part of a model's C files: what a step needs in memory, and the step itself."""

from __future__ import annotations

from fxpgrad.codegen.c_text import array_definition, comment, noted, remark, shape_text, string
from fxpgrad.codegen.head_source import head_functions, head_memory, head_sums
from fxpgrad.codegen.model_text import IDLE
from fxpgrad.codegen.training_form import BIAS_LIMIT
from fxpgrad.codegen.training_text import TrainingText
from fxpgrad.program.layer_names import short_name
from fxpgrad.trainer.trainable import Trainable
from fxpgrad_kernels.random.distributions import direction_table


def training_header(text: TrainingText) -> str:
    """Return what the model's header declares of training."""
    form, prefix, macro = text.form, text.model.prefix, text.model.macro
    info = form.program.tensors[form.program.inputs[0]]
    return f"""
/* ---- training: scope {form.config.scope}, {form.config.num_directions} directions a step ---- */

#define {macro}_BATCH {form.batch} /* samples of a step */
#define {macro}_CLASSES {form.classes}
#define {macro}_TRAINED_BYTES {text.trained_bytes} /* trained values: must be writable */
#define {macro}_SCRATCH_BYTES {text.scratch_bytes} /* the largest perturbed layer: in the arena */

/* What a step did. Losses are sums over samples and directions in 2^-24 nats; counts are of values. */
typedef struct {{
    int64_t loss_plus, loss_minus;
    int64_t clipped;   /* perturbed values, gains and multipliers at the limits of their type */
    int64_t moved;     /* trained values that changed; 0: the step was dead */
    int64_t saturated; /* trained values at the limits of their type */
}} {prefix}_step_report;

/* One step on {macro}_BATCH samples of {macro}_INPUT_SIZE values and their labels.
 * Returns 0; or 1, and does nothing, if a label is not in 0..{macro}_CLASSES - 1; or 2 if a bias has passed
 * {BIAS_LIMIT}, within which sums are proved to fit: go back to saved values and take a smaller rate. */
int32_t {prefix}_train_step(
    const {info.outer_dtype}_t *samples, const int32_t *labels, {prefix}_step_report *result);

/* Steps taken so far: part of what names a direction. Save it with the trained values. */
extern int64_t {prefix}_steps_taken;

/* The trained values, array by array. */
typedef struct {{
    const char *name;
    void *values;
    int32_t bytes;
}} {prefix}_trained_array;
#define {macro}_TRAINED_ARRAYS {len(text.trained_arrays())}
extern const {prefix}_trained_array {prefix}_trained[{macro}_TRAINED_ARRAYS];
"""


def training_memory(text: TrainingText) -> str:
    """Return the definitions of gains, which inference reads too; empty if there are none."""
    return "".join(
        comment(f"Gains of {remark(short_name(item.call))}: factors of its multipliers, 2^30 for 1.")
        + array_definition("static", text.value_name(item), item.values)
        for item in text.form.trainables
        if item.role == "gain"
    )


def training_source(text: TrainingText) -> str:
    """Return the training part of the model's source."""
    form, config = text.form, text.form.config
    table = direction_table(text.distribution)
    parts = [
        f"/* ---- training: scope {config.scope}, {config.num_directions} directions a step ----\n"
        " *\n"
        " * Two inferences a direction, from values moved one way and the other along it; the sign of the\n"
        " * difference of their losses; then a step against the sum of the directions, each times its sign.\n"
        " * A direction is drawn from (SEED, step, direction, array, index) where it is needed, never kept.\n"
        " */\n"
        f"#define SEED INT64_C({config.seed})\n"
        f"#define DIRECTIONS {config.num_directions if form.trainables else 1}\n"
        f"#define ROWS {form.rows} /* samples that a direction sees */\n"
        f"#define DISTRIBUTION {text.distribution}\n"
        f"#define DIRECTION_TABLE_SIZE {table.size}\n",
        array_definition("static const", "direction_table", table) if form.trainables else "",
        *(_integers(text, item) for item in form.trainables),
        "/* From accumulators to logits in 2^-24 nats. */\n"
        + array_definition("static const", "loss_multiplier", form.multiplier)
        + array_definition("static const", "loss_shift", form.shift),
        head_memory(text),
        _places(text),
        f"int64_t {text.model.prefix}_steps_taken = 0;\n"
        f"#define steps_taken {text.model.prefix}_steps_taken\n"
        f"static {text.model.prefix}_step_report report;\n",
        _trained_table(text),
        _load(text),
        _prefix(text),
        _probe(text),
        _COUNTING,
        _update(text) if form.trainables else "",
        head_functions(text),
        _bias_check(text),
        _step(text),
    ]
    return "\n".join(part for part in parts if part)


def _integers(text: TrainingText, item: Trainable) -> str:
    names = text.integers(item)
    title = f"{remark(short_name(item.name))}: the probe in steps, and a step's multiplier and shift"
    arrays = (("epsilon", item.epsilon), ("multiplier", item.multiplier), ("shift", item.shift))
    return comment(title) + "".join(
        array_definition("static const", names[role], values) for role, values in arrays
    )


def _places(text: TrainingText) -> str:
    passes = text.passes
    lines = ["/* The tensors of a pass, in the same arena as those of an inference. */\n"]
    for name, info in text.form.program.tensors.items():
        lines.append(
            noted(
                f"static {info.dtype}_t *const {passes.tensor_names[name]} = {passes.place(name)};",
                shape_text(info.shape),
            )
        )
    return "".join(lines)


def _trained_table(text: TrainingText) -> str:
    rows = "".join(
        f"    {{{string(short_name(name))},\n     {identifier}, {values.nbytes}}},\n"
        for name, identifier, values in text.trained_arrays()
    )
    prefix, macro = text.model.prefix, text.model.macro
    return f"const {prefix}_trained_array {prefix}_trained[{macro}_TRAINED_ARRAYS] = {{\n{rows}}};\n"


def _load(text: TrainingText) -> str:
    name = text.form.program.inputs[0]
    info = text.form.program.tensors[name]
    place, value = text.passes.tensor_names[name], "sample[i]"
    if info.unsigned:  # uint8 outside, int8 and 128 less inside: the highest bit flips
        place = f"((uint8_t *){place})"
        value = "(uint8_t)(sample[i] ^ 0x80)"
    return (
        f"static void load(const {info.outer_dtype}_t *sample) {{\n"
        f"    for (int32_t i = 0; i < {info.elements}; i++) {{\n        {place}[i] = {value};\n    }}\n}}\n"
    )


def _calls(text: TrainingText, first: int, end: int) -> str:
    parts = []
    for index in range(first, end):
        call = text.form.program.calls[index]
        body = IDLE if text.passes.is_idle(call) else text.pass_text(call)
        parts.append(f"{comment(text.passes.title(index), '    ')}{body}")
    return "\n".join(parts)


def _prefix(text: TrainingText) -> str:
    form = text.form
    if form.first == 0:
        return ""
    return (
        "/* The layers before the first trained one: once a sample. */\n"
        f"static void run_frozen_layers(void) {{\n{_calls(text, 0, form.first)}}}\n"
    )


def _probe(text: TrainingText) -> str:
    form = text.form
    output = text.passes.tensor_names[form.program.outputs[0]]
    unused = "" if form.trainables else "    (void)direction;\n    (void)sign;\n"
    return (
        "/* One pass on one sample: the loss from values moved along a direction, by its sign, 1 or -1. */\n"
        "static int64_t probe(int32_t label, int32_t direction, int32_t sign) {\n"
        f"{_calls(text, form.first, len(form.program.calls))}\n{head_sums(text)}"
        f"    int64_t loss[1];\n{unused}"
        "    return fxp_cross_entropy_linear(\n"
        f"        {output}, loss_multiplier, loss_shift, &label, loss,\n"
        f"        /* B */ 1, /* N */ {form.classes});\n}}\n"
    )


_COUNTING = """\
static void count_step(const int64_t *counts) {
    report.moved += counts[0];
    report.saturated += counts[1];
}
"""


def _update(text: TrainingText) -> str:
    steps = "".join(
        f"{comment(remark(short_name(item.name)), '    ')}{text.update_text(item)}    count_step(counts);\n"
        for item in text.form.trainables
    )
    return (
        "/* The step: every trained value against the sum of the directions, each times its sign. */\n"
        f"static void update(const int32_t *signs) {{\n    int64_t counts[2];\n\n{steps}}}\n"
    )


def _bias_check(text: TrainingText) -> str:
    biases = [(text.value_name(i), i.values.size) for i in text.form.trainables if i.role == "bias"]
    names = text.model.constant_names
    biases += [(names[step.name], text.form.classes) for step in text.form.head if step.role == "bias"]
    checks = " ||\n           ".join(f"is_far({name}, {size})" for name, size in biases)
    if not checks:
        return "static int32_t any_bias_is_far(void) { return 0; }\n"
    return (
        "/* Whether a bias has passed the limit within which accumulators are proved to fit. */\n"
        "static int32_t is_far(const int32_t *bias, int32_t count) {\n"
        "    for (int32_t i = 0; i < count; i++) {\n"
        f"        if (bias[i] > {BIAS_LIMIT} || bias[i] < -{BIAS_LIMIT}) {{\n"
        "            return 1;\n        }\n"
        "    }\n    return 0;\n}\n\n"
        f"static int32_t any_bias_is_far(void) {{\n    return {checks};\n}}\n"
    )


def _passes(text: TrainingText) -> str:
    """Return the statements that run the passes of a sample."""
    form = text.form
    again = "            load(sample);\n" if form.first == 0 else ""
    frozen = "" if form.first == 0 else "        load(sample);\n        run_frozen_layers();\n"
    if not form.trainables:
        return f"{again}{frozen}        plus[0] += probe(labels[row], 0, 0);\n"
    split = form.config.rows == "split"
    first, last = ("row / ROWS", "row / ROWS + 1") if split else ("0", "DIRECTIONS")
    return (
        f"{frozen}        for (int32_t direction = {first}; direction < {last}; direction++) {{\n"
        f"{again}            plus[direction] += probe(labels[row], direction, 1);\n"
        f"{again}            minus[direction] += probe(labels[row], direction, -1);\n        }}\n"
    )


def _signs(text: TrainingText) -> str:
    """Return the statements that take the step along the directions."""
    if not text.form.trainables:
        return ""
    return """\
    int32_t signs[DIRECTIONS], any = 0;
    for (int32_t direction = 0; direction < DIRECTIONS; direction++) {
        signs[direction] = (plus[direction] > minus[direction]) - (plus[direction] < minus[direction]);
        any |= signs[direction];
    }
    report.clipped /= ROWS; /* every row of a direction is perturbed alike, and has counted */
    if (any != 0) {
        update(signs);
    }
"""


def _step(text: TrainingText) -> str:
    form, prefix, macro = text.form, text.model.prefix, text.model.macro
    info = form.program.tensors[form.program.inputs[0]]
    clear, head = ("    clear_head_gradient();\n", "    step_head();\n") if form.head else ("", "")
    return f"""\
int32_t {prefix}_train_step(
    const {info.outer_dtype}_t *samples, const int32_t *labels, {prefix}_step_report *result) {{
    const {prefix}_step_report nothing = {{0, 0, 0, 0, 0}};
    int64_t plus[DIRECTIONS] = {{0}}, minus[DIRECTIONS] = {{0}};

    report = nothing;
    for (int32_t row = 0; row < {macro}_BATCH; row++) {{
        if (labels[row] < 0 || labels[row] >= {macro}_CLASSES) {{
            *result = report;
            return 1;
        }}
    }}
{clear}    for (int32_t row = 0; row < {macro}_BATCH; row++) {{
        const {info.outer_dtype}_t *sample = samples + row * {macro}_INPUT_SIZE;
{_passes(text)}    }}
    for (int32_t direction = 0; direction < DIRECTIONS; direction++) {{
        report.loss_plus += plus[direction];
        report.loss_minus += minus[direction];
    }}
{head}{_signs(text)}    steps_taken++;
    *result = report;
    return any_bias_is_far() ? 2 : 0;
}}
"""
