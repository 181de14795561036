#!/bin/sh
# Makes what compose.yaml reads from secrets/, once: random keys, and a certificate that nobody has signed, for trying out.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets # the files in it are read by the containers' users, through mounts of their own
random() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
[ -s secrets/api_key ] || echo "ak_$(random)" >secrets/api_key
[ -s secrets/grafana_password ] || random >secrets/grafana_password
[ -s secrets/redis_password ] || random >secrets/redis_password
[ -s secrets/redis_url ] || echo "redis://:$(cat secrets/redis_password)@redis:6379/0" >secrets/redis_url
[ -s secrets/edge.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout secrets/edge.key -out secrets/edge.pem
chmod 444 secrets/*
