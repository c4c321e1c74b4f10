"""The route for the metrics of the server, in the format of Prometheus."""

from __future__ import annotations

from fastapi import Response

from memoryos.doors.http.authentication import AdminCaller
from memoryos.doors.http.metrics import MEDIA_TYPE
from memoryos.doors.http.routes.route_base import router
from memoryos.doors.http.server_state import CurrentServer

__all__ = ["routes"]

routes = router("server")


@routes.get("/metrics", response_class=Response, responses={200: {"content": {MEDIA_TYPE: {}}}})
def get_metrics(server: CurrentServer, caller: AdminCaller) -> Response:  # noqa: ARG001  (the annotation requires an administrator)
    """Returns the server's metrics in the Prometheus text format. Only administrators may call this route."""
    return Response(server.metrics.text(), media_type=MEDIA_TYPE)
