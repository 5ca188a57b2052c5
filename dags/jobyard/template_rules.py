"""What a template may be: its limits, and which of Jinja's parts it may use.

The library refuses what is beyond it when a task runs, and `jobyard check` in the merge request: this module and
`template_budget`, `template_operations` and `template_environment` beside it import no Airflow, so that the command
line reads the very same files.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

# Of one rendering, which is all the templates of a task together.
STEPS = 100_000
# What compiling a template costs, before any of it is rendered.
STEPS_A_TEMPLATE = 500
SECONDS = 30.0
OUTPUT_CHARACTERS = 262_144
# Of one template.
TOKENS = 5_000
DEPTH = 40
# Of one value. Linux takes no longer argument of a program than 128 KiB.
TEXT_CHARACTERS = 65_536
ELEMENTS = 10_000
VALUE_DEPTH = 32
NUMBER = 2**63 - 1

LIMITS = {
    "a text": f"{TEXT_CHARACTERS:,} characters",
    "a list or mapping": f"{ELEMENTS:,} elements, those of its elements counted too, and {VALUE_DEPTH} levels",
    "a whole number": "64 bits",
    "one template": f"{TOKENS:,} tokens of Jinja and {DEPTH} levels",
    "all templates of a task": f"{STEPS:,} steps, {STEPS_A_TEMPLATE} of them for each template,"
    f" {OUTPUT_CHARACTERS:,} characters of output and {SECONDS:.0f} seconds of a processor",
}
"""What is bounded, and to how much; docs/job.md shows both."""


class TemplateRefusedError(Exception):
    """A template is beyond what a job's templates may be, make or use."""


def words(text: str) -> frozenset[str]:
    """Return the words of the text."""
    return frozenset(text.split())


NODES = words(
    """
    Add And Assign AssignBlock Compare Concat CondExpr Const Dict Div Filter FloorDiv For Getattr Getitem If
    Keyword List Mod Mul NSRef Name Neg Not Operand Or Output Pair Pos Pow Slice Sub Template TemplateData
    Test Tuple With Call
    """
)
# Names of Jinja's that stand for parts of a template.
RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs"})
GLOBALS = frozenset({"dict", "namespace", "range"})
FILTERS = words(
    """
    abs batch capitalize center count d default dictsort e escape filesizeformat first float format groupby
    indent int items join last length list lower map max min random reject rejectattr replace reverse round
    select selectattr slice sort string sum title tojson trim truncate unique upper urlencode wordcount
    """
)
# Airflow's, https://airflow.apache.org/docs/apache-airflow/stable/templates-ref.html#filters
DATE_FILTERS = frozenset({"ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz"})
TESTS = words(
    """
    != < <= == > >= boolean defined divisibleby eq equalto even false float ge greaterthan gt in integer
    iterable le lessthan lower lt mapping ne none number odd sameas sequence string true undefined upper
    """
)
STATEMENTS = {
    "Include": "include",
    "Import": "import",
    "FromImport": "import",
    "Extends": "extends",
    "Macro": "macro",
    "CallBlock": "call",
    "FilterBlock": "filter",
    "Block": "block",
    "ScopedEvalContextModifier": "autoescape",
    "ExprStmt": "do",
}
FILES = frozenset({"Include", "Import", "FromImport", "Extends"})


def problems(tree: nodes.Template) -> Iterator[str]:
    """Yield what a template may not have, in the order in which it has it."""
    seen: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while seen:
        node, depth = seen.pop()
        if depth > DEPTH:
            yield f"the template is nested too deep: at most {DEPTH} levels"
            return
        yield from _problem(node)
        children = [(child, depth + 1) for child in node.iter_child_nodes()]
        seen.extend(reversed(children))


def _problem(node: nodes.Node) -> Iterator[str]:
    kind = type(node).__name__
    if kind in FILES:
        yield "a template of a job can't read other files"
    elif kind not in NODES:
        yield f"a template of a job can't have '{STATEMENTS.get(kind, kind)}'"
    elif isinstance(node, nodes.For) and node.recursive:
        yield "a template of a job can't have recursive loops"
    elif isinstance(node, nodes.Name) and node.name in RESERVED:
        yield f"a template of a job can't use '{node.name}'"
    elif isinstance(node, nodes.Filter) and node.name not in FILTERS | DATE_FILTERS:
        yield f"unknown filter '{node.name}'"
    elif isinstance(node, nodes.Test) and node.name not in TESTS:
        yield f"unknown test '{node.name}'"
    elif isinstance(node, nodes.Const) and isinstance(node.value, int) and abs(node.value) > NUMBER:
        yield "a whole number in a template has at most 64 bits"
