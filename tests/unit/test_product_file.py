import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from giftcert.domain.products import Product
from giftcert.product_file import ProductFileError, json_schema, read_products
from giftcert.settings import Settings

ROOT = Path(__file__).parents[2]


def settings_with(folder: Path, content: Any) -> Settings:
    path = folder / "products.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return Settings(products_file=path)


def test_the_samples_are_three_fixed_products_and_an_open_one() -> None:
    products = {line.id: line.product() for line in read_products(Settings(products_file=None))}
    assert {name: product.nominal for name, product in products.items()} == {
        "GC-1000": 100_000,
        "GC-3000": 300_000,
        "GC-5000": 500_000,
        "GC-OPEN": None,
    }
    assert products["GC-OPEN"].allows_nominal(50_000)
    assert products["GC-OPEN"].allows_nominal(3_000_000)
    assert not products["GC-OPEN"].allows_nominal(49_999)
    assert products["GC-5000"] == Product("GC-5000", "RUB", nominal=500_000)


def test_terms_of_a_product_are_iso_durations(tmp_path: Path) -> None:
    line = {
        "id": "A",
        "currency": "EUR",
        "nominal": 100,
        "reservation": "PT3S",
        "validity": "P30D",
        "cvcLength": 4,
    }
    (found,) = read_products(settings_with(tmp_path, [line]))
    product = found.product()
    assert (product.reservation, product.validity) == (timedelta(seconds=3), timedelta(days=30))
    assert product.cvc_length == 4


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("no json", "malformed"),
        ({}, "Expected `array`"),
        ([{"currency": "EUR", "nominal": 1}], "id"),
        ([{"id": "A", "currency": "EUR"}], "either nominal"),
        ([{"id": "A", "currency": "EUR", "leastNominal": 1}], "either nominal"),
        (
            [{"id": "A", "currency": "EUR", "nominal": 1, "leastNominal": 1, "greatestNominal": 2}],
            "either nominal",
        ),
        ([{"id": "A", "currency": "EUR", "nominal": 1, "nominl": 1}], "nominl"),
        ([{"id": "A", "currency": "EUR", "nominal": 1}] * 2, "twice"),
        ([{"id": "A", "currency": "EUR", "nominal": 0}], "nominal"),
        ([{"id": "A", "currency": "euro", "nominal": 1}], "currency"),
        ([{"id": "A", "currency": "EUR", "leastNominal": 2, "greatestNominal": 1}], "above"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name_and_reason(
    tmp_path: Path, content: Any, problem: str
) -> None:
    with pytest.raises(ProductFileError, match=problem) as refused:
        read_products(settings_with(tmp_path, content))
    assert "products.json" in str(refused.value)
    assert "GIFTCERT_PRODUCTS_FILE" in str(refused.value)


PRODUCTS = Draft202012Validator(json_schema())
A = {"id": "A", "currency": "EUR"}


@pytest.mark.parametrize("path", ["giftcert/embedded/products.json", "simulators/products.json"])
def test_the_schema_takes_the_products_of_the_embedded_stacks(path: str) -> None:
    PRODUCTS.validate(json.loads((ROOT / path).read_text()))


@pytest.mark.parametrize(
    "line",
    [
        {**A, "nominal": 1},
        {**A, "nominal": None},
        {**A, "leastNominal": 1, "greatestNominal": 2},
        {**A, "nominal": None, "leastNominal": 1, "greatestNominal": 2},
        {**A, "nominal": 1, "leastNominal": 1},
        {**A, "nominal": 1, "validity": "P1D", "lowThreshold": 0, "replenishTo": None},
        {**A, "nominal": 1, "validity": 3},
        {**A, "nominal": 1, "lowThreshold": -1},
        {**A, "nominal": 1, "cvcLength": 9},
        {**A, "nominal": 1, "numberLength": "16"},
        {**A, "nominal": 1, "colour": "red"},
        {"id": "", "currency": "EUR", "nominal": 1},
        A,
    ],
)
def test_the_schema_takes_just_what_the_service_takes(tmp_path: Path, line: dict[str, Any]) -> None:
    try:
        read_products(settings_with(tmp_path, [line]))
    except ProductFileError:
        assert not PRODUCTS.is_valid([line])
    else:
        PRODUCTS.validate([line])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProductFileError, match=r"absent\.json cannot be read"):
        read_products(Settings(products_file=tmp_path / "absent.json"))
