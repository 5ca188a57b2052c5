"""Jinja with a budget: every value that a template makes or uses is weighed, and every loop paid for before it runs.

The tree of a template is looked at before any of it is compiled, and compiled without Jinja's own optimizer, which
computes constants on the spot.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import islice
from types import SimpleNamespace
from typing import Any

from jinja2 import StrictUndefined, Template, nodes
from jinja2.ext import Extension
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import _GroupTuple
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import Namespace, pass_context, pass_environment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from jobyard.template_budget import Budget
from jobyard.template_operations import (
    SLOW_FILTERS,
    SLOWNESS,
    allowed_attributes,
    check_call,
    check_filter,
    check_operator,
)
from jobyard.template_rules import (
    ELEMENTS,
    FILTERS,
    NUMBER,
    OUTPUT_CHARACTERS,
    STEPS_A_TEMPLATE,
    TESTS,
    TOKENS,
    TemplateRefusedError,
    problems,
)

# Each token of a template: parsing and compiling take longer than most steps.
STEPS_A_TOKEN = 15
# What one look at an Airflow Variable or an output costs, for which Airflow asks its database.
STEPS_A_READ = 200
# Filters that a template gets where it has something else; no template can name them.
WEIGHED = "weighed"
JOINED = "joined"
LOOPED = "looped"


class Lazy:
    """A value that is asked for once a template uses its name."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._known = False
        self._value: object = None

    def __call__(self) -> object:
        """Return the value."""
        if not self._known:
            self._value = self._ask()
            self._known = True
        return self._value


class Function:
    """Something of ours that a template may call."""

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, *arguments: object, **named: object) -> object:
        """Return what it returns."""
        return self._call(*arguments, **named)


class Accessor:
    """Something of ours with attributes or keys that are asked for by their names."""

    def read(self, name: str) -> object:
        """Return the value of that name."""
        raise NotImplementedError


class BoundEnvironment(SandboxedEnvironment):
    """Renders the templates of one task, within one budget."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, budget: Budget, filters: Mapping[str, Callable[..., object]] | None = None) -> None:
        """`filters` are some besides Jinja's own."""
        super().__init__(
            undefined=StrictUndefined, extensions=[_CountTokens], cache_size=0, optimized=False, finalize=_finalize
        )
        self.budget = budget
        self.context_class = _LazyContext
        extra = {name: _bounded_filter(name, function) for name, function in (filters or {}).items()}
        self.filters = {**_FILTERS, **extra}
        self.tests = dict(_TESTS)
        self.globals = {
            "dict": Function(dict),
            "namespace": Function(Namespace),
            "range": Function(_range),
        }

    def render(self, source: str, names: Mapping[str, object]) -> str:
        """Return what the template makes.

        Raises:
            TemplateRefusedError: it is beyond what a template may be, make or use.
            Exception: what Jinja, Python or a lazy name raises.
        """
        if len(source) > OUTPUT_CHARACTERS:
            raise TemplateRefusedError(
                f"a template must have at most {OUTPUT_CHARACTERS:,} characters; got {len(source):,}"
            )
        try:
            with self.budget.counting():
                self.budget.spend(STEPS_A_TEMPLATE)
                return self.compiled(self.parse(source)).render(names)
        except (RecursionError, MemoryError) as error:
            raise TemplateRefusedError("the template is nested too deep") from error

    def compiled(self, tree: nodes.Template) -> Template:
        """Return the template of that tree.

        Raises:
            TemplateRefusedError: it has something that a template may not have.
        """
        for problem in problems(tree):
            raise TemplateRefusedError(problem)
        code = self.compile(_Paid().visit(tree))
        return self.template_class.from_code(self, code, self.make_globals(None))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of the operator, once both sides are known to fit."""
        check_operator(self.budget, operator, left, right)
        return self.settled(super().call_binop(context, operator, left, right))

    def call(self, context: Context, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Return what the function returns, once it and its arguments are known to be harmless."""
        # Jinja's own, for functions that want its context.
        named = {name: value for name, value in named.items() if name not in ("_loop_vars", "_block_vars")}
        if isinstance(function, Undefined):
            return function()
        self.weigh_all((*arguments, *named.values()))
        check_call(function, _FUNCTIONS, arguments, named)
        return self.settled(function(*arguments, **named))

    def getattr(self, owner: Any, attribute: str) -> Any:
        """Return the attribute or, of a mapping, the value of that key."""
        if attribute in allowed_attributes(owner):
            return getattr(owner, attribute)
        if isinstance(owner, Undefined):
            # It raises; its attributes, which are Jinja's, would not.
            return owner[attribute]
        return self._inside(owner, attribute)

    def getitem(self, owner: Any, argument: Any) -> Any:
        """Return the element or, if it does not exist, the attribute of that name."""
        if isinstance(owner, Undefined):
            return owner[argument]
        found = self._inside(owner, argument)
        if isinstance(found, Undefined) and type(argument) is str and argument in allowed_attributes(owner):
            return getattr(owner, argument)
        return found

    def _inside(self, owner: Any, key: Any) -> Any:
        kind = type(owner)
        if type(key) is str and not key.startswith("_"):
            if isinstance(owner, Accessor):
                self.budget.spend(STEPS_A_READ)
                return owner.read(key)
            if kind is SimpleNamespace and key in vars(owner):
                return vars(owner)[key]
            if kind is Namespace:
                return getattr(owner, key, self.undefined(obj=owner, name=key))
        if kind in _SUBSCRIPTABLE:
            try:
                return owner[key]
            except (TypeError, LookupError):
                pass
        return self.undefined(obj=owner, name=key)

    def weigh_all(self, values: Iterable[object]) -> None:
        """Pay for what goes into a call."""
        for value in values:
            if type(value) not in _OPAQUE:
                self.budget.weigh(value)

    def settled(self, value: Any) -> Any:
        """Return what an operation has made as a plain value, paid for."""
        if isinstance(value, Markup):
            value = str.__str__(value)
        elif isinstance(value, Iterator | KeysView | ValuesView | ItemsView):
            value = list(islice(value, ELEMENTS + 1))
        if type(value) not in _OPAQUE:
            self.budget.weigh(value)
        return value


