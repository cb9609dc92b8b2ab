"""A CUDA device without a GPU: tensors that lie in main memory, count as `cuda:0`, and are kept apart as CUDA does.

`with fake_cuda() as gpu:` makes `torch.device("cuda")` usable in this thread. Every operator runs on the processor, so
values are real: `.item()`, shapes that depend on data, backward passes, optimisers and whole fits work, and a result
can be compared with that of the processor. An operator that mixes tensors of the two devices raises what CUDA raises.

torch's own `FakeTensorMode` was the first choice and lost: it knows no values, so that every step which brings some to
the processor would need a stand-in; it excuses a CPU scalar beside CUDA tensors in every operator, where CUDA does in
those of `TensorIterator` only; and it ends the interpreter now and then in a backward pass without a GPU.

The rules are those of PyTorch 2.14:

- elementwise operators take tensors without dimensions from the processor as inputs, never as what they write to
  (`TensorIteratorBase::compute_types` in `aten/src/ATen/TensorIterator.cpp`); so do `fill_` and `masked_fill`;
- `tensor[index]` takes indices and masks from the processor, and no CUDA index into a CPU tensor; the value of
  `tensor[index] = value` lies on the device, or has no dimensions (`aten/src/ATen/native/IndexingUtils.h`);
- `copy_` and `to` cross devices; everything else, `stack` and `cat` among it, does not;
- a CUDA tensor has no `numpy()`, and cannot be pinned; a CPU generator does not serve a CUDA tensor.

What cannot be seen here: kernels that CUDA lacks, another rounding, a second GPU, and other threads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["FakeCuda", "fake_cuda"]

_CPU, _CUDA = torch.device("cpu"), torch.device("cuda", 0)
_device_of = torch._C.TensorBase.device.__get__  # type: ignore[attr-defined]
_CROSSING = {"copy", "set", "resize_as"}
_ELEMENTWISE = {"fill", "masked_fill"}  # of TensorIterator, though without torch's tag for pointwise operators
_INDEXING = {"index", "_unsafe_index", "index_put", "_index_put_impl", "_unsafe_index_put"}
_WAITING = {  # their result, or its shape, is needed on the processor
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "masked_select",
    "nms",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
}
_NEW = ("new_empty", "new_full", "new_ones", "new_tensor", "new_zeros")
_LIKE = ("empty_like", "full_like", "ones_like", "rand_like", "randint_like", "randn_like", "zeros_like")

# By address of a storage. True: on the GPU. False: made inside of an operator in C++, which would have made it on the
# device of its inputs. The weak reference keeps the address from being given away again. What one fake GPU leaves in a
# cache is on the next one too.
_PLACED: dict[int, tuple[StorageWeakRef, bool]] = {}


class FakeCuda(TorchDispatchMode):
    """Knows which tensors count as CUDA tensors, and checks every operator. Made by `fake_cuda`.

    Attributes:
        waits: What made the processor wait for the GPU, in order: names of operators and of methods.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.generators: dict[int, torch.Generator] = {}  # those of the GPU, by address
        self._making: torch.device | None = None  # where a factory that is called from Python puts its tensor

    def device_of(self, tensor: torch.Tensor) -> torch.device:
        """Where a tensor counts as lying."""
        return _CUDA if self._on_gpu(tensor) else _device_of(tensor)

    def put(self, tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Lets a tensor's storage count as lying on a device from now on."""
        if _device_of(tensor).type == "cpu" and tensor.layout is torch.strided:
            storage = tensor.untyped_storage()
            _PLACED.pop(storage._cdata, None)
            if device.type == "cuda":
                _PLACED[storage._cdata] = StorageWeakRef(storage), True
        return tensor

    def wait(self, what: str) -> None:
        """Notes that the processor waited."""
        self.waits.append(what)

    @contextmanager
    def making(self, device: torch.device) -> Iterator[None]:
        """Factories inside put their tensors there."""
        before, self._making = self._making, device
        try:
            yield
        finally:
            self._making = before

    def _on_gpu(self, tensor: torch.Tensor) -> bool | None:
        """Whether a tensor is on the GPU; None if C++ made it, which says nothing."""
        if _device_of(tensor).type != "cpu" or tensor.layout is not torch.strided:
            return False
        placed = _PLACED.get(tensor.untyped_storage()._cdata)
        return False if placed is None else placed[1] or None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:  # as in inference mode, where torch would not take it apart
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        device = self._check(func, args, kwargs, inputs)
        before = {tensor.untyped_storage()._cdata for tensor in inputs if tensor.layout is torch.strided}
        result = func(*args, **kwargs)
        if func._schema.name == "aten::set_":  # a tensor of a storage: the storage says where it is
            return result
        for tensor in tree_leaves(result):
            if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided:
                continue
            fresh = tensor.untyped_storage()._cdata not in before
            if device is not None and (fresh or self._on_gpu(tensor) is None):
                self.put(tensor, device)
            elif fresh and _device_of(tensor).type == "cpu":
                storage = tensor.untyped_storage()
                _PLACED[storage._cdata] = StorageWeakRef(storage), False
        return result

    def _check(self, func: Any, args: Any, kwargs: Any, inputs: Sequence[torch.Tensor]) -> torch.device | None:
        """The device of an operator's outputs; None if nothing says.

        Raises:
            RuntimeError: If CUDA would raise one.
        """
        name = func._schema.name.partition("::")[2]
        base = name.rstrip("_") if not name.startswith("_foreach") else name
        places = {self._on_gpu(tensor) for tensor in inputs}
        if not inputs:
            self._check_generator(kwargs, self._making)
            return self._making
        if base in _CROSSING:
            return self._crossing(base, args)
        device = _CUDA if True in places else _CPU if False in places else None
        if device is not _CUDA:
            return device
        self._check_generator(kwargs, device)
        if base in _WAITING or (base == "repeat_interleave" and kwargs.get("output_size") is None):
            self.wait(base)
        if base in _INDEXING:
            self._check_index(name, args)
        elif name.startswith("_foreach"):  # one tensor of each list after the other, and what stands beside the lists
            beside = [argument for argument in args if isinstance(argument, torch.Tensor)]
            for row in zip(*(argument for argument in args if _is_list(argument)), strict=False):
                self._check_same(name, [*row, *beside])
        else:
            elementwise = torch.Tag.pointwise in func.tags or base in _ELEMENTWISE
            written = {
                id(value)
                for argument, value in [
                    *zip(func._schema.arguments, args, strict=False),
                    *((a, kwargs.get(a.name)) for a in func._schema.arguments[len(args) :]),
                ]
                if argument.alias_info is not None and argument.alias_info.is_write
            }
            self._check_same(
                name, [one for one in inputs if not elementwise or one.ndim or id(one) in written or self._on_gpu(one)]
            )
        return device

    def _check_same(self, name: str, tensors: Sequence[Any]) -> None:
        places = {self._on_gpu(tensor) for tensor in tensors if isinstance(tensor, torch.Tensor)}
        if {True, False} <= places:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                f"(when checking the arguments of {name})"
            )

    def _check_index(self, name: str, args: Sequence[Any]) -> None:
        tensor, indices, *values = args
        on_gpu = self._on_gpu(tensor)
        # A number goes where a mask says without a wait: `canDispatchToMaskedFill` in TensorAdvancedIndexingUtils.h.
        number = values and values[0].numel() == 1 and not self._on_gpu(values[0])
        for index in indices:
            if index is None:
                continue
            if self._on_gpu(index) and on_gpu is False:
                raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
            if index.dtype in (torch.bool, torch.uint8):
                if not number:
                    self.wait(f"{name} by a mask")
            elif self._on_gpu(index) is False:
                self.wait(f"{name} from the processor")
        if values and isinstance(values[0], torch.Tensor) and values[0].ndim:
            self._check_same(name, [tensor, values[0]])

    def _crossing(self, base: str, args: Sequence[Any]) -> torch.device | None:
        onto = self._on_gpu(args[0])
        other = args[1] if len(args) > 1 and isinstance(args[1], torch.Tensor) else args[0]
        source = self._on_gpu(other)
        if base == "copy" and {onto, source} == {True, False} and not (len(args) > 2 and args[2]):
            self.wait("copy_")
        if onto is None and source is not None:
            return _CUDA if source else _CPU
        return _CUDA if onto else _CPU if onto is False else None

    def _check_generator(self, kwargs: dict[str, Any], device: torch.device | None) -> None:
        generator = kwargs.get("generator")
        if generator is None or device is None:
            return
        found = "cuda" if generator._cdata in self.generators else "cpu"
        if device.type != found:
            raise RuntimeError(f"Expected a '{device.type}' device type for generator but found '{found}'")


