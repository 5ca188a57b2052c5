"""The prices of machines: the file, its schema, what reads it, and the script that renews it."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import renew_prices
import yaml
from jobyard_metrics import prices
from jobyard_metrics.prices import Machine, PricesError
from renew_prices import PriceListError, Shape

from tests.support.paths import ROOT

FILE = ROOT / "values" / "prices.yaml"
GO = """\
package pricing

// generated at 2026-07-20T13:44:30Z for us-east-1

var InitialOnDemandPricesAWS = map[string]map[ec2types.InstanceType]float64{
\t"us-east-1": {
\t\t// m7i family
\t\t"m7i-flex.large": 0.095760, "m7i.large": 0.100800, "m7i.metal-24xl": 5.320000,
\t\t"x9z.large": 1.000000,
\t},
}
"""
PLAIN = {
    "instanceType": "m7i.large",
    "regionCode": "eu-central-1",
    "vcpu": "2",
    "memory": "8 GiB",
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "tenancy": "Shared",
    "marketoption": "OnDemand",
}


def test_the_file_is_as_its_schema_has_it_and_has_every_machine_of_the_node_groups() -> None:
    schema = json.loads((ROOT / "values" / "prices.schema.json").read_text())
    document = yaml.safe_load(FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    machines = prices.load(FILE)
    groups = yaml.safe_load((ROOT / "values" / "node-groups.yaml").read_text())["nodeGroups"]
    for group in groups.values():
        found = [machines[name] for name in group["instanceTypes"]]
        assert all(prices.hourly(machines, name, group["capacityType"]) for name in group["instanceTypes"])
        assert max(machine.cpu for machine in found) == float(group["capacity"]["cpu"])
        assert max(machine.memory for machine in found) == int(group["capacity"]["memory"].removesuffix("Gi")) * 2**30
        assert {machine.gpu for machine in found} == {group["capacity"].get("gpu", 0)}
    families = {name.partition(".")[0] for name in machines}
    assert {"m7i", "c7i", "r7i", "m8i", "c8i", "r8i", "m7a", "c7a", "r7a", "m7g", "c7g", "r7g", "m8g", "g6"} <= families
    assert all(machine.hourly["spot"] < machine.hourly["on-demand"] for machine in machines.values())


def test_prices_are_integers_of_nanodollars() -> None:
    entry = {"cpu": 2, "memory": 8192, "on-demand": "0.1008", "spot": "0.000000001"}
    machines = prices.parse({"instanceTypes": {"m7i.large": entry}})
    assert machines == {"m7i.large": Machine(2, 8 * 2**30, 0, {"on-demand": 100_800_000, "spot": 1})}
    assert prices.hourly(machines, "m7i.large", "on-demand") == 100_800_000
    assert prices.hourly(machines, "m7i.large", None) is None
    assert prices.hourly(machines, None, "spot") is None
    assert prices.hourly(machines, "x.large", "spot") is None


RULE = "a price of m7i.large must be dollars as text, such as '0.1008', with at most nine decimals"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "prices must have a mapping 'instanceTypes'"),
        ({"instanceTypes": {"m7i.large": 1}}, "m7i.large must be a mapping; got 1"),
        ({"instanceTypes": {"m7i.large": {"cpu": 2}}}, "m7i.large must have 'cpu' and 'memory' as numbers"),
        ({"instanceTypes": {"m7i.large": {"spot": 0.1}}}, f"{RULE}; got 0.1"),
        ({"instanceTypes": {"m7i.large": {"spot": "cheap"}}}, f"{RULE}; got 'cheap'"),
        ({"instanceTypes": {"m7i.large": {"spot": "-1"}}}, f"{RULE}, from 0 to 10000; got '-1'"),
        ({"instanceTypes": {"m7i.large": {"spot": "NaN"}}}, f"{RULE}, from 0 to 10000; got 'NaN'"),
        ({"instanceTypes": {"m7i.large": {"spot": "0.0000000001"}}}, f"{RULE}, from 0 to 10000; got '0.0000000001'"),
    ],
)
def test_a_wrong_file_says_what_a_right_one_has(document: Any, message: str) -> None:
    with pytest.raises(PricesError) as caught:
        prices.parse(document)
    assert str(caught.value) == message


def test_a_file_that_is_not_yaml(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("a: [")
    with pytest.raises(PricesError, match="must be YAML"):
        prices.load(file)


def karpenter_type(name: str, memory: str, *offers: tuple[str, str, float]) -> dict[str, Any]:
    """An entry of Karpenter's list."""
    return {
        "name": name,
        "offerings": [
            {
                "Price": price,
                "Available": True,
                "Requirements": [
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [kind]},
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]},
                ],
            }
            for kind, zone, price in offers
        ],
        "architecture": "x86_64",
        "operatingSystems": ["linux"],
        "resources": {"cpu": "2", "memory": memory, "pods": "32"},
    }


