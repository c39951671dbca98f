"""A training form in C: where everything lies, and the text of perturbing, running and updating a layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.c_names import unique_names
from fxpgrad.codegen.model_text import ARENA, ModelText, c_plan, statement
from fxpgrad.codegen.training_form import TrainingForm
from fxpgrad.program.plan import Plan
from fxpgrad.program.program import Call, Program
from fxpgrad.trainer.head import HeadStep
from fxpgrad.trainer.trainable import KERNEL_SUFFIX, Trainable, distribution_code, form_code, rounding_code
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModelText(ModelText):
    """A model whose trained constants can be written, and whose multipliers follow their gains.

    Attributes
    ----------
    trained : mapping
        What is trained, by the constant's name or "<call>/gain".
    gain_names : mapping
        The identifiers of the gains, by call.
    passes_bytes : int
        What the passes of a step need of the arena.
    written : frozenset of str
        The constants that training writes.
    """

    trained: Mapping[str, Trainable] = field(default_factory=dict)
    gain_names: Mapping[str, str] = field(default_factory=dict)
    passes_bytes: int = 0
    written: frozenset[str] = frozenset()

    @property
    def arena_bytes(self) -> int:
        """Bytes of the arena, in which passes run, too."""
        return max(self.plan.peak_bytes, self.passes_bytes)

    @property
    def dtypes(self) -> frozenset[str]:
        """The types of what lies in the arena: a pass ends in accumulators."""
        perturbed = {item.values.dtype.name for item in self.trained.values()}
        return frozenset(info.dtype for info in self.program.tensors.values()) | perturbed | {"int32"}

    def storage(self, constant: str) -> str:
        """Return how a constant is stored: trained ones can be written."""
        return "static" if constant in self.written else ModelText.storage(self, constant)

    def call_text(self, call: Call, replaced: Mapping[str, str] | None = None, indent: str = "    ") -> str:
        """Return the statements that run a call, with its gains in its multipliers."""
        if call.name not in self.gain_names or replaced is not None:
            return ModelText.call_text(self, call, replaced, indent)
        item = self.trained[f"{call.name}/gain"]
        scaled = scratch_places({"gain": item}, self, call, ("multiplier", "shift"))
        before = scaling_text(self, call, item, self.gain_names[call.name], scaled, indent)
        return before + ModelText.call_text(self, call, scaled, indent)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingText:
    """The C text of a training form.

    Attributes
    ----------
    model : TrainedModelText
        The model as it infers.
    passes : ModelText
        The trained form as its passes run, in a plan of its own in the same arena ("p_...").
    """

    form: TrainingForm
    model: TrainedModelText
    passes: ModelText

    @classmethod
    def of(cls, program: Program, form: TrainingForm) -> TrainingText:
        """Name everything; `program` is what the model infers, `form` its trained form."""
        gained = {item.call: item for item in form.trainables if item.role == "gain"}
        scratch = {
            call.name: _scratch_layout({"gain": gained[call.name]}, program, call, _SCALED)[1]
            for call in program.calls
            if call.name in gained
        }
        named = ModelText.of(program, c_plan(program, scratch))
        trained = {item.name: item for item in form.trainables}
        gains = {item.name: item.call for item in form.trainables if item.role == "gain"}
        gain_names = {gains[name]: text for name, text in unique_names(gains, "g_").items()}
        passes_plan = _passes_plan(form)
        model = TrainedModelText(
            program, named.plan, named.prefix, named.tensor_names, named.constant_names, trained, gain_names,
            passes_plan.peak_bytes, frozenset((*trained, *(step.name for step in form.head))),
        )  # fmt: skip
        names = unique_names(form.program.tensors, "p_")
        passes = ModelText(form.program, passes_plan, named.prefix, names, named.constant_names)
        return cls(form, model, passes)

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the largest perturbed layer, which lies in the arena."""
        return max(_scratch_of(self.form).values(), default=0)

    @property
    def trained_bytes(self) -> int:
        """Bytes of the trained values."""
        return sum(array.nbytes for _, _, array in self.trained_arrays())

    @property
    def gradient_bytes(self) -> int:
        """Bytes of the sums that an exact head's gradient takes."""
        return 8 * sum(self.form.program.constants[step.name].data.size for step in self.form.head)

    def trained_arrays(self) -> list[tuple[str, str, NDArray[Any]]]:
        """Return (name, identifier, first values) of everything that is trained, in order."""
        probed = [(item.name, self.value_name(item), item.values) for item in self.form.trainables]
        constants = self.form.program.constants
        return probed + [
            (step.name, self.model.constant_names[step.name], constants[step.name].data)
            for step in self.form.head
        ]

    def value_name(self, item: Trainable) -> str:
        """Return the identifier of a trained array."""
        return (
            self.model.gain_names[item.call] if item.role == "gain" else self.model.constant_names[item.name]
        )

    def integers(self, item: Trainable) -> dict[str, str]:
        """Return the identifiers of the integers that scale an array's probes and steps."""
        own = self.value_name(item)
        return {"epsilon": f"{own}_epsilon", "multiplier": f"{own}_rate", "shift": f"{own}_rate_shift"}

    def pass_text(self, call: Call) -> str:
        """Return the statements that run a call of a pass: perturbed, if it is trained."""
        items = self.form.of_call(call.name)
        if not items:
            return self.passes.call_text(call)
        places = scratch_places(items, self.passes, call, _roles(items))
        text = "".join(self._perturbation(item, places[role]) for role, item in items.items())
        replaced: dict[str, str] = {role: places[role] for role in items if role != "gain"}
        if "gain" in items:
            scaled = {role: places[role] for role in ("multiplier", "shift")}
            text += scaling_text(self.passes, call, items["gain"], places["gain"], scaled)
            replaced |= scaled
        replaced["accumulator_bits"] = str(self.form.accumulator_bits[call.name])
        return text + self.passes.call_text(call, replaced)

    def _perturbation(self, item: Trainable, place: str) -> str:
        config = self.form.config
        values = {
            "weights": self.value_name(item),
            "epsilon": self.integers(item)["epsilon"],
            "table": "direction_table",
            "output": place,
            "N": str(item.values.size),
            "C": str(item.epsilon.size),
            "T": "DIRECTION_TABLE_SIZE",
            "seed": "SEED",
            "step": "steps_taken",
            "direction": "direction",
            "tensor": str(item.tensor),
            "sign": "sign",
            "form": str(form_code(config)),
            "distribution": "DISTRIBUTION",
            "first_index": "0",
        }
        return f"    report.clipped += {statement(item.perturb, values, '    ').lstrip()}"

    def update_text(self, item: Trainable) -> str:
        """Return the statements that take an array's step."""
        values = {
            "weights": self.value_name(item),
            "signs": "signs",
            **{role: name for role, name in self.integers(item).items() if role != "epsilon"},
            "table": "direction_table",
            "counts": "counts",
            "N": str(item.values.size),
            "M": "DIRECTIONS",
            "C": str(item.multiplier.size),
            "T": "DIRECTION_TABLE_SIZE",
            "seed": "SEED",
            "step": "steps_taken",
            "tensor": str(item.tensor),
            "rounding_rule": str(rounding_code(self.form.config)),
            "distribution": "DISTRIBUTION",
        }
        return statement(item.update, values, "    ")

    def kernels(self) -> Iterator[str]:
        """Yield the names of the kernels that training calls, some more than once."""
        yield from (call.kernel for call in self.form.program.calls)
        for item in self.form.trainables:
            yield from (item.perturb.name, item.update.name)
            if item.role == "gain":
                yield "scale_multipliers"
        if self.form.head:
            yield from ("residuals_linear", "add_outer_products")
        for step in self.form.head:
            yield descend_of(self.form, step).name
        yield "cross_entropy_linear"

    @property
    def distribution(self) -> int:
        """The code of what directions are drawn from."""
        return distribution_code(self.form.config)


