#!/bin/sh
# Prepares the content of the images from the two programs that Maven built. For each of them:
#   <out>/<program>/lib      jars of libraries, without their large native libraries
#   <out>/<program>/dcgan    our jars
#   <out>/<program>/native   native libraries, so that the services unpack nothing at start
#   <out>/<program>/licenses the SBOM and the licences of the libraries, which must go with them
# and, for CUDA, <out>/cuda with the CUDA libraries of both.
#
#   unpack.sh cpu|cuda <repository root> <out>
set -eu
variant=$1
source=$2
out=$3

# native JAR FOLDER ENTRY...: extracts entries of the jar, without their paths, into the folder.
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

# without JAR FOLDER: removes the folder from the jar.
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
  mkdir -p "$out/$program/licenses"
  cp "$source/$program/target/$program"/sbom.cdx.json "$source/$program/target/$program"/THIRD-PARTY.txt "$out/$program/licenses"
  lib=$out/$program/lib
  native=$out/$program/native

  # The CUDA build has already unpacked its libraries.
  if [ -d "$source/$program/target/$program/native" ]; then
    mv "$source/$program/target/$program/native" "$native"
    rm -r "$native/.unpacked"
  fi

  # ONNX Runtime: onnxruntime.native.path.
  onnxruntime=$(echo "$lib"/onnxruntime*.jar)
  if [ ! -d "$native/onnxruntime" ]; then
    native "$onnxruntime" "$native/onnxruntime" ai/onnxruntime/native/linux-x64
  fi
  without "$onnxruntime" ai/onnxruntime/native

  # Netty's sockets: java.library.path.
  native "$(echo "$lib"/netty-transport-native-epoll-*-linux-x86_64.jar)" "$native/java" \
    META-INF/native/libnetty_transport_native_epoll_x86_64.so
done

lib=$out/trainer/lib
native=$out/trainer/native

# The library with which DJL counts GPUs: jna.boot.library.path.
native "$(echo "$lib"/jna-*.jar)" "$native/java" com/sun/jna/linux-x86-64/libjnidispatch.so

# libtorch and DJL's JNI library, which DJL looks for beside libtorch first: PYTORCH_LIBRARY_PATH.
case $variant in
  cpu)
    libtorch=$(echo "$lib"/pytorch-native-cpu-*.jar)
    native "$libtorch" "$native/torch" pytorch/cpu/linux-x86_64
    rm "$libtorch"
    native "$(echo "$lib"/pytorch-jni-*.jar)" "$native/torch" jnilib/linux-x86_64/cpu/libdjl_torch.so
    ;;
  cuda)
    # The libraries that both programs have are those of the sampler.
    mv "$out/sampler/native/cuda" "$out/cuda"
    for library in "$out"/cuda/*; do
      cmp "$library" "$native/cuda/$(basename "$library")"
      rm "$native/cuda/$(basename "$library")"
    done
    ;;
esac

# The files have fixed times, so that builds are reproducible.
chmod -R u=rwX,go=rX "$out"
find "$out" -exec touch --no-dereference --date 2026-01-01T00:00:00Z {} +
