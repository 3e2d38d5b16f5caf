/** What a training session does beside training: one listener per duty, in a fixed order. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.session.listener;
