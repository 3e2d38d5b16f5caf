"""A client of the Open Inference Protocol that sends what Triton's Python client sends: raw tensors, outputs by name.

Usage: infer.py HOST:PORT STUBS_FOLDER
Compares the images of ModelInfer for the latents of images 3 to 9 of seed 42 with those of Generate.
"""

import struct
import sys

import grpc

sys.path.insert(0, sys.argv[2])
from dcgan.v1 import sampler_pb2, sampler_pb2_grpc  # noqa: E402
from inference import grpc_service_pb2 as pb, grpc_service_pb2_grpc  # noqa: E402


def text(tensor):
    return f"{tensor.name} {tensor.datatype} {list(tensor.shape)}"


with grpc.insecure_channel(sys.argv[1]) as channel:
    sampler = sampler_pb2_grpc.SamplerServiceStub(channel)
    triton = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
    live = triton.ServerLive(pb.ServerLiveRequest(), timeout=60).live
    ready = triton.ServerReady(pb.ServerReadyRequest(), timeout=60).ready
    model = triton.ModelReady(pb.ModelReadyRequest(name="mnist28"), timeout=60).ready
    other = triton.ModelReady(pb.ModelReadyRequest(name="resnet"), timeout=60).ready
    print(f"live {live}, ready {ready}, model {model}, other {other}")
    metadata = triton.ModelMetadata(pb.ModelMetadataRequest(name="mnist28"), timeout=60)
    print(metadata.platform, *map(text, metadata.inputs), *map(text, metadata.outputs))

    selection = dict(seed=42, first_index=3, count=7)
    latents = sampler.GetLatents(sampler_pb2.GetLatentsRequest(**selection), timeout=60)
    request = pb.ModelInferRequest(model_name="mnist28", model_version=str(latents.model.version), id="call-1")
    request.inputs.add(name="z", datatype="FP32", shape=[7, latents.latent_size])
    request.raw_input_contents.append(struct.pack(f"<{len(latents.latents)}f", *latents.latents))
    request.outputs.add(name="pixels")
    request.outputs.add(name="image")
    response = triton.ModelInfer(request, timeout=60)
    print(f"{response.model_name}/{response.model_version}", response.id, *map(text, response.outputs))

    def generate(image_format):
        return sampler.Generate(
            sampler_pb2.GenerateRequest(version=latents.model.version, format=image_format, **selection), timeout=60
        )

    pixels = generate(sampler_pb2.IMAGE_FORMAT_RAW).pixels
    floats = generate(sampler_pb2.IMAGE_FORMAT_FLOAT).floats  # NHWC, which for one channel is NCHW
    print("pixels equal those of Generate:", response.raw_output_contents[0] == pixels)
    print("floats equal those of Generate:", response.raw_output_contents[1] == floats)
    request.inputs[0].datatype = "FP64"
    try:
        triton.ModelInfer(request, timeout=60)
    except grpc.RpcError as e:
        print(e.code().name)
