"""Statements for many rows that the ORM cannot say, for PostgreSQL and SQLite.

This is the only place that asks which database it is. What writes rows belongs into a transaction of the caller's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from types import NoneType
from typing import Any, TypeVar

import orjson
from django.db import connection, models, transaction
from django.db.models import Func
from django.db.models.expressions import RawSQL

_KEYS_AT_ONCE = 5_000
_ROWS_AT_ONCE = 10_000  # in one text, on SQLite

Key = TypeVar("Key", int, str)


def parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """The keys in parts that one statement takes as parameters, on any database."""
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]


def server() -> str:
    """The name of the database and its version."""
    statement = "SHOW server_version" if connection.vendor == "postgresql" else "SELECT sqlite_version()"
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (version,) = cursor.fetchone()
    return f"{connection.display_name} {version}"


def blocks_readers() -> str:
    """How the database makes readers and the writer wait for each other, "" when it does not."""
    if connection.vendor != "sqlite":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        (mode,) = cursor.fetchone()
    return "" if mode == "wal" else f"journal mode {mode}"


def refresh_statistics(*written: type[models.Model]) -> None:
    """After many rows were written at once and before they are asked for: what PostgreSQL knew of a table that was
    empty makes it look through all of it once for every row. Nothing to do on SQLite."""
    if connection.vendor == "postgresql":
        tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in written)
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {tables}")


class Rows(list[Sequence[Any]]):
    """Rows that copy_rows() and update_rows() both take, with the same kinds of columns: they are made ready once."""

    json = ""  # on SQLite, once one of them has needed it


def copy_rows(
    model: type[models.Model],
    fields: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    also: Mapping[str, Any] | None = None,
) -> None:
    """Insert rows whose values stand in the order of `fields`, and the values of `also` in each of them.

    COPY on PostgreSQL, statements of many rows on SQLite. No defaults are filled in; an invalid row raises one of
    Django's database errors. Amounts may come as text.
    """
    columns = [_field(model, name) for name in fields]
    others = {_field(model, name): value for name, value in (also or {}).items()}
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(_name(column) for column in (*others, *columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            same = tuple(others.values())
            with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row((*same, *row))
            return
        same = tuple(column.get_db_prep_save(value, connection) for column, value in others.items())
        head = f"INSERT INTO {table} ({names}) SELECT {'%s, ' * len(same)}"
        if isinstance(rows, Rows):
            picked = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(len(columns)))
            cursor.execute(f"{head}{picked} FROM json_each(%s)", [*same, _rows_as_json(columns, rows)])
            return
        left = iter(rows)
        while part := list(islice(left, _ROWS_AT_ONCE)):
            select, parameters = _select_rows(columns, part)
            cursor.execute(f"{head}{select}", [*same, *parameters])


def insert_new(model: type[models.Model], fields: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[int]:
    """Insert the rows that conflict with no constraint of uniqueness, in one statement; returns their new keys.

    Values stand in the order of `fields`, of which the key is none; no defaults are filled in.
    """
    if not rows:
        return []
    columns = [_field(model, name) for name in fields]
    names = ", ".join(_name(column) for column in columns)
    head = f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({names}) SELECT "
    tail = " WHERE true ON CONFLICT DO NOTHING"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _insert_select(cursor, columns, rows, head, f"{tail} RETURNING {_name(model._meta.pk)}")
            return [key for (key,) in cursor.fetchall()]
        # Nobody else writes meanwhile, so that the keys follow each other; returned, they would come one by one.
        _insert_select(cursor, columns, rows, head, tail)
        return list(range(cursor.lastrowid - cursor.rowcount + 1, cursor.lastrowid + 1)) if cursor.rowcount else []


def add_up(
    model: type[models.Model], identity: Sequence[str], fields: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows, or combine them with those that are there; a row is (values of `identity`, of `fields`).

    Numbers are added, a flag stays once it was set, anything else is replaced. `identity` is unique in the table and in
    the rows. One statement, which locks in the order of the rows; no defaults are filled in.
    """
    if not rows:
        return
    columns = [_field(model, name) for name in (*identity, *fields)]
    table = connection.ops.quote_name(model._meta.db_table)
    names = [_name(column) for column in columns]
    forms = {models.IntegerField: "{0} = {1}.{0} + excluded.{0}", models.BooleanField: "{0} = {1}.{0} OR excluded.{0}"}
    combined = ", ".join(
        next((form for kind, form in forms.items() if isinstance(column, kind)), "{0} = excluded.{0}").format(
            _name(column), table
        )
        for column in columns[len(identity) :]
    )
    head = f"INSERT INTO {table} ({', '.join(names)}) SELECT "
    tail = f" WHERE true ON CONFLICT ({', '.join(names[: len(identity)])}) DO UPDATE SET {combined}"
    with connection.cursor() as cursor:
        _insert_select(cursor, columns, rows, head, tail)


