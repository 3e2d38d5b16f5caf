/** Decodes, crops and resizes single images. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.data.image;
