/** Tests the packaged programs under injected faults: {@code mvn -Pfaults -DskipTests verify}. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.faults;