def _generator_of(gpu: FakeCuda) -> type[torch.Generator]:
    class Generator(torch.Generator):
        """A generator that counts as one of a device."""

        def __new__(cls, device: Any = "cpu") -> Generator:
            made = super().__new__(cls)
            made.on_gpu = torch.device(device).type == "cuda"
            if made.on_gpu:
                gpu.generators[made._cdata] = made
            return made

        @property
        def device(self) -> torch.device:  # type: ignore[override]
            return _CUDA if self.on_gpu else _CPU

    return Generator


def _is_list(argument: Any) -> bool:
    return isinstance(argument, (list, tuple)) and any(isinstance(one, torch.Tensor) for one in argument)


class _Move(torch.autograd.Function):
    """A copy on another device, whose gradient comes back."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, gpu: FakeCuda, device: torch.device, options: dict[str, Any]) -> Any:
        ctx.gpu, ctx.device, ctx.dtype = gpu, gpu.device_of(tensor), tensor.dtype
        return gpu.put(torch.ops.aten._to_copy.default(tensor, **options), device)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:  # type: ignore[override]
        moved = torch.ops.aten._to_copy.default(gradient, dtype=ctx.dtype)
        return ctx.gpu.put(moved, ctx.device), None, None, None


def _to(gpu: FakeCuda, original: Callable[..., Any]) -> Callable[..., Any]:
    def to(self: torch.Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> torch.Tensor:
        other = kwargs.pop("other", args[0] if args and isinstance(args[0], torch.Tensor) else None)
        if other is not None:
            args, kwargs = args[1:], {"device": gpu.device_of(other), "dtype": other.dtype, **kwargs}
        device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        here = gpu.device_of(self)
        options = {"dtype": dtype, "memory_format": memory_format}
        options = {name: value for name, value in options.items() if value is not None}
        if device is None or device.type == here.type:
            moved: torch.Tensor = original(self, copy=copy, **({"dtype": self.dtype} | options))
            return moved
        if "meta" in (device.type, here.type):
            return original(self, device, copy=copy, **options)  # type: ignore[no-any-return]
        if not non_blocking:
            gpu.wait(f"to {device.type}")
        if self.requires_grad and torch.is_grad_enabled():
            return _Move.apply(self, gpu, device, options)  # type: ignore[no-any-return,no-untyped-call]
        return gpu.put(torch.ops.aten._to_copy.default(self, **options), device)

    return to


def _factory(gpu: FakeCuda, original: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch that makes tensors, or one like another, with `device`."""

    @functools.wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        asked = kwargs.pop("device", None)
        device = torch.device(asked) if asked is not None else None
        if device is not None and device.type not in ("cpu", "cuda"):
            return original(*args, device=device, **kwargs)
        given = next((value for value in args[:1] if isinstance(value, torch.Tensor)), None)
        if device is None and given is not None:
            if original.__name__ != "new_tensor":  # the others' operators tell where their tensor lies
                return original(*args, **kwargs)
            device = gpu.device_of(given)
        device = device or _CPU
        with gpu.making(device):
            made = original(*args, **kwargs)
        copies = original.__name__ in ("tensor", "as_tensor", "asarray", "new_tensor")
        if device.type == "cuda" and copies:
            gpu.wait(f"{original.__name__} to cuda")
        if made is given and gpu.device_of(made) == device:
            return made
        return gpu.put(made.clone() if made is given else made, device)

    return make


