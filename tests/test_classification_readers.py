"""Readers of image data sets, each on a small set in the official layout, and their refusals."""

import csv
import importlib
import io
import re
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[1] / "benchmarks"
SIZE = 6

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are in checkouts only")


@pytest.fixture
def reader(monkeypatch):
    """Import a module of the readers."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: importlib.import_module(f"classification.readers.{name}")


@pytest.fixture
def refused(reader):
    """Expect a refusal with these words, which ends a program with status 2."""

    def check(call, *words):
        with pytest.raises(reader("images").Refusal) as caught:
            call()
        assert caught.value.exit_code == 2
        for word in words:
            assert word in caught.value.message

    return check


# Images that carry their number and class in their colour -----------------------------------------


def paint(path, number, label, size=(9, 7), **options):
    """Write an image with its number as red and its class as green, times 20."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (20 * number, 20 * label, 200)).save(path, **options)


def seen(part):
    """Return the numbers and classes in the colours, once they agree with the labels."""
    assert part.images.shape == (len(part), SIZE, SIZE, 3)
    assert part.labels.dtype == np.int64
    colours = np.rint(part.images.mean((1, 2)) / 20).astype(int)
    assert (colours[:, 2] == 10).all()
    assert list(colours[:, 1]) == list(part.labels)
    return sorted(zip(colours[:, 0].tolist(), part.labels.tolist(), strict=True))


def write_table(path, rows, header=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    turned = rows[1:] + rows[:1]  # so that neither images nor classes pair by their order
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *turned] if header else turned)


def edit(path, change):
    path.write_text(change(path.read_text()))


# CIFAR --------------------------------------------------------------------------------------------


def record(number, *labels):
    """Return a record whose red is the number, green the last label and blue a gradient."""
    planes = np.empty((3, 32, 32), dtype=np.uint8)
    planes[0], planes[1], planes[2] = number, labels[-1], np.arange(32)
    return bytes(labels) + planes.tobytes()


def cifar_files(fine):
    if not fine:
        files = {
            f"data_batch_{i}.bin": record(2 * i, i) + record(2 * i + 1, 9 - i) for i in range(1, 6)
        }
        names = "airplane automobile bird cat deer dog frog horse ship truck"
        return files | {
            "test_batch.bin": record(100, 9),
            "batches.meta.txt": "\n".join(names.split()).encode() + b"\n\n",
            "readme.html": b"",
        }
    return {
        "train.bin": record(0, 3, 99) + record(1, 4, 50),
        "test.bin": record(2, 19, 0),
        "fine_label_names.txt": "\n".join(f"fine{i}" for i in range(100)).encode() + b"\n",
        "coarse_label_names.txt": "\n".join(f"coarse{i}" for i in range(20)).encode() + b"\n",
    }


def write_cifar(folder, fine=False):
    folder = folder / ("cifar-100-binary" if fine else "cifar-10-batches-bin")
    folder.mkdir(parents=True)
    for name, content in cifar_files(fine).items():
        (folder / name).write_bytes(content)
    return folder


