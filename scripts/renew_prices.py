"""Writes values/prices.yaml: what each instance type has, and what it costs an hour, on demand and as spot.

    python scripts/renew_prices.py                                     # from Karpenter's modules, as pinned below
    python scripts/renew_prices.py --offers index.json --spot spot.json --region eu-central-1

Karpenter's Go modules need no account. One lists machines with their resources, and takes a fixed part of the on-demand
price for spot (kwok/tools/gen_instance_types.go); its provider for AWS has on-demand prices of one region, as AWS's
Price List API had them on the day that the file names, the number of GPUs, and the network cards, which bound the pods.

For another region, or prices of today, a person downloads an offer file of the Price List bulk API, and the spot prices
of this moment:

    https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/<region>/index.json
    aws ec2 describe-spot-price-history --product-descriptions Linux/UNIX --start-time "$(date --utc --iso-8601=s)"
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from jobyard_cli.errors import JobyardError
from jobyard_cli.go.toolchain import ENVIRONMENT, go_command
from jobyard_cli.system.programs import run

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "values" / "prices.yaml"
NODE_GROUPS = ROOT / "values" / "node-groups.yaml"
KARPENTER = ("sigs.k8s.io/karpenter", "v1.15.0")
LIST = "kwok/examples/aws_instance_types.json"
PROVIDER = ("github.com/aws/karpenter-provider-aws", "v1.15.1")
PRICES = "pkg/providers/pricing/zz_generated.pricing_aws.go"
GPUS = "pkg/providers/drametadata/zz_generated_gpu_metadata.go"
NETWORKS = "pkg/providers/instancetype/zz_generated.vpclimits.go"
FAMILIES = re.compile(r"(m|c|r)(6|7|8)(i|a|g)(d|n|dn)?(-flex)?\.|(g4dn|g5|g5g|g6|g6e|gr6|p4d|p4de|p5|t3|t3a|t4g)\.")
"""What people run batch jobs on: the current generations of general, compute and memory machines, Intel's, AMD's and
Graviton's, and machines with GPUs. The types of values/node-groups.yaml are kept whatever their family."""

BARE_METAL = ".metal"
MEMORY = {"Mi": 1, "Gi": 2**10, "Ti": 2**20}
GIB_OF_A_CORE = {"c": 2, "m": 4, "r": 8}
SIZES = {"medium": 1, "large": 2, "xlarge": 4}

HEAD = """\
# yaml-language-server: $schema=prices.schema.json
# Written by scripts/renew_prices.py, which says how to get another region's prices. They are dollars an hour, before
# discounts. `cpu` is in cores, `memory` in MiB: the machine's, before what daemons reserve. `pods` is how many get an
# address of its network cards. Machines without `architecture` are amd64.
"""
AMD64 = "amd64"


@dataclass(frozen=True)
class Shape:
    """What an instance type has: cores, MiB of memory, NVIDIA GPUs, its processors' architecture, room for pods."""

    cpu: int
    memory: int
    gpu: int = 0
    architecture: str = AMD64
    pods: int = 0


@dataclass(frozen=True)
class Quotes:
    """What a source says: its name, when it was published, the region, dollars an hour by instance type."""

    source: str
    published: date
    region: str
    dollars: Mapping[str, Decimal]


class PriceListError(Exception):
    """A source of prices is not as expected; the text says what is wrong."""


def karpenter_shapes(types: Iterable[Mapping[str, Any]]) -> dict[str, Shape]:
    """Return what the machines of Karpenter's list have; it lists each type once for every operating system.

    Machines that it knows no memory of are left out.
    """
    return {entry["name"]: _shape(entry["resources"]) for entry in types if entry["resources"]["memory"] != "0"}


