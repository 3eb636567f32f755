package tracehound.kit;

import java.io.PrintWriter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

/** Runs the contract and exits 0 only if all of its tests ran and passed: none skipped, none lost. */
public final class Kit {
  /** Counted in Zipkin's sources; a kit that finds fewer has not held the whole contract. */
  private static final long CONTRACT_TESTS = 85;

  private Kit() {}

  public static void main(String[] arguments) {
    LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
        .selectors(selectClass(HttpStorageContract.class)).build();
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create().execute(request, listener);

    TestExecutionSummary summary = listener.getSummary();
    summary.printFailuresTo(new PrintWriter(System.out), 10);
    long seconds = (summary.getTimeFinished() - summary.getTimeStarted()) / 1000;
    System.out.printf("zipkin-tests: %d of %d passed in %d s%n",
        summary.getTestsSucceededCount(), CONTRACT_TESTS, seconds);
    boolean whole = summary.getTestsSucceededCount() == CONTRACT_TESTS
        && summary.getTotalFailureCount() == 0;
    System.exit(whole ? 0 : 1);
  }
}
