"""The reference page of the settings, and the published schema of callctl.yaml."""

from __future__ import annotations

import json
from typing import Any, get_args

from callctl.config.file import BATCH_SIZES, BATCH_WORKERS, FILE_NAME, FILE_VARIABLE, WAITING_CLIENTS
from callctl.config.sections import KEY_ID, MEMBER, SECTIONS, VARIABLE, Section, SourceKind
from callctl.config.settings import SETTINGS, NewTablesRowSecurity, Output

SCHEMA = "callctl.schema.json"

# Below the table of each section.
NOTES = {
    "keys": """\
A key is 64 hexadecimal digits; white space around them is passed over. callctl makes one with
`callctl keys generate`. A file must be closed to everyone but its owner (`chmod 600`). What a command
prints is not shown: of one that fails, the error gives the exit code. With `show_stderr: true` it also
gives the last line of stderr; what looks like a key, a token or a part of one is hidden. No rule knows
every form, so leave it out where the command can print the key there. Two keys have neither one id nor
one value. What the ids stand for in the database is in
[the envelope](envelope.md); who could see what, in [the threat model](../explanation/threat-model.md).
""",
    "secrets": """\
The fields of the specification: in `integration_accounts.credentials` `authToken` and `apiKeySecret`
(twilio), `accessToken` and `appSecret` (whatsapp), `password` and `turnServers[].credential` (custom);
and the columns `access_token` and `refresh_token`.

A field that matches nothing is an error (exit code 4) of every command that uses it: `rotate-secrets`,
`keys list`, `keys retire` and `verify`. It matches nothing where the table, the column or the column
`account_type` is not there; and where documents are stored that could have the path, and none has it. An
empty table, an empty object or an empty list could not have it. A table that a step makes may be missing
until then.
""",
    "accept": """\
verify prints the entry for each difference. One entry accepts one difference of one object: where the
object changes again, verify fails again. An entry that matches nothing is a warning. What differs in
callctl's own schema cannot be accepted.
""",
}
EXAMPLES = {
    "keys": """\
keys:
  primary: k2
  ring:
    - {id: k2, file: secrets/k2.key}
    - {id: k1, env: ENCRYPTION_KEY, legacy: true}
    - {id: k0, command: [vault, kv, get, -field=key, secret/callctl], show_stderr: false}
""",
    "secrets": """\
secrets:
  fields:
    - {table: integrations, column: config, path: apiKey}
    - {table: integration_accounts, account_type: custom, column: credentials, path: "backup[].password",
       optional: true}
""",
    "accept": """\
accept:
  - object: column chatapp.calls.recording_url
    difference: type is character varying(1000)
    reason: signed URLs of the new storage are longer
""",
}