def archive_cifar(path, fine=False, leave_out=()):
    stem = "cifar-100-binary" if fine else "cifar-10-batches-bin"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in cifar_files(fine).items():
            if name not in leave_out:
                member = tarfile.TarInfo(f"{stem}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def check_cifar(data, train, test, name):
    assert data.name == name
    for part, expected in ((data.train, train), (data.tests["test"], test)):
        assert part.images.shape == (len(expected), 32, 32, 3)
        assert part.images.flags.c_contiguous
        assert list(part.labels) == [label for _, label in expected]
        for image, (number, label) in zip(part.images, expected, strict=True):
            assert (image[..., 0] == number).all()
            assert (image[..., 1] == label).all()
            assert (image[..., 2] == np.arange(32)).all()  # columns are the last axis
    assert [re.search(r"with \d+ \w+ images", note)[0] for note in data.notes] == [
        f"with {len(train)} training images",
        f"with {len(test)} test images",
    ]


TRAIN = [pair for i in range(1, 6) for pair in ((2 * i, i), (2 * i + 1, 9 - i))]


def test_cifar10_unpacked_and_archived(reader, tmp_path):
    unpacked = write_cifar(tmp_path / "unpacked")
    archive = archive_cifar(tmp_path / "cifar-10-binary.tar.gz")
    before = set(tmp_path.iterdir())
    for place in (unpacked, unpacked.parent, archive, archive.parent):
        data = reader("cifar").cifar10(place)
        check_cifar(data, TRAIN, [(100, 9)], "CIFAR-10")
        assert data.class_names[0] == "airplane"
        assert data.num_classes == 10
    assert set(tmp_path.iterdir()) == before  # nothing was unpacked


def test_cifar100_has_fine_labels(reader, tmp_path):
    unpacked = write_cifar(tmp_path / "unpacked", fine=True)
    archive = archive_cifar(tmp_path / "cifar-100-binary.tar.gz", fine=True)
    for place in (unpacked, unpacked.parent, archive, archive.parent):
        data = reader("cifar").cifar100(place)
        check_cifar(data, [(0, 99), (1, 50)], [(2, 0)], "CIFAR-100")
        assert data.class_names == tuple(f"fine{i}" for i in range(100))


@pytest.mark.parametrize("place", ["", "cifar-10-batches-py", "cifar-10-python.tar.gz"])
def test_the_pickles_of_cifar10_are_refused(reader, refused, tmp_path, place):
    if place.endswith(".gz"):
        (tmp_path / place).write_bytes(b"")
    else:
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "data_batch_1").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    for path in (tmp_path, tmp_path / place):
        refused(
            partial(reader("cifar").cifar10, path),
            "is the version for Python",
            "get the binary version of CIFAR-10, cifar-10-binary.tar.gz",
        )


def test_the_pickles_of_cifar100_are_refused(reader, refused, tmp_path):
    (tmp_path / "cifar-100-python").mkdir()
    refused(partial(reader("cifar").cifar100, tmp_path), "could run any program", "binary version")


def test_wrong_cifar_layouts(reader, refused, tmp_path):
    cifar = reader("cifar")
    refused(
        partial(cifar.cifar10, tmp_path),
        f"looked for cifar-10-batches-bin or cifar-10-binary.tar.gz in {tmp_path}; found nothing",
    )
    folder = write_cifar(tmp_path)
    refused(
        partial(cifar.cifar100, tmp_path),
        "looked for cifar-100-binary or cifar-100-binary.tar.gz",
        "found cifar-10-batches-bin; get",
    )
    batch = folder / "data_batch_3.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-1])
    refused(
        partial(cifar.cifar10, tmp_path),
        "data_batch_3.bin",
        "records of 3073 bytes, got 6145 bytes",
    )
    batch.write_bytes(b"\x0a" + whole[1:])
    refused(partial(cifar.cifar10, tmp_path), "labels below 10", "batches.meta.txt, got 10")
    batch.unlink()
    refused(partial(cifar.cifar10, tmp_path), f"looked for data_batch_3.bin in {folder}; found")


def test_wrong_cifar_archives(reader, refused, tmp_path):
    path = archive_cifar(tmp_path / "cifar-10-binary.tar.gz", leave_out=["test_batch.bin"])
    refused(partial(reader("cifar").cifar10, path), str(path), "test_batch.bin missing")
    path.write_bytes(archive_cifar(path).read_bytes()[:-300])
    refused(partial(reader("cifar").cifar10, path), "must be a complete .tar.gz archive, got")
    path.write_bytes(b"<html>not found</html>")
    refused(partial(reader("cifar").cifar10, tmp_path), "must be a complete .tar.gz archive, got")


# ISIC ---------------------------------------------------------------------------------------------

TYPES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]


def isic_name(number):
    return f"ISIC_{number:07d}"


def one_hot(label, length):
    return [f"{float(label == place)}" for place in range(length)]


def write_images(folder, labels):
    for number, label in labels.items():
        paint(folder / f"{isic_name(number)}.jpg", number, label, quality=95)


def write_isic2016(folder):
    train, test = {0: 1, 1: 0, 2: 0, 3: 1, 4: 0}, {5: 0, 6: 1, 7: 0}
    words = ("benign", "malignant")
    for kind, labels, marks in (("Training", train, words), ("Test", test, ("0.0", "1.0"))):
        stem = f"ISBI2016_ISIC_Part3_{kind}"
        write_images(folder / f"{stem}_Data", labels)
        rows = [[isic_name(number), marks[label]] for number, label in labels.items()]
        write_table(folder / f"{stem}_GroundTruth.csv", rows)
    return sorted(train.items()), sorted(test.items())


