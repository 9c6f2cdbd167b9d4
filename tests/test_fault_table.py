"""The table of faults and attacks."""

from .fault_table import Rows, table


def test_table_has_a_column_for_each_family() -> None:
    rows: Rows = {
        "A kill": {"ours": (1_400, 0), "Django's": (352, 182)},
        "A bomb": {"ours": (5, 0)},
    }
    assert list(table(rows)) == [
        "| fault or attack | ours: lost of tries | Django's: lost of tries |",
        "| --- | --- | --- |",
        "| A kill | 0 of 1,400 | 182 of 352 |",
        "| A bomb | 0 of 5 |  |",
    ]
