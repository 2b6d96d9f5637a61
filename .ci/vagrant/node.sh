#!/bin/sh
# Node 20 for a Debian 12 machine, whose own Node is 18: from NodeSource's package repository.
set -eu
if [ "$(node --version 2>/dev/null | cut -d. -f1)" = v20 ]; then exit 0; fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install --no-install-recommends ca-certificates curl gnupg
install -d -m 0755 /etc/apt/keyrings
curl -fsSL https://deb.nodesource.com/gpgkey/nodesource-repo.gpg.key | gpg --dearmor --yes -o /etc/apt/keyrings/nodesource.gpg
echo 'deb [signed-by=/etc/apt/keyrings/nodesource.gpg] https://deb.nodesource.com/node_20.x nodistro main' > /etc/apt/sources.list.d/nodesource.list
apt-get -q update
apt-get -q -y install --no-install-recommends nodejs
