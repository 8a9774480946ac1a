"""Sends events and reads a score without any generated code: the server's reflection says what the messages are."""

import os

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(os.environ["KEIZOKU_ENDPOINT"].removeprefix("http://"))
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


def call(service, method, body):
    """Calls a unary method with a body in JSON's shape."""
    about = pool.FindServiceByName(service).FindMethodByName(method)
    request = json_format.ParseDict(body, GetMessageClass(about.input_type)())
    invoke = channel.unary_unary(
        f"/{service}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(about.output_type).FromString,
    )
    return invoke(request, metadata=[("authorization", f"Bearer {os.environ['KEIZOKU_API_KEY']}")], timeout=20)


def login(day):
    """A login of Kaede on a day of May."""
    return {
        "id": f"python-{day}",
        "account": {"external": {"source": "crm", "id": "kaede"}},
        "name": "login",
        "occurred_on": {"year": 2024, "month": 5, "day": day},
    }


sent = call(
    "keizoku.ingestion.v1.EventService",
    "IngestEvents",
    {"source": "app", "events": [login(1), login(2), login(3), login(3)]},
)
answer = call(
    "keizoku.scoring.v1.ScoreService",
    "GetScore",
    {
        "account": {"external": {"source": "crm", "id": "kaede"}},
        "at_least": json_format.MessageToDict(sent)["position"],
    },
)
scored = answer.score.scored
print(
    f"stored {sent.stored_count}, duplicate {sent.duplicate_count}, "
    f"{answer.score.account_name} {scored.value_millis / 1000} {scored.band}"
)