def page(generated: str) -> str:
    lines = [
        "# Configuration",
        "",
        generated,
        "A setting is taken from its option, else its environment variable, else its key in the settings",
        "file, else its default. The settings file is the one that `--config` names, else the one that",
        f"`{FILE_VARIABLE}` names, else `{FILE_NAME}` in the current directory, if there is one. An empty",
        "variable is an error; a key without a value counts as not set. `callctl config show` lists every",
        "setting with its value and its source. `callctl config check` checks the whole file.",
        "",
        f"The settings file as a JSON Schema, for editors and other programs: [{SCHEMA}]({SCHEMA}). With the",
        "file beside it, a first line `# yaml-language-server: $schema=callctl.schema.json` makes an editor",
        "complete and check it. callctl checks more than a schema can say, such as the time of a backup.",
        "",
        "| key | option | environment | value | default |",
        "|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        variables = ", then ".join(f"`{name}`" for name in setting.variables)
        lines.append(f"| `{setting.name}` | `{setting.option}` | {variables} | {setting.kind} | {setting.default} |")
    lines += ["", "## What they mean", ""]
    lines += [f"- `{setting.name}`: {setting.help}" for setting in SETTINGS]
    lines += [
        "",
        "A duration is a number and a unit: `200ms`, `2s`, `5min`, `1h`.",
        "",
        "Of a URL, callctl takes off white space, a byte-order mark and a pair of quotes around it, and the",
        "driver that SQLAlchemy names (`postgresql+psycopg://`). It refuses what libpq would not read, or would",
        "read as another address than was meant: parameters of other tools (`schema`, `pgbouncer`,",
        "`connection_limit`), a parameter given twice, an `@`, a space or a `%` that is not percent-encoded.",
        "The error names the parameter, and never a value.",
        "",
        "A password belongs into `.pgpass`, a service file or `CALLCTL_DATABASE_URL`. callctl warns about",
        "one in `--database`, which everyone on the machine can read, and in a settings file that others can",
        "read. It prints none.",
        "",
        "## Example",
        "",
        "```yaml",
        f"# {FILE_NAME}",
        "database: postgresql://migrator@db.internal/platform",
        "schema: chatapp",
        "environment: staging",
        "lock_timeout: 500ms",
        "batch_size: 5000",
        "```",
    ]
    for section in SECTIONS:
        lines += ["", f"## The section {section.name}", "", section.help, "It is in the file only.", ""]
        lines += ["| entry | value | means |", "|---|---|---|"]
        for entry, kind, text in section.entries:
            name = f"{section.name}{'' if entry.startswith('[') else '.'}{entry}"
            lines.append(f"| `{name}` | {kind} | {text} |")
        lines += ["", NOTES[section.name], "```yaml", EXAMPLES[section.name].rstrip(), "```"]
    return "\n".join(lines) + "\n"


# What JSON Schema can say of a value: it refuses nothing that callctl takes. By the kind of a setting, and by the place
# of an entry.
_TEXT: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_NAME = {"type": "string", "pattern": f"^{MEMBER.pattern}$"}
_ID = {"type": "string", "pattern": f"^{KEY_ID.pattern}$"}
_PATH = rf"{MEMBER.pattern}(\[\])*"
_SWITCH = ("true", "false", "yes", "no", "on", "off")
_WORDS = "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in _SWITCH)


def _whole(numbers: range) -> dict[str, Any]:
    number = {"type": "integer", "minimum": numbers.start, "maximum": numbers.stop - 1}
    return {"anyOf": [number, {"type": "string", "pattern": r"^\s*[0-9]{1,12}\s*$"}]}


KINDS: dict[str, dict[str, Any]] = {
    "URL": _TEXT,
    "name": {**_TEXT, "maxLength": 63},
    "text": _TEXT,
    "path": _TEXT,
    "duration": {"type": "string", "pattern": r"^\s*[0-9]{1,12}(\.[0-9]{1,6})?\s*(ms|s|min|h)\s*$"},
    "rows": _whole(BATCH_SIZES),
    "number": _whole(BATCH_WORKERS),
    "number of clients": _whole(WAITING_CLIENTS),
    "time": {"type": "string", "pattern": r"([Zz]|[+-][0-9:.,]+)\s*$"},
    "true or false": {
        "anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, {"type": "string", "pattern": rf"^\s*([01]|{_WORDS})\s*$"}]
    },
    "text or json": {"enum": [*get_args(Output)]},
    "inherit, on or off": {"enum": [*get_args(NewTablesRowSecurity), True, False]},
}
ENTRIES: dict[str, dict[str, Any]] = {
    "keys.primary": _ID,
    "keys.ring": {"minItems": 1},
    "keys.ring[].id": _ID,
    "keys.ring[].env": {"type": ["string", "null"], "pattern": f"^{VARIABLE.pattern}$"},
    "keys.ring[].file": {**_TEXT, "type": ["string", "null"]},
    "keys.ring[].command": {"type": ["array", "null"], "items": _TEXT, "minItems": 1},
    "keys.ring[].show_stderr": {"type": "boolean"},
    "keys.ring[].legacy": {"type": "boolean"},
    "secrets.fields": {},
    "secrets.fields[].table": _NAME,
    "secrets.fields[].column": _NAME,
    "secrets.fields[].path": {"type": ["string", "null"], "pattern": rf"^{_PATH}(\.{_PATH})*$"},
    "secrets.fields[].account_type": {**_NAME, "type": ["string", "null"]},
    "secrets.fields[].optional": {"type": "boolean"},
    "accept[].object": _TEXT,
    "accept[].difference": _TEXT,
    "accept[].reason": _TEXT,
}
REQUIRED = {
    "keys": ["ring", "primary"],
    "keys.ring[]": ["id"],
    "secrets": ["fields"],
    "secrets.fields[]": ["table", "column"],
    "accept[]": ["object", "difference", "reason"],
}


def schema() -> str:
    """The JSON Schema of callctl.yaml, as a file."""
    properties: dict[str, Any] = {
        setting.name: {"description": setting.help, "anyOf": [KINDS[setting.kind], {"type": "null"}]}
        for setting in SETTINGS
    }
    for section in SECTIONS:
        shape = _list(section, "[]") if section.entries[0][0].startswith("[]") else _mapping(section, "")
        properties[section.name] = {"description": section.help, "anyOf": [shape, {"type": "null"}]}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The settings file of callctl",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
    }
    return json.dumps(whole, ensure_ascii=True, indent=2) + "\n"


def _mapping(section: Section, place: str) -> dict[str, Any]:
    """The entries of a section at a place: '' for its own, 'ring[]' for those of an entry of its list."""
    properties = {}
    for entry, kind, help in section.entries:
        above, _, name = entry.rpartition(".")
        if above == place:
            facts = ENTRIES[_full(section, entry)]
            shape = {**_list(section, f"{entry}[]"), **facts} if kind == "list" and "type" not in facts else facts
            properties[name] = {"description": help, **shape}
    rules: dict[str, Any] = {"required": REQUIRED[_full(section, place)], "additionalProperties": False}
    if place == "ring[]":
        # One that is there and null counts as left out.
        rules["oneOf"] = [
            {"required": [kind], "properties": {kind: {"not": {"type": "null"}}}} for kind in get_args(SourceKind)
        ]
    return {"type": "object", "properties": properties, **rules}


def _list(section: Section, place: str) -> dict[str, Any]:
    return {"type": "array", "items": _mapping(section, place)}


def _full(section: Section, place: str) -> str:
    return section.name + (f".{place}" if place and not place.startswith("[") else place)