TYPES = [
    karpenter_type("m7i.large", "8Gi", ("spot", "us-west-2a", 0.07056), ("on-demand", "us-west-2a", 0.1008)),
    karpenter_type("u7i.large", "0"),
]


def test_karpenters_list() -> None:
    assert renew_prices.karpenter_shapes(TYPES) == {"m7i.large": Shape(2, 8192)}
    assert renew_prices.spot_part(TYPES) == Decimal("0.70")
    with pytest.raises(PriceListError, match="Karpenter's list must have spot offers; got none"):
        renew_prices.spot_part(TYPES[1:])


def test_the_prices_of_karpenters_provider() -> None:
    quotes = renew_prices.provider_quotes(GO, "provider")
    assert (quotes.published, quotes.region) == (date(2026, 7, 20), "us-east-1")
    assert quotes.dollars["m7i.large"] == Decimal("0.1008")
    assert renew_prices.provider_gpus('\t"g5.48xlarge": {\n\t\tCount: 8,\n') == {"g5.48xlarge": 8}
    with pytest.raises(PriceListError, match="provider must have a date, a region and prices; got none"):
        renew_prices.provider_quotes("package pricing", "provider")


def offer_file(**others: dict[str, str]) -> dict[str, Any]:
    """An offer file with a plain machine, and others with these attributes instead, which cost more."""
    listed = {"PLAIN": PLAIN, **{sku: {**PLAIN, **changes} for sku, changes in others.items()}}
    products = {
        sku: {"sku": sku, "productFamily": "Compute Instance", "attributes": attributes}
        for sku, attributes in listed.items()
    }
    terms = {sku: {f"{sku}.JRTCKXETXF": _term("0.1200000000" if sku == "PLAIN" else "9.9")} for sku in listed}
    return {
        "formatVersion": "v1.0",
        "offerCode": "AmazonEC2",
        "version": "20261120191817",
        "publicationDate": "2026-11-20T19:18:17Z",
        "products": {**products, "DISK": {"sku": "DISK", "productFamily": "Storage", "attributes": {}}},
        "terms": {"OnDemand": terms, "Reserved": {}},
    }


def _term(dollars: str) -> dict[str, Any]:
    free = {"unit": "Hrs", "pricePerUnit": {"USD": "0.0000000000"}}
    return {"priceDimensions": {"FREE": free, "RATE": {"unit": "Hrs", "pricePerUnit": {"USD": dollars}}}}


def test_an_offer_file_of_the_price_list() -> None:
    document = offer_file(
        WINDOWS={"operatingSystem": "Windows"},
        SQL={"preInstalledSw": "SQL Std"},
        RESERVED={"capacitystatus": "AllocatedCapacityReservation"},
        DEDICATED={"tenancy": "Dedicated"},
        ELSEWHERE={"regionCode": "us-east-1"},
    )
    quotes, shapes = renew_prices.offer_quotes(document, "eu-central-1")
    assert quotes.dollars == {"m7i.large": Decimal("0.12")}
    assert quotes.source == "on-demand: AWS Price List, AmazonEC2 20261120191817"
    assert quotes.published == date(2026, 11, 20)
    assert shapes == {"m7i.large": Shape(2, 8192)}
    with pytest.raises(PriceListError, match="must have on-demand machines in eu-west-1; got none"):
        renew_prices.offer_quotes(document, "eu-west-1")
    with pytest.raises(PriceListError, match="must be AmazonEC2's; got 'AmazonS3'"):
        renew_prices.offer_quotes({**document, "offerCode": "AmazonS3"}, "eu-west-1")


def spot(zone: str, moment: str, price: str) -> dict[str, str]:
    product = {"InstanceType": "m7i.large", "ProductDescription": "Linux/UNIX"}
    return {**product, "AvailabilityZone": zone, "Timestamp": f"2026-11-2{moment}:00:00+00:00", "SpotPrice": price}


