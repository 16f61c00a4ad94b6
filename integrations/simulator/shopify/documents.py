"""What is wrong with a document or its variables, in the platform's words."""

from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    ValidationRule,
    Visitor,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
    print_ast,
    type_from_ast,
    validate,
    visit,
)
from graphql.language import (
    ArgumentNode,
    DirectiveNode,
    FieldNode,
    ObjectFieldNode,
    ObjectValueNode,
    VariableNode,
)
from graphql.pyutils import Undefined
from graphql.validation import specified_rules

DOCUMENTATION = "https://shopify.dev/api/usage"
# The rules whose refusals have a code of their own; a name of a library's rule: the platform's code.
CODES = {
    "KnownDirectivesRule": "undefinedDirective",
    "KnownTypeNamesRule": "undefinedType",
    "KnownFragmentNamesRule": "undefinedFragment",
    "NoUnusedFragmentsRule": "useAndDefineFragment",
    "NoUndefinedVariablesRule": "variableNotDefined",
    "NoUnusedVariablesRule": "variableNotUsed",
    "VariablesInAllowedPositionRule": "variableMismatch",
    "PossibleFragmentSpreadsRule": "cannotSpreadFragment",
    "UniqueArgumentNamesRule": "argumentNotUnique",
    "OverlappingFieldsCanBeMergedRule": "fieldConflict",
    "ValuesOfCorrectTypeRule": "argumentLiteralsIncompatible",
}
OWN = frozenset(
    {"FieldsOnCorrectTypeRule", "KnownArgumentNamesRule", "ProvidedRequiredArgumentsRule", "ScalarLeafsRule"}
)


class _PlatformRule(ValidationRule):
    """Fields, arguments and selections, said as the platform says it."""

    def _report(self, node: Node, path: list[str], message: str, code: str, **extensions: Any) -> None:
        error = GraphQLError(message, [node], extensions={"code": code, **extensions})
        error.path = path  # type: ignore[assignment]  # names of fields only: nothing was executed
        self.report_error(error)

    def enter_field(self, node: FieldNode, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]) -> None:
        parent, field = self.context.get_parent_type(), self.context.get_field_def()
        path = _path_to(node, ancestors)
        name = node.name.value
        if parent is None:
            return
        if field is None:
            message = f"Field '{name}' doesn't exist on type '{parent.name}'"
            self._report(node, path, message, "undefinedField", typeName=parent.name, fieldName=name)
            return
        given = {argument.name.value for argument in node.arguments or ()}
        missing = [
            name for name, argument in field.args.items() if is_required_argument(argument) and name not in given
        ]
        if missing:
            names = ", ".join(missing)
            message = f"Field '{name}' is missing required arguments: {names}"
            self._report(node, path, message, "missingRequiredArguments", className="Field", name=name, arguments=names)
        self._check_selections(node, path, get_named_type(field.type))

    def _check_selections(self, node: FieldNode, path: list[str], kind: Any) -> None:
        name = node.name.value
        if is_leaf_type(kind) and node.selection_set is not None:
            message = f"Selections can't be made on {'enums' if is_enum_type(kind) else 'scalars'} "
            message += f"(field '{name}' returns {kind.name} but has selections)"
            self._report(node, path, message, "selectionMismatch", nodeName=f"field '{name}'", typeName=kind.name)
        if not is_leaf_type(kind) and node.selection_set is None:
            message = (
                f"Field must have selections (field '{name}' returns {kind.name} but has no selections. "
                f"Did you mean '{name} {{ ... }}'?)"
            )
            self._report(node, path, message, "selectionMismatch", nodeName=f"field '{name}'", typeName=kind.name)

    def enter_argument(self, node: ArgumentNode, _key: Any, parent: Any, _path: Any, ancestors: list[Any]) -> None:
        owner = ancestors[-1]
        name = node.name.value
        if isinstance(owner, FieldNode):
            field = self.context.get_field_def()
            if field is not None and name not in field.args:
                path = [*_path_to(owner, ancestors[:-1]), name]
                message = f"Field '{owner.name.value}' doesn't accept argument '{name}'"
                extensions = {"name": owner.name.value, "typeName": "Field", "argumentName": name}
                self._report(node, path, message, "argumentNotAccepted", **extensions)
        elif isinstance(owner, DirectiveNode):
            directive = self.context.get_directive()
            if directive is not None and name not in directive.args:
                message = f"Directive '{owner.name.value}' doesn't accept argument '{name}'"
                extensions = {"name": owner.name.value, "typeName": "Directive", "argumentName": name}
                self._report(node, [name], message, "argumentNotAccepted", **extensions)

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        directive = self.context.get_directive()
        if directive is None:
            return
        given = {argument.name.value for argument in node.arguments or ()}
        missing = [n for n, argument in directive.args.items() if is_required_argument(argument) and n not in given]
        if missing:
            name, names = node.name.value, ", ".join(missing)
            message = f"Directive '{name}' is missing required arguments: {names}"
            extensions = {"className": "Directive", "name": name, "arguments": names}
            self._report(node, [name], message, "missingRequiredArguments", **extensions)

    def enter_object_value(
        self, node: ObjectValueNode, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]
    ) -> None:
        kind = get_named_type(self.context.get_input_type())
        if not isinstance(kind, GraphQLInputObjectType):
            return
        path = _path_to(node, ancestors)
        given = {field.name.value for field in node.fields}
        for name in given - set(kind.fields):
            message = f"InputObject '{kind.name}' doesn't accept argument '{name}'"
            extensions = {"name": kind.name, "typeName": "InputObject", "argumentName": name}
            self._report(node, [*path, name], message, "argumentNotAccepted", **extensions)
        for name, field in kind.fields.items():
            if is_required_input_field(field) and name not in given:
                message = f"Argument '{name}' on InputObject '{kind.name}' is required. Expected type {field.type}"
                extensions = {"argumentName": name, "argumentType": str(field.type), "inputObjectType": kind.name}
                self._report(node, [*path, name], message, "missingRequiredInputObjectAttribute", **extensions)


