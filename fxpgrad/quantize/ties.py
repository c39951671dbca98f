"""Which activations must share a quantization, and where a concat needs its inputs requantized."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fxpgrad.errors import InputError
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.graph.operators.table import OPERATORS
from fxpgrad.quantize.affine import Range


@dataclass(frozen=True, slots=True)
class TieGroups:
    """leader_of: for each activation the one whose quantization it takes; range_of: for each leader."""

    leader_of: Mapping[str, str]
    range_of: Mapping[str, Range]


def tie_groups(graph: Graph, ranges: Mapping[str, Range]) -> TieGroups:
    """Group the activations of a float Graph by shared quantization.

    max_pool2d, average_pool2d, reshape, pad and a stand-alone activation share their input's. A
    concat gives its output the union of its inputs' ranges. An input joins the concat's group when
    nothing else would notice (its whole group is free to change: made by an operator that rescales,
    and read only by the concat); any other input keeps its own, and the caller puts a quantize node
    in front of the concat.

    Raises
    ------
    InputError
        A needed range is missing, not finite or upside down.
    """
    leader_of: dict[str, str] = {name: name for name in graph.inputs}
    for node in graph.nodes:
        moves = OPERATORS[node.op].tied or node.op == "activation"
        tied = moves and len(graph.activations_of(node)) == 1 and node.op != "concat"
        leader_of[node.output] = leader_of[node.inputs[0]] if tied else node.output
    absorbed: dict[str, str] = {}
    for node in graph.nodes:
        if node.op == "concat":
            for name in dict.fromkeys(graph.activations_of(node)):
                if _is_free(graph, leader_of, leader_of[name], node):
                    absorbed[leader_of[name]] = leader_of[node.output]
    final = {name: _follow(absorbed, leader) for name, leader in leader_of.items()}
    range_of: dict[str, Range] = {}
    # An absorbed input comes before its concat, so each group is complete when it is read.
    for name in graph.inputs:
        _widen(range_of, name, _calibrated(ranges, name))
    for node in graph.nodes:
        if node.op == "concat":
            for name in graph.activations_of(node):
                _widen(range_of, final[node.output], range_of[final[name]])
        elif leader_of[node.output] == node.output:
            _widen(range_of, final[node.output], _calibrated(ranges, node.output))
    return TieGroups(final, range_of)


def _widen(range_of: dict[str, Range], leader: str, bounds: Range) -> None:
    """Extend the range of `leader` to cover `bounds`."""
    before = range_of.get(leader, bounds)
    range_of[leader] = (min(before[0], bounds[0]), max(before[1], bounds[1]))


def _calibrated(ranges: Mapping[str, Range], name: str) -> Range:
    """Return the calibrated range of `name`, checked."""
    if name not in ranges:
        raise InputError(f"ranges hold no entry for activation {name}; calibrate this very graph")
    low, high = ranges[name]
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InputError(f"the range of {name} must be finite with low <= high; got [{low}, {high}]")
    return (low, high)


def _follow(absorbed: Mapping[str, str], leader: str) -> str:
    while leader in absorbed:
        leader = absorbed[leader]
    return leader


def _is_free(graph: Graph, leader_of: Mapping[str, str], leader: str, concat: Node) -> bool:
    """Return whether the group of `leader` may take the quantization of `concat`'s output."""
    members = [name for name, other in leader_of.items() if other == leader]
    if leader in graph.inputs or any(name in graph.outputs for name in members):
        return False
    for node in graph.nodes:
        reads = any(name in members for name in node.inputs)
        if reads and node is not concat and node.output not in members:
            return False
    return True
