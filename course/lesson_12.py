"""Exercises of lesson 12: hours of a GPU, unfair cells, what printed digits allow."""

from decimal import Decimal
from types import SimpleNamespace

from traflow_lib.reports.published import published

from .checking import asked, check_equal, check_number, number
from .exercise import Exercise, Wrong

LESS, MORE = ("fid", "sfid"), ("is", "precision", "recall")  # what is better


def _hours(answer) -> None:
    slow, fast = sorted(float(row.value) for row in published("cifar10", metric="throughput"))
    settings = {row.id: int(row.value) for row in published("cifar10", table="8") if row.value.isdigit()}
    images = settings["t8.cifar10.iterations"] * settings["t8.cifar10.batch"] / 3600
    right = images / slow + images / fast
    known = {
        "Speeds do not add: an image that needs both losses takes the time of one and that of the other.": (
            images / (slow + fast)
        ),
        "The mean of two speeds is no speed: the slow loss takes more of the time.": 2
        * images
        / (slow + fast),
        "This is one loss alone, the slower one.": images / slow,
        "This is one loss alone, the faster one.": images / fast,
        "These are days.": right / 24,
        "These are seconds.": right * 3600,
        "A batch is more than one image.": right / settings["t8.cifar10.batch"],
    }
    check_number(answer, right, known)


def _is_worse(row, less=LESS, more=MORE) -> bool:
    if row.metric not in (*less, *more) or not row.printed or not row.value:
        return False
    printed, value = float(row.printed), float(row.value)
    return printed > value if row.metric in less else printed < value


def _unfair(function) -> None:
    made = [
        ("a", "fid", "2.10", "2.1"),
        ("b", "is", "9.9", "10.1"),
        ("c", "fid", "10.2", "9.8"),
        ("d", "recall", "0.6", "0.5"),
        ("e", "sfid", "", "5.0"),
        ("f", "fid", "3.0", ""),
        ("g", "precision", "0.70", "0.71"),
        ("h", "setting: batch", "512", "256"),
        ("i", "is", "50.1", "40"),
    ]
    names = ("id", "metric", "printed", "value")
    for rows in ([SimpleNamespace(**dict(zip(names, row))) for row in made], published()):
        found = asked(function, rows)
        if not isinstance(found, set):
            raise Wrong("A set of ids is asked for.")
        numbers = [row for row in rows if row.metric in (*LESS, *MORE)]
        both = [row for row in numbers if row.printed and row.value]
        known = {
            "A higher Inception Score, precision or recall is better; of an FID a lower one is.": {
                row.id for row in both if _is_worse(row, (*LESS, *MORE), ())
            },
            "These rows are printed *better* than their source has them.": {
                row.id for row in both if float(row.printed) != float(row.value) and not _is_worse(row)
            },
            "Some of these differ in the other direction: they flatter.": {
                row.id for row in both if float(row.printed) != float(row.value)
            },
            "As text '10.2' comes before '9.8', and '2.10' is not '2.1'. Compare numbers.": {
                row.id
                for row in both
                if (row.printed > row.value if row.metric in LESS else row.printed < row.value)
            },
        }
        check_equal(found, {row.id for row in rows if _is_worse(row)}, known, "These are other rows.")


def _ends(text: str, share: str = "0.5") -> tuple[float, float]:
    one = Decimal(text)
    step = Decimal(1).scaleb(int(one.as_tuple().exponent)) * Decimal(share)
    return float(one - step), float(one + step)


def _ratios(function) -> None:
    for first, second in (("2.30", "2.40"), ("378", "6.18"), ("13.0", "4.80")):
        (low, high), (least, most) = _ends(first), _ends(second)
        (wide_low, wide_high), (wide_least, wide_most) = _ends(first, "1"), _ends(second, "1")
        bare = [_ends(str(Decimal(text).normalize())) for text in (first, second)]
        found = asked(function, first, second)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("Two numbers are asked for, the lowest and the highest ratio.")
        known = {
            "A ratio is lowest if its upper number is low and its lower number *high*.": (
                low / least,
                high / most,
            ),
            "A printed digit may be off by half a unit of its last place, not by a whole one.": (
                (wide_low / wide_most, wide_high / wide_least)
            ),
            "The zero in '2.30' is a digit, too: it says that 2.34 would have been printed otherwise.": (
                (bare[0][0] / bare[1][1], bare[0][1] / bare[1][0])
            ),
            "The first comes above the second.": (least / high, most / low),
            "This is the ratio of the printed numbers; rounding hides others.": (
                (float(first) / float(second), float(first) / float(second))
            ),
        }
        cut = tuple(round(number(one), 6) for one in found)
        known = {why: tuple(round(one, 6) for one in pair) for why, pair in known.items()}
        right = (round(low / most, 6), round(high / least, 6))
        check_equal(cut, right, known, "The digits allow other ratios.")


