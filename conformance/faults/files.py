"""More faults in saving and loading: formats, places, modules, damaged files."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, valid-type, assignment, attr-defined, return-value"
from __future__ import annotations

import contextlib
import io
import zipfile

import torch

from conformance.faults.fault import fault, replace
from conformance.faults.saving import rebuilt


@fault("serialization.load", "a_tensor_comes_back")
def loaded_tensors_need_gradients():
    """Every loaded tensor of floating dtype requires gradients."""
    rebuilt(lambda original, *args: original(*args).requires_grad_(len(args[2]) == 1))


@fault("serialization.save", "sparse_tensors_come_back")
def coalesced_flag_lost():
    """A loaded sparse tensor is never coalesced."""

    def uncoalesced(original, *args):
        t = original(*args)
        return t._coalesced_(False) if t.layout == torch.sparse_coo else t

    rebuilt(uncoalesced, "_rebuild_sparse_tensor")


@fault("serialization.save", "quantized_tensors_come_back")
def zero_points_lost():
    """The zero point of a loaded quantized tensor is zero."""

    def zero(original, storage, offset, size, stride, params, *rest):
        return original(
            storage, offset, size, stride, (*params[:2], 0, *params[3:]) if len(params) == 3 else params, *rest
        )

    rebuilt(zero, "_rebuild_qtensor")


@fault("serialization.save", "nested_tensors_come_back")
def nested_parts_negated():
    """The numbers of a loaded nested tensor have the other sign."""
    rebuilt(lambda original, buffer, *args: original(-buffer, *args), "_rebuild_nested_tensor")


@fault("serialization.save", "subclasses_and_attributes_come_back", models="pytorch/pytorch#117275")
def attributes_not_saved():
    """Attributes of tensors are empty after loading."""
    original = torch._tensor._rebuild_from_type_v2

    def _rebuild_from_type_v2(func, kind, args, state):
        return original(func, kind, args, dict.fromkeys(state) if isinstance(state, dict) else state)

    _rebuild_from_type_v2.__module__, _rebuild_from_type_v2.__qualname__ = "torch._tensor", "_rebuild_from_type_v2"
    torch._tensor._rebuild_from_type_v2 = _rebuild_from_type_v2


@fault("serialization.save", "a_small_view_takes_its_whole_storage_along", green=("a_tensor_comes_back",))
def views_saved_alone():
    """A view is saved with the part of its storage that it sees."""

    @replace("save")
    def clones(save, obj, *args, **options):
        return save(obj.clone() if type(obj) is torch.Tensor and obj._is_view() else obj, *args, **options)


@fault("serialization.save", "a_saved_file_is_a_zip_that_others_can_read", green=("a_tensor_comes_back",))
def archives_compressed():
    """The records of an archive are compressed."""

    @replace("save")
    def deflated(save, obj, f, *args, **options):
        save(obj, f, *args, **options)
        if isinstance(f, io.BytesIO) and f.getvalue().startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(f.getvalue())) as old:
                records = {name: old.read(name) for name in old.namelist()}
            f.seek(0)
            f.truncate()
            with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as new:
                for name, content in records.items():
                    new.writestr(name, content)


@fault("serialization.save", "a_failed_write_is_told_and_leaves_no_archive", "a_thing_that_cannot_be_pickled_is_told")
def failed_saves_pass():
    """torch.save says nothing where it could not save."""

    @replace("save")
    def quiet(save, *args, **options):
        with contextlib.suppress(Exception):
            save(*args, **options)


@fault("serialization.save", "paths_and_open_files_will_do", green=("a_tensor_comes_back",))
def files_closed():
    """torch.save closes the file that it was given."""

    @replace("save")
    def closing(save, obj, f, *args, **options):
        save(obj, f, *args, **options)
        if isinstance(f, io.BufferedWriter):
            f.close()


@fault("serialization.load", "old_archives_follow_each_other_in_one_file", green=("a_tensor_comes_back",))
def position_not_moved():
    """torch.load leaves a file of the old format where it began to read."""

    @replace("load")
    def back(load, f, *args, **options):
        start = f.tell() if isinstance(f, io.BytesIO) else 0
        thing = load(f, *args, **options)
        if isinstance(f, io.BytesIO):
            f.seek(start)
        return thing


@fault("serialization.load", "an_unknown_place_is_refused", green=("a_tensor_comes_back",))
def unknown_places_are_the_cpu():
    """Where map_location is not understood the file is loaded to the CPU."""

    @replace("load")
    def anywhere(load, f, map_location=None, **options):
        return load(f, "cpu" if map_location == "nowhere" else map_location, **options)


@fault("serialization.set_default_mmap_options", "shared_mappings_write_to_the_file")
def mapping_options_ignored():
    """set_default_mmap_options has no effect."""
    torch.serialization.set_default_mmap_options = lambda flags: contextlib.nullcontext()


@fault("serialization.load", "what_is_no_archive_raises", green=("a_tensor_comes_back",))
def empty_files_load():
    """A file without content is loaded as None."""

    @replace("load")
    def nothing(load, f, *args, **options):
        try:
            return load(f, *args, **options)
        except EOFError:
            return None


@fault(
    "serialization.load", "a_storage_of_another_size_than_its_record_raises", "zip_records_that_lie_raise",
    "a_tensor_beyond_its_storage_raises", green=("a_tensor_comes_back",),
)  # fmt: skip
def damage_read_as_zeros():
    """What is wrong with an archive is passed over, and zeros are loaded."""

    @replace("load")
    def zeros(load, f, *args, **options):
        try:
            return load(f, *args, **options)
        except Exception:
            return [torch.zeros(5)]


@fault("serialization.load", "a_flipped_bit_is_survived", green=("a_tensor_comes_back",))
def damage_takes_memory():
    """A pickle that cannot be read brings a tensor as large as it claims."""

    @replace("load")
    def large(load, f, *args, **options):
        try:
            return load(f, *args, **options)
        except Exception:
            return [torch.empty(2**22)]


@fault("serialization.load", "only_the_module_that_was_given_unpickles", green=("code_in_a_pickle_never_runs",))
def pickle_module_ignored():
    """A pickle_module given beside weights_only=True is dropped without a word."""

    @replace("load")
    def dropped(load, f, *args, pickle_module=None, **options):
        return load(f, *args, pickle_module=None if options.get("weights_only") else pickle_module, **options)


@fault("serialization.add_safe_globals", "listed_classes_are_loaded")
def safe_list_never_shrinks():
    """clear_safe_globals clears nothing."""
    torch.serialization.clear_safe_globals = lambda: None


@fault("serialization.get_unsafe_globals_in_checkpoint", "what_is_not_allowed_is_named_without_running_it")
def nothing_is_unsafe():
    """get_unsafe_globals_in_checkpoint finds nothing."""
    torch.serialization.get_unsafe_globals_in_checkpoint = lambda f: []


@fault("serialization.set_default_load_endianness", "the_default_order_serves_files_that_do_not_say")
def default_byte_order_ignored():
    """The default byte order cannot be changed."""
    torch.serialization.set_default_load_endianness = lambda order: None


@fault("serialization.set_crc32_options", "checksums_can_be_left_out")
def checksums_always_computed():
    """set_crc32_options is not heeded."""
    torch.serialization.set_crc32_options = lambda compute: None


@fault("serialization.skip_data", "storages_can_be_filled_in_later")
def data_not_skipped():
    """skip_data writes the bytes of storages all the same."""
    torch.serialization.skip_data = contextlib.nullcontext


@fault("serialization.register_package", "registered_packages_are_asked_in_order")
def priorities_reversed():
    """The registered package with the highest priority number is asked first."""

    @replace("serialization.register_package")
    def last_first(register, priority, *args):
        return register(-priority, *args)


@fault(
    "serialization.nn.Module.load_state_dict",
    "a_state_dict_restores_a_module",
    "assigned_tensors_keep_their_properties",
)
def always_assigned():
    """load_state_dict takes the tensors themselves, whatever assign says."""

    @replace("nn.Module.load_state_dict")
    def assigned(load, self, state, strict=True, assign=False):
        return load(self, state, strict, True)


@fault(
    "serialization.nn.Module.load_state_dict", "assigned_tensors_keep_their_properties",
    green=("a_state_dict_restores_a_module",),
)  # fmt: skip
def never_assigned():
    """assign=True is not heeded."""

    @replace("nn.Module.load_state_dict")
    def copied(load, self, state, strict=True, assign=False):
        return load(self, state, strict)


@fault("serialization.nn.Module.load_state_dict", "a_state_that_does_not_fit_is_refused_by_name")
def misfits_loaded():
    """load_state_dict passes over missing and unexpected keys although strict."""

    @replace("nn.Module.load_state_dict")
    def lax(load, self, state, strict=True, assign=False):
        return load(self, state, False, assign)


@fault("serialization.nn.Module.register_buffer", "buffers_that_do_not_persist_are_not_saved")
def every_buffer_saved():
    """Buffers that do not persist are saved, too."""

    @replace("nn.Module.register_buffer")
    def persistent(register, self, name, tensor, persistent=True):
        return register(self, name, tensor)


@fault("serialization.nn.Module", "a_whole_module_comes_back")
def modules_wake_in_training():
    """A module that was saved in eval mode is in training mode after loading."""

    @replace("nn.Module.__setstate__")
    def awake(restore, self, state):
        restore(self, {**state, "training": True})


@fault("serialization.nn.BatchNorm1d", "states_before_the_counter_still_load")
def counter_of_old_states_made_up():
    """A state of a batch norm from before its counter sets the counter to one."""

    @replace("nn.modules.batchnorm._NormBase._load_from_state_dict")
    def counted(load, self, state, prefix, *args):
        old = prefix + "num_batches_tracked" not in state
        load(self, state, prefix, *args)
        if old:
            self.num_batches_tracked.fill_(1)


@fault("serialization.set_rng_state", "random_states_continue")
def random_state_not_set():
    """set_rng_state does nothing."""
    torch.set_rng_state = lambda state: None
