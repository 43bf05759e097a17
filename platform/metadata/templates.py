"""Message templates: what a mail or a notification says, with places for the fields of a record.

    templates/renewal_due.json
    {"kind": "template", "name": "renewal_due", "label": "Renewal due", "object": "opportunity",
     "subject": "{{ record.name }} ends on {{ record.end_date }}",
     "text": "Dear {{ record.account.name }}, …",
     "html": "<p>Dear {{ record.account.name }}, …</p>",
     "locales": {"zh-Hans": {"subject": "…", "text": "…"}}}

The language of the places is Jinja in its sandbox. Which fields a template reads is found out here, so that an unknown
one is a finding of ``ratoon check`` and only those fields are loaded, by the rights of whoever the message is for.

What the platform itself writes to people (an approval is asked for, a digest, …) are templates of the ``system``
package with ``"for"``: it says for what, and which names they get beside the usual ones (``PURPOSES``). One of another
package with the same ``"for"`` and no ``"object"`` takes its place; a process may name one of its own.

A template cannot run away: no macros, no parts of other templates, loops and lengths counted (``MAX_STEPS``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import say
from ratoon.platform.metadata.template_model import Template

if TYPE_CHECKING:
    from ratoon.platform.metadata.documents import Document
    from ratoon.platform.metadata.drafts import Drafts
    from ratoon.platform.metadata.formulas import Formulas
    from ratoon.platform.metadata.report import Report

PARTS = ("subject", "text", "html")
NAMES = frozenset({"record", "organization", "user", "url"})
"""What a template may name."""
PURPOSES: Mapping[str, frozenset[str]] = {
    "approval": frozenset({"approval", "link"}),
    "answer": frozenset({"approval"}),
    "assignment": frozenset({"assignment"}),
    "digest": frozenset({"messages", "period", "settings_url", "stop_url"}),
}
"""What the platform writes by itself → the names that such a template gets beside ``NAMES``."""
MAX_STEPS = 20_000
"""How often the loops of one part go round, all together."""
MAX_LENGTH = 1_000_000
"""Characters of a rendered part, and of any text made on the way."""

_STRING = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
_COMMENT = r"\{#.*?#\}|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
_PIECES = re.compile(
    rf"{_COMMENT}|(?P<code>\{{\{{(?:{_STRING}|[^\x22\x27])*?\}}\}}|\{{%(?:{_STRING}|[^\x22\x27])*?%\}})", re.DOTALL
)
"""What is not said as it stands: comments, raw passages, and ``code``."""
_CHAINS = re.compile(rf"{_STRING}|(?<![\w.])record\.(?P<chain>\w+(?:\.\w+)*)")


def renamed_text(text: str, change: Callable[[str], str]) -> str:
    """A part of a template in which ``change`` was asked about every chain on the record (``account.name``); what it
    does not change stays to the letter, and so does what only looks like a chain (in a string, in the words around)."""

    def chain(found: re.Match[str]) -> str:
        return found[0] if found["chain"] is None else f"record.{change(found['chain'])}"

    def piece(found: re.Match[str]) -> str:
        return found[0] if found["code"] is None else _CHAINS.sub(chain, found["code"])

    return _PIECES.sub(piece, text)


def compile_templates(drafts: Drafts, formulas: Formulas, report: Report) -> dict[str, Template]:
    """The templates by name; what is wrong is reported."""
    found = {document.data["name"]: _template(document, drafts, formulas, report) for document in drafts.templates}
    taken: dict[tuple[str, str | None], str] = {}
    for document in drafts.templates:
        template = found[document.data["name"]]
        if template.purpose is None or template.owner == "system":
            continue
        other = taken.setdefault((template.purpose, template.object), template.name)
        if other != template.name:
            message = say(
                "{other} is for {purpose} already; only one can be.", other=repr(other), purpose=repr(template.purpose)
            )
            report.add(document, ("for",), "duplicate", message)
    return found


def _template(document: Document, drafts: Drafts, formulas: Formulas, report: Report) -> Template:
    data = document.data
    object_name = data.get("object")
    if object_name is not None and object_name not in drafts.objects and not report.suspected(object_name):
        report.add(
            document,
            ("object",),
            "unknown_object",
            say("There is no object {name}.", name=repr(object_name)),
        )
    places: list[tuple[tuple[str, ...], str]] = [((part,), data[part]) for part in PARTS if part in data]
    places += [
        (("locales", locale, part), texts[part])
        for locale, texts in data.get("locales", {}).items()
        for part in PARTS
        if part in texts
    ]
    paths: set[str] = set()
    names = NAMES | PURPOSES.get(data.get("for", ""), frozenset())
    for path, source in places:
        paths |= _paths(document, path, source, object_name, names, formulas, report)
    return Template(
        name=data["name"],
        label=data["label"],
        object=object_name,
        texts={part: data[part] for part in PARTS if part in data},
        locales={locale: dict(texts) for locale, texts in data.get("locales", {}).items()},
        paths=frozenset(paths),
        owner=document.package,
        purpose=data.get("for"),
    )


def _paths(
    document: Document,
    path: tuple[str, ...],
    source: str,
    object_name: str | None,
    names: frozenset[str],
    formulas: Formulas,
    report: Report,
) -> set[str]:
    from jinja2 import Environment, TemplateSyntaxError, meta, nodes

    try:
        tree = Environment(autoescape=True).parse(source)
    except TemplateSyntaxError as error:
        message = say(
            "The template does not parse: {message} (line {lineno}).", message=error.message, lineno=error.lineno
        )
        report.add(document, path, "bad_template", message)
        return set()
    for kind, word in _refused(nodes):
        for node in tree.find_all(kind):
            message = say("A template takes no {word} (line {lineno}).", word=word, lineno=node.lineno)
            report.add(document, path, "bad_template", message)
    for name in sorted(meta.find_undeclared_variables(tree) - names):
        hint = say("names: {names}", names=", ".join(sorted(names)))
        report.add(document, path, "unknown_name", say("A template knows no {name}.", name=repr(name)), hint)
    found = _chains(tree, nodes)
    if found and object_name is None:
        report.add(document, path, "missing_key", say('It reads fields of the record: "object" must say which object.'))
        return set()
    for chain in sorted(found):
        scope = formulas.scopes.get(object_name or "")
        if scope is not None and not report.suspected(chain.split(".")[0]):
            formulas.compile(document, path, chain, scope, None)
    return found


def _refused(nodes: Any) -> tuple[tuple[Any, str], ...]:
    """Parts of Jinja that could run away or reach outside, with their names."""
    return (
        (nodes.Macro, "macro"), (nodes.CallBlock, "call block"), (nodes.Include, "include"), (nodes.Import, "import"),
        (nodes.FromImport, "import"), (nodes.Extends, "extends"), (nodes.Block, "block"),
    )  # fmt: skip


def _chains(tree: Any, nodes: Any) -> set[str]:
    """``record.account.name`` → ``account.name``: the longest chains on ``record``."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        steps: list[str] = []
        here = node
        while isinstance(here, nodes.Getattr):
            steps.append(here.attr)
            here = here.node
        if steps and isinstance(here, nodes.Name) and here.name == "record":
            found.add(".".join(reversed(steps)))
            return
        for child in node.iter_child_nodes():
            walk(child)

    walk(tree)
    return found