def write_isic2017(folder):
    parts = {"Training": {0: 1, 1: 0, 2: 2, 3: 2}, "Validation": {4: 2, 5: 0, 6: 1}}
    parts["Test_v2"] = {7: 1, 8: 2, 9: 0}
    for kind, labels in parts.items():
        pictures = folder / f"ISIC-2017_{kind}_Data"
        write_images(pictures, labels)
        for number in labels:
            paint(pictures / f"{isic_name(number)}_superpixels.png", 12, 12)
        rows = [[isic_name(number), *one_hot(label, 2)] for number, label in labels.items()]
        header = ["image_id", "melanoma", "seborrheic_keratosis"]
        write_table(folder / f"ISIC-2017_{kind}_Part3_GroundTruth.csv", rows, header)
    return [sorted(labels.items()) for labels in parts.values()]


def isic2018_truth(folder, kind):
    stem = f"ISIC2018_Task3_{kind}_GroundTruth"
    return folder / stem / f"{stem}.csv"


GROUPINGS = "ISIC2018_Task3_Training_LesionGroupings.csv"


def write_isic2018(folder, beside_truth=False, suffix=""):
    parts = {"Training": {0: 6, 1: 1, 2: 0, 3: 5, 4: 3}, "Validation": {5: 2, 6: 1, 7: 4}}
    parts["Test"] = {8: 4, 9: 0, 10: 1}
    for kind, labels in parts.items():
        write_images(folder / f"ISIC2018_Task3_{kind}_Input", labels)
        rows = [[isic_name(n) + suffix, *one_hot(label, 7)] for n, label in labels.items()]
        write_table(isic2018_truth(folder, kind), rows, ["image", *TYPES])
    lesions = [[isic_name(n), f"HAM_{n // 2}", "histopathology"] for n in parts["Training"]]
    place = isic2018_truth(folder, "Training").parent if beside_truth else folder
    write_table(place / GROUPINGS, lesions, ["image", "lesion_id", "diagnosis_confirm_type"])
    return [sorted(labels.items()) for labels in parts.values()]


def test_isic2016(reader, tmp_path):
    train, test = write_isic2016(tmp_path)
    data = reader("isic").isic2016(tmp_path, SIZE)
    assert data.class_names == ("benign", "malignant")
    assert seen(data.train) == train
    assert seen(data.tests["test"]) == test
    assert data.validation is None
    assert data.train.groups is None


def test_isic2017(reader, tmp_path):
    train, validation, test = write_isic2017(tmp_path)
    data = reader("isic").isic2017(tmp_path, SIZE)
    assert data.class_names == ("melanoma", "seborrheic keratosis", "nevus")
    assert seen(data.train) == train
    assert seen(data.validation) == validation
    assert seen(data.tests["test"]) == test


@pytest.mark.parametrize(("beside_truth", "suffix"), [(False, ""), (True, ".jpg")])
def test_isic2018(reader, tmp_path, beside_truth, suffix):
    train, validation, test = write_isic2018(tmp_path, beside_truth, suffix)
    data = reader("isic").isic2018(tmp_path, SIZE)
    assert data.class_names[0] == "melanoma"
    assert data.class_names[3] == "actinic keratosis"
    assert data.num_classes == 7
    assert seen(data.train) == train
    assert list(data.tests) == ["test", "official validation"]
    assert seen(data.tests["test"]) == test
    assert seen(data.tests["official validation"]) == validation
    assert data.validation is None
    numbers = np.rint(data.train.images.mean((1, 2))[:, 0] / 20).astype(int)
    assert list(data.train.groups) == [f"HAM_{number // 2}" for number in numbers]


def test_isic_images_and_rows_must_pair(reader, refused, tmp_path):
    write_isic2016(tmp_path)
    pictures = tmp_path / "ISBI2016_ISIC_Part3_Training_Data"
    table = tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"
    read = partial(reader("isic").isic2016, tmp_path, SIZE)
    paint(pictures / "ISIC_0000099.jpg", 9, 0)
    paint(pictures / "ISIC_0000098.jpg", 9, 0)
    refused(read, f"2 images in {pictures.name} have no row in {table.name}, the first", "0000098")
    for number in (98, 99, 1):
        (pictures / f"{isic_name(number)}.jpg").unlink()
    refused(read, f"1 rows of {table.name} have no image in {pictures.name}", "ISIC_0000001")
    edit(table, lambda text: text.replace("ISIC_0000001", "ISIC_0000002"))
    refused(read, str(table), "once, got 1 repeated, the first ISIC_0000002")
    edit(table, lambda text: text.replace("malignant", "maligna"))
    edit(table, lambda text: text.replace("ISIC_0000002", "ISIC_0000001", 1))
    refused(read, "must be benign, malignant, 0.0 or 1.0, got maligna")


