"""Units of rows: the rows of one patient are not independent evidence, and are resampled together."""

from datasets import Dataset, DatasetDict

from hfkit.data.bad_rows import Fault
from hfkit.data.columns import MEND, find_column, to_words


def find_unit_column(dataset: DatasetDict, given: str | None) -> str | None:
    """The column that the user named, after checking that every split has it.

    Raises:
        DataError: one split lacks it.
        UserError: it holds media.
    """
    return given and find_column(dataset, given, (), "--unit_column")


def check_units(rows: Dataset, column: str) -> tuple[list[str], list[Fault]]:
    """The unit of every row as a string, and a fault for each row without one."""
    units, faults = [], []
    for row, unit in enumerate(rows[column][:]):
        if type(unit) not in (str, int) or unit == "":
            rule = "a row belongs to one unit, named by a text or a whole number"
            faults.append(Fault(row, column, to_words(unit), rule, MEND))
        units.append(str(unit))
    return units, faults
