"""Faults in saving and loading."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, valid-type, assignment, attr-defined"
from __future__ import annotations

import io
import zipfile

import torch

from conformance.faults.fault import fault, replace


def rebuilt(wrong, name="_rebuild_tensor_v2"):
    """Put ``wrong(original, *arguments)`` in the place of the function by which pickles make a tensor again."""
    original = getattr(torch._utils, name)

    def again(*args):
        return wrong(original, *args)

    again.__module__, again.__name__, again.__qualname__ = "torch._utils", name, name
    setattr(torch._utils, name, again)
    torch._weights_only_unpickler._get_allowed_globals.cache_clear()


@fault(
    "serialization.load", "shape_strides_and_offset_come_back", "files_of_2_2_are_read", "files_of_2_6_are_read",
    green=("a_tensor_comes_back",),
)  # fmt: skip
def offset_lost_in_files():
    """A loaded tensor begins where its storage begins."""
    rebuilt(lambda original, storage, offset, *rest: original(storage, 0 * offset, *rest))


@fault("serialization.save", "shape_strides_and_offset_come_back", green=("a_tensor_comes_back",))
def strides_not_saved():
    """A loaded tensor is contiguous: its strides are made from its shape."""

    def contiguous(original, storage, offset, size, stride, *rest):
        steps = [1]
        for n in reversed(size[1:]):
            steps.insert(0, steps[0] * n)
        return original(storage, offset, size, tuple(steps[len(steps) - len(size) :]), *rest)

    rebuilt(contiguous)


@fault("serialization.load", "views_still_share_their_storage", "tied_weights_stay_tied", "files_of_2_13_are_read")
def storages_loaded_apart():
    """Every loaded tensor has a copy of its storage to itself."""
    rebuilt(lambda original, storage, *rest: original(storage, *rest).clone())


@fault(
    "serialization.save", "lazy_conjugates_and_negatives_come_back",
    models="pytorch/pytorch#81690", dtypes=("complex64",), green=("a_tensor_comes_back",),
)  # fmt: skip
def conjugate_bit_not_saved():
    """The conjugate bit of a tensor is dropped."""
    rebuilt(lambda original, *args: original(*args[:6]))


@fault("serialization.save", "parameters_and_requires_grad_come_back", green=("a_tensor_comes_back",))
def frozen_parameters_thawed():
    """Every loaded parameter requires gradients."""
    original = torch._utils._rebuild_parameter

    def _rebuild_parameter(data, requires_grad, hooks):
        return original(data, True, hooks)

    _rebuild_parameter.__module__, _rebuild_parameter.__qualname__ = "torch._utils", "_rebuild_parameter"
    torch._utils._rebuild_parameter = _rebuild_parameter
    torch._weights_only_unpickler._get_allowed_globals.cache_clear()


@fault("serialization.save", "every_dtype_comes_back_bit_for_bit", green=("a_tensor_comes_back",))
def small_floats_lose_their_dtype():
    """Tensors of eight-bit floats are loaded as bytes."""

    def as_bytes(original, *args):
        t = original(*args)
        return t.view(torch.uint8) if "float8" in str(t.dtype) else t

    rebuilt(as_bytes, "_rebuild_tensor_v3")


@fault("serialization.save", "tensors_made_while_saving_are_not_mixed_up", models="pytorch/pytorch#24045")
def storages_keyed_by_address():
    """A storage in a file is known by its address, and a tensor that is freed gives its address to the next."""

    @replace("save")
    def save(original, obj, *args, **options):
        if isinstance(obj, list) and all(type(part).__name__ == "Stripped" for part in obj):
            obj = [type(obj[0])(obj[0].n) for _ in obj]
        return original(obj, *args, **options)


@fault(
    "serialization.load", "map_location_takes_a_function", "map_location_takes_a_dict", green=("a_tensor_comes_back",)
)
def map_location_dropped():
    """map_location is not passed on, unless it is a device or its name."""

    @replace("load")
    def plain(load, f, map_location=None, **options):
        return load(f, map_location if isinstance(map_location, (str, torch.device)) else None, **options)


@fault("serialization.load", "map_location_meta_brings_shapes_alone", green=("map_location_takes_a_device",))
def meta_loaded_to_the_cpu():
    """map_location="meta" loads to the CPU."""

    @replace("load")
    def real(load, f, map_location=None, **options):
        return load(f, "cpu" if map_location == "meta" else map_location, **options)


@fault(
    "serialization.load", "code_in_a_pickle_never_runs", "commands_and_imports_are_refused",
    "code_beside_honest_tensors_never_runs", "scripted_archives_are_not_weights", green=("a_tensor_comes_back",),
)  # fmt: skip
def weights_only_not_asked():
    """torch.load unpickles everything, whatever weights_only says."""

    @replace("load")
    def trusting(load, f, *args, **options):
        return load(f, *args, **{**options, "weights_only": False, "pickle_module": None})


@fault(
    "serialization.load",
    "code_in_a_pickle_never_runs",
    green=("commands_and_imports_are_refused",),
)
def builtins_on_the_list():
    """eval is among the functions that weights_only calls."""
    torch.serialization.add_safe_globals([eval])


@fault("serialization.load", "weights_only_is_the_default", green=("code_in_a_pickle_never_runs",))
def weights_only_off_by_default():
    """Where weights_only is not given, everything is unpickled."""

    @replace("load")
    def trusting(load, f, *args, **options):
        return load(f, *args, **{"weights_only": False, **options})


@fault("serialization.load", "a_file_cut_short_raises", green=("a_tensor_comes_back", "what_is_no_archive_raises"))
def short_reads_padded():
    """Where a file of the old format is too short its last storage is filled up with zeros."""

    @replace("load")
    def padded(load, f, *args, **options):
        if isinstance(f, io.BytesIO) and not f.getvalue().startswith(b"PK"):
            f = io.BytesIO(f.getvalue()[f.tell() :] + bytes(3))
        return load(f, *args, **options)


@fault("serialization.load", "a_tensor_beyond_its_storage_raises", green=("a_tensor_comes_back",))
def shapes_grow_their_storage():
    """A loaded tensor whose shape does not fit into its storage gets a larger one."""

    def grow(original, storage, offset, size, stride, *rest):
        try:
            return original(storage, offset, size, stride, *rest)
        except RuntimeError:
            return torch.zeros([abs(n) % 64 for n in size])

    rebuilt(grow)


@fault("serialization.load", "bytes_of_either_order_are_read", green=("a_tensor_comes_back",))
def byte_order_not_read():
    """The byte order of a file is taken for that of the machine."""

    @replace("load")
    def native(load, f, *args, **options):
        if zipfile.is_zipfile(f) and not options.get("mmap"):
            f.seek(0)
            torch.UntypedStorage.byteswap = lambda self, dtype: None
        elif hasattr(f, "seek"):
            f.seek(0)
        return load(f, *args, **options)


@fault("serialization.nn.Module.load_state_dict", "assigning_keeps_requires_grad_of_the_module",
       models="pytorch/pytorch#121157", green=("assigned_tensors_keep_their_properties",))  # fmt: skip
def assigned_parameters_become_trainable():
    """load_state_dict(assign=True) makes every parameter require gradients."""

    @replace("nn.Module.load_state_dict")
    def trainable(load, self, state, strict=True, assign=False):
        keys = load(self, state, strict, assign)
        for p in self.parameters() if assign else ():
            p.requires_grad_(True)
        return keys


@fault("serialization.nn.Module.load_state_dict", "versions_travel_with_the_state")
def versions_not_saved():
    """The metadata of a state_dict, with the versions of its modules, does not reach the file."""

    @replace("save")
    def bare(save, obj, *args, **options):
        if hasattr(obj, "_metadata"):
            obj = type(obj)(obj)
            obj._metadata = type(obj)()
        return save(obj, *args, **options)


@fault("serialization.nn.Module.get_extra_state", "extra_state_is_saved_and_set")
def extra_state_not_restored():
    """Extra state is saved, and not set."""

    @replace("nn.Module.load_state_dict")
    def without(load, self, state, *args, **options):
        kept = {m: vars(m).copy() for m in self.modules() if "extra" in vars(m)}
        keys = load(self, state, *args, **options)
        for m, attributes in kept.items():
            m.extra = attributes["extra"]
        return keys


@fault("serialization.optim.Optimizer.load_state_dict", "training_goes_on_as_if_it_had_not_stopped")
def optimizer_state_forgotten():
    """Loading the state of an optimizer sets its hyper-parameters and leaves its averages."""

    @replace("optim.Optimizer.load_state_dict")
    def groups(load, self, state):
        return load(self, {**state, "state": {}})


@fault("serialization.load", "mmap_reads_from_the_file", green=("a_tensor_comes_back",))
def mappings_always_shared():
    """Tensors loaded with mmap=True write to the file."""

    @replace("load")
    def shared(load, f, *args, **options):
        if options.get("mmap"):
            import mmap

            with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
                return load(f, *args, **options)
        return load(f, *args, **options)
