"""The one file that calls Numba: compiler flags, the cache and its key, typed scalars.

Everything else in this package imports :func:`kernel`, :func:`device` and the scalar constructors
from here. Nothing is compiled at import: a kernel compiles (or is loaded from the cache) at its
first call.

Why a cache of our own: Numba's cache looks only at the file that holds a kernel, so that editing a
function that the kernel *calls* would serve the old machine code without a word. Here the cache
directory is named by a hash of every source file of this package: any edit starts a fresh one.

Why a pipeline of our own: Numba treats every function alike. Each device function would be optimised,
wrapped for Python and made into machine code, and then optimised again within every caller. Here it
stays LLVM IR until a kernel is made, whose whole call tree is optimised once, as one module in which
nothing but the kernel is visible from outside. That nearly halves the compile time. It rests on Numba's
inner parts, so that the package asks for the releases of Numba that it was tested with.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import pickle
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from llvmlite.binding import Linkage
from numba import _dynfunc
from numba.core import caching, cgutils, codegen, compiler, config, types
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.registry import CPUDispatcher
from numba.core.runtime import rtsys
from numba.core.typed_passes import AnnotateTypes, NativeLowering
from numba.extending import intrinsic

__all__ = [
    "cache_directory",
    "cgutils",
    "device",
    "intrinsic",
    "ir",
    "kernel",
    "llvm_ir",
    "source_hash",
    "types",
]

_PACKAGE = Path(__file__).resolve().parent
_FLAGS: dict[str, Any] = {
    "nopython": True,
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,  # for callers in C: there are none
}
# What reading a damaged entry of the cache raises: pickle says little of what it may be.
_DAMAGED = (
    pickle.UnpicklingError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
_FOLDER = re.compile(r"kernels-[0-9a-f]{16}")
_FOLDERS_KEPT = 5
_DAY = 24 * 60 * 60


@functools.cache
def source_hash() -> str:
    """Return 16 hex digits that name the present text of every Python file of this package."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@functools.cache
def cache_directory() -> Path:
    """Return the directory that holds the machine code of the present sources.

    ``NUMBA_CACHE_DIR`` (Numba's own setting) names the parent if it is set; else the user's cache
    directory is used. One that cannot be written is used as it is if it holds machine code; if not, a
    temporary directory takes its place until the process ends.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    parent = config.CACHE_DIR or os.path.join(home, "fxpgrad")
    path = Path(parent) / f"kernels-{source_hash()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()  # which also marks the folder as used now
    except OSError:
        if next(path.rglob("*.nbi"), None) is not None:
            return path
        with contextlib.suppress(OSError):
            private = Path(tempfile.mkdtemp(prefix="fxpgrad-kernels-"))
            atexit.register(shutil.rmtree, private, ignore_errors=True)
            return private
        return path  # nowhere to keep anything: every process compiles for itself
    _forget_old_sources(path)
    return path


def _forget_old_sources(used: Path) -> None:
    """Remove the folders of other sources: what lies 30 days unused, and all but the 5 used last.

    What was used within a day stays: its process may still run. One that lost its folder all the
    same goes on without a cache.
    """
    others: list[tuple[int, Path]] = []
    with contextlib.suppress(OSError):
        for path in used.parent.iterdir():
            if _FOLDER.fullmatch(path.name) and path != used and not path.is_symlink():
                with contextlib.suppress(OSError):
                    others.append((int(time.time() - path.stat().st_mtime), path))
    for place, (age, path) in enumerate(sorted(others), start=2):
        if age > 30 * _DAY or (age > _DAY and place > _FOLDERS_KEPT):
            shutil.rmtree(path, ignore_errors=True)


class _SourceKeyedLocator(caching.UserWideCacheLocator):  # type: ignore[misc]
    """Tells Numba to keep a function's machine code under :func:`cache_directory`."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        folder = Path(py_file).resolve().parent
        name = "_".join(folder.relative_to(_PACKAGE).parts) if _PACKAGE in folder.parents else ""
        self._cache_path = str(cache_directory() / (name or "_"))

    def get_source_stamp(self) -> str:
        return source_hash()

    def ensure_cache_path(self) -> None:
        """Make the folder if it can be made; what is in one that cannot be written is still of use."""
        with contextlib.suppress(OSError):
            os.makedirs(self._cache_path, exist_ok=True)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _SourceKeyedLocator:
        locator = cls(py_func, py_file)
        locator.ensure_cache_path()
        return locator


class _CacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_SourceKeyedLocator,)


