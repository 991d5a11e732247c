"""The case host's catalog, as `docs/spec/lashlang-cases.md` describes it."""

from __future__ import annotations

from lash.lashlang.host.catalog import Catalog, NamedDataType, OperationType
from lash.lashlang.syntax.types import (
    ANY,
    DICT,
    FLOAT,
    STR,
    EnumType,
    ObjectField,
    ObjectType,
    TypeExpr,
    UnionType,
)


def _object(**fields: TypeExpr) -> ObjectType:
    return ObjectType(tuple(ObjectField(name, type_) for name, type_ in fields.items()))


def case_catalog() -> Catalog:
    """Modules, constructors and trigger sources of the case host."""
    catalog = Catalog()
    catalog.add_operation("tools", "Tools", "echo", "echo", OperationType(ANY, ANY))
    catalog.add_operation("tools", "Tools", "fail", "fail", OperationType(ANY, ANY))
    catalog.add_operation("tools", "Tools", "upper", "text_upper", OperationType(_object(text=STR), STR))
    catalog.add_operation("files", "Files", "read", "read_file", OperationType(_object(path=STR), STR))
    send = OperationType(_object(to=STR), DICT)
    catalog.add_operation("mail.work", "Mail", "send", "mail_work_send", send)
    catalog.add_operation("mail.personal", "Mail", "send", "mail_personal_send", send)
    catalog.add_triggers()
    tick = NamedDataType("timer.Tick", _object(fired_at=STR))
    schedule = ObjectType((ObjectField("expr", STR), ObjectField("tz", STR, optional=True)))
    catalog.add_trigger_source("timer.Schedule", schedule, tick)
    button = UnionType((EnumType(("Red",)), EnumType(("Blue",))))
    pressed = NamedDataType("ui.button.Pressed", _object(button=button, message=STR))
    catalog.add_trigger_source("ui.button.pressed", ObjectType(()), pressed)
    catalog.add_constructor("shapes.Point", _object(x=FLOAT, y=FLOAT))
    return catalog
