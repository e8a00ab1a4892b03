# Sourced by kafka/start and cassandra/start: one Java server on loopback, for tests.
#
# The sourcing script defines
#   name             what the server is called in messages
#   version          of the server; its jars are cached under that name
#   flags=(...)      the JVM's flags, with @DIR@ for the server's directory
#   main=(...)       main class and arguments, likewise
#   ready            what the server's log says once it serves
#   configure DIR PORT PEER_PORT    writes the server's files into DIR, again at each start
#   format DIR       what a new directory needs once, before the first start
# and then calls `serve DIR PORT PEER_PORT`, which prints the pid of the server when it serves.
#
# Environment: SERVICES_CACHE, where jars are kept (target/services of the repository);
#   SERVICE_OWNER, a pid with whose end the server is killed too (none: it runs until it is stopped);
#   SERVICE_WAIT, seconds until a start counts as failed (120).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
prerequisites=tests/services/prerequisites
jars=${SERVICES_CACHE:-$(cd "$here/../../.." && pwd)/target/services}/$name/$version

fail() {
  echo "$1" >&2
  exit 1
}

# Fills `template` of this directory: @DIR@, @PORT@, @PEER_PORT@.
fill() {
  sed -e "s#@DIR@#$2#g" -e "s#@PORT@#$3#g" -e "s#@PEER_PORT@#$4#g" "$here/$1" >"$2/$1"
}

# launch DIR PORT PEER_PORT FLAG...: starts a server on DIR and returns when it serves. Its pid goes to DIR/pid.
launch() {
  local dir=$1 port=$2 peer_port=$3 log=$1/server.log pid deadline
  shift 3
  configure "$dir" "$port" "$peer_port"
  if [ ! -e "$dir/formatted" ]; then
    format "$dir" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; return 1; }
    touch "$dir/formatted"
  fi
  : >"$log"
  # Native libraries are unpacked into the temporary directory, where a killed JVM leaves them.
  rm -rf "$dir/tmp" && mkdir "$dir/tmp"
  # Its own session: an interrupt typed at the tests is not sent to the server, which may be needed for the clean-up.
  setsid java "${flags[@]//@DIR@/$dir}" "-Djava.io.tmpdir=$dir/tmp" "$@" "-Dservice.directory=$dir" \
    -cp "$jars/*" "${main[@]//@DIR@/$dir}" >>"$log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid" >"$dir/pid"
  # The port is bound before the server answers on it, so the server's own word is waited for.
  deadline=$((SECONDS + ${SERVICE_WAIT:-120}))
  until grep -q "$ready" "$log"; do
    if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      echo "$name did not start; the end of $log:" >&2
      tail -n 30 "$log" >&2
      kill -9 "$pid" 2>/dev/null || true
      return 1
    fi
    sleep 0.05
  done
}

# Fetches the jars once per version, and keeps an archive of parsed classes, which halves every later start. The
# archive is written by the exit of a throwaway server.
provide_jars() {
  local train
  mkdir -p "$jars"
  exec 9>"$jars/.lock"
  flock 9
  if [ ! -e "$jars/.complete" ]; then
    command -v mvn >/dev/null || fail "$name needs mvn to fetch its jars: run $prerequisites"
    mvn -B -q -ntp -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies \
      -DincludeScope=runtime "-DoutputDirectory=$jars" >&2 || fail "mvn could not fetch the jars of $name $version"
    touch "$jars/.complete"
  fi
  if [ ! -e "$jars/classes.jsa" ]; then
    train=$(mktemp -d)
    launch "$train" "$1" "$2" "-XX:ArchiveClassesAtExit=$train/classes.jsa" -Xlog:cds=off -Xlog:cds+dynamic=off
    kill "$(cat "$train/pid")"
    wait
    # A JVM that cannot write the archive still serves: later starts are only slower.
    [ ! -e "$train/classes.jsa" ] || mv "$train/classes.jsa" "$jars/classes.jsa"
    rm -r "$train"
  fi
  exec 9>&-
  flags+=("-XX:SharedArchiveFile=$jars/classes.jsa" -Xshare:auto)
}

# Whether the server of directory $2 runs as process $1: pids are used again, directories are not.
runs() {
  [ -e "/proc/$1/cmdline" ] && tr '\0' '\n' <"/proc/$1/cmdline" | grep -qxF -- "-Dservice.directory=$2"
}

# Kills the server once the process that asked for it is gone, so that interrupted tests leave nothing behind. In its
# own session too: what ends the tests' whole process group must not end this.
follow_owner() {
  export -f runs
  setsid bash -c '
    while [ -e "/proc/$1" ] && runs "$2" "$3"; do sleep 1; done
    ! runs "$2" "$3" || kill -9 "$2"
  ' follow "$@" >/dev/null 2>&1 </dev/null 9>&- &
}

serve() {
  [ $# -eq 3 ] || { echo "usage: $0 DIR PORT PEER_PORT" >&2; exit 2; }
  local dir pid major
  command -v java >/dev/null || fail "$name needs java 17 or newer: run $prerequisites"
  major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
  [ "${major:-0}" -ge 17 ] || fail "$name needs java 17 or newer, and java is ${major:-of unknown version}: run $prerequisites"
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  provide_jars "$2" "$3"

  # One start at a time per directory.
  exec 9>"$dir/.lock"
  flock 9
  if pid=$(cat "$dir/pid" 2>/dev/null) && runs "$pid" "$dir"; then
    echo "$pid"
    return
  fi
  launch "$dir" "$2" "$3"
  pid=$(cat "$dir/pid")
  [ -z "${SERVICE_OWNER:-}" ] || follow_owner "$SERVICE_OWNER" "$pid" "$dir"
  echo "$pid"
}
