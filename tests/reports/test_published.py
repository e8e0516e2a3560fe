"""The published numbers: every row is whole, what a row may hold, and the misprints of the paper."""

import csv

import pytest

from traflow_lib.files import paths
from traflow_lib.reports.published import Published, published

FIELDS = list(Published.model_fields)
GOOD = dict.fromkeys(FIELDS, "") | {
    "id": "a.b",
    "table": "2",
    "dataset": "cifar10",
    "method": "m",
    "kind": "k",
    "nfe": "1",
    "metric": "fid",
    "printed": "2.40",
    "reading": "read",
    "value": "2.50",
    "source": "s",
    "evidence": "e",
}


def is_misprint(row):
    """The paper prints something else than the method's own source says, if that is known."""
    return bool(row.printed) and row.printed != row.value and row.evidence != "not known"


def written(folder, *rows, header=None):
    file = folder / "numbers.csv"
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header or FIELDS)
        writer.writerows([list(row.values()) for row in rows])
    return file


def test_a_row_keeps_its_digits(tmp_path):
    (row,) = published(file=written(tmp_path, GOOD))
    assert (row.printed, row.value, is_misprint(row)) == ("2.40", "2.50", True)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"metric": "fidd"}, "line 3: metric is 'fidd': .*throughput"),
        ({"source": ""}, "line 3: source is ''"),
        ({"value": "about 2"}, "'about 2' is no number, which fid is"),
        ({"nfe": "one"}, "nfe is 'one'"),
        ({"printed": "", "reading": "", "value": ""}, "neither printed nor value"),
        ({"table": ""}, "needs the table"),
        ({"id": "first"}, "was there before"),
        ({"reading": "guessed"}, "reading is 'guessed'"),
        ({"reading": ""}, "reading must be there"),
        ({"printed": "", "table": ""}, "reading must be there where a number is printed"),
    ],
)
def test_a_bad_row_is_refused_by_file_and_line(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as error:
        published(file=written(tmp_path, GOOD | {"id": "first"}, GOOD | change))
    assert str(error.value).startswith("numbers.csv, line ") and "\n" not in str(error.value)


def test_short_and_long_rows_are_refused(tmp_path):
    for row, fault in (({"only": "three"}, "table is None"), (GOOD | {"more": "x"}, "keys should be")):
        with pytest.raises(ValueError, match=f"numbers.csv, line 2: .*{fault}"):
            published(file=written(tmp_path, row))


def test_missing_and_unknown_columns_are_named(tmp_path):
    with pytest.raises(ValueError, match="line 2: evidence is None: field required"):
        published(
            file=written(tmp_path, GOOD, header=[name.replace("evidence", "colour") for name in FIELDS])
        )


def test_settings_may_be_words(tmp_path):
    (row,) = published(
        file=written(tmp_path, GOOD | {"metric": "setting: solver", "printed": "Heun", "value": "Heun"})
    )
    assert row.value == "Heun" and not is_misprint(row)


def test_filters():
    rows = published("imagenet64", "5", "fid")
    assert len(rows) == 8 and {(row.dataset, row.table, row.metric) for row in rows} == {
        ("imagenet64", "5", "fid")
    }
    assert len(published()) == len(paths.committed("published.csv").read_text().splitlines()) - 1


def test_every_misprint_of_the_paper_is_there():
    wrong = {
        row.id: (row.printed, row.value)
        for row in published()
        if is_misprint(row) and row.metric in ("fid", "is")
    }
    assert wrong == {
        "cifar10.ctm-gan.1.fid": ("1.90", "1.98"),
        "cifar10.1-rectified-flow-distill.1.fid": ("378", "6.18"),
        "cifar10.2-rectified-flow-distill.1.fid": ("12.21", "4.85"),
        "cifar10.3-rectified-flow-distill.1.fid": ("8.15", "5.21"),
        "imagenet64.pd.2.fid": ("15.39", "8.95"),
        "imagenet64.cd-lpips.2.fid": ("6.20", "4.70"),
        "imagenet64.ctm-gan.2.fid": ("1.70", "1.73"),
        "imagenet64.ctm-gan.1.is": ("64.29", "70.38"),
        "imagenet64.shortcut-unconditional.1.fid": ("20.5", ""),
        "imagenet64.shortcut-conditional.1.fid": ("40.3", ""),
    }


def test_the_ablations_are_whole():
    counted = {table: len(published("imagenet64", table)) for table in ("4", "5", "6")}
    assert counted == {"4": 2 * 5 * 4, "5": 2 * 5 * 4, "6": 3 * 4}


def test_what_is_inferred_is_marked_and_is_no_misprint():
    inferred = [row for row in published() if row.reading == "inferred"]
    assert len(inferred) == 25 and {row.table for row in inferred} == {"2", "3"}
    assert all(row.printed == row.value or row.evidence == "not known" for row in inferred)
    assert all(
        row.reading == "read"
        for row in published()
        if is_misprint(row) or (row.printed and row.method.startswith("SCoT"))
    )


def test_a_number_without_a_known_source_has_none():
    unknown = {row.id: row.printed for row in published() if row.evidence == "not known"}
    assert unknown == {
        "imagenet64.edm.79.is": "48.88",
        "text-ema.cifar10.ema-of-the-student": "0.9999",
        "text-ema.imagenet64.ema-of-the-student": "0.9999",
    }
    assert not any(row.value for row in published() if row.id in unknown)
    assert not any(
        "Karras" in row.source for row in published() if row.metric != "fid" and "re-run" not in row.source
    )  # EDM's authors report FID only
