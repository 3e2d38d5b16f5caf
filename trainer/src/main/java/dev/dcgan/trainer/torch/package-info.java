/**
 * What depends on the internals of DJL and PyTorch: TorchScript, devices, copies to the host,
 * safetensors.
 */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.torch;
