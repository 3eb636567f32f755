#!/usr/bin/env bash
# Gets the executable jar of zipkin-server by Maven, once, and prints where it is.
set -euo pipefail

version=3.6.1
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.11.0
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target/external
jar=$folder/zipkin-server-$version-exec.jar

if [[ ! -f $jar ]]; then
  mkdir -p "$folder"
  mvn --batch-mode --quiet "$plugin:copy" -DoutputDirectory="$folder" \
    -Dartifact="io.zipkin:zipkin-server:$version:jar:exec" >&2
fi
echo "$jar"