def descend_of(form: TrainingForm, step: HeadStep) -> KernelSpec:
    """Return the kernel that steps an array of an exact head."""
    dtype = form.program.constants[step.name].data.dtype.name
    return kernel_named(f"descend_{KERNEL_SUFFIX[dtype]}")


_SCALED = ("multiplier", "shift")


def _passes_plan(form: TrainingForm) -> Plan:
    """Return the plan of the passes: what they start from stays until the end, but for an input."""
    program = form.program
    if form.first > 0:
        program = dataclasses.replace(program, outputs=(*program.outputs, form.kept))
    return c_plan(program, _scratch_of(form))


def _scratch_of(form: TrainingForm) -> dict[str, int]:
    """Return the bytes of each perturbed layer, by its call."""
    items = {call.name: form.of_call(call.name) for call in form.program.calls}
    return {
        call.name: _scratch_layout(items[call.name], form.program, call, _roles(items[call.name]))[1]
        for call in form.program.calls
        if items[call.name]
    }


def _roles(items: Mapping[str, Trainable]) -> tuple[str, ...]:
    """Return what is written of a layer before it runs: what is trained, and what gains make."""
    return (*items, *(_SCALED if "gain" in items else ()))


def _scratch_layout(
    items: Mapping[str, Trainable], program: Program, call: Call, roles: Sequence[str]
) -> tuple[dict[str, tuple[int, str]], int]:
    """Return (offset in bytes, dtype) of a layer's arrays by role, and the bytes of all."""
    offset, layout = 0, {}
    for role in roles:
        if role in _SCALED:
            nbytes, dtype = program.constants[call.constants[role]].data.nbytes, "int32"
        else:
            nbytes, dtype = items[role].values.nbytes, items[role].values.dtype.name
        layout[role] = offset, dtype
        offset += -(-nbytes // 4) * 4
    return layout, offset


def scratch_places(
    items: Mapping[str, Trainable], text: ModelText, call: Call, roles: Sequence[str]
) -> dict[str, str]:
    """Return the expressions of a layer's arrays in its scratch, by role."""
    layout, _ = _scratch_layout(items, text.program, call, roles)
    start = text.plan.blocks[f"{call.name}/scratch"].offset
    return {
        role: f"{ARENA}.{dtype} + {(start + offset) // np.dtype(dtype).itemsize}"
        for role, (offset, dtype) in layout.items()
    }


def scaling_text(
    text: ModelText,
    call: Call,
    item: Trainable,
    gain: str,
    places: Mapping[str, str],
    indent: str = "    ",
) -> str:
    """Return the statement that writes a layer's multipliers and shifts as gains make them.

    item: the trained gains; gain: where they lie, perturbed or not. places: where to write, by role.
    """
    own = text.expressions(call)
    values = {
        "multiplier": own["multiplier"],
        "shift": own["shift"],
        "gain": gain,
        "new_multiplier": places["multiplier"],
        "new_shift": places["shift"],
        "C": str(text.program.constants[call.constants["multiplier"]].data.size),
        "G": str(item.values.size),
    }
    return f"{indent}(void){statement(kernel_named('scale_multipliers'), values, indent).lstrip()}"
