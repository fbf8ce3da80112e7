# Part of servers.sh: Redis, from Debian's package, without persistence: what it holds may be lost at any time. REDIS_ARGS are further flags.

redis_install() { command -v redis-server >/dev/null || packages redis-server; }

redis_launch() {
  mkdir -p "$dir/redis/data"
  launch redis redis-server --bind 127.0.0.1 --port "$1" --dir "$dir/redis/data" --save '' --appendonly no \
    --set-proc-title no --daemonize no ${REDIS_ARGS:-} # split into words
}

redis_ready() { [ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ]; }

redis_signal() { echo TERM; }

redis_env() { echo "STARLING_TEST_REDIS=redis://127.0.0.1:$1/0"; }
