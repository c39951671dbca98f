"""A training form in C: where everything lies, and the text of perturbing, running and updating a layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from fxpgrad.codegen.c_names import unique_names
from fxpgrad.codegen.c_text import wrapped
from fxpgrad.codegen.model_text import IN_PLACE, ModelText, c_plan
from fxpgrad.codegen.signature import c_function
from fxpgrad.codegen.training_form import TrainingForm
from fxpgrad.program.plan import Plan, plan
from fxpgrad.program.program import Call, Program
from fxpgrad.trainer.trainable import Trainable, distribution_code, form_code, rounding_code
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

SCRATCH = "scratch"


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModelText(ModelText):
    """A model whose trained constants can be written, and whose multipliers follow their gains.

    Attributes
    ----------
    trained : mapping
        What is trained, by the constant's name or "<call>/gain".
    gain_names : mapping
        The identifiers of the gains, by call.
    """

    trained: Mapping[str, Trainable] = field(default_factory=dict)
    gain_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def dtypes(self) -> frozenset[str]:
        """The types of what lies in the arena: a pass ends in accumulators."""
        return frozenset(info.dtype for info in self.program.tensors.values()) | {"int32"}

    def storage(self, constant: str) -> str:
        """Return how a constant is stored: trained ones can be written."""
        return "static" if constant in self.trained else ModelText.storage(self, constant)

    def call_text(self, call: Call, replaced: Mapping[str, str] | None = None, indent: str = "    ") -> str:
        """Return the statements that run a call, with its gains in its multipliers."""
        if call.name not in self.gain_names or replaced is not None:
            return ModelText.call_text(self, call, replaced, indent)
        item = self.trained[f"{call.name}/gain"]
        places = scratch_places({"gain": item}, self.program, call)
        scaled = {role: places[role] for role in ("multiplier", "shift")}
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
        named = ModelText.of(program)
        trained = {item.name: item for item in form.trainables}
        gains = {item.name: item.call for item in form.trainables if item.role == "gain"}
        gain_names = {gains[name]: text for name, text in unique_names(gains, "g_").items()}
        passes_plan = _passes_plan(form)
        size = max(named.plan.peak_bytes, passes_plan.peak_bytes)
        arena = dataclasses.replace(named.plan, peak_bytes=size)
        model = TrainedModelText(
            program, arena, named.prefix, named.tensor_names, named.constant_names, trained, gain_names
        )
        names = unique_names(form.program.tensors, "p_")
        passes = ModelText(form.program, passes_plan, named.prefix, names, named.constant_names)
        return cls(form, model, passes)

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the largest perturbed layer."""
        calls = {call.name: call for call in self.form.program.calls}
        return max(
            _scratch_layout(self.form.of_call(name), self.form.program, calls[name])[1]
            for name in {item.call for item in self.form.trainables}
        )

    @property
    def trained_bytes(self) -> int:
        """Bytes of the trained values."""
        return sum(item.values.nbytes for item in self.form.trainables)

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
        places = scratch_places(items, self.form.program, call)
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
        yield "cross_entropy_linear"

    @property
    def distribution(self) -> int:
        """The code of what directions are drawn from."""
        return distribution_code(self.form.config)


def _passes_plan(form: TrainingForm) -> Plan:
    """Return the plan of the passes: what they start from stays until the end, but for an input."""
    if form.first == 0:
        return c_plan(form.program)
    kept = dataclasses.replace(form.program, outputs=(*form.program.outputs, form.kept))
    return plan(kept, 1, workspaces=False, in_place=IN_PLACE)


def _scratch_layout(
    items: Mapping[str, Trainable], program: Program, call: Call
) -> tuple[dict[str, tuple[int, str]], int]:
    """Return (offset in bytes, dtype) of a perturbed layer's arrays by role, and the bytes of all."""
    wanted = [(role, item.values.nbytes, item.values.dtype.name) for role, item in items.items()]
    if "gain" in items:
        channels = program.constants[call.constants["multiplier"]].data.size
        wanted += [(role, 4 * channels, "int32") for role in ("multiplier", "shift")]
    offset, layout = 0, {}
    for role, nbytes, dtype in wanted:
        layout[role] = offset, dtype
        offset += -(-nbytes // 4) * 4
    return layout, offset


def scratch_places(items: Mapping[str, Trainable], program: Program, call: Call) -> dict[str, str]:
    """Return the expressions of a perturbed layer's arrays, by role."""
    layout, _ = _scratch_layout(items, program, call)
    return {
        role: f"{SCRATCH}.{dtype} + {offset // np.dtype(dtype).itemsize}"
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


def statement(spec: KernelSpec, values: Mapping[str, str], indent: str) -> str:
    """Return a call of a kernel's C port with an expression for each argument, by name."""
    function = c_function(spec)
    arrays = [values[a.name] for a in function.arguments if a.kind == "array"]
    others = [f"/* {a.name} */ {values[a.name]}" for a in function.arguments if a.kind != "array"]
    rows = ",\n".join(wrapped(row, indent + "    ") for row in (arrays, others) if row)
    return f"{indent}{function.name}(\n{rows});\n"
