"""The document of /openapi.json (OpenAPI 3.1), made from the model's input, and the page of /docs.

The schemas say what is checked, as exactly as JSON Schema can: a row is the use case's own type.
What it cannot say, such as that two lists must be equally long, stands in the descriptions. Pure,
but for the page, which is a file of the package.
"""

from __future__ import annotations

import importlib.resources
from typing import Any

import msgspec

from slipway.settings import ServeSettings
from slipway.usecases.protocol import UseCase
from slipway.web.decode import JSON, field_names
from slipway.web.errors import PROBLEM_JSON
from slipway.web.formats import CSV, Written
from slipway.web.open_inference import OCTETS, PREFIX, input_tensors, model_paths
from slipway.web.tensors import BYTES, FP64, INT64, datatype_of_values
from slipway.web.warmup import Example

REF = "#/components/schemas/{name}"
# Nothing but the page itself, and the document that it shows.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REFUSED = {
    400: "The body cannot be read.",
    413: "The body is too large.",
    415: "The media type is not read here.",
    422: "The body does not fit the model's input; `pointer` says where.",
    500: "The model failed, or answered no finite number.",
}
_AGAIN = "`Retry-After` says when to ask again."
_BUSY = {503: f"No model is loaded yet, or more is asked than can be answered; {_AGAIN}"}
_NO_MODEL = {503: f"No model is loaded yet; {_AGAIN}"}
_ANSWERED = {
    "X-Request-Id": "The request's id, as in the log.",
    "X-Slipway-Slot": "The slot that answered.",
}
_ASKED = {
    "X-Request-Id": "Kept if it is 1 to 128 printable ASCII characters, else replaced.",
    "X-Slipway-Key": "Requests with the same key are answered by the same version.",
}

Schema = dict[str, Any]


def reading_page() -> Written:
    """GET /docs: a page that shows the document, with nothing from anywhere else."""
    page = importlib.resources.files("slipway.web").joinpath("docs.html").read_bytes()
    return Written(page, "text/html; charset=utf-8", (("Content-Security-Policy", _POLICY),))


def openapi(
    use_case: UseCase, example: Example, settings: ServeSettings, version: str, slipway: str
) -> bytes:
    """The document for a model of this use case; `version` is the model's."""
    return msgspec.json.encode(_Document(use_case, example, settings, version).made(slipway))


