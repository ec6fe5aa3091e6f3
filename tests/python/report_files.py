"""Opens a report's XLSX and PDF with libraries that centime's authors did not write, and compares
every total and every step of the bridge with the model (JSON) and with the lake, to the cent."""

import argparse
import csv
import datetime
import json
import pathlib
import re
from decimal import Decimal

import openpyxl
import pypdf

CENT = Decimal("0.01")


def money(cell):
    return Decimal(cell["value"]) if cell["kind"] == "money" else None


def tables(model):
    for section in model["sections"]:
        for table in section["tables"]:
            yield section["id"], table


def check_xlsx(path, model, lake):
    book = openpyxl.load_workbook(path)
    assert len(book.sheetnames) >= 12, book.sheetnames
    charts = sum(len(sheet._charts) for sheet in book)
    assert charts >= 3, f"{path}: {charts} native charts"
    cells = {}
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", f"{path} {sheet.title} {cell.coordinate}: a formula"
                if isinstance(cell.value, str):
                    assert not cell.value.startswith(("=", "+", "@", "\t")), cell.value
        numbers = [
            [Decimal(repr(cell)).quantize(CENT) for cell in row if isinstance(cell, (int, float))]
            for row in sheet.iter_rows(values_only=True)
        ]
        cells[sheet.title] = numbers
    rows = [row for numbers in cells.values() for row in numbers if row]
    checked = 0
    for section, table in tables(model):
        if section in ("header", "method"):
            continue
        for row in table["rows"]:
            wanted = [money(cell) for cell in row["cells"] if money(cell) is not None]
            if not wanted:
                continue
            assert any(
                all(amount in found for amount in wanted) for found in rows
            ), f"{path}: {table['id']} lacks {wanted}"
            checked += 1
    assert checked > 40, checked
    # The raw sheet holds every leaf, and adds up to the lake.
    raw = next(sheet for sheet in book if sheet.max_column == 13 and sheet.freeze_panes == "C4")
    assert raw.auto_filter.ref, "no filter on the raw data"
    cost = sum(Decimal(repr(row[6].value)) for row in raw.iter_rows(min_row=4))
    assert abs(cost - lake["run_rate"]) < CENT, (cost, lake)
    months = [
        cell.value
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, datetime.datetime)
    ]
    assert months, f"{path}: no real date"


def shown(amount, language):
    text = f"{amount:,.2f}"
    if language == "fr":
        text = text.replace(",", "\u202f").replace(".", ",")
    return text


def check_pdf(path, model, language):
    reader = pypdf.PdfReader(path)
    assert len(reader.pages) >= 3
    title = reader.metadata.title
    assert title and model["month"][:4] in title, title
    assert str(reader.trailer["/Root"]["/Lang"]).lower().startswith(language), reader.trailer["/Root"]
    squeeze = lambda text: re.sub(r"\s", "", text)
    text = squeeze("".join(page.extract_text() for page in reader.pages))
    first = squeeze(reader.pages[0].extract_text())
    checked = 0
    for section, table in tables(model):
        for row in table["rows"]:
            loud = row["role"] in ("total", "subtotal") or table["id"] == "bridge"
            for cell in row["cells"] if loud else []:
                if (amount := money(cell)) is not None:
                    wanted = squeeze(shown(amount, language))
                    assert wanted in text, f"{path}: {table['id']} lacks {wanted}"
                    checked += 1
    assert checked > 20, checked
    summary = next(it for it in model["sections"] if it["id"] == "summary")
    for figure in summary["figures"]:
        if (amount := money(figure["value"])) is not None:
            assert squeeze(shown(amount, language)) in first, f"page 1 lacks {figure}"


def check_csv(path, model, language):
    french = language == "fr"
    with open(path, encoding="utf-8-sig" if french else "utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";" if french else ","))
    found = {}
    for row in rows:
        if row["unit"] == "USD":
            value = Decimal(row["value"].replace(",", ".") if french else row["value"])
            found.setdefault((row["table"], row["row"]), []).append(value)
    for _, table in tables(model):
        for number, row in enumerate(table["rows"], 1):
            wanted = [money(cell) for cell in row["cells"] if money(cell) is not None]
            if wanted:
                assert found[(table["id"], str(number))] == wanted, (path, table["id"], number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--billed", type=Decimal, required=True, help="of the lake, this month")
    parser.add_argument("--billed-before", type=Decimal, required=True)
    parser.add_argument("--run-rate", type=Decimal, required=True)
    arguments = parser.parse_args()
    [path] = arguments.folder.glob("*.json")
    model = json.loads(path.read_text())
    assert model["reconciles"] is True
    # The model against the lake.
    bridge = next(table for _, table in tables(model) if table["id"] == "bridge")
    amounts = [money(row["cells"][1]) for row in bridge["rows"]]
    assert amounts[0] == arguments.billed_before.quantize(CENT), (amounts[0], arguments)
    assert amounts[-1] == arguments.billed.quantize(CENT), (amounts[-1], arguments)
    assert sum(amounts[:-1]) == amounts[-1], "the bridge has a residual"
    services = next(table for _, table in tables(model) if table["id"] == "services")
    assert money(services["rows"][-1]["cells"][1]) == arguments.run_rate.quantize(CENT)
    # Every format against the model.
    lake = {"run_rate": arguments.run_rate}
    for language in ("en", "fr"):
        one = lambda end: next(arguments.folder.glob(f"*-{language}.{end}"))
        check_xlsx(one("xlsx"), model, lake)
        check_pdf(one("pdf"), model, language)
        check_csv(one("csv"), model, language)


if __name__ == "__main__":
    main()
