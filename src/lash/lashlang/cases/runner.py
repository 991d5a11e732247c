"""Running a case and comparing what happened with what is expected."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from lash.base.json import Json, JsonObject
from lash.lashlang.cases.document import Case
from lash.lashlang.cases.host import case_catalog
from lash.lashlang.cases.world import CaseWorld
from lash.lashlang.diagnostics import render
from lash.lashlang.dialect import COMPAT, Dialect
from lash.lashlang.errors import LanguageError, LinkError, ParseError
from lash.lashlang.execution.outcomes import Continued, Failed, Faulted, Finished, Outcome
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import Abilities, HostEnvironment
from lash.lashlang.linking.linker import LinkedModule, link
from lash.lashlang.syntax.canonical import canonical_source
from lash.lashlang.syntax.features import LanguageFeatures
from lash.lashlang.syntax.parser import parse
from lash.lashlang.tracking.static_map import static_map
from lash.lashlang.values.json_form import from_json, to_json
from lash.lashlang.values.kinds import Value

_RESULTS: Final = frozenset(("expect", "outcome", "parse_error", "link_error", "runtime_error"))
_SKIPPED: Final = frozenset(("id", "setup", "improved", "unsure", "legacy", "later", "note"))
_POSITIONS: Final = frozenset(("span", "offset", "diagnostic"))
# By default an error may point at a better place than the reference's.
_BETTER_POSITIONS: Final = frozenset(("span", "diagnostic"))


def case_environment(case: Case) -> HostEnvironment:
    """The host environment that a case asks for."""
    setup = case.setup
    named = setup.get("abilities")
    names = {item.name for item in dataclasses.fields(Abilities)}
    enabled = names if not isinstance(named, list) else {str(name) for name in named}
    catalog = Catalog() if setup.get("catalog") == "empty" else case_catalog()
    features = LanguageFeatures(label_annotations=setup.get("labels", True) is True)
    return HostEnvironment(catalog, Abilities(**{name: name in enabled for name in names}), features)


def run_case(case: Case, dialect: Dialect) -> JsonObject:
    """Everything observable about a case, under the keys of the format."""
    environment = case_environment(case)
    setup = case.setup
    variables: dict[str, Value] = _values(setup.get("globals"), dialect)
    projected = _values(setup.get("projected"), dialect)
    seen: JsonObject = {}
    before = setup.get("before", [])
    for source in before if isinstance(before, list) else []:
        earlier = link(parse(str(source), dialect=dialect), environment, dialect=dialect)
        outcome = _world(earlier, environment, dialect, {}).run_cell(variables, projected)
        if isinstance(outcome, Faulted):
            seen["before_error"] = str(outcome.error)
    try:
        linked = link(parse(case.source, dialect=dialect), environment, dialect=dialect)
    except ParseError as error:
        return {**seen, "parse_error": str(error), "offset": error.offset, **_diagnostic(error, case, dialect)}
    except LinkError as error:
        span: Json = list(error.span) if error.span is not None else None
        return {**seen, "link_error": str(error), "span": span, **_diagnostic(error, case, dialect)}
    seen |= _identity(linked, case)
    signals = setup.get("signals", {})
    world = _world(linked, environment, dialect, signals if isinstance(signals, dict) else {})
    process = setup.get("process")
    if isinstance(process, str):
        args = setup.get("args", {})
        outcome = world.run_process(process, args if isinstance(args, dict) else {}, "p0")
    else:
        outcome = world.run_cell(variables, projected)
    seen |= _outcome(outcome, case, dialect)
    seen |= dataclasses.asdict(world.log)
    seen["globals"] = {name: to_json(value) for name, value in variables.items()}
    return seen


def _values(data: Json, dialect: Dialect) -> dict[str, Value]:
    if not isinstance(data, dict):
        return {}
    return {name: from_json(value, sort_keys=not dialect.insertion_order) for name, value in data.items()}


def _world(linked: LinkedModule, environment: HostEnvironment, dialect: Dialect, signals: JsonObject) -> CaseWorld:
    return CaseWorld(linked.artifact, environment.resources, dialect, signals)


def _diagnostic(error: LanguageError, case: Case, dialect: Dialect) -> JsonObject:
    return {"diagnostic": render(error, case.source, dialect=dialect)}


def _identity(linked: LinkedModule, case: Case) -> JsonObject:
    artifact = linked.artifact
    found: JsonObject = {
        "module_ref": artifact.module_ref,
        "host_requirements_ref": artifact.host_requirements_ref,
        "requirements": artifact.host_requirements.as_json(),
        "exports": {"processes": {name: ref.as_json() for name, ref in artifact.exports.items()}},
        "canonical_source": canonical_source(artifact.canonical_ir, artifact.host_requirements.resources),
    }
    if "main_map" in case.expected:
        found["main_map"] = static_map(artifact, None, reachable=True).as_json()
    process_map = case.expected.get("process_map")
    if isinstance(process_map, dict):
        name = str(process_map["of"])
        found["process_map"] = {"of": name, **static_map(artifact, name, reachable=True).as_json()}
    return found


def _outcome(outcome: Outcome, case: Case, dialect: Dialect) -> JsonObject:
    match outcome:
        case Finished(value=value):
            return {"expect": value}
        case Failed(value=value):
            return {"outcome": "failed", "expect": value}
        case Continued():
            return {"outcome": "continued"}
        case Faulted(error=error):
            return {"runtime_error": str(error), **_diagnostic(error, case, dialect)}


def mismatch(case: Case, dialect: Dialect) -> str | None:
    """Why a case fails, or None."""
    improved = case.expected.get("improved") if dialect is not COMPAT else None
    wanted = dict(case.expected)
    if isinstance(improved, dict):
        if _RESULTS & improved.keys():
            wanted = {key: value for key, value in wanted.items() if key not in _RESULTS | _POSITIONS}
        wanted |= improved
    try:
        seen = run_case(case, dialect)
    except Exception as error:
        return f"crashed: {type(error).__name__}: {error}"
    ignored = _SKIPPED | (_BETTER_POSITIONS if dialect is not COMPAT else frozenset())
    for key in sorted((_RESULTS & seen.keys()) | (wanted.keys() - ignored)):
        if key in wanted and key in seen and same_json(wanted[key], seen[key]):
            continue
        if dialect is not COMPAT and key == "link_error" and _same_but_integral(wanted.get(key), seen.get(key)):
            continue
        if key == "outcome" and seen.get(key) == "continued" and not _RESULTS & wanted.keys():
            continue
        return f"{key}: expected {wanted.get(key, 'nothing')!r}, got {seen.get(key, 'nothing')!r}"
    return None


def _same_but_integral(wanted: Json, seen: Json) -> bool:
    """Whether two link errors differ only in `int` for the reference's `float`: integral literals are ints."""
    if not isinstance(wanted, str) or not isinstance(seen, str) or "got " not in seen:
        return False
    (head, _, tail), (seen_head, _, seen_tail) = wanted.rpartition("got "), seen.rpartition("got ")
    return head == seen_head and re.sub(r"\bfloat\b", "int", tail) == re.sub(r"\bfloat\b", "int", seen_tail)


def same_json(left: Json, right: Json) -> bool:
    """Numbers by value, objects without order, everything else exactly."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_json(value, right[key]) for key, value in left.items())
    return left == right
