/** How fast the sampler is, beside a bare loop and a plain service. Run by hand: see the README. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.speed;
