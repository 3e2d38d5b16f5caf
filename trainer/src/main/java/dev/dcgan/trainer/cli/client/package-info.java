/** Commands that call a running trainer service. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.cli.client;
