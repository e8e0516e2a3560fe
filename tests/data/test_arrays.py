"""Arrays, tensors and torch's Datasets as images, and samples in files."""

import numpy as np
import pytest
import torch
from image_files import noise
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from traflow_lib.data import images, sample_files
from traflow_lib.data.arrays import ImageArray, of_dataset
from traflow_lib.randomness import Draws

pytestmark = pytest.mark.usefixtures("generated_files")
PIXELS = noise(5, 6, 7, 3)
FLOATS = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 127.5 - 1  # what all of them have to give


@pytest.mark.parametrize(
    "array, value_range",
    [
        (PIXELS, None),
        (PIXELS.transpose(0, 3, 1, 2), None),
        (torch.from_numpy(PIXELS), None),
        (PIXELS[::-1][::-1], None),
        (PIXELS.astype(np.float64), (0, 255)),
        (PIXELS / 255, (0, 1)),
        (FLOATS.requires_grad_(), (-1, 1)),
    ],
    ids=["channels last", "channels first", "tensor", "strides", "0..255", "0..1", "-1..1"],
)
def test_every_layout_and_range_gives_the_same_images(array, value_range):
    found = ImageArray(array, [0, 1, 2, 0, 1], value_range)
    assert found.shape == (5, 3, 6, 7) and isinstance(found, images.Images)
    assert torch.allclose(found[:], FLOATS, atol=1e-6) and found.labels.tolist() == [0, 1, 2, 0, 1]
    x, labels = found.sample_labelled(9, Draws())
    assert x.shape == (9, 3, 6, 7) and labels.dtype == torch.int64 and not x.requires_grad


def test_grey_arrays_have_one_channel():
    assert ImageArray(PIXELS[..., 0]).shape == ImageArray(PIXELS[..., :1]).shape == (5, 1, 6, 7)


def test_an_array_is_copied_and_known_by_its_values():
    array = PIXELS.copy()
    found, same = ImageArray(array), ImageArray(array.transpose(0, 3, 1, 2))
    array[:] = 0
    assert found[:].std() > 0.1 and found.sha256 == same.sha256 != ImageArray(array).sha256


