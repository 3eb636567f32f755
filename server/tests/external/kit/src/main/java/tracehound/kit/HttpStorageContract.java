package tracehound.kit;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.TestInfo;
import zipkin2.storage.StorageComponent;

/**
 * All nine parts of Zipkin's storage contract, 85 tests, each on a server and store of its own.
 *
 * <p>Nothing is excused here: no test is overridden, and {@code returnsRawSpans} keeps its strict
 * default. What a storage cannot keep, {@link Kit} is told.
 */
class HttpStorageContract {
  /** How long a server may take from its 202 until spans are visible. Zero for one that is sure. */
  private static final long SETTLE_MS = Long.getLong("kit.settle.ms", 0);

  private static StorageComponent.Builder newBuilder() {
    return new HttpStorage.Builder();
  }

  private static void settle() {
    try {
      TimeUnit.MILLISECONDS.sleep(SETTLE_MS);
    } catch (InterruptedException e) {
      throw new IllegalStateException("interrupted while spans settled", e);
    }
  }

  @Nested class ITTraces extends zipkin2.storage.ITTraces<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITSpanStore extends zipkin2.storage.ITSpanStore<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITSpanStoreHeavy extends zipkin2.storage.ITSpanStoreHeavy<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITStrictTraceIdFalse extends zipkin2.storage.ITStrictTraceIdFalse<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITSearchEnabledFalse extends zipkin2.storage.ITSearchEnabledFalse<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITDependencies extends zipkin2.storage.ITDependencies<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITDependenciesHeavy extends zipkin2.storage.ITDependenciesHeavy<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITServiceAndSpanNames extends zipkin2.storage.ITServiceAndSpanNames<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }

  @Nested class ITAutocompleteTags extends zipkin2.storage.ITAutocompleteTags<HttpStorage> {
    @Override protected boolean initializeStoragePerTest() {
      return true;
    }

    @Override protected StorageComponent.Builder newStorageBuilder(TestInfo testInfo) {
      return newBuilder();
    }

    @Override protected void blockWhileInFlight() {
      settle();
    }

    /** Every test has a store of its own. */
    @Override protected void clear() {}
  }
}
