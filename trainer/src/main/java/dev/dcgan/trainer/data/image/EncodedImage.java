package dev.dcgan.trainer.data.image;

import org.jspecify.annotations.Nullable;

/**
 * An encoded image, taken apart: what the reader needs, and what decides how its samples are
 * understood.
 *
 * @param file the image without profile and metadata, for the reader of its format
 * @param orientation 1 to 8, as in EXIF: how the stored image is turned
 * @param profile an ICC profile, possibly unusable
 */
@SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
record EncodedImage(byte[] file, int orientation, byte @Nullable [] profile) {}