def test_an_isic_image_of_two_formats_is_refused(reader, refused, tmp_path):
    write_isic2016(tmp_path)
    paint(tmp_path / "ISBI2016_ISIC_Part3_Training_Data" / "ISIC_0000003.png", 9, 0)
    refused(
        partial(reader("isic").isic2016, tmp_path, SIZE), "once, got 1 repeated", "ISIC_0000003"
    )


def test_isic2017_refuses_both_classes_and_other_columns(reader, refused, tmp_path):
    write_isic2017(tmp_path)
    table = tmp_path / "ISIC-2017_Training_Part3_GroundTruth.csv"
    whole = table.read_text()
    read = partial(reader("isic").isic2017, tmp_path, SIZE)
    edit(table, lambda text: re.sub(r"0000001,.*", "0000001,1.0,1.0", text))
    refused(read, "ISIC_0000001 must be 0 or 1 twice, and not both 1, got 1.0,1.0")
    table.write_text(whole.replace("1.0", "0.7"))
    refused(read, "ISIC_0000001 must be 0 or 1 twice", "got 0.7,0.0")
    table.write_text(
        whole.replace("melanoma,seborrheic_keratosis", "seborrheic_keratosis,melanoma")
    )
    refused(read, "must have the columns image_id,melanoma,seborrheic_keratosis, got image_id,sebo")
    table.write_text(whole + "ISIC_0000077,1.0\n")
    refused(read, "must have the columns", "got ISIC_0000077,1.0")
    table.write_bytes(b"\xff\xfe\x00")
    refused(read, "must be a table of text")


def test_isic2018_refuses_what_is_not_one_class(reader, refused, tmp_path):
    write_isic2018(tmp_path)
    table = isic2018_truth(tmp_path, "Test")
    whole = table.read_text()
    read = partial(reader("isic").isic2018, tmp_path, SIZE)
    for marks in ("0.0,0.0,0.0,0.0,0.0,0.0,0.0", "1.0,1.0,0.0,0.0,0.0,0.0,0.0"):
        table.write_text(re.sub(r"0000009,.*", f"0000009,{marks}", whole))
        refused(read, f"ISIC_0000009 must be 1 once, else 0, got {marks}")
    table.write_text(whole + whole.splitlines()[1] + "\n")
    refused(read, "must name each image once, got 1 repeated")
    table.write_text(whole)
    edit(tmp_path / GROUPINGS, lambda text: re.sub(r"ISIC_0000003.*\n", "", text))
    refused(read, "1 images in", "have no row in the lesion groupings, the first ISIC_0000003")


@pytest.mark.parametrize(
    ("year", "write", "missing"),
    [
        (2016, write_isic2016, "ISBI2016_ISIC_Part3_Test_Data"),
        (2016, write_isic2016, "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"),
        (2017, write_isic2017, "ISIC-2017_Test_v2_Data"),
        (2017, write_isic2017, "ISIC-2017_Validation_Part3_GroundTruth.csv"),
        (2018, write_isic2018, "ISIC2018_Task3_Validation_Input"),
        (2018, write_isic2018, GROUPINGS),
    ],
)
def test_isic_says_what_is_missing(reader, refused, tmp_path, year, write, missing):
    write(tmp_path)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    refused(
        partial(getattr(reader("isic"), f"isic{year}"), tmp_path, SIZE),
        f"looked for {missing}",
        f"in {tmp_path}; found ",
        "get it from the ISIC challenge of that year",
    )


def test_an_isic_folder_without_images_is_refused(reader, refused, tmp_path):
    write_isic2016(tmp_path)
    for path in (tmp_path / "ISBI2016_ISIC_Part3_Test_Data").iterdir():
        path.unlink()
    refused(partial(reader("isic").isic2016, tmp_path, SIZE), "looked for images in", "found none")


# Dermofit -----------------------------------------------------------------------------------------

DERMOFIT = ["AK", "BCC", "DF", "IEC", "MEL", "ML", "PYO", "SCC", "SK", "VASC"]


