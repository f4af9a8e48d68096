"""The metadata that the sandbox serves, against the vendor's OpenAPI and EDMX files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Sandbox

DATA = Path(__file__).parents[3] / "shared" / "data" / "sap-odata"
EDM = "{http://schemas.microsoft.com/ado/2008/09/edm}"
SAP = "{http://www.sap.com/Protocols/SAPData}"
OPENAPI = {
    "API_BILLING_DOCUMENT_SRV": "openapi/OP_API_BILLING_DOCUMENT_SRV_0001.json",
    "API_OPLACCTGDOCITEMCUBE_SRV": "openapi/OP_API_OPLACCTGDOCITEMCUBE_SRV_0001.json",
    "API_BUSINESS_PARTNER": "openapi/OP_API_BUSINESS_PARTNER_SRV_before_arranged.json",
}
EDMX = {"API_BUSINESS_PARTNER": "edmx-bp-s4/API_BUSINESS_PARTNER.edmx"}
NOT_DESCRIBED = {"API_COMPANYCODE_SRV", "API_GLACCOUNTLINEITEM", "C_TRIALBALANCE_CDS"}
README = Path(__file__).parents[2] / "sandbox" / "README.md"

needs_files = pytest.mark.skipif(
    not DATA.is_dir(), reason="../shared/data/sap-odata is absent: the vendor's files"
)

Facts = tuple[str, int | None]


def served(erp: Erp, service: str) -> dict[str, dict[str, etree._Element]]:
    answer = erp.get(f"{service}/$metadata")
    assert answer.headers["Content-Type"].startswith("application/xml")
    return by_type(etree.fromstring(answer.content))


def by_type(tree: etree._Element) -> dict[str, dict[str, etree._Element]]:
    return {
        str(kind.get("Name")): {str(p.get("Name")): p for p in kind.iterchildren(f"{EDM}Property")}
        for kind in tree.iter(f"{EDM}EntityType")
    }


def edm_facts(element: etree._Element) -> Facts:
    length = element.get("MaxLength")
    return str(element.get("Type")), int(length) if length else None


def openapi_agrees(facts: Facts, described: dict[str, Any]) -> bool:
    """OpenAPI writes every day, time and decimal as a string, told apart by format and example."""
    kind, length = facts
    example = str(described.get("example", ""))
    if described.get("format") == "decimal":
        allowed = {"Edm.Decimal"}
    elif described.get("format") == "uuid":
        allowed = {"Edm.Guid"}
    elif described["type"] == "boolean":
        allowed = {"Edm.Boolean"}
    elif example.startswith("/Date"):
        allowed = {"Edm.DateTime", "Edm.DateTimeOffset"}
    elif example.startswith("PT"):
        allowed = {"Edm.Time"}
    else:
        allowed = {"Edm.String"}
    return kind in allowed and length == described.get("maxLength")


@needs_files
@pytest.mark.parametrize("service", sorted(OPENAPI))
def test_every_served_property_is_the_one_of_the_openapi_file(seeded: Sandbox, service: str) -> None:
    schemas = json.loads((DATA / OPENAPI[service]).read_text(encoding="utf-8"))["components"]["schemas"]
    compared = 0
    for name, properties in served(seeded.tenants["acme"], service).items():
        described = schemas[f"{service}.{name}"]["properties"]
        for prop, element in properties.items():
            assert openapi_agrees(edm_facts(element), described[prop]), (name, prop)
            compared += 1
    assert compared > 60


@needs_files
@pytest.mark.parametrize("service", sorted(EDMX))
def test_every_served_property_is_the_one_of_the_edmx_file(seeded: Sandbox, service: str) -> None:
    described = by_type(etree.parse(str(DATA / EDMX[service])).getroot())
    compared = 0
    for name, properties in served(seeded.tenants["acme"], service).items():
        for prop, element in properties.items():
            if prop in described[name]:
                assert edm_facts(element) == edm_facts(described[name][prop]), (name, prop)
                compared += 1
    assert compared > 50


@needs_files
@pytest.mark.parametrize("service", ["API_BILLING_DOCUMENT_SRV", "API_OPLACCTGDOCITEMCUBE_SRV"])
def test_decimals_have_the_scale_of_the_openapi_file(seeded: Sandbox, service: str) -> None:
    schemas = json.loads((DATA / OPENAPI[service]).read_text(encoding="utf-8"))["components"]["schemas"]
    scales = {1: "0", 0.001: "3", 1e-05: "5", 1e-09: "9"}
    compared = 0
    for name, properties in served(seeded.tenants["acme"], service).items():
        for prop, element in properties.items():
            if element.get("Type") == "Edm.Decimal":
                described = schemas[f"{service}.{name}"]["properties"][prop]
                assert element.get("Scale") == scales[described["multipleOf"]], prop
                compared += 1
    assert compared > 10


def test_services_that_no_file_describes_are_listed_as_not_verified() -> None:
    folder = Path(__file__).parents[2] / "sandbox" / "metadata"
    services = {path.stem for path in folder.glob("*.xml")}
    assert services - set(OPENAPI) == NOT_DESCRIBED
    listed = README.read_text(encoding="utf-8").partition("## Not verified")[2]
    assert all(f"`{service}`" in listed for service in NOT_DESCRIBED)


def test_every_amount_names_its_currency_property(seeded: Sandbox) -> None:
    for service in (*OPENAPI, "API_GLACCOUNTLINEITEM", "C_TRIALBALANCE_CDS"):
        for properties in served(seeded.tenants["acme"], service).values():
            amounts = [p for name, p in properties.items() if "Am" in name and p.get("Type") == "Edm.Decimal"]
            assert all(p.get(f"{SAP}unit") in properties for p in amounts)


def test_rows_hold_the_declared_properties_within_their_lengths(erp: Erp) -> None:
    rows = 0
    for service in (*OPENAPI, "API_COMPANYCODE_SRV", "API_GLACCOUNTLINEITEM"):
        for name, properties in served(erp, service).items():
            for row in erp.rows(f"{service}/{name.removesuffix('Type')}"):
                assert set(row) - {"__metadata"} == set(properties)
                for prop, element in properties.items():
                    kind, length = edm_facts(element)
                    value = row[prop]
                    assert length is None or len(value) <= length, (name, prop, value)
                    assert isinstance(value, bool) == (kind == "Edm.Boolean"), (name, prop, value)
                rows += 1
    assert rows > 3000
