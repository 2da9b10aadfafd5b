"""A serving pod's admin port: /metrics, /livez, /readyz and /sample.

Nothing of this may be reachable through the router.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from prometheus_client import CONTENT_TYPE_LATEST

from slipway.errors import Malformed
from slipway.status_server import Answer, Answers, StatusServer, document
from slipway.web.errors import PROBLEM_JSON, problem_of
from slipway.web.service import Service


class AdminServer(StatusServer):
    """The port of one worker process; `share_port` is for several of them."""

    def __init__(self, service: Service, host: str, port: int, *, share_port: bool = False) -> None:
        super().__init__(host, port, _answers(service), "SLIPWAY_ADMIN_PORT", share_port=share_port)


def _answers(service: Service) -> Answers:
    def metrics(_query: str) -> Answer:
        return 200, CONTENT_TYPE_LATEST, service.metrics.expose()

    def livez(_query: str) -> Answer:
        return document(*service.health.live())

    def readyz(_query: str) -> Answer:
        return document(*service.health.ready())

    def sample(query: str) -> Answer:
        cursor = parse_qs(query).get("after", [""])[0]
        try:
            return document(200, service.ring.after(cursor))
        except Malformed as error:
            problem = problem_of(error)
            return problem.status, PROBLEM_JSON, problem.body("")

    return {"/metrics": metrics, "/livez": livez, "/readyz": readyz, "/sample": sample}
