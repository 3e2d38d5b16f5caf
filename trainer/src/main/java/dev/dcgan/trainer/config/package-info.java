/** The config of a run: presets, defaults and validation. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.config;
