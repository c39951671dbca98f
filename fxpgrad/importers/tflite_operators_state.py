"""SVDF, variables, and the change between integers and real numbers at the edges."""

from __future__ import annotations

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.check import quantization_of, same_quantization
from fxpgrad.graph.graph import Tensor
from fxpgrad.importers.tflite_model import TfliteOperator, TfliteTensor
from fxpgrad.importers.tflite_numbers import dtype_of, quantization_of_tensor
from fxpgrad.importers.tflite_refusals import activation_of, option, refuse, refuse_type
from fxpgrad.importers.tflite_translation import Translation
from fxpgrad.importers.tflite_weights import bias, weights

MOST_VARIABLES = 1000


def quantize(state: Translation, operator: TfliteOperator) -> None:
    """Translate QUANTIZE; from a float32 input of the model it disappears, and its output is the input."""
    tensor = state.tensor(operator, 0)
    if tensor.type == "FLOAT32" and tensor.index in state.model.subgraphs[0].inputs and tensor.data is None:
        if tensor.index in state.real_inputs:
            refuse(operator, f"the input {tensor.name} is quantized twice; give the model one integer input")
        state.real_inputs[tensor.index] = state.place(operator, state.output(operator))
        return
    state.emit(operator, "quantize", (state.activation(operator, 0),))


def dequantize(state: Translation, operator: TfliteOperator) -> None:
    """Translate DEQUANTIZE, which may only make a float32 output of the model; it disappears."""
    result = state.output(operator)
    source = state.activation(operator, 0)
    if result.type != "FLOAT32" or result.index not in state.model.subgraphs[0].outputs:
        refuse_type(operator, result)
    if result.index in state.real_outputs:
        refuse(operator, f"tensor {result.index} ({result.name}) gets a value twice")
    state.real_outputs[result.index] = source


def svdf(state: Translation, operator: TfliteOperator) -> None:
    """Translate SVDF; its activation state becomes a variable [filters * memory]."""
    source, result = state.activation(operator, 0), state.output(operator)
    stored, time = state.tensor(operator, 4), state.tensor(operator, 2)
    if not stored.is_variable or stored.data is not None or stored.index in state.placed:
        refuse(operator, f"its state {stored.name} must be a variable tensor of its own")
    shapes = state.tensor(operator, 0).shape, stored.shape
    if any(len(shape) != 2 or shape[0] != 1 for shape in shapes):
        refuse(operator, f"its input and state must be [1, n]; got {[list(shape) for shape in shapes]}")
    name = f"{state.names[result.index]}#row"
    source = state.reshaped(name, shapes[0][1:], source)
    variable = _add_variable(state, operator, state.names[stored.index], stored, stored.shape[1:])
    state.placed[stored.index] = variable
    features, _ = weights(state, operator, 1, None)
    times, time_scales = weights(state, operator, 2, None)
    units = result.shape[-1] if result.shape else 0
    scales = quantization_of(state.tensors[variable]).scale * time_scales
    addend = bias(state, operator, 3, units, scales, wide=False)
    if time.type != stored.type:
        refuse(operator, f"its time weights are {time.type}, but its state is {stored.type}")
    attributes = {"rank": option(operator, "rank"), "activation": activation_of(operator)}
    inputs = (source, variable, features, times, addend)
    if not state.whole:
        state.emit(operator, "svdf", inputs, attributes)
        return
    row = state.unique(f"{state.names[result.index]}#units")
    quantization = quantization_of_tensor(operator, result)
    dtype = dtype_of(operator, result)
    state.tensors[row] = Tensor(row, (units,), dtype, quantization, None, result.type == "UINT8")
    state.add_node("svdf", inputs, row, attributes)
    state.emit(operator, "reshape", (row,))


def _add_variable(
    state: Translation, operator: TfliteOperator, name: str, tensor: TfliteTensor, shape: tuple[int, ...]
) -> str:
    if len(state.variables) >= MOST_VARIABLES:
        refuse(operator, f"the model has more than {MOST_VARIABLES} variables, the limit")
    if 0 in shape:
        refuse(operator, f"the variable {name} is empty")
    if name in state.tensors:
        name = state.unique(name)
    state.taken.add(name)
    dtype, quantization = dtype_of(operator, tensor), quantization_of_tensor(operator, tensor)
    state.tensors[name] = Tensor(name, shape, dtype, quantization, None, tensor.type == "UINT8")
    state.variables[name] = None
    return name


