"""The images that LeNet-5 is trained on: digits, and a small file in the format of CIFAR-10."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from conformance import images
from conformance.checks.check import Clock
from conformance.programs import ProgramSession, program_cells
from conformance.session import Options
from conformance.target import Target
from reference.programs.models import LENET


def write(path: Path, count: int, seed: int = 0, **changed: object) -> None:
    """A batch of CIFAR-10: keys are bytes, as in the files of the Python version."""
    rng = np.random.default_rng(seed)
    held = {
        b"batch_label": b"training batch", b"labels": rng.integers(0, 10, count).tolist(),
        b"data": rng.integers(0, 256, (count, 3072)).astype(np.uint8),
        b"filenames": [b"image.png"] * count,
    }  # fmt: skip
    path.write_bytes(pickle.dumps({**held, **{k.encode(): v for k, v in changed.items()}}, protocol=2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(1, 6):
        write(tmp_path / f"data_batch_{i}", 250, i)
    write(tmp_path / "test_batch", 400, 6)
    return tmp_path


def test_a_batch_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "data_batch_1", 3)
    x, y = images.read_batch(tmp_path / "data_batch_1")
    rng = np.random.default_rng(0)
    assert y.tolist() == rng.integers(0, 10, 3).tolist()
    np.testing.assert_array_equal(x, rng.integers(0, 256, (3, 3072)))


def test_training_images_come_first_and_held_out_ones_last(folder: Path) -> None:
    x, y, *parameters = images.cifar10(0, LENET, str(folder))
    assert x.shape == (1600, 3, 32, 32) and x.dtype == np.float32 and y.shape == (1600,)
    assert -1.0 <= x.min() < -0.99 and 0.99 < x.max() <= 1.0
    assert [p.shape for p in parameters] == list(LENET)
    test, labels = images.read_batch(folder / "test_batch")
    shown = {(x[i].ravel()[:50].tobytes(), int(y[i])) for i in range(1200, 1600)}
    scaled = (test / 127.5 - 1.0).astype(np.float32)
    assert shown == {(row[:50].tobytes(), int(label)) for row, label in zip(scaled, labels)}


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Harmful()}))
    with pytest.raises(images.NoImages, match="system is not part of a CIFAR-10 batch"):
        images.read_batch(tmp_path / "data_batch_1")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({b"data": 1})])
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(images.NoImages, match="test_batch"):
        images.read_batch(tmp_path / "test_batch")


@pytest.mark.parametrize("changed", [{"labels": [1, 2]}, {"labels": [1, 2, 10]}, {"data": np.zeros((3, 3072))}])
def test_a_batch_that_does_not_fit_is_refused(changed: dict[str, object], tmp_path: Path) -> None:
    write(tmp_path / "test_batch", 3, **changed)
    with pytest.raises(images.NoImages, match="not a batch of CIFAR-10"):
        images.read_batch(tmp_path / "test_batch")


def test_without_the_option_or_the_files_the_cell_says_so(tmp_path: Path) -> None:
    cell = next(c for c in program_cells(Target("cpu")) if c.subject == "programs.lenet5.cifar10")
    for given, said in (("", "--cifar10 DIR"), (str(tmp_path), "data_batch_1")):
        found = ProgramSession(cell.subject, Target("cpu"), Options(level=3, cifar10=given), Clock()).run(cell)
        assert found.outcome == "not_exercised" and said in found.detail


def test_the_digits_are_enlarged_without_a_loss() -> None:
    pytest.importorskip("sklearn")
    x, y, *_ = images.digits(0, LENET)
    assert x.shape == (1600, 3, 32, 32) and set(y) == set(range(10))
    assert x.min() == -1.0 and x.max() == 1.0
    from sklearn.datasets import load_digits

    order = np.random.default_rng(0).permutation(1797)[:1600]
    corners = load_digits().images[order][:, [0, 0, 7, 7], [0, 7, 0, 7]] / 8.0 - 1.0
    np.testing.assert_allclose(x[:, 0, [0, 0, 31, 31], [0, 31, 0, 31]], corners, atol=1e-6)
