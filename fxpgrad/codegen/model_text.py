"""A Program's tensors, constants and calls as C text.

Whatever runs a Program's layers in C writes its calls with `ModelText`: inference as they are, a training
step with other weights in some argument's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fxpgrad.codegen.c_names import prefix_of, unique_names
from fxpgrad.codegen.c_text import literal, remark, shape_text, wrapped
from fxpgrad.codegen.in_place import COPIES, in_place_kernels
from fxpgrad.codegen.signature import CArgument, CFunction, bound_sizes, c_function
from fxpgrad.program.call_shapes import call_arrays
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.plan import Plan, plan
from fxpgrad.program.program import Call, Program
from fxpgrad_kernels.spec import KernelSpec

ARENA = "arena"
IDLE = "    /* Nothing to do: the output lies where the input does. */\n"  # the body of a call that `is_idle`


def c_plan(program: Program, scratch: Mapping[str, int] | None = None) -> Plan:
    """Return the memory plan of a Program's C project: one sample, no workspaces; scratch: see `plan`."""
    plans = [
        plan(program, workspaces=False, in_place=names, scratch=scratch)
        for names in (in_place_kernels(), COPIES)
    ]
    return min(plans, key=lambda candidate: candidate.peak_bytes)


@dataclass(frozen=True, slots=True, eq=False)
class ModelText:
    """The C names and expressions of one Program in one memory plan.

    Attributes
    ----------
    prefix : str
        What global names start with.
    tensor_names, constant_names : mapping
        The identifier of each tensor ("t_...") and of each constant that a call reads ("c_...").
    """

    program: Program
    plan: Plan
    prefix: str
    tensor_names: Mapping[str, str]
    constant_names: Mapping[str, str]

    @classmethod
    def of(cls, program: Program, memory: Plan | None = None) -> ModelText:
        """Name everything in a Program; `memory` is `c_plan`'s unless given."""
        used = {name for call in program.calls for name in call.constants.values()}
        return cls(
            program,
            c_plan(program) if memory is None else memory,
            prefix_of(program.name),
            unique_names(program.tensors, "t_"),
            unique_names((name for name in program.constants if name in used), "c_"),
        )

    @property
    def macro(self) -> str:
        """The prefix of macros."""
        return self.prefix.upper()

    @property
    def arena_bytes(self) -> int:
        """Bytes of the arena."""
        return self.plan.peak_bytes

    @property
    def dtypes(self) -> frozenset[str]:
        """The types of what lies in the arena."""
        return frozenset(info.dtype for info in self.program.tensors.values())

    def storage(self, constant: str) -> str:
        """Return how a constant is stored."""
        return "static const"

    @property
    def constant_bytes(self) -> int:
        """Bytes of the constants that calls read."""
        return sum(self.program.constants[name].data.nbytes for name in self.constant_names)

    def place(self, tensor: str) -> str:
        """Return the expression of a tensor's first element in the arena: ``arena.int8 + 1600``."""
        info = self.program.tensors[tensor]
        offset = self.plan.blocks[tensor].offset
        return f"{ARENA}.{info.dtype} + {offset // (info.nbytes // info.elements)}"

    def expressions(self, call: Call) -> dict[str, str]:
        """Return what a call passes for each argument of its C function, in order, by argument name."""
        function, shapes = (
            c_function(call.spec),
            {n: shape for n, _, shape in call_arrays(self.program, call)},
        )
        sizes = bound_sizes(call.spec, shapes)
        tensors = iter(call.inputs)
        values = {}
        for argument in function.arguments:
            values[argument.name] = self._expression(call, argument, tensors, sizes)
        return values

    def _expression(
        self, call: Call, argument: CArgument, tensors: Iterator[str], sizes: Mapping[str, int]
    ) -> str:
        if argument.kind == "size":
            return literal(sizes[argument.name])
        if argument.kind == "parameter":
            return literal(call.parameters[argument.name])
        assert argument.argument is not None
        role = argument.argument.role
        if role == "constant":
            return self.constant_names[call.constants[argument.name]]
        return self.tensor_names[call.output if role == "output" else next(tensors)]

    def call_text(self, call: Call, replaced: Mapping[str, str] | None = None, indent: str = "    ") -> str:
        """Return the statement that runs a call.

        Parameters
        ----------
        replaced : mapping
            Other expressions for some arguments, by argument name: perturbed weights, say.
        """
        text = statement(call.spec, {**self.expressions(call), **(replaced or {})}, indent)
        return f"{indent}(void){text.lstrip()}" if call.spec.returned else text

    def title(self, index: int) -> str:
        """Return what a comment says of a layer: its number, name, kernel and shapes."""
        call = self.program.calls[index]
        shapes = " and ".join(shape_text(self.program.tensors[name].shape) for name in call.inputs)
        output = shape_text(self.program.tensors[call.output].shape)
        return f"Layer {index}, {remark(short_name(call.name))}: {shapes} -> {output}"

    def is_idle(self, call: Call) -> bool:
        """Whether a call would only copy a tensor onto itself."""
        blocks = self.plan.blocks
        return call.kernel in COPIES and blocks[call.inputs[0]].offset == blocks[call.output].offset


def statement(spec: KernelSpec, values: Mapping[str, str], indent: str = "    ") -> str:
    """Return a call of a kernel's C port with an expression for each argument, by name."""
    function = c_function(spec)
    rows = [_row(function, kind, values, indent + "    ") for kind in ("array", "size", "parameter")]
    arguments = ",\n".join(row for row in rows if row)
    return f"{indent}{function.name}(\n{arguments});\n"


def _row(function: CFunction, kind: str, values: Mapping[str, str], indent: str) -> str:
    """Return the arguments of one kind; integers carry their names."""
    chosen = [argument for argument in function.arguments if argument.kind == kind]
    if kind == "array":
        return wrapped([values[argument.name] for argument in chosen], indent)
    return wrapped([f"/* {a.name} */ {values[a.name]}" for a in chosen], indent)