def handle_key(operator: TfliteOperator) -> tuple[str, str]:
    """Return what tells a variable from another: container and shared name."""
    container, name = operator.options["container"], operator.options["shared_name"]
    return str(container or ""), str(name or "")


def var_handle(state: Translation, operator: TfliteOperator) -> None:
    """Translate VAR_HANDLE: remember which variable the handle means."""
    result = state.output(operator)
    if result.type != "RESOURCE" or result.data is not None:
        refuse(operator, f"its output {result.name} must be a RESOURCE; got {result.type}")
    state.handles[result.index] = handle_key(operator)


def _variable(
    state: Translation, operator: TfliteOperator, value: TfliteTensor, shape: tuple[int, ...]
) -> tuple[tuple[str, str], str]:
    """Return the key and the Graph tensor of the variable that input 0 is a handle of."""
    handle = state.tensor(operator, 0)
    if handle.index not in state.handles:
        refuse(operator, f"{handle.name} is no handle that VAR_HANDLE made")
    key = state.handles[handle.index]
    if key not in state.variable_names:
        name = f"{key[1] or 'variable'}"
        state.variable_names[key] = _add_variable(state, operator, name, value, shape)
    name = state.variable_names[key]
    found, quantization = state.tensors[name], quantization_of_tensor(operator, value)
    same = found.shape == shape and found.dtype == dtype_of(operator, value)
    if not same or not same_quantization(found.quantization, quantization):
        refuse(operator, f"{value.name} and the variable {name} differ in type, shape, scale or zero point")
    return key, name


def read_variable(state: Translation, operator: TfliteOperator) -> None:
    """Translate READ_VARIABLE: a copy, because the variable itself changes at the end of the row."""
    result = state.output(operator)
    key, name = _variable(state, operator, result, state.shape(result))
    state.emit(operator, "reshape", (state.assigned.get(key, name),))


def assign_variable(state: Translation, operator: TfliteOperator) -> None:
    """Translate ASSIGN_VARIABLE; later reads see the value, and the variable gets it at the row's end."""
    value = state.tensor(operator, 1)
    source = state.activation(operator, 1)
    key, _ = _variable(state, operator, value, state.tensors[source].shape)
    state.assigned[key] = source


def call_once(state: Translation, operator: TfliteOperator) -> None:
    """Translate CALL_ONCE: the subgraph may only set variables to their zero point, where they start."""
    number = option(operator, "init_subgraph_index")
    if not 0 < number < len(state.model.subgraphs):
        refuse(operator, f"there is no subgraph {number} to call")
    subgraph = state.model.subgraphs[number]
    handles: dict[int, tuple[str, str]] = {}
    for step in subgraph.operators:
        if step.name == "VAR_HANDLE" and len(step.outputs) == 1:
            handles[step.outputs[0]] = handle_key(step)
        elif step.name == "ASSIGN_VARIABLE" and len(step.inputs) == 2 and step.inputs[0] in handles:
            tensor = subgraph.tensors[step.inputs[1]]
            values = state.values(step, tensor)
            if values.size == 0 or (values != values.reshape(-1)[0]).any():
                refuse(operator, f"the variable {handles[step.inputs[0]][1]} must start at its zero point")
            state.initial[handles[step.inputs[0]]] = int(values.reshape(-1)[0])
        else:
            refuse(
                operator,
                f"subgraph {number} holds {step.name}; only variables that start at zero are supported",
            )


def finish_variables(state: Translation) -> None:
    """Write the last assigned values into the variables, and check how these start."""
    for key, name in state.variable_names.items():
        start = int(quantization_of(state.tensors[name]).zero_point[0])
        if state.initial.get(key, start) != start:
            raise ModelFileError(
                f"the variable {name} starts at {state.initial[key]}, but only its zero point, {start}, "
                f"is supported; assign it while running instead"
            )
        if key not in state.assigned:
            raise ModelFileError(f"the variable {name} is read, but no ASSIGN_VARIABLE ever sets it")
        state.add_node("assign", (state.assigned[key],), name, {})


RULES = {
    "QUANTIZE": quantize,
    "DEQUANTIZE": dequantize,
    "SVDF": svdf,
    "VAR_HANDLE": var_handle,
    "READ_VARIABLE": read_variable,
    "ASSIGN_VARIABLE": assign_variable,
    "CALL_ONCE": call_once,
}