class _Document:
    def __init__(
        self, use_case: UseCase, example: Example, settings: ServeSettings, version: str
    ) -> None:
        row_type = use_case.row_type()
        (self._row,), self._components = msgspec.json.schema_components(
            [row_type], ref_template=REF
        )
        self._names = field_names(row_type)
        self._use_case = use_case
        self._example = example
        self._version = version
        self._name = settings.model_name
        self._rows = {"minItems": 1, "maxItems": settings.max_rows}
        self._limits = (
            f"At most {settings.max_rows} rows and {settings.max_body_bytes} bytes in a request."
        )
        self._prediction = _kind_of(example.prediction)
        self._several = {"type": "array", "items": self._prediction, "minItems": 1}

    def made(self, slipway: str) -> Schema:
        """The whole document; `slipway` is our own version."""
        model, *versions = model_paths(self._name, self._version)
        infers = {f"{path}/infer": self._infer() for path in (model, *versions)}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": f"Model {self._name}",
                "version": slipway,
                "description": f"Predictions of the model version {self._version}, "
                f"by Slipway {slipway}. {self._limits}",
            },
            "servers": [{"url": "/"}],
            "paths": {
                "/predict": {"post": self._predict()},
                "/invocations": {"post": self._invocations()},
                **{path: {"post": operation} for path, operation in infers.items()},
                **{path: {"get": told} for path, told in self._told().items()},
            },
            "components": {"schemas": {**self._components, "Problem": _PROBLEM}},
        }

    def _predict(self) -> Schema:
        row = self._example.row
        bodies = [_object({"instances": self._list()})]
        examples = {"several": {"instances": [row, row]}}
        if self._names:
            bodies.insert(0, self._row)
            examples = {"one": row, **examples}
        version = {"type": "string", "const": self._version}
        one = _object({self._use_case.answer: self._prediction, "model_version": version})
        several = _object({"predictions": self._several, "model_version": version})
        shown = {self._use_case.answer: self._example.prediction, "model_version": self._version}
        return _operation(
            "Predict one row, or several",
            "One row as an object, or several as `instances`. Unknown members are refused.",
            {JSON: _media({"anyOf": bodies}, examples)},
            {
                JSON: {"schema": {"anyOf": [one, several]}}
                | ({"example": shown} if self._names else {})
            },
        )

    def _invocations(self) -> Schema:
        row = self._example.row
        rows = self._list()
        params = {"params": {"type": ["object", "null"], "maxProperties": 0}}
        bodies = [
            _object({member: rows}, params)
            for member in ("instances", "inputs", *(["dataframe_records"] if self._names else []))
        ]
        examples: dict[str, Any] = {"inputs": {"inputs": [row]}}
        content: dict[str, Any] = {}
        if self._names:
            bodies += [
                _object({"dataframe_split": self._split()}, params),
                _object({"inputs": self._columns()}, params),
            ]
            values = [row.get(name) for name in self._names]
            split = {"columns": list(self._names), "data": [values]}
            examples = {"dataframe_split": {"dataframe_split": split}, **examples}
            lines = (",".join(map(str, line)) for line in (self._names, values))
            content[CSV] = {
                "schema": {"type": "string", "contentMediaType": CSV},
                "example": "".join(f"{line}\n" for line in lines),
            }
        content = {JSON: _media({"anyOf": bodies}, examples), **content}
        return _operation(
            "Predict as MLflow's scoring server does",
            "One of MLflow's forms. All columns of `inputs` must have the same length, and each "
            "row of `data` a value for each of `columns`. CSV begins with the columns' names.",
            content,
            {JSON: {"schema": _object({"predictions": self._several})}},
        )

    def _infer(self) -> Schema:
        tensors = input_tensors(self._use_case)
        required = sum("parameters" not in tensor for tensor in tensors)
        inputs = {
            "type": "array",
            "prefixItems": [self._tensor(tensor) for tensor in tensors],
            "items": False,
            "minItems": required,
            "maxItems": len(tensors),
        }
        output = _object(
            {"name": {"const": self._use_case.answer}}, {"parameters": _parameters("binary_data")}
        )
        body = _object(
            {"inputs": inputs},
            {
                "id": {"type": ["string", "null"]},
                "parameters": _parameters("binary_data_output"),
                "outputs": {"type": ["array", "null"], "items": output},
            },
        )
        values = {"type": "array", "minItems": 1}
        answered = _object(
            {
                "model_name": {"const": self._name},
                "model_version": {"const": self._version},
                "outputs": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1,
                    "items": _object(
                        {
                            "name": {"const": self._use_case.answer},
                            "datatype": {"type": "string"},
                            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                            "data": values,
                        }
                    ),
                },
            },
            {"id": {"type": "string"}},
        )
        return _operation(
            "Predict by the open inference protocol (KServe V2)",
            "One tensor for each column, all of the same n; a model that takes a tensor takes "
            f"that one. Binary tensors are read (with `Inference-Header-Content-Length`, as "
            f"{OCTETS}) and, where they are asked for, written.",
            {JSON: _media(body, {"one": {"inputs": self._example_tensors(tensors)}})},
            {
                JSON: {"schema": answered},
                OCTETS: {"schema": {"type": "string", "format": "binary"}},
            },
        )

    def _list(self) -> Schema:
        return {"type": "array", "items": self._row, **self._rows}

    def _property(self, name: str) -> Schema:
        """A column's schema, as the row's has it."""
        row = self._components[self._row["$ref"].rpartition("/")[2]]
        found: Schema = row["properties"][name]
        return found

    def _required(self) -> list[str]:
        fields = self._use_case.inputs
        return [field.name for field in fields if field.required]

    def _split(self) -> Schema:
        columns = {"type": "array", "prefixItems": [{"const": name} for name in self._names]}
        row = {"type": "array", "prefixItems": [self._property(name) for name in self._names]}
        size = {"items": False, "minItems": len(self._names), "maxItems": len(self._names)}
        data = {"type": "array", "items": row | size, **self._rows}
        return {
            "type": "object",
            "properties": {"columns": columns | size, "data": data},
            "required": ["columns", "data"],
        }

    def _columns(self) -> Schema:
        lists = {
            name: {"type": "array", "items": self._property(name), **self._rows}
            for name in self._names
        }
        return {
            "type": "object",
            "properties": lists,
            "required": self._required(),
            "additionalProperties": False,
        }

    def _tensor(self, tensor: Schema) -> Schema:
        name, most = tensor["name"], self._rows["maxItems"]
        rows = {"type": "integer", "minimum": 1, "maximum": most}
        if not self._names:
            sizes = [{"const": size} for size in tensor["shape"][1:]]
            return _object(
                {
                    "name": {"type": "string"},
                    "datatype": {"const": tensor["datatype"]},
                    "shape": _exactly([rows, *sizes]),
                    "data": self._list(),
                },
                {"parameters": _parameters()},
            )
        kinds = [
            _object(
                {
                    "name": {"const": name},
                    "datatype": {"const": datatype},
                    "shape": {
                        **_exactly([rows, {"const": 1}]),
                        "minItems": 1,
                    },
                    "data": {"type": "array", "items": element, **self._rows},
                },
                {"parameters": _parameters()},
            )
            for datatype, element in _elements(tensor["datatype"], self._property(name))
        ]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}

    def _example_tensors(self, tensors: list[Schema]) -> list[Schema]:
        row = self._example.row
        if not self._names:
            shape = [1, *tensors[0]["shape"][1:]]
            return [{**tensors[0], "shape": shape, "data": [row]}]
        return [
            {
                "name": tensor["name"],
                "shape": [1],
                "datatype": _suiting(tensor["datatype"], row[tensor["name"]]),
                "data": [row[tensor["name"]]],
            }
            for tensor in tensors
            if row.get(tensor["name"]) is not None
        ]

    def _told(self) -> dict[str, Schema]:
        """What GET shows, by path."""
        anything: Schema = {"type": "object"}
        metadata = {"type": "object", "required": ["name", "versions", "inputs", "outputs"]}
        told = {
            "/model": _shown("The model that is served", anything, refused=_NO_MODEL),
            "/openapi.json": _shown("This document", anything, refused=_NO_MODEL),
            "/docs": _shown("This document, to be read", {"type": "string"}, "text/html"),
            PREFIX: _shown("The server, by the open inference protocol", anything),
            f"{PREFIX}/health/live": _probe("Whether the server is alive", "live"),
            f"{PREFIX}/health/ready": _probe("Whether the server is ready", "ready"),
        }
        for path in model_paths(self._name, self._version):
            told[path] = _shown(
                "The model's tensors, by the open inference protocol", metadata, refused=_NO_MODEL
            )
            told[f"{path}/ready"] = _probe("Whether the model is ready", "ready")
        inside = "Not reached through the router."
        told["/livez"] = _probe("Whether the process is alive", "live", note=inside)
        told["/readyz"] = _probe("Whether the process is ready", "ready", note=inside)
        told["/metrics"] = _shown(
            "Prometheus metrics", {"type": "string"}, "text/plain", note=inside
        )
        return told


