package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import java.io.IOException;

/** Makes a version of a model ready to serve. */
public interface VersionFactory {
  ServedVersion load(ModelBundle bundle) throws IOException;
}
