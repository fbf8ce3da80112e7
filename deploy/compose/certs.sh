#!/usr/bin/env bash
# certs.sh DIR NAME.ROLE... makes what roles of one mesh know each other by, and what clients know edges by. What is there stays, unless it
# runs out within a month. For trials: the keys of both authorities lie beside the rest. Each role has a folder that it needs alone.
#
#   DIR/NAME.ROLE/{cert,key,ca}.pem  a role's certificate for NAME.ROLE.starling, its key, the mesh's authority
#   DIR/edge/{cert,key,ca}.pem       all edges' certificate for localhost, its key, the authority for clients to trust
#   DIR/postgres/password            of Postgres's user starling, and as pgpass in the folder of each core
#   DIR/authority/                   keys of the authorities
#
# OWNER, if set, is the uid:gid to which all but the authorities' keys and Postgres's password belongs.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dir=$1
shift
umask 077
mkdir -p "$dir/authority" "$dir/postgres"
month=$((30 * 24 * 3600))

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

# authority NAME SUBJECT
authority() {
  [ ! -f "$dir/authority/$1.pem" ] || return 0
  new_key "$dir/authority/$1-key.pem"
  openssl req -x509 -new -key "$dir/authority/$1-key.pem" -subj "/CN=$2" -days 3650 -sha256 \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign -out "$dir/authority/$1.pem.new"
  mv "$dir/authority/$1.pem.new" "$dir/authority/$1.pem"
}

# issue AUTHORITY FOLDER COMMON-NAME ALTERNATIVE-NAMES USAGE
issue() {
  local to=$dir/$2 ca=$dir/authority/$1
  mkdir -p "$to"
  cp "$ca.pem" "$to/ca.pem"
  if [ -f "$to/cert.pem" ] && openssl x509 -in "$to/cert.pem" -noout -checkend $month >/dev/null &&
    openssl verify -CAfile "$to/ca.pem" "$to/cert.pem" >/dev/null 2>&1; then return 0; fi
  new_key "$to/key.pem"
  openssl req -new -key "$to/key.pem" -subj "/CN=$3" -out "$to/request"
  openssl x509 -req -in "$to/request" -CA "$ca.pem" -CAkey "$ca-key.pem" -set_serial "0x$(openssl rand -hex 16)" -days 397 -sha256 \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=%s\nkeyUsage=critical,digitalSignature\n' "$4" "$5") -out "$to/cert.pem.new" 2>/dev/null
  mv "$to/cert.pem.new" "$to/cert.pem"
  rm "$to/request"
}

authority mesh "Starling trial mesh"
authority clients "Starling trial clients"
issue clients edge localhost DNS:localhost,IP:127.0.0.1 serverAuth
[ -f "$dir/postgres/password" ] || openssl rand -hex 24 >"$dir/postgres/password"
for role in "$@"; do
  issue mesh "$role" "$role" "DNS:$role.starling" serverAuth,clientAuth
  case $role in *.core) echo "*:*:*:starling:$(cat "$dir/postgres/password")" >"$dir/$role/pgpass" ;; esac
done

# Postgres reads its password as root, roles read their folders as OWNER; nobody else is to enter.
chmod 755 "$dir"
if [ -n "${OWNER:-}" ]; then chown -R "$OWNER" "$dir/edge" "${@/#/$dir/}"; fi
