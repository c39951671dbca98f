"""A flat view of a C-contiguous array, without the call into Numba's library that `reshape` is (20 ns)."""

from __future__ import annotations

from fxpgrad_kernels.jit import cgutils, intrinsic, types


@intrinsic
def flat(typing_context, array):
    """Return all elements of a C-contiguous array in order, as a view."""
    target = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        view = context.make_array(target)(context, builder)
        view.data, view.itemsize, view.nitems = source.data, source.itemsize, source.nitems
        view.shape = cgutils.pack_array(builder, [source.nitems])
        view.strides = cgutils.pack_array(builder, [source.itemsize])
        view.meminfo, view.parent = source.meminfo, source.parent
        value = view._getvalue()
        context.nrt.incref(builder, target, value)
        return value

    return target(array), codegen
