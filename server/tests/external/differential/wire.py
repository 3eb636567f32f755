"""Spans as the bytes of Zipkin's four formats. Written against the formats, not against a server."""

import ipaddress
import json
import struct

PATHS = {
    "json_v2": ("/api/v2/spans", "application/json"),
    "proto3": ("/api/v2/spans", "application/x-protobuf"),
    "json_v1": ("/api/v1/spans", "application/json"),
    "thrift": ("/api/v1/spans", "application/x-thrift"),
}


def encode(wire_format, spans):
    if wire_format == "proto3":
        return b"".join(field(1, proto3_span(span)) for span in spans)
    if wire_format == "thrift":
        return struct.pack(">bi", STRUCT, len(spans)) + b"".join(thrift_span(s) for s in spans)
    return json.dumps(spans, ensure_ascii=False).encode()


# --- proto3: field numbers of zipkin.proto ---------------------------------------------------

KINDS = {"CLIENT": 1, "SERVER": 2, "PRODUCER": 3, "CONSUMER": 4}


def varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(number, payload):
    """A field of wire type 2: bytes, string or message."""
    if isinstance(payload, str):
        payload = payload.encode()
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint_field(number, value):
    return varint(number << 3) + varint(value)


def id_bytes(hexadecimal, width):
    return bytes.fromhex(hexadecimal.rjust(width, "0"))


def proto3_span(span):
    trace_id = span["traceId"]
    encoded = field(1, id_bytes(trace_id, 16 if len(trace_id) <= 16 else 32))
    if "parentId" in span:
        encoded += field(2, id_bytes(span["parentId"], 16))
    encoded += field(3, id_bytes(span["id"], 16))
    if "kind" in span:
        encoded += varint_field(4, KINDS[span["kind"]])
    if "name" in span:
        encoded += field(5, span["name"])
    if "timestamp" in span:
        encoded += varint(6 << 3 | 1) + struct.pack("<Q", span["timestamp"])
    if "duration" in span:
        encoded += varint_field(7, span["duration"])
    for number, side in ((8, "localEndpoint"), (9, "remoteEndpoint")):
        if side in span:
            encoded += field(number, proto3_endpoint(span[side]))
    for annotation in span.get("annotations", []):
        timestamp = varint(1 << 3 | 1) + struct.pack("<Q", annotation["timestamp"])
        encoded += field(10, timestamp + field(2, annotation["value"]))
    for key, value in span.get("tags", {}).items():
        encoded += field(11, field(1, key) + field(2, value))
    for number, flag in ((12, "debug"), (13, "shared")):
        if flag in span:
            encoded += varint_field(number, int(span[flag]))
    return encoded


def proto3_endpoint(endpoint):
    encoded = b""
    if "serviceName" in endpoint:
        encoded += field(1, endpoint["serviceName"])
    for number, version in ((2, "ipv4"), (3, "ipv6")):
        if version in endpoint:
            encoded += field(number, ipaddress.ip_address(endpoint[version]).packed)
    if "port" in endpoint:
        encoded += varint_field(4, endpoint["port"])
    return encoded


# --- thrift: TBinary, field numbers of zipkinCore.thrift -------------------------------------

BOOL, I16, I32, I64, STRING, STRUCT, LIST = 2, 6, 8, 10, 11, 12, 15
STOP = b"\0"
BOOL_VALUE, STRING_VALUE = 0, 6


def thrift_field(kind, number, payload):
    return struct.pack(">bh", kind, number) + payload


def thrift_string(text):
    payload = text.encode() if isinstance(text, str) else text
    return struct.pack(">i", len(payload)) + payload


def thrift_list(structs):
    return struct.pack(">bi", STRUCT, len(structs)) + b"".join(structs)


def thrift_i64(hexadecimal):
    return bytes.fromhex(hexadecimal.rjust(16, "0"))


def thrift_span(span):
    trace_id = span["traceId"].rjust(16, "0")
    encoded = thrift_field(I64, 1, thrift_i64(trace_id[-16:]))
    if "name" in span:
        encoded += thrift_field(STRING, 3, thrift_string(span["name"]))
    encoded += thrift_field(I64, 4, thrift_i64(span["id"]))
    if "parentId" in span:
        encoded += thrift_field(I64, 5, thrift_i64(span["parentId"]))
    annotations = [thrift_annotation(a) for a in span.get("annotations", [])]
    encoded += thrift_field(LIST, 6, thrift_list(annotations))
    tags = [thrift_binary_annotation(b) for b in span.get("binaryAnnotations", [])]
    encoded += thrift_field(LIST, 8, thrift_list(tags))
    if "debug" in span:
        encoded += thrift_field(BOOL, 9, bytes([span["debug"]]))
    for number, name in ((10, "timestamp"), (11, "duration")):
        if name in span:
            encoded += thrift_field(I64, number, struct.pack(">q", span[name]))
    if len(trace_id) > 16:
        encoded += thrift_field(I64, 12, thrift_i64(trace_id[:-16]))
    return encoded + STOP


def thrift_annotation(annotation):
    encoded = thrift_field(I64, 1, struct.pack(">q", annotation["timestamp"]))
    encoded += thrift_field(STRING, 2, thrift_string(annotation["value"]))
    return encoded + thrift_field(STRUCT, 3, thrift_endpoint(annotation["endpoint"])) + STOP


def thrift_binary_annotation(tag):
    is_address = tag["value"] is True
    value = b"\1" if is_address else tag["value"]
    encoded = thrift_field(STRING, 1, thrift_string(tag["key"]))
    encoded += thrift_field(STRING, 2, thrift_string(value))
    kind = BOOL_VALUE if is_address else STRING_VALUE
    encoded += thrift_field(I32, 3, struct.pack(">i", kind))
    return encoded + thrift_field(STRUCT, 4, thrift_endpoint(tag["endpoint"])) + STOP


def thrift_endpoint(endpoint):
    ipv4 = ipaddress.ip_address(endpoint.get("ipv4", "0.0.0.0")).packed
    encoded = thrift_field(I32, 1, ipv4)
    encoded += thrift_field(I16, 2, struct.pack(">H", endpoint.get("port", 0)))
    encoded += thrift_field(STRING, 3, thrift_string(endpoint.get("serviceName", "")))
    if "ipv6" in endpoint:
        ipv6 = ipaddress.ip_address(endpoint["ipv6"]).packed
        encoded += thrift_field(STRING, 4, thrift_string(ipv6))
    return encoded + STOP