def _path_to(node: Node, ancestors: list[Any]) -> list[str]:
    path: list[str] = []
    for step in [*ancestors, node]:
        if isinstance(step, OperationDefinitionNode):
            name = f" {step.name.value}" if step.name else ""
            path.append(f"{step.operation.value}{name}")
        elif isinstance(step, FieldNode):
            path.append(step.alias.value if step.alias else step.name.value)
        elif isinstance(step, ArgumentNode | ObjectFieldNode):
            path.append(step.name.value)
    return path


def refusals(schema: GraphQLSchema, document: DocumentNode) -> list[dict[str, Any]]:
    """The `errors` of a document that is not valid; empty when it is."""
    found = validate(schema, document, [_PlatformRule])
    if not found:
        for rule in specified_rules:
            if rule.__name__ in OWN:
                continue
            code = CODES.get(rule.__name__, "invalidDocument")
            for error in validate(schema, document, [rule]):
                found.append(GraphQLError(error.message, error.nodes, extensions={"code": code}))
    return [error.formatted for error in found]  # type: ignore[misc]


def operation_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation to run. Raises GraphQLError when it is not clear which."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name:
        operations = [node for node in operations if node.name and node.name.value == name]
        if not operations:
            raise GraphQLError(f'No operation named "{name}"')
    if len(operations) != 1:
        raise GraphQLError("An operation name is required" if operations else "No operation was given")
    return operations[0]


