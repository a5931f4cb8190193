"""The parts of callctl.yaml that have entries of their own. The reference page is made from this table, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from callctl.config import accept as config_accept
from callctl.config import secrets as config_secrets
from callctl.config.secrets import COMMAND_SECONDS


@dataclass(frozen=True)
class Section:
    """A part of callctl.yaml with entries of its own. It stands in the file only, with no option or variable."""

    name: str  # its key in callctl.yaml
    field: str  # its field in Settings
    help: str
    entries: tuple[tuple[str, str, str], ...]  # entry, value, what it means: for the reference page
    notes: tuple[str, ...]  # lines of the reference page, below the table
    example: str
    parse: Callable[[object, Path], object]  # the second is the directory of the file


SECTIONS: tuple[Section, ...] = (
    Section(
        name="keys",
        field="keys",
        help="The keys of the integration secrets: where they come from, never what they are.",
        entries=(
            ("primary", "id", "The key that encrypts."),
            ("ring", "list", "The keys that decrypt, the primary among them. An entry has an id and one source."),
            ("ring[].id", "text", "What the envelopes call the key: 1 to 40 letters, digits, `.`, `_` and `-`."),
            ("ring[].env", "name", "The source is an environment variable."),
            (
                "ring[].file",
                "path",
                "The source is a file that only its owner may use; its path starts at the settings file's directory.",
            ),
            (
                "ring[].command",
                "list",
                f"The source is what a command prints, run without a shell, in {COMMAND_SECONDS:g} seconds at most.",
            ),
            (
                "ring[].show_stderr",
                "true or false",
                "Of a command that fails, show the last line that it wrote to stderr; false if left out.",
            ),
            ("ring[].legacy", "true or false", "Tried for values that carry no key id; false if left out."),
        ),
        notes=(
            "A key is 64 hexadecimal digits; white space around them is passed over. callctl makes one with",
            "`callctl keys generate`. A file must be closed to everyone but its owner (`chmod 600`). What a command",
            "prints is not shown: of one that fails, the error gives the exit code. With `show_stderr: true` it also",
            "gives the last line of stderr; what looks like a key, a token or a part of one is hidden. No rule knows",
            "every form, so leave it out where the command can print the key there. Two keys have neither one id nor",
            "one value. What the ids stand for in the database is in",
            "[the envelope](envelope.md); who could see what, in [the threat model](../explanation/threat-model.md).",
        ),
        example="""\
keys:
  primary: k2
  ring:
    - {id: k2, file: secrets/k2.key}
    - {id: k1, env: ENCRYPTION_KEY, legacy: true}
    - {id: k0, command: [vault, kv, get, -field=key, secret/callctl], show_stderr: false}
""",
        parse=config_secrets.keys,
    ),
    Section(
        name="secrets",
        field="secret_fields",
        help="Fields that hold secrets, beside those of the specification, which are always among them.",
        entries=(
            ("fields", "list", "The fields to add."),
            (
                "fields[].table",
                "name",
                "The table, without a schema; one that the specification has by its name there.",
            ),
            ("fields[].column", "name", "The column: text or varchar as a whole, or jsonb with a path."),
            ("fields[].path", "path", "The place in a jsonb column: `apiKey`, `servers[].password`."),
            ("fields[].account_type", "text", "Only rows whose `account_type` is this; rows of any type if left out."),
            (
                "fields[].optional",
                "true or false",
                "No error where no row has the path; false if left out.",
            ),
        ),
        notes=(
            "The fields of the specification: in `integration_accounts.credentials` `authToken` and `apiKeySecret`",
            "(twilio), `accessToken` and `appSecret` (whatsapp), `password` and `turnServers[].credential` (custom);",
            "and the columns `access_token` and `refresh_token`.",
            "",
            "A field that matches nothing is an error (exit code 4) of every command that uses it: `rotate-secrets`,",
            "`keys list`, `keys retire` and `verify`. It matches nothing where the table, the column or the column",
            "`account_type` is not there; and where documents are stored that could have the path, and none has it. An",
            "empty table, an empty object or an empty list could not have it. A table that a step makes may be missing",
            "until then.",
        ),
        example="""\
secrets:
  fields:
    - {table: integrations, column: config, path: apiKey}
    - {table: integration_accounts, account_type: custom, column: credentials, path: "backup[].password",
       optional: true}
""",
        parse=config_secrets.secrets,
    ),
    Section(
        name="accept",
        field="accept",
        help="Differences between the catalog and the specification that are meant, so that `callctl verify` passes.",
        entries=(
            ("[].object", "text", "The object, as verify prints it: `column chatapp.calls.recording_url`."),
            (
                "[].difference",
                "text",
                "The difference, as verify prints it: `type is character varying(1000)`, `missing`, `added`.",
            ),
            ("[].reason", "text", "Why; verify shows it."),
        ),
        notes=(
            "verify prints the entry for each difference. One entry accepts one difference of one object: where the",
            "object changes again, verify fails again. An entry that matches nothing is a warning. What differs in",
            "callctl's own schema cannot be accepted.",
        ),
        example="""\
accept:
  - object: column chatapp.calls.recording_url
    difference: type is character varying(1000)
    reason: signed URLs of the new storage are longer
""",
        parse=config_accept.accept,
    ),
)
