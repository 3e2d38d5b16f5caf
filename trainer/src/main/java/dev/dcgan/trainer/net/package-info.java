/** The networks of the DCGAN (Radford et al. 2015) as DJL blocks. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.net;
