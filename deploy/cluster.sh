#!/bin/sh
# A cluster on this machine, for trying out: three NATS servers and three nodes on loopback, with one secret, under ./data-cluster.
# Ctrl-C stops all of them; what they keep stays, and is there at the next start. Run it from the top folder: make cluster
#
#   node    bids             admin            data                  NATS server      routes
#   edge-1  127.0.0.1:8080   127.0.0.1:8081   data-cluster/edge-1   127.0.0.1:4222   127.0.0.1:6222
#   edge-2  127.0.0.1:8180   127.0.0.1:8181   data-cluster/edge-2   127.0.0.1:4223   127.0.0.1:6223
#   edge-3  127.0.0.1:8280   127.0.0.1:8281   data-cluster/edge-3   127.0.0.1:4224   127.0.0.1:6224
#
# Logs are data-cluster/NAME.log. NATS_ONLY=1 starts the three servers alone.
set -u

restraint=${RESTRAINT:-bin/restraint}
data=data-cluster
nodes='' servers='' # process ids

# In sessions of their own, Ctrl-C does not reach them before the nodes have published what is left.
setsid=$(command -v setsid || true)

stop() {
	trap '' INT TERM
	# The nodes first: they publish what is left.
	for pids in "$nodes" "$servers"; do
		[ -n "$pids" ] || continue
		kill $pids 2>/dev/null
		wait $pids 2>/dev/null
	done
}
trap 'stop; exit 0' INT TERM

fail() {
	echo "$1, see $2:" >&2
	tail -n 3 "$2" >&2
	stop
	exit 1
}

# alive NAME PID: whether the process still runs.
alive() { kill -0 "$2" 2>/dev/null || fail "$1 has ended" "$data/$1.log"; }

mkdir -p "$data" && chmod 700 "$data" || exit 1

for n in 1 2 3; do
	$setsid "$restraint" nats --config "deploy/nats/server-$n.conf" >"$data/nats-$n.log" 2>&1 &
	servers="$servers $!"
	eval "nats_$n=$!"
	echo "nats-$n   nats://127.0.0.1:$((4221 + n))   process $!"
done

if [ -z "${NATS_ONLY:-}" ]; then
	for n in 1 2 3; do
		# Its own server first.
		urls=''
		for i in 0 1 2; do urls="$urls,nats://127.0.0.1:$((4222 + (n - 1 + i) % 3))"; done
		port=$((8080 + (n - 1) * 100))
		$setsid "$restraint" serve --node "edge-$n" --listen "127.0.0.1:$port" --admin-listen "127.0.0.1:$((port + 1))" \
			--data "$data/edge-$n" --secret-file "$data/secret" --nats-urls "${urls#,}" --nats-replicas 3 \
			>"$data/edge-$n.log" 2>&1 &
		nodes="$nodes $!"
		eval "edge_$n=$!"
		echo "edge-$n   bids http://127.0.0.1:$port   admin http://127.0.0.1:$((port + 1))   process $!"
	done
fi
echo "logs are $data/*.log; Ctrl-C stops all of them"

while :; do
	sleep 1 &
	wait $! # a signal ends this wait, not a sleep
	for n in 1 2 3; do eval "alive nats-$n \$nats_$n"; done # first: what is wrong with them is wrong with the nodes then
	[ -z "$nodes" ] || for n in 1 2 3; do eval "alive edge-$n \$edge_$n"; done
done