def variable_refusals(
    schema: GraphQLSchema, operation: OperationDefinitionNode, values: dict[str, Any]
) -> list[dict[str, Any]]:
    """The INVALID_VARIABLE errors of the variables sent, one for each variable that has a problem."""
    found = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        kind = type_from_ast(schema, definition.type)
        value = values.get(name, Undefined)
        if value is Undefined and (definition.default_value is not None or not is_non_null_type(kind)):
            continue
        problems: list[dict[str, Any]] = []
        _find_problems(None if value is Undefined else value, kind, [], problems)  # type: ignore[arg-type]
        if not problems:
            continue
        said = ", ".join(
            f"{'.'.join(map(str, problem['path']))} ({problem['explanation']})" if problem["path"] else ""
            for problem in problems
        )
        message = f"Variable ${name} of type {print_ast(definition.type)} was provided invalid value"
        error = GraphQLError(f"{message} for {said}" if said.strip(", ") else message, [definition])
        extensions = {"code": "INVALID_VARIABLE", "value": None if value is Undefined else value, "problems": problems}
        formatted: dict[str, Any] = {**error.formatted, "extensions": extensions}
        found.append(formatted)
    return found


def _find_problems(value: Any, kind: GraphQLInputType, path: list[str | int], problems: list[dict[str, Any]]) -> None:
    def problem(explanation: str, at: list[str | int] | None = None) -> None:
        problems.append({"path": path if at is None else at, "explanation": explanation})

    if is_non_null_type(kind):
        if value is None:
            problem("Expected value to not be null")
        else:
            _find_problems(value, kind.of_type, path, problems)
    elif value is None:
        return
    elif is_list_type(kind):
        for index, entry in enumerate(value if isinstance(value, list) else [value]):
            _find_problems(entry, kind.of_type, [*path, index], problems)
    elif is_input_object_type(kind):
        if not isinstance(value, dict):
            problem(f"Expected {value!r} to be a key-value object")
            return
        for name, entry in value.items():
            if name not in kind.fields:
                problem(f"Field is not defined on {kind.name}", [*path, name])
            else:
                _find_problems(entry, kind.fields[name].type, [*path, name], problems)
        for name, field in kind.fields.items():
            if name not in value and is_required_input_field(field):
                problem("Expected value to not be null", [*path, name])
    elif is_enum_type(kind):
        if value not in kind.values:
            problem(f'Expected "{value}" to be one of: {", ".join(kind.values)}')
    else:
        try:
            kind.coerce_input_value(value)  # type: ignore[union-attr]
        except (GraphQLError, TypeError, ValueError) as error:
            said = getattr(error, "message", "")
            problem(
                said if said.startswith(("Invalid", "Could not")) else f'Could not coerce value "{value}" to {kind}'
            )


def deprecated_fields(schema: GraphQLSchema, document: DocumentNode) -> set[str]:
    """`Type.field` (or input type and field) of everything a document uses that is on its way out."""
    used: set[str] = set()
    info = TypeInfo(schema)

    class Finder(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            parent, field = info.get_parent_type(), info.get_field_def()
            if parent is not None and field is not None and field.deprecation_reason:
                used.add(f"{parent.name}.{node.name.value}")

    visit(document, TypeInfoVisitor(info, Finder()))
    return used


def deprecated_inputs(schema: GraphQLSchema, operation: OperationDefinitionNode, values: dict[str, Any]) -> set[str]:
    """The same for what the variables hold."""
    used: set[str] = set()

    def look(value: Any, kind: Any) -> None:
        kind = get_named_type(kind)
        if isinstance(value, list):
            for entry in value:
                look(entry, kind)
        elif isinstance(value, dict) and isinstance(kind, GraphQLInputObjectType):
            for name, entry in value.items():
                if name in kind.fields:
                    if kind.fields[name].deprecation_reason:
                        used.add(f"{kind.name}.{name}")
                    look(entry, kind.fields[name].type)

    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        if name in values:
            look(values[name], type_from_ast(schema, definition.type))
    return used


def root_fields(operation: OperationDefinitionNode) -> list[str]:
    return [node.name.value for node in operation.selection_set.selections if isinstance(node, FieldNode)]


def argument_value(node: FieldNode, name: str, variables: dict[str, Any]) -> Any:
    """What an argument holds, for whole numbers and texts; None where it is left out."""
    for argument in node.arguments or ():
        if argument.name.value == name:
            if isinstance(argument.value, VariableNode):
                return variables.get(argument.value.name.value)
            return getattr(argument.value, "value", None)
    return None
