"""What Airflow's own Jinja gets to see of a template: a text that it hands to a macro of ours."""

import re
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.ext import Extension

from jobyard.errors import TemplateError

# The macro that renders. To Airflow's own Jinja a template is a call of it with a text, and nothing else.
RENDER = "jobyard_template"
# What a text in such a call cannot have as it is, also where Airflow 2 shows it as a text of Python.
SPECIAL = re.compile(r"""['"\\{}%#\x00-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff]""")
ESCAPE = re.compile(r"\\u([0-9a-f]{4})")
CALL = re.compile(rf"\{{\{{{RENDER}\('([^']*)'\)\}}\}}")
# Jinja's, which Airflow's environment has besides our macros.
JINJA_GLOBALS = frozenset({"cycler", "dict", "joiner", "lipsum", "namespace", "range"})


def guarded(value: Any) -> Any:
    """Return the value, in which every template has become a call of the macro that renders it within bounds.

    Airflow 2's webserver renders the templates of a task that has not run yet, from the DAG as it is stored: without
    its extensions and macros, but with its own rights. And Jinja computes what is constant before it renders anything.
    """
    if isinstance(value, dict):
        return {guarded(key): guarded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [guarded(entry) for entry in value]
    if isinstance(value, str) and "{" in value:
        text = SPECIAL.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
        return f"{{{{{RENDER}('{text}')}}}}"
    return value


def unguarded(text: str) -> str:
    """Return a text of `guarded` as it was written."""
    return CALL.sub(lambda found: ESCAPE.sub(lambda code: chr(int(code[1], 16)), found[1]), text)


class CallsAlone(Extension):
    """Has Airflow's own environment call our macros and do nothing else; an extension is what a DAG can bring.

    One environment renders all templates of a task, so what they share is here.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        environment.code_generator_class = _CallGenerator
        self.shared: Any = None


class _CallGenerator(CodeGenerator):
    """Compiles a template of Airflow's if it calls macros with constants, and has nothing else in it."""

    ALLOWED = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Call, nodes.Name, nodes.Const)

    def visit_Template(self, node: nodes.Template, frame: Any = None) -> None:
        for part in node.find_all(nodes.Node):
            if not isinstance(part, self.ALLOWED):
                raise TemplateError(f"only {RENDER} renders templates, and this one has a {type(part).__name__}")
        called = {id(call.node) for call in node.find_all(nodes.Call)}
        macros = {name for name, value in self.environment.globals.items() if callable(value)}
        for name in node.find_all(nodes.Name):
            if id(name) not in called or name.name not in macros or name.name in JINJA_GLOBALS:
                raise TemplateError(f"only {RENDER} renders templates, and this one names {name.name[:80]!r}")
        super().visit_Template(node, frame)
