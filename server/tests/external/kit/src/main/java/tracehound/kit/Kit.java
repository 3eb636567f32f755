package tracehound.kit;

import java.io.PrintWriter;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

/**
 * Runs the contract and exits 0 only if all of its tests ran and passed: none skipped, none lost. Those that are excused
 * must fail: an excuse that is needed no more is a failure as well.
 */
public final class Kit {
  /** Counted in Zipkin's sources; a kit that finds fewer has not held the whole contract. */
  private static final long CONTRACT_TESTS = 85;
  /** What a storage cannot keep: part and method, such as {@code ITTraces.getTrace_deduplicates}, a comma list. */
  private static final Set<String> EXCUSED = Stream.of(System.getProperty("kit.excused", "").split(","))
      .filter(name -> !name.isEmpty()).collect(Collectors.toCollection(TreeSet::new));

  private Kit() {}

  public static void main(String[] arguments) {
    LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
        .selectors(selectClass(HttpStorageContract.class)).build();
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create().execute(request, listener);

    TestExecutionSummary summary = listener.getSummary();
    summary.printFailuresTo(new PrintWriter(System.out), 10);
    long seconds = (summary.getTimeFinished() - summary.getTimeStarted()) / 1000;
    List<String> failed = summary.getFailures().stream()
        .map(failure -> failure.getTestIdentifier().getSource().map(Kit::name).orElse("?")).sorted().toList();
    System.out.printf("zipkin-tests: %d of %d passed in %d s; excused: %s%n",
        summary.getTestsSucceededCount(), CONTRACT_TESTS, seconds, EXCUSED);
    boolean whole = summary.getTestsSucceededCount() == CONTRACT_TESTS - EXCUSED.size()
        && failed.equals(List.copyOf(EXCUSED));
    if (!whole) System.out.println("failed: " + failed);
    System.exit(whole ? 0 : 1);
  }

  /** Part and method of a test. */
  private static String name(TestSource source) {
    if (!(source instanceof MethodSource method)) return source.toString();
    String part = method.getClassName();
    return part.substring(part.lastIndexOf('$') + 1) + "." + method.getMethodName();
  }
}