@pytest.mark.parametrize(
    "array, options, complaint",
    [
        (noise(4, 3, 8, 3), {}, r"\[4, 3, 8, 3\] is not clearly one of"),
        (noise(4, 4, 8, 8), {}, r"\[4, 4, 8, 8\] is not clearly one of"),
        (noise(8, 8, 3), {}, r"\[8, 8, 3\] is not clearly one of"),
        (noise(3, 8, 8), {}, r"\[3, 8, 8\] is not clearly one of"),
        (noise(8, 8), {}, r"an array of shape \[8, 8\] is not clearly one of \[N, H, W\]"),
        (noise(0, 8, 8), {}, r"an array of shape \[0, 8, 8\]"),
        (noise(4, 8, 8).astype(np.int64), {}, "of torch.int64: images are uint8 or floats"),
        (noise(4, 8, 8) > 9, {}, "of torch.bool: images are uint8 or floats"),
        (
            (noise(4, 8, 8) > 9).astype(np.uint8),
            {},
            "from 0 to 1 has no contrast, if 0 is black and 255 white",
        ),
        (noise(4, 8, 8) / 255, {"value_range": (0, 255)}, "from 0 to 1 has no contrast"),
        (noise(4, 8, 8) / 255, {"value_range": 1}, "floats needs value_range"),
        (noise(4, 8, 8) / 255, {"value_range": (0, 1, 2)}, "floats needs value_range"),
        (noise(0, 1, 8, 8), {}, "an array without images"),
        ([np.zeros((8, 8)), np.zeros((7, 8))], {}, "a list that is no array of images"),
        (None, {}, "a NoneType that is no array of images"),
        ("pictures", {}, "a str that is no array of images"),
        (noise(4, 8, 8) / 255, {}, "floats needs value_range"),
        (noise(4, 8, 8) / 1.0, {"value_range": (0, 1)}, r"from 0 to 255 is not in value_range, \[0, 1\]"),
        (np.full((4, 8, 8), np.nan), {"value_range": (0, 1)}, "from nan to nan is not in value_range"),
        (np.zeros((4, 8, 8)), {"value_range": (0, 0)}, "from 0 to 0 is not in value_range"),
        (noise(4, 8, 8), {"value_range": (0, 255)}, "value_range is for floats"),
        (noise(4, 8, 8), {"labels": [0, 1]}, "4 integer labels expected, found int64 of shape"),
        (noise(4, 8, 8), {"labels": [0.0, 1, 0, 1]}, "4 integer labels expected, found float64"),
        (noise(4, 8, 8), {"labels": [0, 1, 0, -1]}, "labels outside 0.."),
    ],
)
def test_what_may_be_read_in_two_ways_or_in_none_is_refused(array, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        ImageArray(array, **options)


class Items(Dataset):
    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(PIXELS)


@pytest.mark.parametrize(
    "dataset, labels",
    [
        (Items(*map(Image.fromarray, PIXELS)), None),
        (Items(*((Image.fromarray(one), 7 - i) for i, one in enumerate(PIXELS))), [7, 6, 5, 4, 3]),
        (TensorDataset(torch.from_numpy(PIXELS), torch.arange(5)), [0, 1, 2, 3, 4]),
        (TensorDataset(torch.from_numpy(PIXELS)), None),
        (Stream(), None),
    ],
    ids=["pillow", "labelled", "tensors", "alone", "stream"],
)
def test_a_dataset_of_torch_is_read_as_a_whole(dataset, labels):
    found = images.as_images(dataset)
    assert torch.allclose(found[:], FLOATS, atol=1e-6) and found.sha256 == ImageArray(PIXELS).sha256
    assert (None if found.labels is None else found.labels.tolist()) == labels


def test_grey_items_among_colour_have_three_channels():
    found = of_dataset(Items(Image.fromarray(PIXELS[0]), Image.fromarray(PIXELS[1, :, :, 0])))
    assert found.shape == (2, 3, 6, 7) and torch.equal(found[1][0], found[1][2])
    assert torch.equal(found[1][1], FLOATS[1, 0])


@pytest.mark.parametrize(
    "items, complaint",
    [
        ((PIXELS[0], PIXELS[1, :5]), r"item 1 is torch.uint8 \[5, 7, 3\] and item 0 torch.uint8 \[6, 7, 3\]"),
        ((PIXELS[0], PIXELS[0] / 255), "item 1 is torch.float64"),
        (({"image": PIXELS[0]},), "item 0 is no image: .*dict"),
        (((PIXELS[0], 1, 2),), "1 integer labels expected"),
        (((PIXELS[0], "cat"),), "1 integer labels expected"),
        ((Image.new("F", (8, 8)),), "has 32-bit numbers"),
        ((torch.tensor(1.0),), "item 0 is no image: .*Tensor"),
        ((), "without items"),
    ],
)
def test_an_item_that_does_not_fit_is_named(items, complaint):
    with pytest.raises(ValueError, match=complaint):
        of_dataset(Items(*items))


def test_anything_that_is_a_set_of_images_is_one(tmp_path):
    whole = ImageArray(PIXELS)
    sample_files.write(tmp_path / "p", FLOATS.detach(), torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    for data in (whole, PIXELS, tmp_path / "p", f"folder:{tmp_path / 'p'}"):
        assert torch.equal(images.as_images(data)[:], whole[:])
    assert images.as_images(whole) is whole and len(images.as_images("digits", split="test")) == 364


@pytest.mark.parametrize("name", ["x.pt", "x.npz", "pngs"])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_read_as_they_were_written(tmp_path, name, channels):
    pixels = torch.from_numpy(PIXELS[..., :channels]).permute(0, 3, 1, 2)
    x = pixels / 127.5 - 1
    sample_files.check_name(tmp_path / name, points=False)
    sample_files.write(tmp_path / "deep" / name, x, pixels, torch.arange(5))
    found = sample_files.read(tmp_path / "deep" / name)
    assert found.shape == x.shape and torch.allclose(found[:], x, atol=1e-6)
    if name == "x.npz":
        assert np.load(tmp_path / "deep" / name)["arr_1"].tolist() == [0, 1, 2, 3, 4]


def test_a_png_shows_all_samples_row_by_row(tmp_path):
    pixels = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    sample_files.write(tmp_path / "x.png", pixels / 127.5 - 1, pixels)
    sheet = np.asarray(Image.open(tmp_path / "x.png"))
    assert sheet.shape == (2 * 6, 3 * 7, 3) and not sheet[6:, 14:].any()
    for number, image in enumerate(PIXELS):
        row, column = number // 3 * 6, number % 3 * 7
        assert np.array_equal(sheet[row : row + 6, column : column + 7], image)


@pytest.mark.parametrize(
    "write, complaint",
    [
        (lambda file: np.savez(file, a=PIXELS, b=PIXELS), r"has a uint8 \[5, 6, 7, 3\], b uint8 .* not one"),
        (lambda file: np.savez(file, a=PIXELS / 255), "a float64 .* not one array of uint8 images"),
        (lambda file: file.write_bytes(b"PK nothing"), "x.npz is damaged"),
        (lambda file: np.savez(file, np.array([{}], dtype=object)), "x.npz is damaged"),
    ],
)
def test_a_file_without_one_array_of_images_is_refused(tmp_path, write, complaint):
    write(tmp_path / "x.npz")
    with pytest.raises(ValueError, match=complaint):
        sample_files.read(tmp_path / "x.npz")


def test_points_and_other_objects_are_no_images(tmp_path):
    torch.save(torch.randn(5, 2), tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x.pt: an array of shape \[5, 2\] is not clearly"):
        sample_files.read(tmp_path / "x.pt")
    np.save(tmp_path / "x.npy", PIXELS / 255)
    with pytest.raises(ValueError, match="x.npy: an array of floats needs value_range"):
        sample_files.read(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "name, points, complaint",
    [
        ("x.jpg", False, "samples cannot be written as x.jpg; there are .pt, .npz, .png, no suffix"),
        ("x.png", True, "samples cannot be written as x.png; there are .pt, .npz$"),
        ("full", False, "full is there already and not an empty folder"),
    ],
)
def test_a_name_that_says_nothing_is_refused(tmp_path, name, points, complaint):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "000000.png").write_bytes(b"")
    with pytest.raises(ValueError, match=complaint):
        sample_files.check_name(tmp_path / name, points)