def spot_part(types: Iterable[Mapping[str, Any]]) -> Decimal:
    """Return the part of the on-demand price that Karpenter's list has for spot: the median of all machines and zones.

    Raises:
        PriceListError: no machine has offers of both kinds.
    """
    parts = []
    for entry in types:
        prices = _offers(entry)
        parts += [spot / prices["on-demand", zone] for (kind, zone), spot in prices.items() if kind == "spot"]
    if not parts:
        raise PriceListError("Karpenter's list must have spot offers; got none")
    return sorted(parts)[len(parts) // 2].quantize(Decimal("0.01"))


def provider_quotes(text: str, source: str) -> Quotes:
    """Return the on-demand prices in the Go source that Karpenter's provider generates from AWS's Price List API.

    Raises:
        PriceListError: the text has no such prices.
    """
    generated = re.search(r"^// generated at (\d{4}-\d\d-\d\d)T\S+ for (\S+)$", text, re.M)
    prices = re.findall(r'"([a-z0-9-]+\.[a-z0-9-]+)": ([0-9.]+)', text)
    if not generated or not prices:
        raise PriceListError(f"{source} must have a date, a region and prices; got none")
    dollars = {name: Decimal(price) for name, price in prices}
    return Quotes(source, date.fromisoformat(generated[1]), generated[2], dollars)


def provider_gpus(text: str) -> dict[str, int]:
    """Return the number of NVIDIA GPUs by instance type, as the provider's generated source has them."""
    return {name: int(count) for name, count in re.findall(r'"([a-z0-9-]+\.[a-z0-9-]+)": \{\s+Count: (\d+)', text)}


def provider_pods(text: str) -> dict[str, int]:
    """Return how many pods get an address by instance type, as the provider's generated source has its network cards.

    The first address of each interface is the machine's own; two pods use the machine's network. Source:
    https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html
    """
    entries = re.findall(
        r'"([a-z0-9-]+\.[a-z0-9-]+)": \{\s+Interface:\s+\d+,\s+IPv4PerInterface:\s+(\d+),(.*?)\n\t\},', text, re.S
    )
    pods = {}
    for name, addresses, rest in entries:
        # Pods have addresses of the first network card alone.
        card = re.search(r"MaximumNetworkInterfaces:\s+(\d+),\s+NetworkCardIndex:\s+0,", rest)
        if card:
            pods[name] = int(card[1]) * (int(addresses) - 1) + 2
    return pods


def architecture(name: str) -> str:
    """Return the architecture of an instance type's processors: Graviton's have a `g` behind the generation.

    Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    """
    match = re.match(r"([a-z]+?)(\d)([a-z]*)", name)
    assert match, name
    return "arm64" if "g" in match[3] or name.startswith("a1.") else AMD64


def offer_quotes(document: Mapping[str, Any], region: str) -> tuple[Quotes, dict[str, Shape]]:
    """Return what an offer file of the Price List bulk API says of Linux on shared machines, on demand.

    `products` describe machines by SKU; `terms.OnDemand` has their prices by SKU. The same machine is listed with other
    systems, preinstalled software, reservations and tenancies, which have other prices. Source:
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html

    Raises:
        PriceListError: it is not an offer file of EC2, or has no machine of the region.
    """
    if document.get("offerCode") != "AmazonEC2":
        raise PriceListError(f"the offer file must be AmazonEC2's; got {document.get('offerCode')!r}")
    dollars, shapes = {}, {}
    for sku, product in document["products"].items():
        attributes = product.get("attributes", {})
        price = _on_demand(document["terms"].get("OnDemand", {}).get(sku, {}))
        if price and _is_plain(product, attributes, region):
            name = attributes["instanceType"]
            dollars[name], shapes[name] = price, _offered_shape(attributes)
    if not dollars:
        raise PriceListError(f"the offer file must have on-demand machines in {region}; got none")
    published = date.fromisoformat(document["publicationDate"][:10])
    source = f"on-demand: AWS Price List, AmazonEC2 {document['version']}"
    return Quotes(source, published, region, dollars), shapes


def spot_quotes(document: Mapping[str, Any]) -> Quotes:
    """Return the spot prices of a spot price history: of each machine the newest of each zone, of the zones the median.

    Source of the format: https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-spot-price-history.html

    Raises:
        PriceListError: it has no prices, or zones of several regions.
    """
    newest: dict[tuple[str, str], tuple[str, Decimal]] = {}
    for entry in document.get("SpotPriceHistory", []):
        key = entry["InstanceType"], entry["AvailabilityZone"]
        newest[key] = max(newest.get(key, ("", Decimal(0))), (entry["Timestamp"], Decimal(entry["SpotPrice"])))
    regions = sorted({zone[:-1] for _, zone in newest})
    if len(regions) != 1:
        raise PriceListError(f"spot prices must be of one region; got {', '.join(regions) or 'none'}")
    prices: dict[str, list[Decimal]] = {}
    for (name, _), (_, price) in newest.items():
        prices.setdefault(name, []).append(price)
    moment = max(timestamp for timestamp, _ in newest.values())
    medians = {name: sorted(found)[(len(found) - 1) // 2] for name, found in prices.items()}
    return Quotes(f"spot: EC2's price history at {moment}", date.fromisoformat(moment[:10]), regions[0], medians)


def estimated_spot(on_demand: Quotes, part: Decimal) -> Quotes:
    """Return spot prices for want of real ones: a part of the on-demand price."""
    dollars = {name: price * part for name, price in on_demand.dollars.items()}
    source = f"spot: no prices of AWS, but {part} of on-demand, as {KARPENTER[0]} {KARPENTER[1]} has them in {LIST}"
    return Quotes(source, on_demand.published, on_demand.region, dollars)


def conventional_shape(name: str) -> Shape | None:
    """Return what AWS's naming says of a general, compute or memory machine that no list describes yet.

    A core of these families has 4, 2 or 8 GiB; `large` has two cores, `<n>xlarge` four times n.
    """
    match = re.fullmatch(r"([cmr])[678][a-z]+(?:-flex)?\.(?:(medium|large|xlarge)|(\d+)xlarge)", name)
    if not match:
        return None
    cores = SIZES[match[2]] if match[2] else SIZES["xlarge"] * int(match[3])
    return Shape(cores, cores * GIB_OF_A_CORE[match[1]] * MEMORY["Gi"])


def chosen(names: Iterable[str], always: Iterable[str]) -> list[str]:
    """Return the instance types that the file has: the common families, and those in `always`.

    Raises:
        PriceListError: a type in `always` is not among `names`.
    """
    priced, wanted = set(names), set(always)
    if wanted - priced:
        raise PriceListError(f"every machine of a node group must have a price; missing: {', '.join(wanted - priced)}")
    common = {name for name in priced if FAMILIES.match(name) and BARE_METAL not in name}
    return sorted(common | wanted, key=_order)


def as_yaml(shapes: Mapping[str, Shape], on_demand: Quotes, spot: Quotes) -> str:
    """Return the text of values/prices.yaml, with the machines of `shapes`.

    Raises:
        PriceListError: the two are not of one region.
    """
    if on_demand.region != spot.region:
        raise PriceListError(f"spot prices must be of {on_demand.region}, as the others; got {spot.region}")
    head = {
        "source": [on_demand.source, spot.source],
        "date": max(on_demand.published, spot.published).isoformat(),
        "region": on_demand.region,
        "currency": "USD",
    }
    lines = [
        f"  {name}: {_flow(shape, on_demand.dollars[name], spot.dollars.get(name))}" for name, shape in shapes.items()
    ]
    return HEAD + yaml.safe_dump(head, sort_keys=False, width=200) + "\n".join(["instanceTypes:", *lines, ""])


def node_group_types(text: str) -> set[str]:
    """Return the instance types that values/node-groups.yaml names."""
    groups = yaml.safe_load(text)["nodeGroups"].values()
    return {name for group in groups for name in group["instanceTypes"]}


def _offers(entry: Mapping[str, Any]) -> dict[tuple[str, str], Decimal]:
    """Return the price of each available offer by capacity type and zone."""
    prices = {}
    for offer in entry["offerings"]:
        values = {wanted["key"]: wanted["values"][0] for wanted in offer["Requirements"]}
        if offer["Available"] and offer["Price"]:
            key = values["karpenter.sh/capacity-type"], values["topology.kubernetes.io/zone"]
            prices[key] = Decimal(str(offer["Price"]))
    return prices


def _shape(resources: Mapping[str, str]) -> Shape:
    return Shape(int(resources["cpu"]), _mebibytes(resources["memory"]), int(resources.get("nvidia.com/gpu", 0)))


def _offered_shape(attributes: Mapping[str, str]) -> Shape:
    return Shape(int(attributes["vcpu"]), _mebibytes(attributes["memory"]), int(attributes.get("gpu", 0)))


def _mebibytes(quantity: str) -> int:
    match = re.fullmatch(r"([0-9.,]+) ?(Mi|Gi|Ti)B?", quantity)
    if not match:
        raise PriceListError(f"a machine's memory must be in Mi, Gi or Ti; got {quantity!r}")
    return int(Decimal(match[1].replace(",", "")) * MEMORY[match[2]])


def _is_plain(product: Mapping[str, Any], attributes: Mapping[str, str], region: str) -> bool:
    """Whether a product is a plain machine: the same conditions as Karpenter's provider asks the Price List API for."""
    plain = {
        "regionCode": region,
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "tenancy": "Shared",
        "marketoption": "OnDemand",
    }
    same = all(attributes.get(name) == value for name, value in plain.items())
    return product.get("productFamily") == "Compute Instance" and "instanceType" in attributes and same


def _on_demand(terms: Mapping[str, Any]) -> Decimal | None:
    """Return the price an hour of a product's on-demand terms: the first that is not zero."""
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            dollars = Decimal(dimension["pricePerUnit"].get("USD", "0"))
            if dimension["unit"] == "Hrs" and dollars:
                return dollars
    return None


def _order(name: str) -> tuple[str, int, str]:
    """Return a key that sorts the sizes of a family by how large they are."""
    family, _, size = name.partition(".")
    factor = re.match(r"\d+", size)
    if factor:
        return family, int(factor[0]) + 10, size
    named = ("nano", "micro", "small", "medium", "large", "xlarge")
    return family, named.index(size) if size in named else 0, size


def _flow(shape: Shape, on_demand: Decimal, spot: Decimal | None) -> str:
    values = {"cpu": str(shape.cpu), "memory": str(shape.memory)}
    if shape.gpu:
        values["gpu"] = str(shape.gpu)
    if shape.architecture != AMD64:
        values["architecture"] = shape.architecture
    if shape.pods:
        values["pods"] = str(shape.pods)
    values["on-demand"] = _text(on_demand)
    if spot:
        values["spot"] = _text(spot)
    return "{" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}"


def _text(dollars: Decimal) -> str:
    return f'"{dollars.quantize(Decimal("1e-9")).normalize():f}"'


@cache
def _go() -> tuple[str, ...]:
    return tuple(go_command(print))


@cache
def _module(name: str, version: str) -> Path:
    """Return the folder of a Go module, downloaded through Go's proxy if necessary.

    Raises:
        ProgramError: the download failed.
    """
    command = [*_go(), "mod", "download", "-json", f"{name}@{version}"]
    with TemporaryDirectory() as nowhere:
        answer = run(command, what=f"fetching {name}", cwd=Path(nowhere), environment=ENVIRONMENT)
    return Path(json.loads(answer)["Dir"])


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _prices_of_karpenter() -> Quotes:
    name, version = PROVIDER
    return provider_quotes((_module(name, version) / PRICES).read_text(), f"on-demand: {name} {version}, {PRICES}")


def renewed(offers: Path | None, spot: Path | None, region: str) -> str:
    """Return the text of values/prices.yaml, from the files given, and from Karpenter's modules for what they lack.

    Raises:
        PriceListError: a source is not as expected.
        ProgramError: a module can't be downloaded.
    """
    types = _read(_module(*KARPENTER) / LIST)
    provider = _module(*PROVIDER)
    gpus = provider_gpus((provider / GPUS).read_text())
    pods = provider_pods((provider / NETWORKS).read_text())
    shapes = karpenter_shapes(types)
    on_demand = _prices_of_karpenter()
    if offers:
        on_demand, offered = offer_quotes(_read(offers), region)
        shapes |= offered
    quotes = spot_quotes(_read(spot)) if spot else estimated_spot(on_demand, spot_part(types))
    found = {}
    for name in chosen(on_demand.dollars, node_group_types(NODE_GROUPS.read_text(encoding="utf-8"))):
        shape = shapes.get(name) or conventional_shape(name)
        if shape:
            gpu = gpus.get(name, shape.gpu)
            found[name] = replace(shape, gpu=gpu, architecture=architecture(name), pods=pods.get(name, 0))
    return as_yaml(found, on_demand, quotes)


def main(arguments: list[str]) -> int:
    """Write the file; 1 where a source is not as expected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--offers", type=Path, help="offer file of the Price List bulk API; default: Karpenter's prices"
    )
    parser.add_argument("--spot", type=Path, help="spot price history; default: a part of the on-demand price")
    parser.add_argument("--region", default="us-east-1", help="region of the offer file; default: us-east-1")
    options = parser.parse_args(arguments)
    try:
        text = renewed(options.offers, options.spot, options.region)
    except (PriceListError, JobyardError) as error:
        print(f"renew_prices: {error}", file=sys.stderr)
        return 1
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