def put_rows(
    model: type[models.Model],
    identity: Sequence[str],
    fields: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    only_new: Sequence[str] = (),
) -> None:
    """Insert rows of many columns, or replace the `fields` of those that are there; for any kind of column.

    A row is (values of `identity`, of `fields`, of `only_new`) as the driver takes them: times and days as the backend
    adapts them, JSON and amounts as text. What is there keeps its `only_new`. `identity` is unique in the table and in
    the rows. No defaults are filled in.
    """
    if not rows:
        return
    names = [_name(_field(model, name)) for name in (*identity, *fields, *only_new)]
    table = connection.ops.quote_name(model._meta.db_table)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in names[len(identity) : len(identity) + len(fields)])
    tail = f"ON CONFLICT ({', '.join(names[: len(identity)])}) DO UPDATE SET {replaced}"
    listed = ", ".join(names)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            marks = ", ".join(["%s"] * len(names))
            cursor.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks}) {tail}", rows)  # noqa: S608
            return
        cursor.execute(
            f"CREATE TEMP TABLE put_rows ON COMMIT DROP AS SELECT {listed} FROM {table} WITH NO DATA"  # noqa: S608
        )
        with connection.wrap_database_errors, cursor.copy(f"COPY put_rows ({listed}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM put_rows {tail}")  # noqa: S608
        cursor.execute("DROP TABLE put_rows")