class _CountTokens(Extension):
    """Pays for a template by its tokens, before it is parsed."""

    environment: BoundEnvironment

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        for number, token in enumerate(stream, start=1):
            if number > TOKENS:
                raise TemplateRefusedError(f"a template must have at most {TOKENS:,} Jinja tokens")
            self.environment.budget.spend(STEPS_A_TOKEN)
            yield token


class _LazyContext(Context):
    """Jinja's context, which asks for a lazy value once its name is used."""

    def resolve_or_missing(self, key: str) -> Any:
        value = super().resolve_or_missing(key)
        if type(value) is Lazy:
            return value()
        return value


class _Paid(NodeTransformer):
    """Has a template pay where Jinja itself would call nothing: what it builds, joins, compares and goes through."""

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Const:
        return nodes.Const(node.data, lineno=node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), JOINED)

    def visit_List(self, node: nodes.List) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(node, WEIGHED)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(node, WEIGHED)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        if node.ctx == "store":
            return node
        return _filtered(node, WEIGHED)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            return _filtered(node, WEIGHED)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, WEIGHED)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, WEIGHED)
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:
        size = sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = _filtered(node.iter, LOOPED, nodes.Const(size))
        return node


def _filtered(node: Any, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


@pass_context
def _finalize(context: Context, value: Any) -> str:
    budget = _budget(context)
    budget.weigh(value)
    return budget.write(str(value))


def _budget(context: Context) -> Budget:
    environment: Any = context.environment
    found: Budget = environment.budget
    return found


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    _budget(context).weigh(value)
    return value


@pass_context
def _joined(context: Context, values: list[Any]) -> str:
    budget = _budget(context)
    budget.weigh(values)
    text = "".join(map(str, values))
    budget.weigh(text)
    return text


@pass_context
def _looped(context: Context, values: Any, size: int) -> Any:
    """Pay for each round of a loop with so many nodes in it; what it goes through is all there."""
    budget = _budget(context)
    budget.weigh(values)
    budget.spend(len(values) * size)
    return values


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    # `len` of a longer one fails.
    if any(abs(bound) > NUMBER for bound in bounds) or len(numbers) > ELEMENTS:
        raise TemplateRefusedError(f"range in a template must have at most {ELEMENTS:,} numbers")
    return list(numbers)


def _bounded_filter(name: str, function: Any) -> Callable[..., object]:
    marker = getattr(function, "jinja_pass_arg", None)
    times = SLOWNESS if name in SLOW_FILTERS else 1

    @pass_context
    def run(context: Context, value: Any, *arguments: Any, **named: Any) -> Any:
        environment: Any = context.environment
        environment.weigh_all((*[value] * times, *arguments, *named.values()))
        check_filter(name, value, arguments, named)
        first = {"context": context, "eval_context": context.eval_ctx, "environment": environment}
        passed = (first[marker.name],) if marker else ()
        return environment.settled(function(*passed, value, *arguments, **named))

    return run


def _bounded_test(function: Any) -> Callable[..., object]:
    @pass_environment
    def run(environment: BoundEnvironment, value: Any, *arguments: Any) -> object:
        environment.weigh_all((value, *arguments))
        return function(value, *arguments)

    return run


_FUNCTIONS = frozenset({Function})
_OPAQUE = frozenset({Namespace})
_SUBSCRIPTABLE = frozenset({dict, list, str, tuple, _GroupTuple})
_FILTERS = {
    WEIGHED: _weighed,
    JOINED: _joined,
    LOOPED: _looped,
    **{name: _bounded_filter(name, JINJA_FILTERS[name]) for name in FILTERS},
}
_TESTS = {name: _bounded_test(JINJA_TESTS[name]) for name in TESTS}