class _KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache, without the registries that only a compilation needs.

    Numba would import and install them (NumPy functions, SciPy's linear algebra) at the first load of a
    process, which takes longer than all the rest of a small network's first run.
    """

    _impl_class = _CacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return a kernel's machine code, None if there is none that can be read."""
        rtsys.initialize(target_context)
        try:
            return self._load_overload(sig, target_context)
        except _DAMAGED:  # cut short by a crash or a full disk, say: it is compiled and written anew
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel's machine code; where that fails the kernel is there all the same."""
        try:
            self._save_overload(sig, data)
        except OSError:  # a full disk, a read-only directory, a removed one
            return
        except _DAMAGED:  # an index that cannot be read: begin a new one
            with contextlib.suppress(OSError):
                self.flush()
                self._save_overload(sig, data)


class _DeviceLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The LLVM IR of a device function and its callees: tidied, but never made into machine code."""

    def finalize(self) -> None:
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True


class _KernelLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The LLVM IR of a kernel with its whole call tree, and its machine code."""

    def _optimize_final_module(self) -> None:
        # A callee that nobody else can call need not be kept once inlined, and takes its constants in.
        self._make_private(Linkage.linkonce_odr)
        super()._optimize_final_module()
        self._make_private(Linkage.internal)  # the copies that LLVM made

    def _make_private(self, linkage: Linkage) -> None:
        """Take the names of functions out of the loader's sight.

        It would bind a weak symbol of another module to an internal one of the same name (`NRT_decref`),
        whose arguments the optimizer may have changed.
        """
        for function in self._final_module.functions:
            if function.linkage == linkage:
                function.linkage = Linkage.private


@register_pass(mutates_CFG=False, analysis_only=False)
class _IntoKernelLibrary(LoweringPass):  # type: ignore[misc]
    _name = "fxpgrad_into_kernel_library"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return False


@register_pass(mutates_CFG=False, analysis_only=False)
class _IntoDeviceLibrary(LoweringPass):  # type: ignore[misc]
    _name = "fxpgrad_into_device_library"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.library = _DeviceLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        return False


@register_pass(mutates_CFG=False, analysis_only=False)
class _OfferToCallers(LoweringPass):  # type: ignore[misc]
    """Does what Numba does after making machine code: tells the linker who holds the function.

    The function object is a name for that only; `_DeviceDispatcher` sees to it that nobody calls it.
    """

    _name = "fxpgrad_offer_to_callers"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        lowered = state["cr"]
        description = lowered.fndesc
        entry = _dynfunc.make_function(
            description.lookup_module(), description.qualname, "", 0, lowered.env, (state.library,)
        )
        state.targetctx.insert_user_function(entry, description, [state.library])
        state["cr"] = lowered._replace(cfunc=entry)
        return False


class _KernelCompiler(compiler.CompilerBase):  # type: ignore[misc]
    def define_pipelines(self) -> list[Any]:
        pipeline = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(_IntoKernelLibrary, AnnotateTypes)
        pipeline.finalize()
        return [pipeline]


class _DeviceCompiler(compiler.CompilerBase):  # type: ignore[misc]
    def define_pipelines(self) -> list[Any]:
        pipeline = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(_IntoDeviceLibrary, AnnotateTypes)
        pipeline.add_pass_after(_OfferToCallers, NativeLowering)
        pipeline.finalize()
        return [pipeline]


class _DeviceDispatcher(CPUDispatcher):  # type: ignore[misc]
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.py_func.__qualname__} is a device function: only kernels can call it")


def kernel(function: Callable[..., Any]) -> Any:
    """Make an entry point: compiled at first call, cached on disk, releases the GIL.

    Kernels and the functions they call live at module level: a closure would miss the cache at
    every run. Integer widths must be spelled out (``np.int32(...)``): Numba widens every operation
    on smaller integers to 64 bits.
    """
    dispatcher = CPUDispatcher(function, targetoptions=_FLAGS, pipeline_class=_KernelCompiler)
    dispatcher._cache = _KernelCache(function)
    return dispatcher


def device(function: Callable[..., Any]) -> Any:
    """Make a function that kernels call (Python cannot); LLVM inlines it where that pays."""
    flags = _FLAGS | {"no_cpython_wrapper": True}
    return _DeviceDispatcher(function, targetoptions=flags, pipeline_class=_DeviceCompiler)


def llvm_ir(dispatcher: Any, *arguments: Any) -> str:
    """Compile a fresh copy of a kernel for the types of `arguments` and return its LLVM IR.

    The copy bypasses the cache (cached machine code has no IR) and holds every function that the
    kernel calls, so that a scan of the text sees all that would run.
    """
    fresh = CPUDispatcher(dispatcher.py_func, targetoptions=_FLAGS, pipeline_class=_KernelCompiler)
    signature = tuple(numba.typeof(argument) for argument in arguments)
    fresh.compile(signature)
    return "\n".join(fresh.inspect_llvm().values())


def kernel_from_source(name: str, source: str, near: str, names: dict[str, Any]) -> Any:
    """Make a kernel of generated source that reads the given global names; cached beside file `near`."""
    namespace = {**names, "__name__": f"{__package__}.{Path(near).stem}"}
    exec(compile(source, near, "exec"), namespace)
    return kernel(namespace[name])


def compiled_at(dispatcher: Any, signature: tuple[Any, ...]) -> Any:
    """Compile a kernel for Numba types (or load it from the cache) and return the compilation's result."""
    dispatcher.compile(signature)
    return dispatcher.overloads[signature]


def native_address(compiled: Any) -> int:
    """Return the address of a compilation's machine code, valid as long as the process lives."""
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def direct_call(compiled: Any) -> Any:
    """Return a compilation as a Python function that takes its arguments for what they must be.

    A dispatcher looks at the types of all arguments at each call, which takes 0.1 us.
    """
    return compiled.entry_point
