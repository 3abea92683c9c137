"""Views of one storage, tied weights and repeated objects: what is one before saving is one after loading."""

from __future__ import annotations

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.saving.through import through, written
from conformance.behaviours.say import same

VIEWS = "notes/serialization.html#saving-and-loading-tensors-preserves-views"


@promise("serialization", "save", "load", link=VIEWS, levels={"float32": 1, "complex64": 3, "float16": 3})
def views_still_share_their_storage(device: torch.device, dtype: torch.dtype) -> None:
    """Saving tensors preserves their view relationships: a write to one is seen in the other after loading."""
    numbers = torch.arange(1, 10, device=device).to(dtype)
    for zipped in (True, False):
        loaded, evens, apart = through([numbers, numbers[1::2], numbers.clone()], zipped)
        evens *= 2
        same(loaded, torch.tensor([1, 4, 3, 8, 5, 12, 7, 16, 9]).to(dtype))
        same(apart, torch.arange(1, 10).to(dtype))
        same(loaded.untyped_storage().data_ptr() == evens.untyped_storage().data_ptr(), True)


@promise("serialization", "save", link=VIEWS)
def a_small_view_takes_its_whole_storage_along(device: torch.device, dtype: torch.dtype) -> None:
    """Instead of the five values of a view all 999 of the storage are saved and loaded; a clone takes five."""
    large = torch.arange(1, 1000, device=device).to(dtype)
    for zipped in (True, False):
        small, cloned = through(large[5:10], zipped), through(large[5:10].clone(), zipped)
        size = small.element_size()
        same((small.untyped_storage().nbytes(), cloned.untyped_storage().nbytes()), (999 * size, 5 * size))
        same((small, cloned), (torch.arange(6, 11).to(dtype), torch.arange(6, 11).to(dtype)))
        rest = torch.empty(0, dtype=dtype, device=device).set_(small.untyped_storage(), 0, (999,), (1,))
        same(rest, large)


@promise("serialization", "save", link=VIEWS)
def dtypes_of_one_storage_are_kept_or_refused(device: torch.device, dtype: torch.dtype) -> None:
    """Two tensors that see one storage in different dtypes keep both numbers and sharing, or are not saved."""
    x = torch.tensor([1.0, -2.0], dtype=torch.float32, device=device)
    for zipped in (True, False):
        try:
            file = written([x, x.view(torch.int32)], zipped)
        except RuntimeError as error:
            assert "view the same data as different types" in str(error), error
            continue
        a, b = torch.load(file, weights_only=True)
        same((a, b), (x, x.view(torch.int32)))
        a.zero_()
        same(b.tolist(), [0, 0])


@promise("serialization", "save", "load", link=VIEWS)
def one_object_stays_one(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor that is in two places comes back as one in both; it shares nothing with the one that was saved."""
    t = torch.tensor([1.0, 2.0], dtype=dtype, device=device)
    for zipped in (True, False):
        a, b = through({"a": t, "b": [t]}, zipped).values()
        same(a is b[0], True)
        a.add_(10)
        same((b[0], t), (torch.tensor([11.0, 12.0], dtype=dtype), torch.tensor([1.0, 2.0], dtype=dtype)))


@promise("serialization", "save", "load", link="notes/serialization.html#saving-and-loading-torch-nn-modules")
def tied_weights_stay_tied(device: torch.device, dtype: torch.dtype) -> None:
    """A weight of two modules is one storage in the loaded state_dict, and one parameter in the loaded module."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Tanh(), torch.nn.Linear(2, 2, bias=False))
    net.to(device, dtype)[2].weight = net[0].weight
    for zipped in (True, False):
        state = through(net.state_dict(), zipped)
        same(list(state), ["0.weight", "2.weight"])
        same(state["0.weight"].data_ptr() == state["2.weight"].data_ptr(), True)
        whole = through(net, zipped, weights_only=False)
        same((whole[0].weight is whole[2].weight, len(list(whole.parameters()))), (True, 1))
        same(whole[0].weight.detach(), net[0].weight.detach())


class Stripped:
    """Pickles as tensors that live no longer than the call."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __reduce__(self) -> tuple[type[list[object]], tuple[list[torch.Tensor]]]:
        return list, ([torch.full((4,), float(self.n)) * 2],)


@promise("serialization", "save", link="generated/torch.save.html")
def tensors_made_while_saving_are_not_mixed_up(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors made in __reduce__ or __getstate__ and freed at once are each saved with their own numbers."""
    for zipped in (True, False):
        got = through([Stripped(i) for i in range(20)], zipped, weights_only=False)
        same([part[0].tolist() for part in got], [[2.0 * i] * 4 for i in range(20)])


@promise("serialization", "save", link="storage.html")
def storages_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """An untyped storage is saved with its bytes, and the tensors beside it still share it."""
    t = torch.tensor([1, 2, 255], dtype=torch.uint8, device=device)
    storage, tensor = through([t.untyped_storage(), t])
    tensor[0] = 9
    same((list(storage), tensor.tolist()), ([9, 2, 255], [9, 2, 255]))
