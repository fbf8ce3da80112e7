#!/usr/bin/env bash
# Installs what tests need beside Go on Debian 12, and nothing that is there already: test-deps.sh [gcc] [curl] [node] [protoc]
set -euo pipefail

packages=()
for need in "$@"; do
  case $need in
    gcc)    command -v gcc >/dev/null || packages+=(gcc libc6-dev) ;;
    curl)   command -v curl >/dev/null || packages+=(curl) ;;
    node)   command -v node >/dev/null || packages+=(nodejs)
            command -v npm >/dev/null || packages+=(npm) ;;
    protoc) command -v protoc >/dev/null || packages+=(protobuf-compiler) ;;
    *)      echo "test-deps.sh: $need is none of gcc, curl, node, protoc" >&2; exit 2 ;;
  esac
done
[ ${#packages[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "test-deps.sh: please install ${packages[*]}: this is no Debian" >&2
  exit 1
fi
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
echo "installing ${packages[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
