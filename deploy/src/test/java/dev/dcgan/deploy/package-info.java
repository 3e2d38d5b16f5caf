/** What deploys and watches the programs. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.deploy;