def test_a_spot_price_history() -> None:
    entries = [
        spot("eu-central-1a", "4T01", "0.0100"),
        spot("eu-central-1a", "4T09", "0.0500"),
        spot("eu-central-1b", "4T08", "0.0300"),
        spot("eu-central-1c", "4T07", "0.0400"),
    ]
    quotes = renew_prices.spot_quotes({"SpotPriceHistory": entries})
    assert quotes.dollars == {"m7i.large": Decimal("0.0400")}
    assert quotes.source == "spot: EC2's price history at 2026-11-24T09:00:00+00:00"
    with pytest.raises(PriceListError, match="must be of one region; got eu-central-1, us-east-1"):
        renew_prices.spot_quotes({"SpotPriceHistory": [*entries, spot("us-east-1a", "4T01", "0.01")]})
    with pytest.raises(PriceListError, match="must be of one region; got none"):
        renew_prices.spot_quotes({"SpotPriceHistory": []})


def test_the_written_file() -> None:
    on_demand = renew_prices.provider_quotes(GO, "on-demand: provider")
    names = renew_prices.chosen(on_demand.dollars, ["x9z.large"])
    assert names == ["m7i.large", "m7i-flex.large", "x9z.large"]
    shapes = {name: Shape(2, 8192) for name in names[:1]}
    text = renew_prices.as_yaml(shapes, on_demand, renew_prices.estimated_spot(on_demand, Decimal("0.70")))
    assert 'm7i.large: {cpu: 2, memory: 8192, on-demand: "0.1008", spot: "0.07056"}' in text
    jsonschema.validate(yaml.safe_load(text), json.loads((ROOT / "values" / "prices.schema.json").read_text()))
    elsewhere = renew_prices.spot_quotes({"SpotPriceHistory": [spot("eu-central-1a", "4T01", "0.01")]})
    with pytest.raises(PriceListError, match="spot prices must be of us-east-1, as the others; got eu-central-1"):
        renew_prices.as_yaml(shapes, on_demand, elsewhere)
    with pytest.raises(PriceListError, match=r"every machine of a node group must have a price; missing: x\.large"):
        renew_prices.chosen(on_demand.dollars, ["x.large"])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("c8i.medium", Shape(1, 2048)),
        ("m8a.large", Shape(2, 8192)),
        ("r8g.xlarge", Shape(4, 32768)),
        ("m7i-flex.16xlarge", Shape(64, 262144)),
        ("g6.xlarge", None),
        ("m8i.metal-48xl", None),
    ],
)
def test_what_a_machine_of_a_common_family_has(name: str, shape: Shape | None) -> None:
    assert renew_prices.conventional_shape(name) == shape


def test_how_many_pods_get_an_address() -> None:
    text = """\
\t"m7i.large": {
\t\tInterface:               3,
\t\tIPv4PerInterface:        10,
\t\tNetworkCards: []NetworkCard{
\t\t\t{
\t\t\t\tMaximumNetworkInterfaces: 3,
\t\t\t\tNetworkCardIndex:         0,
\t\t\t},
\t\t},
\t},
\t"p5.48xlarge": {
\t\tInterface:               64,
\t\tIPv4PerInterface:        50,
\t\tNetworkCards: []NetworkCard{
\t\t\t{
\t\t\t\tMaximumNetworkInterfaces: 2,
\t\t\t\tNetworkCardIndex:         0,
\t\t\t},
\t\t\t{
\t\t\t\tMaximumNetworkInterfaces: 2,
\t\t\t\tNetworkCardIndex:         1,
\t\t\t},
\t\t},
\t},
"""
    assert renew_prices.provider_pods(text) == {"m7i.large": 29, "p5.48xlarge": 100}


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("m7g.large", "arm64"),
        ("c6gn.medium", "arm64"),
        ("t4g.small", "arm64"),
        ("g5g.xlarge", "arm64"),
        ("g5.xlarge", "amd64"),
        ("g4dn.xlarge", "amd64"),
        ("gr6.4xlarge", "amd64"),
        ("m7i-flex.large", "amd64"),
    ],
)
def test_the_architecture_of_an_instance_type(name: str, architecture: str) -> None:
    assert renew_prices.architecture(name) == architecture
