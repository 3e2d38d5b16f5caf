"""A Python client with stubs that protoc generated.

Usage: client.py HOST:PORT STUBS_FOLDER
Prints the count, the shape and the SHA-256 of the RAW pixels of images 3 to 9 of seed 2**64 - 1, from Generate and
from GenerateStream.
"""

import hashlib
import sys

import grpc

sys.path.insert(0, sys.argv[2])
from dcgan.v1 import sampler_pb2, sampler_pb2_grpc  # noqa: E402

with grpc.insecure_channel(sys.argv[1]) as channel:
    sampler = sampler_pb2_grpc.SamplerServiceStub(channel)
    request = sampler_pb2.GenerateRequest(
        seed=2**64 - 1, first_index=3, count=7, format=sampler_pb2.IMAGE_FORMAT_RAW
    )
    whole = sampler.Generate(request, timeout=60)
    streamed = b"".join(part.pixels for part in sampler.GenerateStream(request, timeout=60))
    shape = whole.shape
    print(whole.count, shape.height, shape.width, shape.channels)
    print(hashlib.sha256(whole.pixels).hexdigest())
    print(hashlib.sha256(streamed).hexdigest())
    try:
        sampler.Generate(sampler_pb2.GenerateRequest(count=0), timeout=60)
    except grpc.RpcError as e:
        print(e.code().name)
