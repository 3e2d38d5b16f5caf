# Builds all four images for your registry:
#
#   REGISTRY=registry.example.com/dcgan docker buildx bake -f deploy/docker/bake.hcl --push cuda

variable "REGISTRY" {
  default = "localhost"
}

# 0.1.0 gives 0.1.0-cpu and 0.1.0-cuda.
variable "TAG" {
  default = "0.1.0"
}

# The commit, for the labels of the images: REVISION=$(git rev-parse HEAD)
variable "REVISION" {
  default = "unknown"
}

group "default" {
  targets = ["cpu"]
}

group "cpu" {
  targets = ["trainer-cpu", "sampler-cpu"]
}

group "cuda" {
  targets = ["trainer-cuda", "sampler-cuda"]
}

target "image" {
  name = "${service}-${variant}"
  matrix = {
    service = ["trainer", "sampler"]
    variant = ["cpu", "cuda"]
  }
  context    = "."
  dockerfile = "deploy/docker/Dockerfile"
  target     = service
  # With CUDA, libtorch and its JNI library exist for no other platform.
  platforms = ["linux/amd64"]
  args = {
    VARIANT  = variant
    VERSION  = TAG
    REVISION = REVISION
  }
  tags = ["${REGISTRY}/dcgan-${service}:${TAG}-${variant}"]
}