def write_dermofit(folder, lesions=5):
    for label, code in enumerate(DERMOFIT):
        for number in range(lesions):
            lesion = folder / code / f"{code[0]}{number}"
            paint(lesion / f"{lesion.name}.png", number, label)
            mask = f"{lesion.name}mask.png" if number % 2 else f"{lesion.name}_Mask.png"
            paint(lesion / mask, 12, 12)
    (folder / "__MACOSX").mkdir(exist_ok=True)


def test_dermofit(reader, tmp_path):
    write_dermofit(tmp_path)
    data = reader("dermofit").dermofit(tmp_path, SIZE)
    assert data.num_classes == 10
    for code, name in (("ML", "mole"), ("MEL", "malignant melanoma"), ("IEC", "intraepithelial")):
        assert name in data.class_names[DERMOFIT.index(code)]
    train, test = seen(data.train), seen(data.tests["test"])
    assert [len(train), len(test)] == [40, 10]
    assert sorted(label for _, label in test) == list(range(10))
    everything = [(number, label) for number in range(5) for label in range(10)]
    assert sorted(train + test) == everything
    assert "was not checked on a licensed copy" in " ".join(data.notes)
    again = reader("dermofit").dermofit(tmp_path, SIZE)
    assert again.digest() == data.digest()


def test_pictures_of_a_lesion_of_dermofit_stay_together(reader, tmp_path):
    write_dermofit(tmp_path, lesions=6)
    for number in range(6):
        paint(tmp_path / "MEL" / f"M{number}" / "again.png", number, DERMOFIT.index("MEL"))
    data = reader("dermofit").dermofit(tmp_path, SIZE)
    test = data.tests["test"]
    assert set(data.train.groups).isdisjoint(test.groups)
    assert len(data.train) + len(test) == 66
    assert len(test) > len(set(test.groups))  # a lesion of two pictures is among them


def test_wrong_dermofit_layouts(reader, refused, tmp_path):
    read = partial(reader("dermofit").dermofit, tmp_path, SIZE)
    refused(read, "looked for the folders AK, BCC,", "found nothing; unpack the ten archives")
    write_dermofit(tmp_path)
    (tmp_path / "ML").rename(tmp_path / "NV")
    refused(read, f"looked for the folders ML in {tmp_path}; found AK, BCC,")
    paint(tmp_path / "ML" / "A1.png", 0, 5)  # not in the folder of a lesion
    refused(read, f"looked for LESION/LESION.png in {tmp_path / 'ML'}; found A1.png")


# Folders of classes -------------------------------------------------------------------------------


def write_folders(folder, numbers=range(3), classes=("ant", "bee", "cat")):
    for label, name in enumerate(classes):
        for number in numbers:
            paint(folder / name / f"{number}.{('PNG', 'jpg', 'jpeg')[number % 3]}", number, label)
        (folder / name / "notes.txt").write_text("no image")
        (folder / name / "._0.png").write_text("left by another system")


@pytest.mark.parametrize("validation", [None, "val", "validation"])
def test_image_folder(reader, tmp_path, validation):
    folder = tmp_path / "insects"
    write_folders(folder / "train")
    write_folders(folder / "test", [5, 6])
    if validation:
        write_folders(folder / validation, [7])
    data = reader("folders").image_folder(folder, SIZE)
    assert data.name == "insects"
    assert data.class_names == ("ant", "bee", "cat")
    assert seen(data.train) == [(number, label) for number in range(3) for label in range(3)]
    assert seen(data.tests["test"]) == [(number, label) for number in (5, 6) for label in range(3)]
    assert data.notes == ()
    if validation:
        assert seen(data.validation) == [(7, 0), (7, 1), (7, 2)]
    else:
        assert data.validation is None


def test_a_class_without_test_images_keeps_the_labels_of_the_others(reader, tmp_path):
    write_folders(tmp_path / "train")
    paint(tmp_path / "test" / "cat" / "0.png", 0, 2)
    data = reader("folders").image_folder(tmp_path, SIZE)
    assert seen(data.tests["test"]) == [(0, 2)]


