/** Tests of the networks. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.net;
