# Part of servers.sh: Apache Cassandra, one node, from Maven's jars on Java 17.

cassandra_lib() { echo "$cache/cassandra-$cassandra_version"; }

cassandra_java() {
  local java
  for java in "${JAVA_HOME:-/nowhere}/bin/java" /usr/lib/jvm/java-17-openjdk-*/bin/java; do
    [ -x "$java" ] && "$java" -version 2>&1 | grep -q '"17\.' && echo "$java" && return
  done
  return 1
}

cassandra_install() {
  cassandra_java >/dev/null || packages openjdk-17-jre-headless
  [ ! -d "$(cassandra_lib)" ] || return 0
  command -v mvn >/dev/null || packages maven
  exec 8>"$cache/cassandra.lock"
  flock 8
  if [ ! -d "$(cassandra_lib)" ]; then
    echo "servers.sh: fetching Cassandra $cassandra_version" >&2
    local work
    work=$(mktemp -d "$cache/cassandra.XXXXXX")
    cat >"$work/pom.xml" <<X
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>starling</groupId><artifactId>cassandra</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>$cassandra_version</version>
</dependency></dependencies></project>
X
    JAVA_HOME=$(dirname "$(dirname "$(cassandra_java)")") mvn -q -B -C -f "$work/pom.xml" -Dmaven.repo.local="$cache/m2" \
      dependency:copy-dependencies -DoutputDirectory="$work/lib" -DincludeScope=runtime >"$work/log" 2>&1 ||
      { tail -n 20 "$work/log" >&2; die "Maven could not bring Cassandra; all it said: $work/log"; }
    mv "$work/lib" "$(cassandra_lib)" # whole or not at all
    rm -r "$work"
  fi
  exec 8>&-
}

# Modules of Java that Cassandra reaches into; its own start script says the same.
cassandra_modules() {
  local m
  for m in java.base/{java.io,java.lang,java.lang.module,java.math,java.net,java.nio,java.util,java.util.concurrent} \
    java.base/{java.util.concurrent.atomic,jdk.internal.loader,jdk.internal.math,jdk.internal.module} \
    java.base/{jdk.internal.ref,jdk.internal.reflect,jdk.internal.util.jar,sun.nio.ch} jdk.management/com.sun.management.internal; do
    echo --add-opens "$m=ALL-UNNAMED"
  done
  for m in java.base/{java.lang.ref,jdk.internal.misc,jdk.internal.ref,sun.nio.ch} java.rmi/{sun.rmi.registry,sun.rmi.server} \
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.sql/java.sql jdk.unsupported/sun.misc; do
    echo --add-exports "$m=ALL-UNNAMED"
  done
}

cassandra_launch() {
  local home=$dir/cassandra storage
  storage=$(free_port)
  mkdir -p "$home/conf" "$home/data"
  local sync=$'commitlog_sync: periodic\ncommitlog_sync_period: 10000ms'
  case ${CASSANDRA_SYNC:-periodic} in
  periodic) ;;
  group) sync=$'commitlog_sync: group\ncommitlog_sync_group_window: 100ms' ;;
  *) die "CASSANDRA_SYNC: $CASSANDRA_SYNC: want periodic or group" ;;
  esac
  cat >"$home/conf/cassandra.yaml" <<X
cluster_name: starling
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
data_file_directories: [ "$home/data/data" ]
commitlog_directory: "$home/data/commitlog"
saved_caches_directory: "$home/data/saved_caches"
hints_directory: "$home/data/hints"
cdc_raw_directory: "$home/data/cdc"
$sync
seed_provider: [ { class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [ { seeds: "127.0.0.1:$storage" } ] } ]
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: $storage
native_transport_port: $1
endpoint_snitch: SimpleSnitch
storage_compatibility_mode: NONE
auto_snapshot: false
tombstone_warn_threshold: $((${CASSANDRA_TOMBSTONES:-100000} / 2))
tombstone_failure_threshold: ${CASSANDRA_TOMBSTONES:-100000}
X
  cat >"$home/conf/logback.xml" <<X
<configuration><appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder>
<pattern>%-5level %date %msg%n</pattern></encoder></appender><root level="INFO"><appender-ref ref="OUT"/></root></configuration>
X
  local heap=${CASSANDRA_HEAP:-1g} modules more
  read -ra more <<<"${CASSANDRA_JAVA:-}"
  mapfile -t modules < <(cassandra_modules | tr ' ' '\n')
  launch cassandra "$(cassandra_java)" -Xms256m "-Xmx$heap" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError "${more[@]}" "${modules[@]}" \
    "-Dcassandra.config=file://$home/conf/cassandra.yaml" "-Dlogback.configurationFile=file://$home/conf/logback.xml" \
    "-Dcassandra.storagedir=$home/data" -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=1000 \
    -Djdk.attach.allowAttachSelf=true -cp "$(cassandra_lib)/*" org.apache.cassandra.service.CassandraDaemon
}

cassandra_ready() { listening "$1"; } # the CQL port opens last

cassandra_signal() { echo TERM; }

cassandra_env() { echo "STARLING_TEST_CQL=127.0.0.1:$1"; }
