"""Faults in what comes back from a file, and in where it is written to, read from and put."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import collections
import copy

import numpy as np
import torch

from conformance.faults.fault import fault, replace


def saves(change):
    """Let torch.save write ``change(thing)`` in the place of a thing."""

    @replace("save")
    def changed(save, thing, *args, **options):
        save(change(thing), *args, **options)


@fault("serialization.save", "one_object_stays_one", green=("a_tensor_comes_back", "views_still_share_their_storage"))
def objects_in_dicts_saved_twice():
    """A tensor that is in a dict and in a list in it is saved as two that share their storage."""
    saves(lambda thing: {k: v.view_as(v) if type(v) is torch.Tensor else v for k, v in thing.items()}
          if type(thing) is dict else thing)  # fmt: skip


@fault("serialization.save", "storages_come_back", green=("views_still_share_their_storage",))
def storages_saved_apart():
    """An untyped storage is saved apart from the tensors that see it."""
    saves(lambda thing: [t.clone() if isinstance(t, torch.UntypedStorage) else t for t in thing]
          if type(thing) is list else thing)  # fmt: skip


@fault("serialization.save", "dtypes_of_one_storage_are_kept_or_refused", green=("views_still_share_their_storage",))
def dtypes_saved_apart():
    """Of tensors that see one storage in several dtypes each is saved with a storage of its own."""

    def apart(thing):
        if type(thing) is not list or not all(type(t) is torch.Tensor for t in thing):
            return thing
        seen = collections.defaultdict(set)
        for t in thing:
            seen[t.untyped_storage().data_ptr()].add(t.dtype)
        return [t.clone() if len(seen[t.untyped_storage().data_ptr()]) > 1 else t for t in thing]

    saves(apart)


@fault("serialization.save", "containers_and_plain_values_come_back", green=("a_tensor_comes_back",))
def ordered_dicts_are_dicts():
    """An OrderedDict is saved as a dict."""
    saves(lambda thing: dict(thing) if type(thing) is collections.OrderedDict else thing)


@fault("serialization.save", "numpy_arrays_come_back_where_they_are_trusted",
       green=("containers_and_plain_values_come_back",))  # fmt: skip
def arrays_in_the_order_of_memory():
    """The elements of a NumPy array come back in the order in which they lay in memory."""

    def flat(array):
        return np.frombuffer(array.tobytes("A"), array.dtype).reshape(array.shape)

    saves(lambda thing: {k: flat(v) if isinstance(v, np.ndarray) else v for k, v in thing.items()}
          if type(thing) is dict else thing)  # fmt: skip


@fault("serialization.save", "any_file_object_will_do", green=("a_tensor_comes_back", "paths_and_open_files_will_do"))
def saving_asks_where_it_is():
    """torch.save calls tell() of the file object that it is given."""

    @replace("save")
    def told(save, thing, f, *args, **options):
        if hasattr(f, "write"):
            f.tell()
        save(thing, f, *args, **options)


@fault("serialization.load", "map_location_takes_a_device",
       green=("map_location_takes_a_dict", "map_location_takes_a_function"))  # fmt: skip
def devices_are_places_without_memory():
    """A torch.device that is given as map_location brings tensors without memory."""

    @replace("load")
    def hollow(load, f, map_location=None, **options):
        return load(f, "meta" if isinstance(map_location, torch.device) else map_location, **options)


@fault("serialization.load", "mmap_without_a_zip_on_disk_is_refused", green=("mmap_reads_from_the_file",))
def mmap_of_open_files_ignored():
    """mmap=True is ignored without a word where the file is not given by its path."""

    @replace("load")
    def unmapped(load, f, *args, **options):
        return load(f, *args, **{**options, "mmap": options.get("mmap") and not hasattr(f, "read")})


@fault("serialization.nn.Module.load_state_dict", "a_meta_module_gets_its_memory_by_assigning",
       "assigned_tensors_keep_their_properties", green=("a_state_dict_restores_a_module",))  # fmt: skip
def copies_assigned():
    """assign=True takes copies of the tensors."""

    @replace("nn.Module.load_state_dict")
    def copied(load, self, state, strict=True, assign=False):
        return load(self, copy.deepcopy(state) if assign else state, strict, assign)
