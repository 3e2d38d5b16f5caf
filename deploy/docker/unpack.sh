#!/bin/sh
# Lays out what goes into the images, from the two programs that Maven left. For each of them:
#   <out>/<program>/lib      the libraries' jars, without the large native libraries in them
#   <out>/<program>/dcgan    our jars
#   <out>/<program>/native   native libraries, where the services are told to find them: nothing is unpacked at start
#
#   unpack.sh cpu|cuda <repository root> <out>
set -eu
variant=$1
source=$2
out=$3

# native JAR FOLDER ENTRY...: the jar's entries, without their folders, into the folder.
native() {
  jar=$1
  folder=$2
  shift 2
  scratch=$(mktemp -d)
  (cd "$scratch" && jar --extract --file "$jar" "$@")
  mkdir -p "$folder"
  find "$scratch" -type f -exec mv {} "$folder" \;
  rm -rf "$scratch"
}

# without JAR FOLDER: the jar, without that folder.
without() {
  scratch=$(mktemp -d)
  (cd "$scratch" && jar --extract --file "$1" && rm -rf "./$2" && mv META-INF/MANIFEST.MF ../manifest.$$ \
    && jar --create --file "$1" --date 2026-01-01T00:00:00Z --manifest ../manifest.$$ . && rm ../manifest.$$)
  rm -rf "$scratch"
}

for program in trainer sampler; do
  mkdir -p "$out/$program/lib" "$out/$program/dcgan"
  cp "$source/$program/target/$program"/lib/*.jar "$out/$program/lib"
  mv "$out/$program"/lib/dcgan-*.jar "$out/$program/dcgan"
  lib=$out/$program/lib
  native=$out/$program/native

  # ONNX Runtime: onnxruntime.native.path.
  onnxruntime=$(echo "$lib"/onnxruntime*.jar)
  native "$onnxruntime" "$native/onnxruntime" ai/onnxruntime/native/linux-x64
  without "$onnxruntime" ai/onnxruntime/native

  # Netty's sockets and TLS: java.library.path.
  native "$(echo "$lib"/grpc-netty-shaded-*.jar)" "$native/java" \
    META-INF/native/libio_grpc_netty_shaded_netty_transport_native_epoll_x86_64.so \
    META-INF/native/libio_grpc_netty_shaded_netty_tcnative_linux_x86_64.so
done

lib=$out/trainer/lib
native=$out/trainer/native

# What DJL counts GPUs with: jna.boot.library.path.
native "$(echo "$lib"/jna-*.jar)" "$native/java" com/sun/jna/linux-x86-64/libjnidispatch.so

# libtorch: PYTORCH_LIBRARY_PATH; for CUDA it is the base image's.
case $variant in
  cpu)
    flavor=cpu
    libtorch=$(echo "$lib"/pytorch-native-cpu-*.jar)
    native "$libtorch" "$native/torch" pytorch/cpu/linux-x86_64
    rm "$libtorch"
    ;;
  cuda) flavor=cu128 ;;
esac

# DJL's bridge to it, where DJL itself would put it: ENGINE_CACHE_DIR. The jar's name has both versions.
versions=$(basename "$lib"/pytorch-jni-*.jar .jar)
versions=${versions#pytorch-jni-}
bridge=$native/djl/pytorch/${versions%-*}-$flavor-linux-x86_64
native "$(echo "$lib"/pytorch-jni-*.jar)" "$bridge" "jnilib/linux-x86_64/$flavor/libdjl_torch.so"
mv "$bridge/libdjl_torch.so" "$bridge/${versions##*-}-libdjl_torch.so"

# The same files, times included, whenever they are made.
chmod -R u=rwX,go=rX "$out"
find "$out" -exec touch --no-dereference --date 2026-01-01T00:00:00Z {} +
