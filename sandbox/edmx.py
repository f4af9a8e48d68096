"""The services' $metadata: the documents in `metadata/`, read for the names, types and lengths they declare.

Those of API_OPLACCTGDOCITEMCUBE_SRV, API_BILLING_DOCUMENT_SRV and API_BUSINESS_PARTNER follow the vendor's
OpenAPI and EDMX files [F]; README.md lists the others with their source. It refuses services that have no
document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

FOLDER = Path(__file__).parent / "metadata"
EDM = "{http://schemas.microsoft.com/ado/2008/09/edm}"
SAP = "{http://www.sap.com/Protocols/SAPData}"


@dataclass(frozen=True, slots=True)
class Property:
    """One declared property; `unit` names the property that holds an amount's currency."""

    name: str
    type: str
    max_length: int | None
    unit: str | None
    is_measure: bool


@dataclass(frozen=True, slots=True)
class EntityType:
    """One declared entity type."""

    service: str
    set_name: str
    name: str
    key: tuple[str, ...]
    properties: Mapping[str, Property]
    aggregates: bool


def document(service: str) -> bytes:
    """Give a service's metadata document; FileNotFoundError for a service that is not imitated."""
    return (FOLDER / f"{service}.xml").read_bytes()


def without_units(metadata: bytes) -> bytes:
    """Give the document as a custom service would publish it: no amount names its currency."""
    tree = etree.fromstring(metadata)
    for element in tree.iter(f"{EDM}Property"):
        if f"{SAP}unit" in element.attrib:
            del element.attrib[f"{SAP}unit"]
    return etree.tostring(tree, xml_declaration=True, encoding="utf-8")


def entity_types(service: str) -> dict[str, EntityType]:
    """Read a service's entity types, by the name of their entity set."""
    tree = etree.fromstring(document(service))
    sets = {str(e.get("EntityType")): str(e.get("Name")) for e in tree.iter(f"{EDM}EntitySet")}
    found = {}
    for element in tree.iter(f"{EDM}EntityType"):
        name = str(element.get("Name"))
        set_name = sets[f"{service}.{name}"]
        found[set_name] = EntityType(
            service=service,
            set_name=set_name,
            name=f"{service}.{name}",
            key=tuple(str(reference.get("Name")) for reference in element.iter(f"{EDM}PropertyRef")),
            properties={p.name: p for p in map(_property, element.iterchildren(f"{EDM}Property"))},
            aggregates=element.get(f"{SAP}semantics") == "aggregate",
        )
    return found


def services() -> list[str]:
    """Give the names of the services that are imitated."""
    return sorted(path.stem for path in FOLDER.glob("*.xml"))


def _property(element: etree._Element) -> Property:
    length = element.get("MaxLength")
    return Property(
        name=str(element.get("Name")),
        type=str(element.get("Type")),
        max_length=int(length) if length else None,
        unit=element.get(f"{SAP}unit"),
        is_measure=element.get(f"{SAP}aggregation-role") == "measure",
    )
