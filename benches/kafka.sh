#!/usr/bin/env bash
# Gets Apache Kafka by Maven and prints the class path that a broker is started with.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mvn --batch-mode --quiet -f "$root/server/tests/external/kafka/pom.xml" compile >&2
echo "$root/target/external/kafka/classes:$root/target/external/kafka/lib/*"
