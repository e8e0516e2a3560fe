"""The command compare."""

from collections import Counter

from ..files import paths
from ..reports import evidence, tables
from .options import Profile


def run(profile: Profile = "laptop") -> None:
    """Set this machine's numbers beside the committed ones.

    It says which differ by more than their spread.
    """
    header, lines = evidence.comparison(profile)
    if not lines:
        folder = paths.results() / "records"
        raise ValueError(f"there is nothing to compare: no record of profile {profile} in {folder}")
    file = paths.results() / "tables" / f"reproduction-{profile}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    title = f"# Profile {profile}: this machine beside the reference"
    file.write_text(f"{title}\n\n{tables.markdown(header, lines)}", encoding="utf-8")
    shown = [line for line in lines if line[-1] == "DIFFERS" or (line[0], line[2], line[3]) in evidence.SHOWN]
    print(tables.markdown(header, shown))
    verdicts = Counter(line[-1] for line in lines).most_common()
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts)
    print(f"{len(lines)} numbers: {counts}; all of them: {file}")
