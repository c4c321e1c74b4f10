"""SQL for each database kind that returns the elements of JSON columns as rows."""

from __future__ import annotations

__all__ = ["JSON_VIEWS"]

_SQLITE = """
fact_origins(scope_id, fact_id, count, analyst) AS (
    SELECT scope_id, fact_id,
    CASE WHEN json_valid(source_page_ids) THEN (SELECT count(*) FROM json_each(source_page_ids)) ELSE 0 END,
    coalesce(CASE WHEN json_valid(origin) THEN json_extract(origin, '$.analyst') END, '') FROM facts
),
fact_sources(scope_id, fact_id, page_id) AS (
    SELECT k.scope_id, k.fact_id, e.value FROM facts k,
    json_each(CASE WHEN json_valid(k.source_page_ids) THEN k.source_page_ids ELSE '[]' END) e
),
fact_replaces(scope_id, fact_id, older_id) AS (
    SELECT k.scope_id, k.fact_id, e.value FROM facts k,
    json_each(CASE WHEN json_valid(k.replaces) THEN k.replaces ELSE '[]' END) e
),
bodies(scope_id, version, body) AS (
    SELECT scope_id, version, CASE WHEN json_valid(body) THEN body ELSE '{}' END FROM profiles
),
evidence(scope_id, version, page_id) AS (
    SELECT b.scope_id, b.version, p.value FROM bodies b, json_each(b.body, '$.attributes') e,
    json_each(CASE e.type WHEN 'object' THEN e.value ELSE '{}' END, '$.source_page_ids') p
    UNION
    SELECT b.scope_id, b.version, p.value FROM bodies b, json_each(b.body, '$.traits') e,
    json_each(CASE e.type WHEN 'object' THEN e.value ELSE '{}' END, '$.evidence_page_ids') p
),
request_pages(scope_id, key_hash, page_id) AS (
    SELECT i.scope_id, i.key_hash, e.value FROM idempotency i,
    json_each(CASE WHEN json_valid(i.page_ids) THEN i.page_ids ELSE '[]' END) e
)
"""


def _list(value: str) -> str:
    """Returns SQL for a JSON array; any other JSON value is replaced by an empty array."""
    return f"CASE json_typeof({value}) WHEN 'array' THEN {value} ELSE '[]' END"


_POSTGRESQL = f"""
fact_origins(scope_id, fact_id, count, analyst) AS (
    SELECT scope_id, fact_id, json_array_length({_list("source_page_ids")}), coalesce(origin ->> 'analyst', '')
    FROM facts
),
fact_sources(scope_id, fact_id, page_id) AS (
    SELECT k.scope_id, k.fact_id, e.value
    FROM facts k, json_array_elements_text({_list("k.source_page_ids")}) AS e(value)
),
fact_replaces(scope_id, fact_id, older_id) AS (
    SELECT k.scope_id, k.fact_id, e.value
    FROM facts k, json_array_elements_text({_list("k.replaces")}) AS e(value)
),
evidence(scope_id, version, page_id) AS (
    SELECT b.scope_id, b.version, p.value FROM profiles b,
    json_array_elements({_list("b.body -> 'attributes'")}) AS e(value),
    json_array_elements_text({_list("e.value -> 'source_page_ids'")}) AS p(value)
    UNION
    SELECT b.scope_id, b.version, p.value FROM profiles b,
    json_array_elements({_list("b.body -> 'traits'")}) AS e(value),
    json_array_elements_text({_list("e.value -> 'evidence_page_ids'")}) AS p(value)
),
request_pages(scope_id, key_hash, page_id) AS (
    SELECT i.scope_id, i.key_hash, e.value
    FROM idempotency i, json_array_elements_text({_list("i.page_ids")}) AS e(value)
)
"""  # noqa: S608  (built from constants)

JSON_VIEWS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
"""Common table expressions (WITH clauses) by database kind.

``fact_origins``: one row for each fact, with its analyst and the number of its source pages. ``fact_sources``: one row
for each source page of a fact. ``fact_replaces``: one row for each id that a fact replaces. ``evidence``: one row for
each source page of a profile version. ``request_pages``: one row for each page that a request with an
idempotency key added.
"""
