"""lower(graph, profile): the last place where a real number exists.

Scales become (multiplier, shift) pairs, activations become clamps, every shift and accumulator is
checked, and what cannot be proved is refused by name. The rule of each operator is in `lowering/`.
"""

from __future__ import annotations

from fxpgrad.errors import LoweringError
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph
from fxpgrad.program.dialects import dialect_named
from fxpgrad.program.lowering import (
    elementwise,
    movement,
    normalization,
    onnx_rules,
    pooling,
    products,
    reduction,
    resize,
    unary,
    weighted,
)
from fxpgrad.program.lowering.known import require_known
from fxpgrad.program.lowering.lowering import Lowering, Rule, quantization_of
from fxpgrad.program.program import Program, TensorInfo
from fxpgrad.program.prove import with_proved_accumulators
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.arithmetic.profiles import Profile

UNREPRODUCED = "not known to equal the runtime"  # key of Program.metadata

RULES: dict[str, Rule] = {
    op: rule
    for family in (
        elementwise,
        movement,
        normalization,
        pooling,
        products,
        reduction,
        resize,
        unary,
        weighted,
    )
    for op, rule in family.RULES.items()
}


def lower(graph: Graph, profile: str = "tflite_double", *, split: bool = False) -> Program:
    """Turn a quantized Graph into a Program under a named rounding profile.

    Parameters
    ----------
    graph : Graph
        Quantized: every tensor has a scale; int8, int16 or int32 activations, int8 or int16 weights.
    profile : str
        A name of `fxpgrad_kernels.arithmetic.profiles.PROFILES`.
    split : bool
        Multiply 16-bit weights as two passes of 8-bit ones (for 8-bit multipliers); same bits.

    Raises
    ------
    LoweringError
        A scale without a legal multiplier, a layer whose accumulator cannot be proved, or an operator
        that has no kernel for its types or under this profile.
    GraphError
        The Graph is not well formed (`check_graph`: an operator that would change the scale silently).
    """
    check_graph(graph)
    state = Lowering(graph, *dialect_named(profile), split)
    for name, tensor in graph.tensors.items():
        if tensor.data is not None:
            continue
        quantization_of(tensor)
        if tensor.dtype not in ("int8", "int16", "int32"):
            raise LoweringError(
                f"tensor {name} is {tensor.dtype}: activations must be int8, int16 or int32; "
                "quantize the Graph"
            )
        state.tensors[name] = TensorInfo(
            name, tensor.shape, tensor.dtype, state.zero_point(name), state.scale(name), tensor.unsigned
        )
    rules = {**RULES, **onnx_rules.RULES} if state.dialect.pointwise_float32 else RULES
    for node in graph.nodes:
        if node.op not in rules:
            raise LoweringError(
                f"node {node.name}: {node.op} cannot be lowered; supported: {', '.join(sorted(rules))}"
            )
        require_known(state, node)
        rules[node.op](state, node)
    program = with_proved_accumulators(
        Program(
            graph.name,
            profile,
            state.tensors,
            state.constants,
            tuple(state.calls),
            graph.inputs,
            graph.outputs,
            metadata=_doubts(graph, state.profile),
            variables={name: state.zero_point(name) for name in graph.variables},
        )
    )
    check_program(program)
    return program


def _doubts(graph: Graph, profile: Profile) -> dict[str, str]:
    """Say which operators of the Graph are not known to equal the profile's runtime."""
    reasons = dict(profile.unreproduced)
    found = sorted({node.op for node in graph.nodes if node.op in reasons})
    if not found:
        return {}
    return {UNREPRODUCED: "; ".join(f"{op}: {reasons[op]}" for op in found)}
