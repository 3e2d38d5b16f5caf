/** Both programs together, as their users run them. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.house;
