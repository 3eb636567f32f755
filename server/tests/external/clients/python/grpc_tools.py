"""What gRPC's tools for Python find out about a server: its health, and by reflection its messages.

Argument: base URL of the server. Nothing of Zipkin's protocol is known here: the messages of the
report are made from what the server describes. Exits 1 with what is wrong.
"""

import json
import sys
import urllib.parse
import urllib.request

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

CALL_MAX_S = 10
SERVICE = "zipkin.proto3.SpanService"
TRACE_ID = "5af7183fb1d4cf5fc0ffee0000000001"


def require(condition, message):
    if not condition:
        sys.exit(f"  grpc-tools: WRONG: {message}")


def check_health(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        request = health_pb2.HealthCheckRequest(service=service)
        answer = health.Check(request, timeout=CALL_MAX_S)
        serving = health_pb2.HealthCheckResponse.SERVING
        require(answer.status == serving, f"the health of {service!r} is {answer.status}")
    try:
        health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=CALL_MAX_S)
        require(False, "a service that there is not has a health")
    except grpc.RpcError as error:
        require(error.code() == grpc.StatusCode.NOT_FOUND, f"an unknown service is {error.code()}")


def report_by_reflection(channel):
    """Sends one span by the method's description, and one that lacks its id; both gzip."""
    database = ProtoReflectionDescriptorDatabase(channel)
    names = set(database.get_services())
    require(SERVICE in names, f"the services are {names}")
    method = DescriptorPool(database).FindMethodByName(f"{SERVICE}.Report")
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    spans = request()
    span = spans.spans.add(trace_id=bytes.fromhex(TRACE_ID), id=bytes(7) + b"\2", name="Reflected")
    span.local_endpoint.service_name = "Grpc-Tools"
    span.tags["described"] = "by the server"
    report = channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    gzip = {"compression": grpc.Compression.Gzip, "timeout": CALL_MAX_S}
    require(report(spans, **gzip) == answer(), "the answer has fields")
    span.ClearField("id")
    try:
        report(spans, **gzip)
        require(False, "a span without an id was taken")
    except grpc.RpcError as error:
        code = error.code()
        require(code == grpc.StatusCode.INVALID_ARGUMENT, f"a wrong span is {code}: {error.details()}")


def check_stored(base):
    with urllib.request.urlopen(f"{base}/api/v2/trace/{TRACE_ID}", timeout=CALL_MAX_S) as response:
        trace = json.load(response)
    expected = {
        "traceId": TRACE_ID,
        "id": "0000000000000002",
        "name": "reflected",
        "localEndpoint": {"serviceName": "grpc-tools"},
        "tags": {"described": "by the server"},
    }
    require(trace == [expected], f"the trace is {trace}")


def main(base):
    with grpc.insecure_channel(urllib.parse.urlsplit(base).netloc) as channel:
        check_health(channel)
        report_by_reflection(channel)
    check_stored(base)
    print("  grpc-tools: healthy, described, and reported to as described")


if __name__ == "__main__":
    main(*sys.argv[1:])
