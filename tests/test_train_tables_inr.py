"""The page of INR-st's tables: means over pairs, the paper's figures in their places, and what is left out."""

from typing import Any

import pytest

from train.evaluate import tables_inr

MADE = {"settings": {"size": 32}, "environment": {"device": "cpu: slow", "jax": "0.1"}}


def cells(page: str) -> dict[str, list[str]]:
    """The rows of all tables of a page by their first cell."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    return {first: rest for first, *rest in rows}


def page(part: str, rows: dict[str, Any]) -> str:
    return tables_inr.markdown({"subject": {"preset": "fast"}, "parts": {part: {**MADE, "rows": rows}}})


def test_the_page_says_what_was_measured_where() -> None:
    text = page("table3", {"a": {"1": {"to_reconstruction": 0.0, "to_content": 1.0}, "of": "x"}})
    assert "preset fast." in text and "size = 32" in text and "On cpu: slow; jax 0.1." in text
    assert "Table 3" in text and "Table 1" not in text


def test_table_1_has_the_papers_sizes_and_the_median_fit() -> None:
    rows = {
        "256": {"peak_bytes": 3 << 29, "seconds": 0.5},
        "300": {"peak_bytes": 1 << 30, "seconds": 1.0},
        "20000": {"peak_bytes": 2 << 30, "seconds": 100.0},
        "fit": {"seconds": [60.0, 120.0, 600.0]},
    }
    text = page("table1", rows)
    assert cells(text)["256 x 256"] == ["1.50", "0.500", "1.70", "0.250"]
    assert cells(text)["300 x 300"] == ["1.00", "1.00", "", ""]
    assert cells(text)["20000 x 20000"] == ["2.00", "100", "1.80", "65.8"]
    assert "One fit took 2 minutes (median of 3); the paper's 6.5 minutes" in text
    assert "One fit" not in page("table1", {"256": rows["256"]})


def test_table_2_is_in_the_papers_order_and_relative_too() -> None:
    def row(k: float) -> dict[str, Any]:
        return {
            "gram": {"0": 3 * k, "1": 1 * k},
            "ssim": {"0": 0.9, "1": 0.3 * k},
            "gram_reached": {"0": 4 * k, "1": 0.0},
            "ssim_reached": {"0": 1.0, "1": 0.2},
            "of": "x",
        }

    found = cells(page("table2", {"a": row(0.5), "b": row(1.5)}))
    assert found["Gram distance to the painting, degree of style 1"] == ["1.00", "0.00", "0.310", "0.00"]
    assert found["Gram distance to the painting, degree of style 0"] == ["3.00", "4.00", "5.42", "5.47"]
    assert found["SSIM to the photo, degree of style 1"] == ["0.300", "0.200", "0.340", "0.130"]
    assert found["SSIM to the photo, degree of style 0"] == ["0.900", "1.00", "0.910", "1.00"]
    assert found["Gram distance relative to the photo's, degree 1"] == ["0.250", "", "0.0567", ""]
    assert found["Gram distance relative to the photo's, degree 0"] == ["0.750", "", "0.991", ""]


def test_table_3_has_both_distances() -> None:
    rows = {
        name: {str(d): {"to_reconstruction": 0.0, "to_content": k * d} for d in (1, 3)}
        for name, k in {"a": 1.0, "b": 3.0}.items()
    }
    found = cells(page("table3", rows))
    assert found["d = 1"] == ["0.00", "2.00", "0.326"] and found["d = 3"] == ["0.00", "6.00", "0.136"]


def test_table_4_runs_from_style_to_content() -> None:
    one = {"psnr": [20.0, 0, 0, 0, 10.0], "psnr_steps": [4.0, 3.0, 2.0, 1.0]}
    one |= {"gram": [5.0, 0, 0, 0, 0.5], "gram_steps": [0.4, 0.3, 0.2, 0.1]}
    text = page("table4", {"a": {"weighted": one, "of": "x"}})
    found = cells(text)
    assert found["PSNR, with reweighting"] == ["10.0", "1.00", "2.00", "3.00", "4.00", "20.0"]
    assert found["Gram, with reweighting"] == ["0.500", "0.100", "0.200", "0.300", "0.400", "5.00"]
    assert found["PSNR, with reweighting, paper"] == ["28.0", "0.0900", "0.540", "3.46", "3.22", "35.3"]
    assert "without" not in text
    both = cells(page("table4", {"a": {"weighted": one, "unweighted": one}}))
    assert both["Gram, without reweighting, paper"] == ["0.0200", "0.0400", "0.0800", "0.210", "1.56", "1.76"]


@pytest.mark.parametrize("name", ["weighted", "unweighted"])
def test_the_papers_steps_of_psnr_add_up_to_its_ends(name: str) -> None:
    """So no figure was copied wrong. (Those of the Gram distance do not add up in the paper.)"""
    first, *steps, last = (cell[0] for cell in tables_inr.PAPER_TABLE4[name])
    assert first + sum(steps) == pytest.approx(last, abs=0.015)


def test_table_5_has_ratios_of_every_pair_and_their_means() -> None:
    def row(fit: float) -> dict[str, Any]:
        distances = {"fit": fit, "bicubic": 4.0, "painting": 0.5}
        return {"windows": distances, "together": {**distances, "bicubic": 2.0}, "psnr": {"2": 30.0, "4": 31.5}}

    found = cells(page("table5", {"a": row(1.0), "b": row(2.0)}))
    assert found["a"] == ["1.00", "4.00", "0.500", "0.250", "0.500", "30.0", "31.5"]
    assert found["mean of the ratios"] == ["", "", "", "0.375", "0.750", "", ""]
