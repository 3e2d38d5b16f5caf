/** Who may call what: roles, the table of rules, and the file of tokens. It knows no protocol. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.server.access;
