#!/usr/bin/env bash
# Shows that the cluster does what the product needs: a pod under the restricted standard, a volume
# that binds and keeps its data over a restart of the node, a NodePort on 127.0.0.1:9696, DNS.
# Needs the cluster up and port 30696 unused; removes what it makes. Run it as: k8s/smoke/smoke.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
exports=$(python3 -m k8s.cluster env)
eval "$exports"
python3 -m k8s.cluster load slipway-base:3.11

clean_up() { kubectl delete namespace slipway-smoke --ignore-not-found --wait >/dev/null; }
trap clean_up EXIT
trap 'kubectl -n slipway-smoke get pods,pvc,events' ERR

# The number of starts that the volume remembers, through the port of this machine.
starts() { curl -fs --max-time 2 --retry 90 --retry-delay 1 --retry-all-errors 127.0.0.1:9696/starts | wc -l; }

kubectl apply -f k8s/smoke/smoke.yaml
kubectl -n slipway-smoke rollout status deployment/web --timeout=120s
[ "$(starts)" = 1 ]
kubectl -n slipway-smoke exec deployment/web -- \
	python3 -c 'import socket; print("DNS:", socket.gethostbyname("web.slipway-smoke.svc.cluster.local"))'

began=$SECONDS
docker restart "$SLIPWAY_NODE" >/dev/null
until [ "$(starts)" = 2 ]; do sleep 1; done
echo "after docker restart: pod, volume and port are back in $((SECONDS - began)) s"