def test_an_image_folder_without_test_gives_a_fifth(reader, tmp_path):
    write_folders(tmp_path / "train", range(10))
    first, again = (reader("folders").image_folder(tmp_path, SIZE) for _ in range(2))
    train, test = seen(first.train), seen(first.tests["test"])
    assert np.bincount([label for _, label in test]).tolist() == [2, 2, 2]
    assert sorted(train + test) == [(number, label) for number in range(10) for label in range(3)]
    assert "a stratified fifth of train" in first.notes[0]
    assert first.digest() == again.digest()


def test_wrong_image_folders(reader, refused, tmp_path):
    read = partial(reader("folders").image_folder, tmp_path, SIZE)
    refused(read, f"looked for train in {tmp_path}; found nothing; sort the images into train/CLAS")
    refused(partial(reader("folders").image_folder, tmp_path / "no", SIZE), "found no such folder")
    write_folders(tmp_path / "train")
    refused(read, "class ant must have at least 5 samples", "got 3; add samples")
    (tmp_path / "test").mkdir()
    refused(read, "looked for folders of images, one for each class, in", "found nothing")
    paint(tmp_path / "test" / "dog" / "0.png", 0, 0)
    refused(read, "must have only classes of train, ant, bee, cat, got dog; rename or move it")
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "cat")
    (tmp_path / "val").mkdir()
    (tmp_path / "validation").mkdir()
    refused(read, "must have one validation folder, got val and validation")
    (tmp_path / "train" / "eel").mkdir()
    refused(read, f"looked for images in {tmp_path / 'train' / 'eel'}; found nothing; add some")
    many = tmp_path / "many"
    for number in range(12):
        (many / f"{number:02d}").mkdir(parents=True)
    refused(partial(reader("folders").image_folder, many, SIZE), "found 00, 01,", "07, 4 more;")


# Decoding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wide", [True, False])
def test_the_centre_square_is_kept(reader, tmp_path, wide):
    pixels = np.zeros((60, 100, 3), dtype=np.uint8)
    pixels[:, :20], pixels[:, 80:] = (255, 0, 0), (0, 255, 0)  # beyond the centre
    pixels[:30, 20:80] = (0, 0, 255)
    path = tmp_path / "image.png"
    Image.fromarray(pixels if wide else pixels.transpose(1, 0, 2)).save(path)
    image = reader("images").decode([path], 12, "")[0]
    image = image if wide else image.transpose(1, 0, 2)
    inner = image[1:-1, 1:-1]  # a resized pixel at an edge takes a little from beyond it
    assert (inner[:3] == [0, 0, 255]).all()
    assert (inner[-3:] == 0).all()
    assert image[..., :2].max() < 40


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_large_images_are_averaged_not_sampled(reader, tmp_path, suffix):
    pixels = np.zeros((256, 300, 3), dtype=np.uint8)
    pixels[::2, ::2] = pixels[1::2, 1::2] = 255
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(pixels).save(path, quality=95)
    image = reader("images").decode([path], 8, "")[0].astype(int)
    assert abs(image - 128).max() <= 4


@pytest.mark.parametrize(
    ("mode", "colour"), [("L", 60), ("RGBA", (60, 60, 60, 9)), ("P", 60), ("1", 1), ("LA", (60, 9))]
)
def test_every_mode_of_8_bits_becomes_rgb(reader, tmp_path, mode, colour):
    image = Image.new(mode, (9, 9), colour)
    if mode == "P":
        image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(tmp_path / "image.png")
    decoded = reader("images").decode([tmp_path / "image.png"], 3, "")
    assert (decoded == (255 if mode == "1" else 60)).all()
    assert decoded.shape == (1, 3, 3, 3)


def test_rotated_photographs_are_upright(reader, tmp_path):
    image = Image.new("RGB", (8, 8), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 8, 4))  # black above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "image.png", exif=exif)
    decoded = reader("images").decode([tmp_path / "image.png"], 8, "")[0]
    assert decoded[0].min() == 255
    assert decoded[-1].max() == 0


def test_unreadable_images_are_refused(reader, refused, tmp_path):
    images = reader("images")
    path = tmp_path / "image.png"
    path.write_bytes(b"no image")
    refused(partial(images.decode, [path], 4, ""), f"{path} must be a readable image, got: ")
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    refused(partial(images.decode, [path], 4, ""), "must be a readable image", "unpack it again")
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(path)
    refused(partial(images.decode, [path], 4, ""), "must have 8 bits per channel, got mode I;16")
    refused(partial(images.decode, [path], 0, ""), "must be at least 1 pixel, got 0")
