"""The exact head in C: its gradient summed over the passes of a step, and the step against it."""

from __future__ import annotations

import numpy as np

from fxpgrad.codegen.c_text import array_definition, comment, remark
from fxpgrad.codegen.model_text import statement
from fxpgrad.codegen.training_text import TrainingText, descend_of
from fxpgrad.program.layer_names import short_name
from fxpgrad.trainer.trainable import rounding_code
from fxpgrad_kernels.registry import kernel_named


def head_memory(text: TrainingText) -> str:
    """Return the definitions of the gradient's sums and of the steps' integers, if there is an exact head."""
    if not text.form.head:
        return ""
    classes, width = _shape(text)
    parts = [
        "/* The exact head: the gradient (softmax - 1 at the label) times features, summed over passes. */\n"
        f"static int64_t head_gradient[{classes * width}], head_bias_gradient[{classes}];\n"
        + array_definition("static const", "no_decay", np.zeros(classes, np.int32))
    ]
    parts += [
        comment(f"{remark(short_name(step.name))}: a step's multiplier and shift.")
        + array_definition("static const", f"head_{step.role}_rate", step.multiplier)
        + array_definition("static const", f"head_{step.role}_rate_shift", step.shift)
        for step in text.form.head
    ]
    return "".join(parts)


def head_sums(text: TrainingText) -> str:
    """Return the statements that add a pass on one sample to the gradient."""
    if not text.form.head:
        return ""
    call = text.form.program.calls[-1]
    classes, width = _shape(text)
    names = text.passes.tensor_names
    residuals = {
        "accumulators": names[call.output],
        "multiplier": "loss_multiplier",
        "shift": "loss_shift",
        "labels": "&label",
        "residuals": "residuals",
        "B": "1",
        "N": str(classes),
    }
    sums = {
        "features": names[call.inputs[0]],
        "residuals": "residuals",
        "before": "head_gradient",
        "before_bias": "head_bias_gradient",
        "gradient": "head_gradient",
        "bias_gradient": "head_bias_gradient",
        "B": "1",
        "D": str(width),
        "N": str(classes),
        "input_zero_point": str(call.parameters["input_zero_point"]),
    }
    return (
        f"    int32_t residuals[{classes}];\n"
        + statement(kernel_named("residuals_linear"), residuals, "    ")
        + statement(kernel_named("add_outer_products"), sums, "    ")
    )


def head_functions(text: TrainingText) -> str:
    """Return the functions that start a gradient and take a step against it."""
    if not text.form.head:
        return ""
    classes, width = _shape(text)
    steps = ""
    for step in text.form.head:
        values = {
            "weights": text.model.constant_names[step.name],
            "gradient": "head_gradient" if step.role == "weights" else "head_bias_gradient",
            "multiplier": f"head_{step.role}_rate",
            "shift": f"head_{step.role}_rate_shift",
            "decay": "no_decay",
            "counts": "counts",
            "N": str(text.form.program.constants[step.name].data.size),
            "C": str(step.multiplier.size),
            "seed": "SEED",
            "step": "steps_taken",
            "tensor": str(step.tensor),
            "rounding_rule": str(rounding_code(text.form.config)),
            "coarse": str(step.coarse),
            "first_index": "0",
        }
        steps += statement(descend_of(text.form, step), values, "    ") + "    count_step(counts);\n"
    return (
        "static void clear_head_gradient(void) {\n"
        f"    for (int32_t i = 0; i < {classes * width}; i++) {{\n        head_gradient[i] = 0;\n    }}\n"
        f"    for (int32_t i = 0; i < {classes}; i++) {{\n        head_bias_gradient[i] = 0;\n    }}\n}}\n\n"
        f"static void step_head(void) {{\n    int64_t counts[2];\n\n{steps}}}\n"
    )


def _shape(text: TrainingText) -> tuple[int, int]:
    call = text.form.program.calls[-1]
    classes, width = text.form.program.constants[call.constants["weights"]].data.shape
    return int(classes), int(width)
