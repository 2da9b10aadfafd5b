"""Asks a service with Triton's and MLServer's own code; run by the Python of .venv-clients.

Prints one JSON document: what each way of asking answered. `rides` are rows of the three columns.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import tritonclient.http as triton

MODEL, OUTPUT = "slipway", "duration"
ZONES, DISTANCE = ("PULocationID", "DOLocationID"), "trip_distance"


def tensors(rides: list[dict[str, Any]], zone: str, *, binary: bool) -> list[triton.InferInput]:
    """One a column; zones in one of the datatypes in which clients have them."""
    kinds = {"BYTES": np.object_, "INT64": np.int64, "FP64": np.float64}
    columns = {
        **{
            name: (zone, np.array([kind_of(zone, ride[name]) for ride in rides], kinds[zone]))
            for name in ZONES
        },
        DISTANCE: ("FP64", np.array([float(ride[DISTANCE]) for ride in rides])),
    }
    made = []
    for name, (datatype, values) in columns.items():
        shaped = values.reshape(-1, 1)
        tensor = triton.InferInput(name, list(shaped.shape), datatype)
        made.append(tensor.set_data_from_numpy(shaped, binary_data=binary))
    return made


def kind_of(datatype: str, zone: Any) -> Any:
    return str(zone) if datatype == "BYTES" else float(zone)


def by_triton(port: int, rides: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        version = client.get_model_metadata(MODEL)["versions"][0]
        ready = client.is_server_live(), client.is_server_ready(), client.is_model_ready(MODEL)
        yield "ready", [*ready, client.is_model_ready(MODEL, version)]
        yield "metadata", client.get_server_metadata()
        for zone in ("BYTES", "INT64", "FP64"):
            for binary in (True, False):
                wanted = [None, [triton.InferRequestedOutput(OUTPUT, binary_data=binary)]]
                for outputs in wanted:
                    found = client.infer(
                        MODEL,
                        tensors(rides, zone, binary=binary),
                        model_version=version if binary else "",
                        outputs=outputs,
                        request_id="mine",
                    )
                    assert found.get_response()["id"] == "mine"
                    name = f"triton {zone} binary={binary} outputs={bool(outputs)}"
                    yield name, found.as_numpy(OUTPUT).tolist()
        yield "refused", refusal(client, rides)


def refusal(client: Any, rides: list[dict[str, Any]]) -> list[str]:
    try:
        client.infer(MODEL, tensors(rides, "INT64", binary=True)[:2])
    except triton.InferenceServerException as error:
        return [error.status(), error.message()]
    return []


def by_mlserver(port: int, rides: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    import pandas as pd
    from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
    from mlserver.types import (
        InferenceRequest,
        InferenceResponse,
        MetadataModelResponse,
        MetadataServerResponse,
    )

    def asked(path: str, body: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", body.encode() if body else None, headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())

    MetadataServerResponse.model_validate_json(asked("/v2"))
    told = MetadataModelResponse.model_validate_json(asked(f"/v2/models/{MODEL}"))
    yield "mlserver metadata", [tensor.name for tensor in told.inputs or []]
    frame = pd.DataFrame(rides).astype({DISTANCE: float, **dict.fromkeys(ZONES, int)})
    texts = [StringCodec.encode_input(name, frame[name].astype(str).tolist()) for name in ZONES]
    distance = NumpyCodec.encode_input(DISTANCE, frame[[DISTANCE]].to_numpy())
    requests = {
        "mlserver pandas": PandasCodec.encode_request(frame, use_bytes=False),
        "mlserver strings": InferenceRequest(id="mine", inputs=[*texts, distance]),
    }
    for name, request in requests.items():
        body = request.model_dump_json()
        answer = InferenceResponse.model_validate_json(asked(f"/v2/models/{MODEL}/infer", body))
        yield name, NumpyCodec.decode_output(answer.outputs[0]).ravel().tolist()


if __name__ == "__main__":
    where, given = int(sys.argv[1]), json.load(sys.stdin)
    answers = dict(by_triton(where, given))
    if sys.version_info < (3, 13):
        answers |= by_mlserver(where, given)
    json.dump(answers, sys.stdout)