def _operation(
    summary: str, description: str, request: dict[str, Any], answer: dict[str, Any]
) -> Schema:
    return {
        "summary": summary,
        "description": description,
        "parameters": [
            {"name": name, "in": "header", "description": told, "schema": {"type": "string"}}
            for name, told in _ASKED.items()
        ],
        "requestBody": {"required": True, "content": request},
        "responses": _responses(answer, _REFUSED | _BUSY),
    }


def _shown(
    summary: str,
    schema: Schema,
    media: str = JSON,
    *,
    note: str = "",
    refused: dict[int, str] | None = None,
) -> Schema:
    responses = _responses({media: {"schema": schema}}, refused or {})
    return {"summary": summary, "responses": responses} | ({"description": note} if note else {})


def _probe(summary: str, member: str, note: str = "") -> Schema:
    """A path that says yes with 200 and no with 503, in one form."""
    schema = {
        "type": "object",
        "properties": {member: {"type": "boolean"}},
        "required": [member],
    }
    told = _shown(summary, schema, note=note)
    yes: Schema = told["responses"]["200"]
    told["responses"] = {"200": yes | {"description": "Yes."}, "503": yes | {"description": "No."}}
    return told


def _responses(answer: dict[str, Any], refused: dict[int, str]) -> Schema:
    headers = {
        name: {"description": told, "required": True, "schema": {"type": "string"}}
        for name, told in _ANSWERED.items()
    }
    problem = {PROBLEM_JSON: {"schema": {"$ref": REF.format(name="Problem")}}}
    return {
        "200": {"description": "The answer.", "headers": headers, "content": answer},
        **{
            str(status): {"description": told, "headers": headers, "content": problem}
            for status, told in refused.items()
        },
    }


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    """An object with these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _exactly(items: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": items, "items": False, "maxItems": len(items)} | {
        "minItems": len(items)
    }


def _media(schema: Schema, examples: dict[str, Any]) -> Schema:
    return {"schema": schema, "examples": {name: {"value": v} for name, v in examples.items()}}


def _parameters(*switches: str) -> Schema:
    """Parameters are tolerated, but for those that ask for what is not done here."""
    refused = ("shared_memory_region", "classification", "binary_data_size", "content_type")
    known: Schema = {name: {"type": "boolean"} for name in switches}
    return {"type": ["object", "null"], "properties": known | dict.fromkeys(refused, False)}


def _kind_of(prediction: Any) -> Schema:
    if isinstance(prediction, list):
        return {"type": "array", "items": _kind_of(prediction[0])}
    kinds = {bool: "boolean", str: "string"}
    return {"type": kinds.get(type(prediction), "number")}


def _elements(datatype: str, column: Schema) -> list[tuple[str, Schema]]:
    """The datatypes in which a column may come, with the schema of one value."""
    kinds = [kind for kind in column.get("anyOf", [column]) if kind.get("type") != "null"]
    if datatype != BYTES or len(kinds) == 1:
        return [(datatype, kinds[0])]
    words = {"integer": INT64, "number": FP64, "string": BYTES}
    return [(words[kind["type"]], kind) for kind in kinds]


def _suiting(datatype: str, value: Any) -> str:
    """The datatype of an example's value: a zone may be a number."""
    return datatype_of_values([value]) if datatype == BYTES else datatype


_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. Below /v2 and on /invocations with the member `error` besides.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "pointer": {"type": "string", "description": "RFC 6901: the place in the body."},
        "request_id": {"type": "string"},
        "error": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}
