/** What deploys and watches both programs, checked as it stands in {@code deploy/}. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.deploy;