def update_rows(
    model: type[models.Model],
    key: str,
    fields: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    also: Mapping[str, Any] | None = None,
    only: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Set `fields` row by row, and the values of `also` on each of them; returns the keys of the updated rows.

    A row is (key, value of each field, ...). Rows that are gone, or that no longer hold the values of `only`, are left
    out. One statement.
    """
    if not rows:
        return []
    repeated: Mapping[str, str] = {}
    if not isinstance(rows, Rows):
        fields, rows, alike, repeated = _without_alike(model, fields, rows)
        also = {**alike, **(also or {})}
    columns = [_field(model, name) for name in (key, *fields)]
    table = connection.ops.quote_name(model._meta.db_table)
    names = [_name(column) for column in columns]
    settings = [f"{name} = v.{name}" for name in names[1:]]
    settings += [f"{_name(_field(model, name))} = v.{_name(_field(model, of))}" for name, of in repeated.items()]
    conditions = [f"{table}.{names[0]} = v.{names[0]}"]
    after: list[Any] = []
    for given, parts, form in ((also, settings, "{} = %s"), (only, conditions, table + ".{} = %s")):
        for name, value in (given or {}).items():
            column = _field(model, name)
            parts.append(form.format(_name(column)))
            after.append(_as_parameter(column, value))
    split = len(also or {})  # `also` comes before the rows in the text of the statement, `only` after them
    head = f"UPDATE {table} SET {', '.join(settings)} FROM "  # noqa: S608  # names of our own columns
    tail = f" WHERE {' AND '.join(conditions)}"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = ", ".join(f"%s::{column.rel_db_type(connection)}[]" for column in columns[:1])
            arrays += "".join(f", %s::{column.db_type(connection)}[]" for column in columns[1:])
            values = [list(column_values) for column_values in zip(*rows, strict=True)]
            cursor.execute(
                f"{head}unnest({arrays}) AS v({', '.join(names)}){tail} RETURNING {table}.{names[0]}",
                [*after[:split], *values, *after[split:]],
            )
            return [updated for (updated,) in cursor.fetchall()]
        # In one parameter, as in copy_rows(). It begins with UPDATE, since only then does the driver count its rows.
        picked = ", ".join(f"json_extract(value, '$[{number}]') AS {name}" for number, name in enumerate(names))
        sql = f"{head}(SELECT {picked} FROM json_each(%s)) AS v{tail}"  # noqa: S608  # our own columns
        keys = [row[0] for row in rows]
        before = transaction.savepoint() if only else None
        cursor.execute(sql, [*after[:split], _rows_as_json(columns, rows), *after[split:]])
        if cursor.rowcount == len(keys):  # as a rule; then it tells as much as their keys, which would come one by one
            if before:
                transaction.savepoint_commit(before)
            return keys
        if before:
            transaction.savepoint_rollback(before)
        held = _held_keys(cursor, model, columns[0], keys, only or {})
        if before and held:
            still = set(held)
            left = [row for row in rows if row[0] in still]
            cursor.execute(sql, [*after[:split], _rows_as_json(columns, left), *after[split:]])
        return held


def update_alike(
    model: type[models.Model], keys: Sequence[int], changes: Mapping[str, Any], *, only: Mapping[str, Any]
) -> list[Any]:
    """Set `changes` on the rows with these primary keys that hold the values of `only`; returns their keys."""
    key = _name(model._meta.pk)
    table = connection.ops.quote_name(model._meta.db_table)
    settings, conditions = (
        [(f"{_name(column)} = %s", column.get_db_prep_save(value, connection)) for column, value in pairs]
        for pairs in ([(_field(model, name), value) for name, value in given.items()] for given in (changes, only))
    )
    head = f"UPDATE {table} SET {', '.join(text for text, _value in settings)} WHERE {key} IN "  # noqa: S608
    tail = f" AND {' AND '.join(text for text, _value in conditions)}"

    def update(keys: Sequence[int], returning: str = "") -> None:
        among, parameter = _key_list(keys)
        values = [*(value for _text, value in settings), parameter, *(value for _text, value in conditions)]
        cursor.execute(f"{head}({among}){tail}{returning}", values)

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            update(keys, f" RETURNING {key}")
            return [updated for (updated,) in cursor.fetchall()]
        # All of them, as a rule: then the number of rows tells as much as their keys, which would come one by one.
        before = transaction.savepoint()
        update(keys)
        if cursor.rowcount == len(keys):
            transaction.savepoint_commit(before)
            return list(keys)
        transaction.savepoint_rollback(before)
        held = _held_keys(cursor, model, _field(model, model._meta.pk.name), keys, only)
        update(held)
        return held


def claim_rows(
    candidates: models.QuerySet[Any], columns: Sequence[Any], changes: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Set `changes` on the rows of a sliced queryset that nobody else is claiming just now.

    Returns their driver_rows() as they are once the rows are ours; the first of the columns must be the primary key.
    Where rows have locks of their own, those that another transaction holds are passed over; on SQLite writers take
    turns, so that a row is never claimed twice either.
    """
    model = candidates.model
    key = _name(model._meta.pk)
    table = connection.ops.quote_name(model._meta.db_table)
    settings, values = [], []
    for name, value in changes.items():
        column = _field(model, name)
        settings.append(f"{_name(column)} = %s")
        values.append(column.get_db_prep_save(value, connection))
    update = f"UPDATE {table} SET {', '.join(settings)} WHERE {key} IN "  # noqa: S608  # names of our own columns
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            # The transaction holds the database's only write lock from its beginning on: what is read stays true.
            rows = driver_rows(candidates, columns)
            subquery, parameter = _key_list([row[0] for row in rows])
            cursor.execute(f"{update}({subquery})", [*values, parameter])
            return rows
        chosen = candidates.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        inner, parameters = chosen.values_list("pk").query.sql_with_params()
        # Materialised: as a plain subquery it may run more than once, and then lock more rows than its limit says.
        cursor.execute(
            f"WITH chosen({key}) AS MATERIALIZED ({inner}) {update}(SELECT {key} FROM chosen) "  # noqa: S608
            f"RETURNING {key}",
            [*parameters, *values],
        )
        keys = [claimed for (claimed,) in cursor.fetchall()]
        # Read once they are ours: what this statement saw of other tables may be older than its locks.
        return driver_rows(model._default_manager.filter(pk__in=among(keys)), columns) if keys else []


def driver_rows(queryset: models.QuerySet[Any], columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """These columns of all rows, as the driver gives them.

    For many rows of columns that need no conversion: numbers, text, Microseconds, AmountText and TenThousandths.
    """
    sql, parameters = queryset.values_list(*columns).query.sql_with_params()
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            return _rows_as_one(cursor, sql, parameters, len(columns))
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


@lru_cache(maxsize=10_000)
def moment_of(value: str | datetime) -> datetime:
    """A time as driver_rows() gives it; for few different ones in many rows."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)


def first_known(
    model: type[models.Model],
    fields: Sequence[str],
    rows: Sequence[Sequence[Any]],
    columns: Sequence[Sequence[models.QuerySet[Any]]],
) -> list[tuple[Any, ...]]:
    """For each row, in their order, what the first of each column's querysets finds that is not NULL.

    A row has a value for each of `fields`, which the querysets know as given("name"). They yield one value each, of
    which driver_rows() says what it may be; a column has two of them or more. One statement.
    """
    given_fields = [_field(model, name) for name in fields]
    names = ", ".join(_name(field) for field in given_fields)
    texts, parameters = [], []
    for querysets in columns:
        compiled = [queryset.query.sql_with_params() for queryset in querysets]
        texts.append(f"COALESCE({', '.join(f'({sql})' for sql, _values in compiled)})")
        parameters += [value for _sql, values in compiled for value in values]
    head = f"SELECT {', '.join(texts)} FROM "  # noqa: S608  # querysets' own text
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = ", ".join(f"%s::{field.rel_db_type(connection)}[]" for field in given_fields)
            values = [list(column_values) for column_values in zip(*rows, strict=True)]
            tail = f"unnest({arrays}) WITH ORDINALITY AS given({names}, number) ORDER BY number"
            cursor.execute(head + tail, [*parameters, *values])
            return list(cursor.fetchall())
        picked = ", ".join(f"json_extract(value, '$[{at}]') AS {_name(field)}" for at, field in enumerate(given_fields))
        tail = f"(SELECT key AS number, {picked} FROM json_each(%s)) AS given ORDER BY number"  # noqa: S608
        return _rows_as_one(cursor, head + tail, [*parameters, _rows_as_json(given_fields, rows)], len(texts))


def given(column: str) -> RawSQL:
    """A value of the row that first_known() looks at; the name is that of the column."""
    return RawSQL(f"given.{connection.ops.quote_name(column)}", [])  # noqa: S611  # our own columns


def among(keys: Sequence[int]) -> RawSQL:
    """What stands behind `__in`: any number of keys in one parameter."""
    subquery, parameter = _key_list(keys)
    return RawSQL(subquery, [parameter])  # noqa: S611  # no text of anybody's in it


class PlainFunc(Func):
    """An expression in the words of each database, whose values need no conversion."""

    postgresql = sqlite = ""  # templates, as of Func

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=self.postgresql)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        sql, parameters = self.as_sql(compiler, connection, template=self.sqlite)
        return sql, [*parameters] * self.sqlite.count("%(expressions)s")

    @classmethod
    def of_column(cls, column: str) -> str:
        """The same of a column, for a statement that the ORM cannot say; `%` is doubled, as parameters need it."""
        return (cls.postgresql if connection.vendor == "postgresql" else cls.sqlite) % {"expressions": column}


class AmountText(PlainFunc):
    """An amount as text with four decimals: exact, and much cheaper to read and compare than a Decimal."""

    output_field = models.TextField()
    postgresql = "(%(expressions)s)::numeric(14,4)::text"
    # printf makes a text of NULL, too.
    sqlite = "CASE WHEN %(expressions)s IS NOT NULL THEN printf('%%%%.4f', %(expressions)s) END"


class TenThousandths(PlainFunc):
    """An amount in ten-thousandths of its unit, a whole number: as exact as the column, and the cheapest to compare."""

    output_field = models.BigIntegerField()
    postgresql = "(%(expressions)s * 10000)::bigint"
    # Kept as a binary fraction: the nearest whole number is what was meant.
    sqlite = "CAST(round(%(expressions)s * 10000) AS INTEGER)"


class Microseconds(PlainFunc):
    """A time as microseconds since 1970; a pass reads hundreds of thousands, and datetimes are dear to make."""

    output_field = models.BigIntegerField()
    postgresql = "(extract(epoch from %(expressions)s) * 1000000)::bigint"
    # Kept as text, the six digits of a fraction behind the seconds, or nothing; unixepoch() would round them.
    sqlite = "(unixepoch(substr(%(expressions)s, 1, 19)) * 1000000 + CAST(substr(%(expressions)s, 21, 6) AS INTEGER))"


def _without_alike(
    model: type[models.Model], fields: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[list[str], list[Sequence[Any]], dict[str, Any], dict[str, str]]:
    """Rows behind a key, without the fields that they all have the same value of, which is said once, and without those
    that repeat another field in every row, by the name of that one.

    JSON stays with its row: there it is text that was made already, and would be made once more.
    """
    keys, *columns = zip(*rows, strict=True)
    alike: dict[str, Any] = {}
    repeated: dict[str, str] = {}
    left: dict[str, tuple[Any, ...]] = {}
    for name, values in zip(fields, columns, strict=True):
        field = _field(model, name)
        if values.count(values[0]) == len(values) and not isinstance(field, models.JSONField):
            alike[name] = values[0]
            continue
        of = next((of for of in left if type(_field(model, of)) is type(field) and left[of] == values), None)
        if of is None:
            left[name] = values
        else:
            repeated[name] = of
    return list(left), list(zip(keys, *left.values(), strict=True)), alike, repeated


def _insert_select(
    cursor: Any, columns: Sequence["models.Field[Any, Any]"], rows: Sequence[Sequence[Any]], head: str, tail: str
) -> None:
    """Insert the rows with one parameter for all of them, or for each column."""
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{column.rel_db_type(connection)}[]" for column in columns)
        values = [list(column_values) for column_values in zip(*rows, strict=True)]
        cursor.execute(f"{head}* FROM unnest({arrays}){tail}", values)
    else:
        select, parameters = _select_rows(columns, rows)
        cursor.execute(f"{head}{select}{tail}", parameters)


def _as_parameter(column: "models.Field[Any, Any]", value: Any) -> Any:
    """A value as it stands in a row; text is what both drivers take for any of the columns."""
    return value if value is None or isinstance(value, str) else column.get_db_prep_save(value, connection)


def _select_rows(columns: Sequence["models.Field[Any, Any]"], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """On SQLite: what stands behind SELECT for these rows, with its parameters.

    A value that all of them have is said once; the rest is one text, since to bind each value takes longer than to find
    it in a text.
    """
    picked: list[str] = []
    parameters: list[Any] = []
    differing: list[models.Field[Any, Any]] = []
    values: list[tuple[Any, ...]] = []
    for column, each in zip(columns, zip(*rows, strict=True), strict=True):
        # JSON is text that was made already, and would be made once more.
        if each.count(each[0]) == len(each) and not isinstance(column, models.JSONField):
            picked.append("%s")
            parameters.append(_as_parameter(column, each[0]))
        else:
            picked.append(f"json_extract(value, '$[{len(differing)}]')")
            differing.append(column)
            values.append(each)
    left = list(zip(*values, strict=True)) if values else [()] * len(rows)
    return f"{', '.join(picked)} FROM json_each(%s)", [*parameters, _rows_as_json(differing, left)]


def _rows_as_one(cursor: Any, sql: str, parameters: Sequence[Any], width: int) -> list[tuple[Any, ...]]:
    """On SQLite: the rows of a query of `width` columns, read as one value.

    The driver lets other threads run at every row it steps to; while many of them fetch, waiting for our turn again
    costs more than the row.
    """
    names = ", ".join(f"c{number}" for number in range(width))
    cursor.execute(
        f"WITH r({names}) AS ({sql}) SELECT json_group_array(json_array({names})) FROM r",  # noqa: S608
        parameters,
    )
    return [tuple(row) for row in orjson.loads(cursor.fetchone()[0])]


def _held_keys(
    cursor: Any, model: type[models.Model], key: "models.Field[Any, Any]", keys: Sequence[int], only: Mapping[str, Any]
) -> list[Any]:
    """On SQLite, inside a transaction: those of the keys whose rows are there and hold the values of `only`."""
    among, parameter = _key_list(keys)
    conditions, values = [f"{_name(key)} IN ({among})"], [parameter]
    for name, value in only.items():
        column = _field(model, name)
        conditions.append(f"{_name(column)} = %s")
        values.append(column.get_db_prep_save(value, connection))
    table = connection.ops.quote_name(model._meta.db_table)
    sql = f"SELECT {_name(key)} FROM {table} WHERE {' AND '.join(conditions)}"  # noqa: S608  # our own columns
    return [held for (held,) in _rows_as_one(cursor, sql, values, 1)]


def _key_list(keys: Sequence[int]) -> tuple[str, Any]:
    """A subquery of these keys and its one parameter: a list of hundreds would be compiled value by value."""
    if connection.vendor == "postgresql":
        return "SELECT unnest(%s::bigint[])", list(keys)
    return "SELECT value FROM json_each(%s)", _as_json(keys)


def _as_json(values: Iterable[Any]) -> str:
    return orjson.dumps(list(values), default=str).decode()  # an amount as its digits


def _field(model: type[models.Model], name: str) -> "models.Field[Any, Any]":
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)  # noqa: S101  # a programmer's mistake, and what mypy needs to know
    return field


def _name(field: "models.Field[Any, Any]") -> str:
    return connection.ops.quote_name(field.column or field.name)


def _rows_as_json(columns: Sequence["models.Field[Any, Any]"], rows: Sequence[Sequence[Any]]) -> str:
    """The rows as one parameter for SQLite; only the columns that need it are converted."""
    if isinstance(rows, Rows) and rows.json:
        return rows.json
    values = list(zip(*rows, strict=True))
    ready = [_converted(column, each) for column, each in zip(columns, values, strict=True)]
    is_ready = all(each is before for each, before in zip(ready, values, strict=True))
    text = _as_json(rows if is_ready else zip(*ready, strict=True))
    if isinstance(rows, Rows):
        rows.json = text
    return text


def _converted(column: "models.Field[Any, Any]", values: Sequence[Any]) -> Sequence[Any]:
    """The values of a column as SQLite's driver takes them; text is what it takes for any."""
    if isinstance(column, models.IntegerField | models.CharField | models.BooleanField | models.ForeignKey):
        return values
    if {str, NoneType}.issuperset(map(type, values)):
        return values
    # They repeat (the time of a chunk in every row of it), and converting one costs more than looking it up.
    known = {value: _as_parameter(column, value) for value in set(values)}
    return [known[value] for value in values]