def _grouped(gpu: FakeCuda, original: Callable[..., Any]) -> Callable[..., Any]:
    """How optimisers sort tensors by device and type."""

    def group(lists: Any, with_indices: bool = False) -> Any:
        groups = {}
        for (_, dtype), (rows, indices) in original(lists, with_indices).items():
            for place in range(len(rows[0])):
                key = gpu.device_of(rows[0][place]), dtype
                own, places = groups.setdefault(key, ([[] for _ in rows], []))
                for row, taken in zip(rows, own, strict=True):
                    if row:
                        taken.append(row[place])
                if indices:
                    places.append(indices[place])
        return groups

    return group


def _autocast(original: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None) -> None:
        if device_type == "cuda":
            device_type, dtype = "cpu", dtype or torch.float16
        original(self, device_type, dtype, enabled, cache_enabled)

    return init


@contextmanager
def fake_cuda(*, capability: tuple[int, int] = (6, 1)) -> Iterator[FakeCuda]:
    """A GPU in this thread until the context ends.

    Args:
        capability: The compute capability. From 7.0 on it has tensor cores, from 8.0 on it computes bfloat16. The
            default has neither, so that automatic precisions compute as the processor does, to the last bit.
    """
    gpu = FakeCuda()
    tensor = torch.Tensor
    numpy_error = "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory"

    def only_cpu(name: str) -> Callable[..., Any]:
        original = getattr(tensor, name)

        def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if gpu.device_of(self).type == "cuda":
                raise TypeError(f"{numpy_error} first.")
            return original(self, *args, **kwargs)

        return method

    def tolist(self: torch.Tensor) -> Any:
        if gpu.device_of(self).type == "cuda":
            gpu.wait("tolist")
        return original_tolist(self)

    def pin_memory(self: torch.Tensor, device: Any = None) -> torch.Tensor:
        if gpu.device_of(self).type == "cuda":
            raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
        return self

    def deepcopy(self: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
        copied: torch.Tensor = original_deepcopy(self, memo)
        return gpu.put(copied, gpu.device_of(self))

    original_tolist, original_deepcopy = tensor.tolist, tensor.__deepcopy__
    to = _to(gpu, tensor.to)
    methods: dict[str, Any] = {
        "device": property(gpu.device_of),
        "is_cuda": property(lambda self: gpu.device_of(self).type == "cuda"),
        "is_cpu": property(lambda self: gpu.device_of(self).type == "cpu"),
        "get_device": lambda self: 0 if gpu.device_of(self).type == "cuda" else -1,
        "to": to,
        "cpu": lambda self, memory_format=None: to(self, "cpu", memory_format=memory_format),
        "cuda": lambda self, device=None, non_blocking=False, memory_format=None: to(
            self, "cuda", non_blocking=non_blocking, memory_format=memory_format
        ),
        "numpy": only_cpu("numpy"),
        "__array__": only_cpu("__array__"),
        "tolist": tolist,
        "pin_memory": pin_memory,
        "is_pinned": lambda self, device=None: False,
        "__deepcopy__": deepcopy,
        **{name: _factory(gpu, getattr(tensor, name)) for name in _NEW},
    }
    factories = {function.__name__ for function in _device_constructors()} & set(dir(torch))
    functions = {name: _factory(gpu, getattr(torch, name)) for name in (*factories, *_LIKE)}
    cuda = {
        "is_available": lambda: True,
        "is_initialized": lambda: False,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "synchronize": lambda device=None: gpu.wait("synchronize"),
        "empty_cache": lambda: None,
        "get_device_name": lambda device=None: "Fake GPU",
        "get_device_capability": lambda device=None: capability,
        "get_device_properties": lambda device=None: SimpleNamespace(
            name="Fake GPU",
            major=capability[0],
            minor=capability[1],
            total_memory=16 * 1024**3,
            multi_processor_count=80,
        ),
        "is_bf16_supported": lambda including_emulation=True: capability >= (8, 0),
        "get_rng_state_all": lambda: [],
        "set_rng_state_all": lambda states: None,
        "manual_seed_all": lambda seed: None,
        "is_current_stream_capturing": lambda: False,
        "_lazy_init": lambda: None,
    }
    speed = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    stream = SimpleNamespace(is_capturing=lambda: False)
    group = _grouped(gpu, torch._C._group_tensors_by_device_and_dtype)  # type: ignore[attr-defined]
    with (
        mock.patch.multiple(tensor, **methods, create=True),
        mock.patch.multiple(torch, Generator=_generator_of(gpu), **functions),
        mock.patch.multiple(torch.cuda, **cuda),
        mock.patch.object(torch.accelerator, "current_stream", return_value=stream),
        mock.patch.object(torch._C, "_group_tensors_by_device_and_dtype", group),
        mock.patch.object(torch.autocast, "__init__", _autocast(torch.autocast.__init__)),
        gpu,
    ):
        try:
            yield gpu
        finally:
            torch.set_float32_matmul_precision(speed[0])
            torch.backends.cudnn.benchmark = speed[1]
    for address in [address for address, (storage, _) in _PLACED.items() if storage.expired()]:
        del _PLACED[address]
