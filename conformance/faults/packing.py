"""Faults in torch.nn.utils: packed sequences, stateless calls."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import inspect

import torch
from torch import nn
from torch.nn.utils import rnn, stateless

from conformance.faults.fault import fault, replace

CALL = "nn.utils.stateless.func.functional_call"
PACK = "nn.utils.rnn.pack_padded_sequence"


@fault(PACK, "steps_of_all_sequences_lie_together", green=("sorted_sequences_need_no_indices",))
def inverse_order_given():
    """unsorted_indices are the order of the batch, not its inverse."""

    @replace(PACK)
    def pack_padded_sequence(original, input, lengths, batch_first=False, enforce_sorted=True):
        packed = original(input, lengths, batch_first, enforce_sorted)
        return rnn.PackedSequence(packed.data, packed.batch_sizes, packed.sorted_indices, packed.sorted_indices)


@fault(PACK, "sorted_sequences_need_no_indices", "lengths_must_fit", green=("steps_of_all_sequences_lie_together",))
def order_not_enforced():
    """Sequences that are not sorted, and lengths that do not fit, are accepted."""

    @replace(PACK)
    def pack_padded_sequence(original, input, lengths, batch_first=False, enforce_sorted=True):
        try:
            return original(input, lengths, batch_first, enforce_sorted)
        except RuntimeError:
            return original(input, [1] * input.shape[0 if batch_first else 1], batch_first, False)


@fault(PACK, "gradients_pass_through_packing", green=("steps_of_all_sequences_lie_together",))
def packed_gradient_of_padding():
    """Padding gets the gradient of the last step."""

    @replace(PACK)
    def pack_padded_sequence(original, input, lengths, batch_first=False, enforce_sorted=True):
        if input.requires_grad:
            input.register_hook(lambda g: torch.where(g == 0, g.amax(), g))
        return original(input, lengths, batch_first, enforce_sorted)


PAD = "nn.utils.rnn.pad_packed_sequence"


@fault(PAD, "padding_is_the_inverse_of_packing", green=("gradients_pass_through_padding",))
def lengths_as_sorted():
    """The lengths come back as they were sorted, not as the batch was."""

    @replace(PAD)
    def pad_packed_sequence(original, sequence, batch_first=False, padding_value=0.0, total_length=None):
        out, lengths = original(sequence, batch_first, padding_value, total_length)
        return out, lengths.sort(descending=True).values


@fault(PAD, "gradients_pass_through_padding", green=("padding_is_the_inverse_of_packing",))
def padded_gradient_lost():
    """The gradient of the last step of the longest sequence is lost."""

    @replace(PAD)
    def pad_packed_sequence(original, sequence, *args, **kwargs):
        if sequence.data.requires_grad:
            sequence.data.register_hook(lambda g: torch.cat([g[:-1], g[-1:] * 0]))
        return original(sequence, *args, **kwargs)


@fault("nn.utils.rnn.pad_sequence", "sequences_are_stacked_and_padded")
def padded_on_the_right_always():
    """padding_side is not used."""

    @replace("nn.utils.rnn.pad_sequence")
    def pad_sequence(original, sequences, batch_first=False, padding_value=0.0, padding_side="right"):
        return original(sequences, batch_first, padding_value)

    rnn.pad_sequence.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("padding_side", inspect.Parameter.KEYWORD_ONLY)]
    )


@fault("nn.utils.rnn.unpack_sequence", "sequences_come_back")
def order_of_unpacking():
    """Sequences are unpacked in the order of their lengths."""

    @replace("nn.utils.rnn.unpack_sequence")
    def unpack_sequence(original, packed):
        return sorted(original(packed), key=len)


@fault(
    "nn.utils.rnn.PackedSequence", "a_packed_sequence_is_converted_like_its_data", green=("a_permutation_is_inverted",)
)
def indices_converted_too():
    """`to` converts the batch sizes with the data."""
    original = rnn.PackedSequence.to

    def to(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        return (
            self
            if out is self
            else rnn.PackedSequence(out.data, out.batch_sizes.to(*args, **kwargs), out.sorted_indices)
        )

    rnn.PackedSequence.to = to  # type: ignore[method-assign, assignment]


@fault("nn.utils.rnn.invert_permutation", "a_permutation_is_inverted")
def permutation_given_back():
    """A permutation is given back as it is."""

    @replace("nn.utils.rnn.invert_permutation")
    def invert_permutation(original, permutation):
        return permutation


@fault(CALL, "changes_of_buffers_go_to_what_is_given", green=("what_is_given_takes_the_place_of_parameters",))
def buffers_of_the_module():
    """Buffers that are given are copied into those of the module."""

    @replace("func.functional_call")
    def functional_call(original, module, given, *args, **kwargs):
        given = dict(given) if isinstance(given, dict) else given
        for name, b in module.named_buffers():
            if name in given:
                b.copy_(given.pop(name))
        return original(module, given, *args, **kwargs)


@fault(CALL, "what_is_given_takes_the_place_of_parameters", "per_sample_gradients_by_vmap_of_grad")
def given_tensors_detached():
    """Gradients do not pass to the tensors that are given."""

    @replace("func.functional_call")
    def functional_call(original, module, given, *args, **kwargs):
        if isinstance(given, dict):
            given = {n: t.detach() + (t - t.detach()) * 0.5 for n, t in given.items()}
        return original(module, given, *args, **kwargs)


@fault(CALL, "tied_weights_stay_tied_unless_untied", green=("what_is_given_takes_the_place_of_parameters",))
def ties_forgotten():
    """tie_weights has no effect: ties are never kept."""

    @replace("func.functional_call")
    def functional_call(original, module, given, args=None, kwargs=None, *, tie_weights=True, strict=False):
        return original(module, given, args, kwargs, tie_weights=False, strict=strict)


@fault(CALL, "strict_wants_every_name", green=("what_is_given_takes_the_place_of_parameters",))
def strict_without_effect():
    """strict has no effect."""

    @replace("func.functional_call")
    def functional_call(original, module, given, args=None, kwargs=None, *, tie_weights=True, strict=False):
        return original(module, given, args, kwargs, tie_weights=tie_weights)


@fault(CALL, "several_dictionaries_are_one", green=("what_is_given_takes_the_place_of_parameters",))
def last_dictionary_wins():
    """Of two dictionaries with the same key the last counts."""

    @replace("func.functional_call")
    def functional_call(original, module, given, *args, **kwargs):
        if isinstance(given, tuple):
            given = {k: v for d in given for k, v in d.items()}
        return original(module, given, *args, **kwargs)


@fault(CALL, "an_exception_leaves_the_module_as_it_was", green=("what_is_given_takes_the_place_of_parameters",))
def not_restored_after_an_exception():
    """After an exception the module keeps what was given."""

    @replace("func.functional_call")
    def functional_call(original, module, given, *args, **kwargs):
        try:
            return original(module, given, *args, **kwargs)
        except RuntimeError:
            if isinstance(given, dict) and isinstance(module, nn.Linear):
                for name, t in given.items():
                    module._parameters[name] = t
            raise


@fault("nn.utils.stateless.functional_call", "the_old_spelling_warns_and_does_the_same")
def old_spelling_is_silent():
    """The deprecated spelling does not warn."""
    stateless.functional_call = torch.func.functional_call  # type: ignore[assignment]
