package dev.dcgan.trainer.eval;

import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.EigenDecomposition_F64;

/**
 * The Fréchet distance to a reference Gaussian, |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), in
 * squared units of the features (Heusel et al. 2017, "GANs trained by a two time-scale update
 * rule").
 *
 * <p>The trace of the matrix square root is computed from (S1^(1/2) S2 S1^(1/2))^(1/2), which has
 * the same eigenvalues and is symmetric, so that they are real. Eigenvalues that rounding leaves
 * below 0 (in a rank-deficient covariance) are set to 0. S1^(1/2) is computed once.
 */
final class FrechetDistance {

  private final double[] mean;
  private final double trace;
  private final DMatrixRMaj squareRoot;

  /** Prepares to measure distances to {@code reference}, a Gaussian of at least two rows. */
  FrechetDistance(Gaussian reference) {
    mean = reference.mean();
    DMatrixRMaj covariance = new DMatrixRMaj(reference.covariance());
    trace = CommonOps_DDRM.trace(covariance);
    squareRoot = squareRoot(covariance);
  }

  /** The distance of another Gaussian over the same features, at least 0. */
  double to(Gaussian other) {
    double[] otherMean = other.mean();
    double distance = 0;
    for (int i = 0; i < mean.length; i++) {
      double difference = mean[i] - otherMean[i];
      distance += difference * difference;
    }
    DMatrixRMaj covariance = new DMatrixRMaj(other.covariance());
    distance += trace + CommonOps_DDRM.trace(covariance) - 2 * traceOfSquareRoot(covariance);
    return Math.max(0, distance);
  }

  private double traceOfSquareRoot(DMatrixRMaj covariance) {
    DMatrixRMaj product = new DMatrixRMaj(mean.length, mean.length);
    DMatrixRMaj between = new DMatrixRMaj(mean.length, mean.length);
    CommonOps_DDRM.mult(squareRoot, covariance, product);
    CommonOps_DDRM.mult(product, squareRoot, between);
    EigenDecomposition_F64<DMatrixRMaj> eigen = decompose(symmetric(between), false);
    double sum = 0;
    for (int i = 0; i < mean.length; i++) {
      sum += Math.sqrt(eigenvalue(eigen, i));
    }
    return sum;
  }

  /** V diag(sqrt(eigenvalues)) V'. */
  private static DMatrixRMaj squareRoot(DMatrixRMaj covariance) {
    EigenDecomposition_F64<DMatrixRMaj> eigen = decompose(covariance, true);
    int size = covariance.numRows;
    DMatrixRMaj vectors = new DMatrixRMaj(size, size);
    DMatrixRMaj scaled = new DMatrixRMaj(size, size);
    for (int i = 0; i < size; i++) {
      DMatrixRMaj vector = eigen.getEigenVector(i);
      double scale = Math.sqrt(eigenvalue(eigen, i));
      for (int row = 0; row < size; row++) {
        vectors.set(row, i, vector.get(row));
        scaled.set(row, i, vector.get(row) * scale);
      }
    }
    DMatrixRMaj root = new DMatrixRMaj(size, size);
    CommonOps_DDRM.multTransB(scaled, vectors, root);
    return root;
  }

  /** Averages the matrix with its transpose, because rounding makes the product unsymmetric. */
  private static DMatrixRMaj symmetric(DMatrixRMaj product) {
    DMatrixRMaj transposed = CommonOps_DDRM.transpose(product, null);
    CommonOps_DDRM.addEquals(product, transposed);
    CommonOps_DDRM.scale(0.5, product);
    return product;
  }

  private static EigenDecomposition_F64<DMatrixRMaj> decompose(
      DMatrixRMaj symmetric, boolean vectors) {
    EigenDecomposition_F64<DMatrixRMaj> eigen =
        DecompositionFactory_DDRM.eig(symmetric.numRows, vectors, true);
    // The decomposition may overwrite its argument.
    if (!eigen.decompose(symmetric.copy())) {
      throw new IllegalStateException(
          "cannot compute the Frechet distance: the eigenvalues of a covariance of %d features do not converge"
              .formatted(symmetric.numRows));
    }
    return eigen;
  }

  private static double eigenvalue(EigenDecomposition_F64<DMatrixRMaj> eigen, int i) {
    return Math.max(0, eigen.getEigenvalue(i).getReal());
  }
}
