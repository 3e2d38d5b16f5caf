/** What the tests see of the programs' command line. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.server;