HOURS = """images = 130_000 * 512
hours = (images / 282.3 + images / 71.5) / 3600"""

UNFAIR = """def unfair(rows):
    found = set()
    for row in rows:
        if row.metric in ("fid", "sfid", "is", "precision", "recall") and row.printed and row.value:
            printed, value = float(row.printed), float(row.value)
            if printed > value if row.metric in ("fid", "sfid") else printed < value:
                found.add(row.id)
    return found"""

RATIOS = """def ratios(first, second):
    def ends(text):
        half = 0.5 * 10 ** -len(text.partition(".")[2])
        return float(text) - half, float(text) + half

    (low, high), (least, most) = ends(first), ends(second)
    return low / most, high / least"""

EXERCISES = [
    Exercise(
        number="12.1",
        grade="warm-up",
        title="From images a second to hours of a GPU",
        text="""The paper trains on CIFAR-10 for 130,000 iterations with a batch of 512. One H100 gets
through 282.3 images a second with the velocity loss and through 71.5 with the consistency loss. How many
**hours** does one H100 need for the whole training, if each loss sees every image once?""",
        starter="hours = ...",
        answer="hours",
        check=_hours,
        solution=HOURS,
        wrong={
            "speeds added": ("images / 282.3 + images / 71.5", "images / (282.3 + 71.5)", "do not add"),
            "speeds averaged": ("images / 282.3 + images / 71.5", "2 * images / (282.3 + 71.5)", "no speed"),
            "one loss": ("images / 282.3 + ", "", "slower one"),
            "days": ("/ 3600", "/ 86400", "days"),
        },
        hints=("How long does one image take, with both losses?",),
    ),
    Exercise(
        number="12.2",
        grade="core",
        title="Cells that are unfair",
        text="""`rows` are rows like those of `traflow_lib.reports.published.published()`: a row has an
`id`, a `metric`, what the paper has `printed`, and the `value` of the method's own source, both as text,
or `""` where there is none. Return the set of the ids whose printed number makes the method look
**worse** than its source does. Judge `fid` and `sfid` (less is better), `is`, `precision` and `recall`
(more is better), and leave every other metric out.""",
        starter="def unfair(rows):\n    return ...",
        answer="unfair",
        check=_unfair,
        solution=UNFAIR,
        wrong={
            "less is always better": (
                ' if row.metric in ("fid", "sfid") else printed < value',
                "",
                "higher Inception Score",
            ),
            "flattered": (
                "printed > value if",
                "printed < value if",
                "else printed < value",
                "else printed > value",
                "*better*",
            ),
            "whatever differs": (
                'printed > value if row.metric in ("fid", "sfid") else printed < value',
                "printed != value",
                "flatter",
            ),
            "texts compared": ("float(row.printed), float(row.value)", "row.printed, row.value", "As text"),
        },
        hints=(
            "Three questions to a row: is it judged, are both numbers there, and which way do they differ?",
            "Numbers in a CSV file are text until you make numbers of them.",
        ),
    ),
    Exercise(
        number="12.3",
        grade="core",
        title="What the digits allow",
        text="""A table prints 2.30 and 2.40. Each stands for a number that was *rounded* to it, so what
is known of their ratio is an interval. Return its two ends, the lowest and the highest value of
`first / second` (both texts, as they are printed; positive, and maybe without a decimal point).""",
        starter="def ratios(first, second):\n    return ...",
        answer="ratios",
        check=_ratios,
        solution=RATIOS,
        wrong={
            "low by low": ("low / most, high / least", "low / least, high / most", "*high*"),
            "a whole unit": ("half = 0.5 * ", "half = ", "half a unit"),
            "zeros dropped": (
                'len(text.partition(".")[2])',
                'len(f"{float(text):g}".partition(".")[2])',
                "is a digit",
            ),
            "no rounding": ("half = 0.5", "half = 0.0", "rounding hides"),
        },
        hints=(
            "What are the smallest and the largest number that are printed as 2.30? And as 2.3?",
            "Four ends, two ratios: which end of the second belongs to the lower one of the first?",
        ),
    ),
]
